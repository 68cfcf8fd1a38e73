r"""Tests of a mean against zero that allow for autocorrelation.

The variance of the mean of :math:`x_1 \dots x_n` is estimated from B weighted averages with equally weighted cosines,

.. math::  \Lambda_j = \sqrt{2/n} \sum_t x_t \cos(\pi j (t - 1/2) / n), \qquad
           \widehat{\mathrm{var}}(\bar x) = \frac{1}{n} \frac{1}{B} \sum_{j=1}^{B} \Lambda_j^2 ,

and :math:`\bar x` over its root has Student's t-distribution with B degrees of freedom. This is the test that Lazarus,
Lewis, Stock and Watson (2018) recommend, with their :math:`B = 0.4\, n^{2/3}`, because the usual Newey-West test calls
noise significant far too often. ``benchmarks/size_and_power.py ic`` measures what this achieves.
"""

import functools

import numpy as np
import pandas as pd
from scipy import stats

FEWEST_COSINES = 2
LEAST_PERIODS = 2 * FEWEST_COSINES


def hac_mean(series: pd.DataFrame) -> pd.DataFrame:
    """Test the mean of every column against zero.

    Args:
        series: One row a period, in the order of time; NaN are left out.

    Returns:
        One row a column of ``series``: ``periods``, ``mean``, ``se``, ``t``, ``p`` (two-sided), ``df``. NaN, with
        ``note`` saying why, where there are fewer than four periods or no variation.
    """
    return pd.DataFrame({name: _test(series[name].dropna().to_numpy()) for name in series}).T.infer_objects()


def _test(values: np.ndarray) -> pd.Series:
    n = len(values)
    result: dict[str, object] = {"periods": n, "mean": float(np.mean(values)) if n else np.nan}
    unknown = dict.fromkeys(("se", "t", "p", "df"), np.nan)
    if n < LEAST_PERIODS:
        note = f"cannot be estimated, because there are only {n} periods ({LEAST_PERIODS} needed)"
        return pd.Series({**result, **unknown, "note": note})
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        return pd.Series({**result, **unknown, "note": "cannot be estimated, because all periods are the same"})
    se = float(standard_error(values[:, None])[0])
    cosines = cosines_for(n)
    t = float(values.mean()) / se
    return pd.Series({**result, "se": se, "t": t, "p": 2 * stats.t.sf(abs(t), cosines), "df": cosines, "note": ""})


def cosines_for(periods: int) -> int:
    """Return the number of cosines, B."""
    return max(FEWEST_COSINES, min(round(0.4 * periods ** (2 / 3)), periods // 2))


def standard_error(values: np.ndarray) -> np.ndarray:
    """Return the standard errors of the means of the columns of ``values`` (n, columns)."""
    n = len(values)
    averages = np.sqrt(2 / n) * _waves(n, cosines_for(n)) @ values
    return np.sqrt((averages**2).mean(axis=0) / n)


@functools.cache
def _waves(n: int, cosines: int) -> np.ndarray:
    return np.cos(np.pi * np.outer(np.arange(1, cosines + 1), np.arange(n) + 0.5) / n)
