"""One version's forecasts of a month, made into what is issued."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import mlflow
import pandas as pd
from mlflow.pyfunc import PyFuncModel

from ..data.panel import KEYS, SECTOR, fingerprint
from ..data.universe import largest
from ..errors import InputError
from ..evaluation.portfolio import PortfolioRule
from ..experiment.config import read_recorded
from ..registry.evidence import Evidence
from ..registry.loading import forecast, load_with_evidence
from ..registry.standing import CHAMPION as ALIAS
from ..tracking.trials import RECIPE
from .calendar import out_of_date
from .inputs import Finding, watch
from .issues import (
    CHAMPION,
    SHADOW,
    USUAL,
    Issue,
    Issued,
    deleted_issues,
    differences,
    issuing,
    last_before,
    read_issues,
    read_tables,
    require_in_order,
    write_issue,
)
from .orders import held_now, inputs_known, make_orders
from .outcome import promise_of

log = logging.getLogger(__name__)

_LEAST_HELD = 0.5
"""Least share of what was issued last that a panel must still have."""


@dataclass(frozen=True)
class Scorer:
    """A loaded version.

    Attributes
    ----------
    name, number
        Of the registered model and the version; None for a model that is in no registry.
    role
        ``champion`` if it holds that alias, else ``shadow``.
    rule
        The portfolios of its training.
    recipe
        See :func:`drf.experiment.recipe.recipe_of`.
    train_last
        The last month whose return it has seen.
    trials
        What the trials before its last evaluation were worth in independent ones; 1 if it was not evaluated.
    """

    model: PyFuncModel
    evidence: Evidence
    name: str | None
    number: str | None
    role: str
    rule: PortfolioRule
    recipe: str
    train_last: pd.Timestamp
    trials: float

    @property
    def descriptors(self) -> list[str]:
        """Those that it was trained on, as the model itself says."""
        return [name for name in self.model.metadata.get_input_schema().input_names() if name not in KEYS]

    @property
    def lags(self) -> list[int]:
        return list(self.model.unwrap_python_model().forecaster.spec.lags)

    @property
    def universe(self) -> int | None:
        found: int | None = self.model.unwrap_python_model().forecaster.spec.universe
        return found

    @property
    def title(self) -> str:
        if self.number is None:
            return "a model that is not registered"
        return f"version {self.number} ({self.role})"


def load_scorer(uri: str) -> Scorer:
    """Load a model of this project; raises as :func:`drf.registry.loading.load_model`."""
    client, name, number, role, trials = mlflow.MlflowClient(), None, None, SHADOW, 1.0
    if named := re.fullmatch(r"models:/([^/@]+)(?:@([^/]+)|/(\d+))", uri):
        name = named[1]
        try:
            aliases = client.get_registered_model(name).aliases
            number = str(aliases[named[2]] if named[2] else int(named[3]))
            trials = _independent_trials(client.get_model_version(name, number).tags)
        except (mlflow.MlflowException, KeyError) as error:
            raise InputError(f"{uri}: there is no such version: run train.py and evaluate.py first") from error
        role = CHAMPION if str(aliases.get(ALIAS)) == number else SHADOW
        uri = f"models:/{name}/{number}"
    model, evidence = load_with_evidence(uri)
    if model.metadata.get_input_schema() is None or RECIPE not in evidence.tags:
        raise InputError(f"{uri}: is not a model of this project: it has no signature, or no recipe")
    rule = read_recorded(evidence.tags["config"]).portfolio
    train_last = pd.Timestamp(evidence.tags["train_last"])
    return Scorer(model, evidence, name, number, role, rule, evidence.tags[RECIPE], train_last, trials)


def _independent_trials(tags: Mapping[str, str]) -> float:
    """What the trials of a version's last evaluation were worth; 1 if there was none."""
    try:
        return max(1.0, float(json.loads(tags["scores"])["independent"]))
    except (KeyError, TypeError, ValueError):
        return 1.0


@dataclass(frozen=True)
class Watch:
    """What the watch over a month's inputs found.

    Attributes
    ----------
    unusual
        In words.
    not_watched
        Why it did not watch them; empty if it did.
    late
        Whether a later month has ended by now: what came after this one is known to the world.
    """

    unusual: list[str]
    not_watched: str = ""
    late: bool = False

    @property
    def state(self) -> str:
        """See :class:`~.issues.Issue`."""
        if self.unusual:
            return f"unusual, forced: {'; '.join(self.unusual)}"[:4000]
        return f"not watched: {self.not_watched}" if self.not_watched else USUAL


def watch_month(scorer: Scorer, panel: pd.DataFrame, day: pd.Timestamp) -> Watch:
    """What is unusual in the newest month of what a version looks at, and whether it is the last that has ended.

    Parameters
    ----------
    panel
        In contract form, of months that have ended.
    day
        On which it is looked at.
    """
    month = panel["date"].max()
    late = out_of_date(month, day)
    found = [*late, *_lost(scorer, panel[panel["date"] == month], month)]
    try:
        found += watch(largest(panel, scorer.universe), scorer.descriptors, scorer.lags)
    except ValueError as error:
        return Watch([str(finding) for finding in found], str(error), bool(late))
    return Watch([str(finding) for finding in found], late=bool(late))


