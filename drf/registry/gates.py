"""The gates of promotion: each asks one question of a version and gives a value, a threshold and a verdict.

Failing a score is not final, since other months or thresholds may judge the same version otherwise; failing the
conservation of relevance is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Ge, Interval
from scipy import stats

from ..evaluation.bootstrap import sharpe_intervals
from ..evaluation.hac import hac_mean
from ..evaluation.metrics import monthly_series, summarise
from ..evaluation.portfolio import PortfolioRule
from ..evaluation.sharpe import sharpe_evidence

SCORES = ("sharpe", "sharpe_net", "annual_return", "rank_ic", "rank_ic_t", "max_drawdown", "turnover")


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What a version must show: the ``gate`` config.

    Attributes
    ----------
    min_months
        Months out of sample.
    min_sharpe_low
        Low end of the 95 % interval of the annualised Sharpe ratio after costs.
    min_deflated
        Probability that it beats the best that chance would show in as many trials.
    max_rank_ic_p
        One-sided, of the mean monthly rank IC; the t-statistic must exceed its critical value.
    min_better
        Share of resampled months in which its Sharpe ratio after costs beats the champion's.
    max_conservation_error
        Of contributions and bias against the prediction, in decimals a month.
    min_fidelity
        Rank correlation of the sum of contributions with the models' own forecast.
    audit
        Whether every check of the leak suite must pass.
    """

    min_months: Annotated[int, Ge(2)]
    min_sharpe_low: float
    min_deflated: Annotated[float, Interval(ge=0, le=1)]
    max_rank_ic_p: Annotated[float, Interval(ge=0, le=1)]
    min_better: Annotated[float, Interval(ge=0, le=1)]
    max_conservation_error: Annotated[float, Ge(0)]
    min_fidelity: Annotated[float, Interval(ge=-1, le=1)]
    audit: bool


@dataclass(frozen=True)
class Verdict:
    """One gate's answer. ``lasting``: who fails here cannot pass later and is rejected for good."""

    gate: str
    value: float
    threshold: float
    passed: bool
    lasting: bool
    reason: str


@dataclass(frozen=True)
class Checkup:
    """What a version's own forecasts show: the largest error of its books, in decimals a month, and the mean monthly
    rank correlation of the sum of its contributions with the forecast of its models."""

    conservation_error: float
    fidelity: float


def score(
    forecasts: Mapping[str, pd.DataFrame], trials: pd.DataFrame, champion: str | None, rule: PortfolioRule
) -> pd.DataFrame:
    """What every version shows on the same months.

    Parameters
    ----------
    forecasts
        Version -> ``date``, ``asset``, ``y_true``, ``y_pred``, of the same months for all.
    trials
        Everything that was tried, see :func:`drf.evaluation.sharpe.variance_of_trials`.
    champion
        The version to be compared with, if there is one.

    Returns
    -------
    Indexed by version: ``months``, the metrics :data:`SCORES`, of the Sharpe ratio after costs its interval
    (``sharpe_low``, ``sharpe_high``), the share of resamples in which it beats the champion's (``better``), and the
    ``deflated`` ratio over so many ``trials``; ``rank_ic_df``, the degrees of freedom of the rank IC's t-statistic.
    """
    series = {number: monthly_series(made, rule) for number, made in forecasts.items()}
    net = pd.DataFrame({number: monthly["long_short_net"] for number, monthly in series.items()})
    intervals = sharpe_intervals(net, champion).set_index("row").reindex(columns=["low", "high", "better"])
    lines = []
    for number, made in forecasts.items():
        metrics = summarise(made, rule)
        deflated = sharpe_evidence(net[[number]], trials).iloc[0]
        ic = hac_mean(series[number][["rank_ic"]]).loc["rank_ic"]
        lines.append(
            {
                "version": number,
                "months": made["date"].nunique(),
                **{name: metrics[name] for name in SCORES},
                "sharpe_low": intervals["low"][number],
                "sharpe_high": intervals["high"][number],
                "better": intervals["better"][number],
                "deflated": deflated["deflated"],
                "trials": len(trials),
                "rank_ic_df": ic["df"],
            }
        )
    return pd.DataFrame(lines).set_index("version")


def judge(scores: pd.Series, checkup: Checkup, champion: str | None, limits: Thresholds) -> list[Verdict]:
    """Ask all gates but the audit of one version.

    Parameters
    ----------
    scores
        The version's row of :func:`score`.
    champion
        The version to be compared with, if there is one.
    """
    verdicts = [
        _at_least("months out of sample", scores["months"], limits.min_months),
        _at_least("Sharpe after costs, low end of interval", scores["sharpe_low"], limits.min_sharpe_low),
        _at_least("deflated Sharpe", scores["deflated"], limits.min_deflated, f" over {scores['trials']:.0f} trials"),
        _at_least("rank IC t-statistic", scores["rank_ic_t"], _critical(limits.max_rank_ic_p, scores["rank_ic_df"])),
        _at_most("conservation of relevance", checkup.conservation_error, limits.max_conservation_error, lasting=True),
        _at_least("fidelity of linearisation", checkup.fidelity, limits.min_fidelity),
    ]
    if champion is not None:
        where = f" of resamples better than the champion, version {champion}"
        verdicts.append(_at_least("not worse than the champion", scores["better"], limits.min_better, where))
    return verdicts


def _critical(p: float, df: float) -> float:
    """The t-statistic that noise exceeds with probability p."""
    return float(stats.t.isf(p, df))


def audit_verdict(audit: pd.DataFrame) -> Verdict:
    """The gate of the leak suite, from the table of :func:`drf.registry.audit.audit`."""
    failed = audit[~audit["passed"]]
    reason = "; ".join(f"{check}: {why}" for check, why in zip(failed["check"], failed["reason"], strict=True))
    passed = len(audit) - len(failed)
    return Verdict(
        "audit", float(passed), float(len(audit)), failed.empty, False, reason or f"all {passed} checks passed"
    )


def _at_least(gate: str, value: float, threshold: float, what: str = "") -> Verdict:
    passed = bool(value >= threshold)  # False for NaN: what cannot be estimated does not pass
    return Verdict(
        gate, float(value), threshold, passed, False, _words(value, what, f"needed at least {threshold:.3g}")
    )


def _at_most(gate: str, value: float, threshold: float, lasting: bool = False) -> Verdict:
    passed = bool(value <= threshold)
    return Verdict(gate, float(value), threshold, passed, lasting, _words(value, "", f"allowed at most {threshold:g}"))


def _words(value: float, what: str, needed: str) -> str:
    known = "cannot be estimated" if np.isnan(value) else f"{value:.3g}{what}"
    return f"{known}, {needed}"
