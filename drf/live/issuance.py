"""Issuance: a version's forecasts of a month, made into an issue and recorded once."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import mlflow
import pandas as pd

from ..data.calendar import named
from ..data.panel import KEYS, SECTOR, fingerprint
from ..errors import InputError
from ..registry.loading import forecast
from ..tracking.searches import MARKET, from_tag, trials_on
from .input_watch import Watch
from .issue_log import (
    deleted_issues,
    first_whole,
    issues_left_aside,
    issuing,
    last_before,
    require_in_order,
    write_issue,
)
from .issues import Issue, Issued, differences
from .orders import held_now, inputs_known, make_orders
from .outcome import promise_of
from .scorer import Scorer, decision_of, own_issues, recent

log = logging.getLogger(__name__)


def make_issue(
    scorer: Scorer,
    panel: pd.DataFrame,
    data: str,
    before: Issued | None,
    promise: pd.DataFrame | None,
    watched: Watch,
    afterwards: bool = False,
) -> tuple[Issued, int]:
    """Return a version's forecasts and orders for the newest month of a panel.

    Args:
        panel: In contract form; if it has ``ret_next``, held weights drift with returns.
        data: Its fingerprint.
        before: Last issue in the same role; None if there is none.
        promise: Backtest performance recorded when the version's recipe was first issued; None if this is the first
            issue.
        watched, afterwards: Result of the input checks, and whether the month is over; see :class:`~.issues.Issue`. An
            issue of a version trained on the month's returns counts as issued afterwards.

    Returns:
        The issue, and the number of held stocks whose return is unknown.

    Raises InputError if the version cannot forecast the month, or the panel lacks what its portfolio rule needs.
    """
    month, needed = panel["date"].max(), recent(scorer, panel)
    try:
        contributions = forecast(scorer.model, needed, "descriptors")
    except (ValueError, mlflow.MlflowException) as error:
        raise InputError(f"the month {named(month)} cannot be forecast: {error}") from error
    factors = scorer.model.unwrap_python_model().forecaster.spec.factors
    forecasts = contributions[[*KEYS, "prediction"]].assign(
        **{factor: contributions[list(names)].sum(axis=1) for factor, names in factors.items()},
        bias=contributions["bias"],
    )
    held, unknown = held_now(before.orders, panel, month) if before else (pd.Series(dtype=float), 0)
    orders = make_orders(
        forecasts, contributions.drop(columns=[*KEYS, "prediction", "bias"]), needed, scorer.rule, held
    )
    issue = Issue(
        month=month,
        name=scorer.name or "",
        version=scorer.number or "",
        recipe=scorer.recipe,
        role=scorer.role,
        data=data,
        issued=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        cost_bps=scorer.rule.cost_bps,
        watch=watched.state,
        afterwards=afterwards or watched.late or month <= scorer.train_last,
        decided=decision_of(scorer),
    )
    orders = orders.assign(
        inputs=inputs_known(needed, orders["asset"], scorer.descriptors, scorer.lags),
        version=issue.version,
        recipe=issue.recipe,
        issued=issue.issued,
        data=issue.data,
    )
    if promise is None:
        promise = _promise(scorer, panel)
    return Issued(issue, orders[_order(forecasts, orders)], promise), unknown


def _promise(scorer: Scorer, panel: pd.DataFrame) -> pd.DataFrame:
    """Return the backtest's performance, with historical market values and the panel's sectors.

    The trials on the version's market are counted afresh, because a number in a tag could have been changed.
    """
    then = scorer.evidence.history.drop(columns=SECTOR, errors="ignore")
    if SECTOR in panel:
        then = then.merge(panel[[*KEYS, SECTOR]], on=list(KEYS), how="left")
    predictions = scorer.evidence.predictions
    trials = max(1.0, trials_on(from_tag(scorer.evidence.tags.get(MARKET))).independent)
    promise, months = promise_of(predictions, then, scorer.rule, trials), predictions["date"].nunique()
    if len(promise) < months:
        log.info(
            "note: the promise covers %d of the backtest's %d months, since the panel starts later",
            len(promise),
            months,
        )
    return promise


@dataclass(frozen=True)
class Issuance:
    """Outcome of an issuance.

    Attributes:
        issued: The recorded issue.
        run_id: Run of the issue; empty for a model that is in no registry, whose issue is not recorded.
        is_new: True if this call recorded it.
        other: Differences between an earlier record and a new forecast; empty if there are none.
        unknown: Number of held stocks whose return is not known.
    """

    issued: Issued
    run_id: str
    is_new: bool
    other: list[str]
    unknown: int


def issue_month(
    scorer: Scorer, panel: pd.DataFrame, watched: Watch, afterwards: bool = False, replace: bool = False
) -> Issuance:
    """Forecast the newest month of a panel and record it, if it is not recorded already.

    Args:
        panel: In contract form; if it has ``ret_next``, held weights drift with returns.
        watched: Result of the input checks.
        afterwards: See :class:`~.issues.Issue`.
        replace: True if the new issue may replace an existing one that differs.

    Raises InputError as :func:`make_issue`, or if a later month was issued already.
    """
    data, month = fingerprint(panel), panel["date"].max()
    if scorer.name is None:
        issued, unknown = make_issue(scorer, panel, data, None, None, watched, afterwards)
        return Issuance(issued, "", False, [], unknown)
    client = mlflow.MlflowClient()
    with issuing(client, scorer.name):
        for what in deleted_issues(client, scorer.name):
            log.info("note: deleted in MLflow, and so not in the record: %s", what)
        for what in issues_left_aside(client, scorer.name):
            log.info("note: left aside from the record: %s", what)
        own = own_issues(scorer)
        require_in_order(client, own, month)
        before = last_before(client, own, month)
        first = first_whole(client, (issue for issue in own if issue.recipe == scorer.recipe))
        promise = first.promise if first else None
        issued, unknown = make_issue(scorer, panel, data, before, promise, watched, afterwards)
        standing = first_whole(client, (issue for issue in own if issue.month == month))
        if standing is None:
            return Issuance(issued, write_issue(client, issued, watched.unusual), True, [], unknown)
        run_id, other = standing.issue.run_id, differences(standing, issued)
        if not other or not replace:
            return Issuance(standing, run_id, False, other, unknown)
        issued = dataclasses.replace(
            issued, issue=dataclasses.replace(issued.issue, replaces=f"{run_id} {standing.issue.digest}")
        )
        return Issuance(issued, write_issue(client, issued, watched.unusual), True, other, unknown)


def _order(forecasts: pd.DataFrame, orders: pd.DataFrame) -> Sequence[str]:
    """Return the columns in reading order: forecast and parts, order, reasons, origin."""
    first = [*forecasts, "rank", "quantile", "weight", "held", "trade", "inputs", "reasons"]
    return [*first, *[name for name in orders if name not in first]]
