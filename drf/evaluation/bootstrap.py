"""Comparisons by the stationary block bootstrap (Politis and Romano 1994), from ``arch``.

All columns of a table are resampled together, in blocks of months of random length. This keeps what columns share
within a month and what neighbouring months share.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from arch.bootstrap import MCS, SPA, StationaryBootstrap, optimal_block_length

LEAST_PERIODS = 12
RESAMPLES = 1000


def block_length(series: pd.DataFrame) -> float:
    """Return the mean length of a block in periods: the columns' mean of Politis and White's (2004) choice.

    It is at least 1 and at most a third of the periods.
    """
    varying = series.loc[:, series.std() > 1e-12]
    chosen = optimal_block_length(varying)["stationary"].mean() if varying.shape[1] else 1.0
    return float(np.clip(np.nan_to_num(chosen, nan=1.0), 1, max(1, len(series) / 3)))


def _resampled(
    series: pd.DataFrame, statistic: Callable[[np.ndarray], np.ndarray], seed: int, resamples: int
) -> np.ndarray:
    # arch annotates an int although its own block lengths are fractions, and accepts either
    bootstrap = StationaryBootstrap(block_length(series), series.to_numpy(), seed=seed)  # type: ignore[arg-type]
    return bootstrap.apply(statistic, resamples)


def confidence_set(losses: pd.DataFrame, size: float = 0.1, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Return the model confidence set (Hansen, Lunde and Nason 2011): rows not distinguishable from the best.

    Args:
        losses: One row per period, one column per row of the comparison; less is better.
        size: The set holds the best row with a confidence of 1 - size.

    Returns:
        One row a column: ``row``, ``loss`` (mean), ``p``, ``included``, ``note``.
    """
    common = losses.dropna()
    table = pd.DataFrame({"row": list(losses.columns), "loss": common.mean().to_numpy(), "p": np.nan, "note": ""})
    apart = common.loc[:, ~common.T.duplicated()]  # of equal rows, only one is compared
    if len(common) < LEAST_PERIODS or apart.shape[1] < 2:
        why = f"there are only {len(common)} common periods" if apart.shape[1] > 1 else "there is nothing to compare"
        return table.assign(included=True, note=f"cannot be estimated, because {why}")
    mcs = MCS(apart, size=size, block_size=_whole(apart), reps=resamples, bootstrap="stationary", seed=seed)
    mcs.compute()
    p = mcs.pvalues["Pvalue"]
    stands_for = {
        name: next(kept for kept in apart.columns if common[kept].equals(common[name])) for name in common.columns
    }
    table["p"] = [float(p[stands_for[name]]) for name in losses.columns]
    return table.assign(included=table["p"] > size)


def superior_ability(losses: pd.DataFrame, benchmark: str, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Test for superior predictive ability of any row over the benchmark (Hansen 2005).

    Returns one row: ``benchmark``, ``rivals``, ``p`` of the hypothesis that no rival is better (consistent version),
    ``note``.
    """
    common = losses.dropna()
    rivals = common.drop(columns=benchmark)
    rivals = rivals.loc[:, [not rivals[name].equals(common[benchmark]) for name in rivals]]
    line = {"benchmark": benchmark, "rivals": rivals.shape[1], "p": np.nan, "note": ""}
    if len(common) < LEAST_PERIODS or not rivals.shape[1]:
        why = f"there are only {len(common)} common periods" if rivals.shape[1] else "no row differs from it"
        return pd.DataFrame([line | {"note": f"cannot be estimated, because {why}"}])
    spa = SPA(common[benchmark], rivals, block_size=_whole(common), reps=resamples, bootstrap="stationary", seed=seed)
    spa.compute()
    return pd.DataFrame([line | {"p": float(spa.pvalues["consistent"])}])


def _whole(series: pd.DataFrame) -> int:
    return max(1, round(block_length(series)))


def monotonicity(quantiles: pd.DataFrame, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    r"""Test whether mean returns rise from each quantile to the next (Patton and Timmermann 2010).

    With :math:`\hat\Delta_i` the step from quantile i to i + 1, the statistic is :math:`J = \min_i \hat\Delta_i`; the
    hypothesis is that some step is not above 0, and p the share of resamples with
    :math:`\min_i (\Delta^*_i - \hat\Delta_i) > J`.

    Args:
        quantiles: One row a period, one column a quantile from the lowest forecast to the highest; decimals.

    Returns:
        One row: ``smallest_step``, ``p``, ``note``.
    """
    steps = quantiles.dropna().diff(axis=1).iloc[:, 1:]
    if len(steps) < LEAST_PERIODS:
        note = f"cannot be estimated, because there are only {len(steps)} periods"
        return pd.DataFrame([{"smallest_step": np.nan, "p": np.nan, "note": note}])
    if not (steps.std() > 1e-12).any():
        note = "cannot be estimated, because the returns do not vary"
        return pd.DataFrame([{"smallest_step": np.nan, "p": np.nan, "note": note}])
    mean = steps.mean().to_numpy()
    drawn = _resampled(steps, lambda values: values.mean(axis=0), seed, resamples)
    p = float(((drawn - mean).min(axis=1) > mean.min()).mean())
    return pd.DataFrame([{"smallest_step": float(mean.min()), "p": p, "note": ""}])


def cumulated_band(
    months: pd.Series, horizon: int, level: float = 0.9, seed: int = 0, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """Return a band for the sums over the next periods, from resampled past periods and the error of their mean.

    Each path is drawn from the past, and shifted by the difference between another draw's mean and the past's mean.

    Args:
        months: One number a period.
        horizon: Number of periods to sum up.
        level: Share of the paths between ``low`` and ``high``, at each number of periods on its own.

    Returns:
        One row for each number of periods from 1: ``low``, ``high``.
    """
    past = months.dropna().to_frame()
    needed = -(-horizon // len(past))  # a path may be longer than the past
    drawn = _resampled(past, np.ravel, seed, needed * resamples).reshape(resamples, -1)[:, :horizon]
    means = _resampled(past, lambda values: values.mean(axis=0), seed + 1, resamples)
    paths = (drawn + means - float(past.mean().iloc[0])).cumsum(axis=1)
    ends = {"low": (1 - level) / 2, "high": (1 + level) / 2}
    made = {end: np.quantile(paths, share, axis=0) for end, share in ends.items()}
    return pd.DataFrame(made, index=pd.RangeIndex(1, horizon + 1))
