r"""Uncertainty of a Sharpe ratio, given the number of months, the shape of returns and the number of trials.

With :math:`\hat S` the Sharpe ratio *a period*, n periods, skewness :math:`\gamma_3` and kurtosis :math:`\gamma_4`:

.. math::  \mathrm{PSR}(S^*) = \Phi\left( \frac{(\hat S - S^*) \sqrt{n - 1}}
           {\sqrt{1 - \gamma_3 \hat S + (\gamma_4 - 1) \hat S^2 / 4}} \right)

is the probability that the true ratio exceeds :math:`S^*` (Bailey and Lopez de Prado 2012), and

.. math::  S^*_N = \sqrt{V} \left( (1 - \gamma) \Phi^{-1}(1 - 1/N) + \gamma \Phi^{-1}(1 - 1/(N e)) \right)

the best ratio to be expected of N trials of no skill whose ratios vary with variance V (:math:`\gamma` is Euler's
constant). PSR(S*_N) is the deflated Sharpe ratio (Bailey and Lopez de Prado 2014). The minimum track record length is
the n at which PSR reaches a level.
"""

import numpy as np
import pandas as pd
from scipy import stats

from ..data.calendar import in_force
from .trials import Trials

LEAST_PERIODS = 12


def probability_above(benchmark: float, ratio: float, periods: int, skewness: float, kurtosis: float) -> float:
    """Return the PSR from moments: Sharpe ratios are per period, and normal returns have a kurtosis of 3."""
    shape = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    return float(stats.norm.cdf((ratio - benchmark) * np.sqrt((periods - 1) / shape)))


def probabilistic_sharpe(returns: pd.Series, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio per period exceeds ``benchmark``, also per period."""
    return probability_above(benchmark, *_moments(returns))


def minimum_track_record(returns: pd.Series, benchmark: float = 0.0, level: float = 0.95) -> float:
    """Return the periods until the probabilistic Sharpe ratio reaches ``level``; NaN if not above the benchmark."""
    ratio, _, skewness, kurtosis = _moments(returns)
    if not ratio > benchmark:
        return float("nan")
    shape = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    return float(1 + shape * (stats.norm.ppf(level) / (ratio - benchmark)) ** 2)


def _moments(returns: pd.Series) -> tuple[float, int, float, float]:
    values = returns.dropna().to_numpy()
    ratio = float(values.mean() / values.std(ddof=1))
    return ratio, len(values), float(stats.skew(values)), float(stats.kurtosis(values, fisher=False))


def best_of_chance(trials: float, variance: float) -> float:
    """Return the expected best Sharpe ratio per period of a number of independent trials without skill.

    The formula holds for two trials and more. Between one trial, whose expected ratio is 0, and two it is interpolated.
    """
    if trials < 2:
        return max(0.0, trials - 1) * best_of_chance(2, variance)
    gamma, one_in = np.euler_gamma, 1 - 1 / trials
    return float(
        np.sqrt(variance) * ((1 - gamma) * stats.norm.ppf(one_in) + gamma * stats.norm.ppf(1 - 1 / (trials * np.e)))
    )


def variance_of_trials(trials: pd.DataFrame, periods: int) -> float:
    """Return the variance of trials' Sharpe ratios a period, rescaled to records of ``periods`` periods.

    Most of the ratios' spread is estimation error, whose variance falls with the length of the record. The trials'
    records differ in length from the record of a version. So deviations are taken from the mean of trials of the same
    length and scaled by the root of the lengths' ratio. Records of fewer than 12 periods are too noisy to be used. The
    result is never below 1 / ``periods``, the variance of the ratios of independent trials without skill: many trials
    that hardly differ must not lower the bar.

    ``trials``: one row for each trial, with ``sharpe`` per period and ``periods``; NaN where a trial has no value.
    """
    known = trials[["sharpe", "periods"]].dropna()
    known = known[known["periods"] >= LEAST_PERIODS]
    by_length = known.groupby("periods")["sharpe"]
    degrees = len(known) - by_length.ngroups
    if degrees < 1:
        return 1 / periods
    deviations = (known["sharpe"] - by_length.transform("mean")) * np.sqrt(known["periods"] / periods)
    return max(float((deviations**2).sum() / degrees), 1 / periods)


def sharpe_evidence(returns: pd.DataFrame, trials: Trials, level: float = 0.95) -> pd.DataFrame:
    """Return the evidence on the Sharpe ratio of every column.

    Args:
        returns: One row per period, one column per row of the comparison; decimals.
        trials: Everything that was tried.
        level: Confidence level of the minimum track record.

    Returns:
        One row a column: ``periods``, ``sharpe`` a year, ``probabilistic`` (the probability that it exceeds 0),
        ``min_track_record`` in periods, ``trials``, the equivalent number of ``independent`` trials, ``best_of_chance``
        a year, ``deflated``, and ``note`` on what cannot be estimated and why.
    """
    lines = []
    for name, column in returns.items():
        periods = int(column.count())
        line: dict[str, object] = {"row": name, "periods": periods, "trials": len(trials)}
        line["independent"] = trials.independent
        year = np.sqrt(in_force().periods_a_year)
        if periods < LEAST_PERIODS or not column.std() > 1e-12:
            line["note"] = f"cannot be estimated, because there are only {periods} periods"
            if periods >= LEAST_PERIODS:
                line["note"] = "cannot be estimated, because the returns do not vary"
            lines.append(line)
            continue
        variance = variance_of_trials(trials.table, periods)
        chance = best_of_chance(trials.independent, variance)
        line |= {
            "sharpe": column.mean() / column.std() * year,
            "probabilistic": probabilistic_sharpe(column),
            "min_track_record": minimum_track_record(column, level=level),
            "best_of_chance": chance * year,
            "deflated": probabilistic_sharpe(column, chance),
        }
        line["note"] = "" if column.mean() > 0 else "no record is long enough, because the ratio is not above 0"
        lines.append(line)
    names = [
        "sharpe",
        "probabilistic",
        "min_track_record",
        "trials",
        "independent",
        "best_of_chance",
        "deflated",
        "note",
    ]
    return pd.DataFrame(lines).reindex(columns=["row", "periods", *names])