def _lost(scorer: Scorer, newest: pd.DataFrame, month: pd.Timestamp) -> list[Finding]:
    """Whether most of what was issued last is not in the newest month: its stocks may go by other names."""
    earlier = last_before(_own_issues(scorer), month)
    if earlier is None:
        return []
    weights = read_tables(mlflow.MlflowClient(), earlier).orders.set_index("asset")["weight"].abs()
    there = float(weights[weights.index.isin(newest["asset"])].sum() / weights.sum()) if weights.any() else 1.0
    return [Finding("stocks", "held", there, _LEAST_HELD, 1.0)] if there < _LEAST_HELD else []


def _own_issues(scorer: Scorer) -> list[Issue]:
    """The issues that stand of the version's role; in shadow, of the version itself."""
    if scorer.name is None:
        return []
    issues = read_issues(mlflow.MlflowClient(), scorer.name, scorer.role)
    return [one for one in issues if scorer.role == CHAMPION or one.version == scorer.number]


def recent(scorer: Scorer, panel: pd.DataFrame) -> pd.DataFrame:
    """The months of a panel that a forecast of its newest needs."""
    return panel[panel["date"] >= panel["date"].max() - pd.offsets.MonthEnd(max(scorer.lags))]


def make_issue(
    scorer: Scorer,
    panel: pd.DataFrame,
    data: str,
    before: Issued | None,
    promise: pd.DataFrame | None,
    watched: Watch,
    afterwards: bool = False,
) -> tuple[Issued, int]:
    """A version's forecasts and orders of the newest month of a panel.

    Parameters
    ----------
    panel
        In contract form; with ``ret_next`` what is held drifts with returns.
    data
        Its fingerprint.
    before
        What was issued last in the same role; None if nothing was.
    promise
        What was promised when its recipe was first issued; None if it is now.
    watched, afterwards
        What the watch found; see :class:`~.issues.Issue`. A version that was trained on the month's returns knows what
        came after it too.

    Returns
    -------
    What is to be issued, and how many returns of held stocks are not known.

    Raises
    ------
    InputError
        If the version cannot forecast the month, or its portfolio rule needs what the panel does not have.
    """
    month, needed = panel["date"].max(), recent(scorer, panel)
    try:
        made = forecast(scorer.model, needed, "descriptors")
    except (ValueError, mlflow.MlflowException) as error:
        raise InputError(f"the month {month:%Y-%m} cannot be forecast: {error}") from error
    factors = scorer.model.unwrap_python_model().forecaster.spec.factors
    forecasts = made[[*KEYS, "prediction"]].assign(
        **{factor: made[list(names)].sum(axis=1) for factor, names in factors.items()}, bias=made["bias"]
    )
    held, unknown = held_now(before.orders, panel, month) if before else (pd.Series(dtype=float), 0)
    orders = make_orders(forecasts, made.drop(columns=[*KEYS, "prediction", "bias"]), needed, scorer.rule, held)
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
    """What the backtest promised; market values are those of then, sectors those that the panel knows of then."""
    then = scorer.evidence.history.drop(columns=SECTOR, errors="ignore")
    if SECTOR in panel:
        then = then.merge(panel[[*KEYS, SECTOR]], on=list(KEYS), how="left")
    predictions = scorer.evidence.predictions
    promise, months = promise_of(predictions, then, scorer.rule, scorer.trials), predictions["date"].nunique()
    if len(promise) < months:
        log.info(
            "note: the promise is of %d of the backtest's %d months: the panel does not go back", len(promise), months
        )
    return promise


@dataclass(frozen=True)
class Issuance:
    """What has become of a month that was to be issued.

    Attributes
    ----------
    issued
        What stands now.
    run_id
        Its run; empty for a model that is in no registry, which is not recorded.
    is_new
        Whether it was recorded now.
    other
        How what was recorded before differs from what would be now; empty if it does not, or nothing was.
    unknown
        Returns of held stocks that are not known.
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

    Parameters
    ----------
    panel
        In contract form; with ``ret_next`` what is held drifts with returns.
    watched
        What the watch found.
    afterwards
        See :class:`~.issues.Issue`.
    replace
        Let it take the place of an issue that differs.

    Raises
    ------
    InputError
        As :func:`make_issue`, or if a later month was issued already.
    """
    data, month = fingerprint(panel), panel["date"].max()
    if scorer.name is None:
        made, unknown = make_issue(scorer, panel, data, None, None, watched, afterwards)
        return Issuance(made, "", False, [], unknown)
    client = mlflow.MlflowClient()
    with issuing(client, scorer.name):
        for what in deleted_issues(client, scorer.name):
            log.info("note: deleted in MLflow, and so not in the record: %s", what)
        own = _own_issues(scorer)
        require_in_order(own, month)
        earlier, first = last_before(own, month), next((one for one in own if one.recipe == scorer.recipe), None)
        before = read_tables(client, earlier) if earlier else None
        promise = read_tables(client, first).promise if first else None
        made, unknown = make_issue(scorer, panel, data, before, promise, watched, afterwards)
        there = next((one for one in own if one.month == month), None)
        if there is None:
            return Issuance(made, write_issue(client, made, watched.unusual), True, [], unknown)
        standing = read_tables(client, there)
        other = differences(standing, made)
        if not other or not replace:
            return Issuance(standing, there.run_id, False, other, unknown)
        made = dataclasses.replace(made, issue=dataclasses.replace(made.issue, replaces=there.run_id))
        return Issuance(made, write_issue(client, made, watched.unusual), True, other, unknown)


def _order(forecasts: pd.DataFrame, orders: pd.DataFrame) -> Sequence[str]:
    """Columns as they are read: the forecast and its parts, the order, why, where from."""
    first = [*forecasts, "rank", "quantile", "weight", "held", "trade", "inputs", "reasons"]
    return [*first, *[name for name in orders if name not in first]]
