"""The gates of promotion: each asks one question of a version and gives a value, a threshold and a verdict."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ..evaluation.metrics import summarise
from ..evaluation.portfolio import PortfolioRule


@dataclass(frozen=True)
class Thresholds:
    """See ``conf/gate/default.yaml``."""

    min_months: int
    min_sharpe: float
    min_rank_ic_t: float
    min_gain: float
    max_conservation_error: float


@dataclass(frozen=True)
class Verdict:
    """One gate's answer. ``lasting``: who fails here cannot pass later and is rejected for good.

    Scores are not: other months, thresholds or companions may judge the same version better, or worse.
    """

    gate: str
    value: float
    threshold: float
    passed: bool
    lasting: bool
    reason: str


def score(forecasts: pd.DataFrame, rule: PortfolioRule) -> dict[str, float]:
    """Number of months, the comparison's metrics without the errors, and the t-statistic of the mean rank IC."""
    metrics = summarise(forecasts, rule)
    kept = ("sharpe", "sharpe_net", "annual_return", "rank_ic", "rank_ic_t", "max_drawdown", "turnover")
    return {"months": forecasts["date"].nunique(), **{name: metrics[name] for name in kept}}


def judge(
    scores: dict[str, float], conservation_error: float, champion: dict[str, float] | None, limits: Thresholds
) -> list[Verdict]:
    """Ask all gates of one version; ``champion`` holds the champion's scores on the same months, if there is one."""
    verdicts = [
        _at_least("months out of sample", scores["months"], limits.min_months),
        _at_least("Sharpe after costs", scores["sharpe_net"], limits.min_sharpe),
        _at_least("rank IC t-statistic", scores["rank_ic_t"], limits.min_rank_ic_t),
        _at_most("conservation of relevance", conservation_error, limits.max_conservation_error),
    ]
    if champion is not None:
        gain = scores["sharpe_net"] - champion["sharpe_net"]
        verdicts.append(
            Verdict(
                "better than the champion",
                gain,
                limits.min_gain,
                bool(gain > limits.min_gain),
                False,
                f"Sharpe after costs {scores['sharpe_net']:.3f} against the champion's {champion['sharpe_net']:.3f}",
            )
        )
    return verdicts


def _at_least(gate: str, value: float, threshold: float) -> Verdict:
    passed = bool(value >= threshold)  # False for NaN: what cannot be estimated does not pass
    return Verdict(gate, value, threshold, passed, False, f"{value:.3g}, needed at least {threshold:g}")


def _at_most(gate: str, value: float, threshold: float) -> Verdict:
    return Verdict(
        gate, value, threshold, bool(value <= threshold), True, f"{value:.3g}, allowed at most {threshold:g}"
    )
