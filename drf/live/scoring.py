"""One version's forecasts of a month, made into what is issued."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import mlflow
import pandas as pd
from mlflow.pyfunc import PyFuncModel

from ..data.dates import read_dates
from ..data.names import read_names
from ..data.numbers import read_numbers
from ..data.panel import KEYS, RETURN, fingerprint
from ..data.universe import largest
from ..errors import InputError
from ..evaluation.portfolio import PortfolioRule
from ..experiment.config import read_recorded
from ..registry.evidence import Evidence
from ..registry.loading import forecast, load_with_evidence
from ..registry.standing import CHAMPION as ALIAS
from ..tracking.trials import RECIPE
from .inputs import Finding, watch
from .issues import (
    CHAMPION,
    SHADOW,
    Issue,
    Issued,
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
    """

    model: PyFuncModel
    evidence: Evidence
    name: str | None
    number: str | None
    role: str
    rule: PortfolioRule
    recipe: str

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
    client, name, number, role = mlflow.MlflowClient(), None, None, SHADOW
    if named := re.fullmatch(r"models:/([^/@]+)(?:@([^/]+)|/(\d+))", uri):
        name = named[1]
        try:
            aliases = client.get_registered_model(name).aliases
            number = str(aliases[named[2]]) if named[2] else named[3]
        except (mlflow.MlflowException, KeyError) as error:
            raise InputError(f"{uri}: there is no such version: run train.py and evaluate.py first") from error
        role = CHAMPION if str(aliases.get(ALIAS)) == number else SHADOW
        uri = f"models:/{name}/{number}"
    model, evidence = load_with_evidence(uri)
    if model.metadata.get_input_schema() is None or RECIPE not in evidence.tags:
        raise InputError(f"{uri}: is not a model of this project: it has no signature, or no recipe")
    rule = read_recorded(evidence.tags["config"]).portfolio
    return Scorer(model, evidence, name, number, role, rule, evidence.tags[RECIPE])


def watch_inputs(scorer: Scorer, panel: pd.DataFrame) -> list[Finding]:
    """What is unusual in the newest month of what a version looks at, see :func:`~.inputs.watch`."""
    return watch(largest(panel, scorer.universe), scorer.descriptors, scorer.lags)


def known_returns(frame: pd.DataFrame) -> pd.DataFrame:
    """``date``, ``asset`` and ``ret_next`` of a panel as it was read, typed."""
    returns = frame[[*KEYS, RETURN]].assign(date=read_dates(frame["date"]) + pd.offsets.MonthEnd(0))
    return returns.assign(asset=read_names(returns["asset"]), **{RETURN: read_numbers(returns[RETURN])})


def make_issue(
    scorer: Scorer,
    panel: pd.DataFrame,
    data: str,
    before: Issued | None,
    forced: bool = False,
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
    forced, afterwards
        See :class:`~.issues.Issue`.

    Returns
    -------
    What is to be issued, and how many returns of held stocks are not known.

    Raises
    ------
    InputError
        If the version cannot forecast the month, or its portfolio rule needs what the panel does not have.
    """
    month = panel["date"].max()
    recent = panel[panel["date"] >= month - pd.offsets.MonthEnd(max(scorer.lags))]
    try:
        made = forecast(scorer.model, recent, "descriptors")
    except (ValueError, mlflow.MlflowException) as error:
        raise InputError(f"the month {month:%Y-%m} cannot be forecast: {error}") from error
    factors = scorer.model.unwrap_python_model().forecaster.spec.factors
    forecasts = made[[*KEYS, "prediction"]].assign(
        **{factor: made[list(names)].sum(axis=1) for factor, names in factors.items()}, bias=made["bias"]
    )
    held, unknown = held_now(before.orders, panel, month) if before else (pd.Series(dtype=float), 0)
    orders = make_orders(forecasts, made.drop(columns=[*KEYS, "prediction", "bias"]), recent, scorer.rule, held)
    issue = Issue(
        month=month,
        name=scorer.name or "",
        version=scorer.number or "",
        recipe=scorer.recipe,
        role=scorer.role,
        data=data,
        issued=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        cost_bps=scorer.rule.cost_bps,
        forced=forced,
        afterwards=afterwards,
    )
    orders = orders.assign(
        inputs=inputs_known(recent, orders["asset"], scorer.descriptors, scorer.lags),
        version=issue.version,
        recipe=issue.recipe,
        issued=issue.issued,
        data=issue.data,
    )
    promise = promise_of(scorer.evidence.predictions, panel, scorer.rule)
    return Issued(issue, orders[_order(forecasts, orders)], promise), unknown


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
    scorer: Scorer, panel: pd.DataFrame, unusual: Sequence[str], afterwards: bool = False, replace: bool = False
) -> Issuance:
    """Forecast the newest month of a panel and record it, if it is not recorded already.

    Parameters
    ----------
    panel
        In contract form; with ``ret_next`` what is held drifts with returns.
    unusual
        What the watch found, in words.
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
        made, unknown = make_issue(scorer, panel, data, None, bool(unusual), afterwards)
        return Issuance(made, "", False, [], unknown)
    client = mlflow.MlflowClient()
    with issuing(client, scorer.name):
        own = [
            one
            for one in read_issues(client, scorer.name, scorer.role)
            if scorer.role == CHAMPION or one.version == scorer.number
        ]
        require_in_order(own, month)
        earlier = last_before(own, month)
        before = read_tables(client, earlier) if earlier else None
        made, unknown = make_issue(scorer, panel, data, before, bool(unusual), afterwards)
        there = next((one for one in own if one.month == month), None)
        if there is None:
            return Issuance(made, write_issue(client, made, unusual), True, [], unknown)
        standing = read_tables(client, there)
        other = differences(standing, made)
        if not other or not replace:
            return Issuance(standing, there.run_id, False, other, unknown)
        made = dataclasses.replace(made, issue=dataclasses.replace(made.issue, replaces=there.run_id))
        return Issuance(made, write_issue(client, made, unusual), True, other, unknown)


def _order(forecasts: pd.DataFrame, orders: pd.DataFrame) -> Sequence[str]:
    """Columns as they are read: the forecast and its parts, the order, why, where from."""
    first = [*forecasts, "rank", "quantile", "weight", "held", "trade", "inputs", "reasons"]
    return [*first, *[name for name in orders if name not in first]]
