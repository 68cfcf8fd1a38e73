r"""Is a mean different from zero? t-statistics that allow for neighbouring periods that know of each other.

The variance of the mean is Newey and West's (1987, Bartlett kernel, from statsmodels). The kernel's bandwidth is S, the
number of lags plus 1. The estimate of a variance from correlated periods is itself uncertain, the more so the more lags
it uses: the t-statistic is therefore compared not with the normal distribution but with Student's t of

.. math::  \nu = \frac{3}{2} \frac{n}{S}

degrees of freedom, those of the Bartlett kernel (Sun 2014; Lazarus, Lewis, Stock and Watson 2018). Where targets span h
periods, neighbours overlap, and 2 (h - 1) lags are used at least, since with h - 1 the kernel would give the overlap
too little weight. ``benchmarks/size_and_power.py`` measures what this achieves.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

LEAST_PERIODS = 3


def lags_for(periods: int, horizon: int) -> int:
    """Newey and West's rule of thumb, 4 (n / 100)^(2/9), but enough for targets that span ``horizon`` periods."""
    rule = int(4 * (periods / 100) ** (2 / 9))
    return min(max(rule, 2 * (horizon - 1)), periods - 2)


def hac_mean(series: pd.DataFrame, horizon: int = 1) -> pd.DataFrame:
    """Test the mean of every column against zero.

    Parameters
    ----------
    series
        One row a period, in the order of time; NaN are left out.
    horizon
        Periods that a target spans: 12 for a return over a year in a monthly panel.

    Returns
    -------
    One row a column of ``series``: ``periods``, ``mean``, ``se``, ``t``, ``p`` (two-sided), ``lags``, ``df``. NaN, with
    ``note`` saying why, where there are fewer than three periods or no variation.
    """
    return pd.DataFrame({name: _test(series[name].dropna().to_numpy(), horizon) for name in series}).T.infer_objects()


def _test(values: np.ndarray, horizon: int) -> pd.Series:
    n = len(values)
    result: dict[str, object] = {"periods": n, "mean": float(np.mean(values)) if n else np.nan}
    unknown = dict.fromkeys(("se", "t", "p", "lags", "df"), np.nan)
    if n < LEAST_PERIODS:
        return pd.Series({**result, **unknown, "note": f"cannot be estimated, because there are only {n} periods"})
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        return pd.Series({**result, **unknown, "note": "cannot be estimated, because all periods are the same"})
    lags = lags_for(n, horizon)
    fit = sm.OLS(values, np.ones(n)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
    se, df = float(fit.bse[0]), min(n - 1.0, 1.5 * n / (lags + 1))
    t = float(fit.params[0]) / se
    return pd.Series({**result, "se": se, "t": t, "p": 2 * stats.t.sf(abs(t), df), "lags": lags, "df": df, "note": ""})
