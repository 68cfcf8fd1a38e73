r"""Shrinkage of forecasts: one factor a month, learned from the outcomes of earlier forecasts.

Models say too much: what is estimated on training samples is larger than what comes true. With f and y the forecasts
and the returns of a month, each less the month's mean, :math:`A_s = \sum f y` and :math:`B_s = \sum f^2` of the T
months before, the slope of returns on forecasts and its variance are

.. math::  \hat k = \frac{\sum_s A_s}{\sum_s B_s}, \qquad
           v = \max\left( \frac{T}{T-1} \frac{\sum_s (A_s - \hat k B_s)^2}{(\sum_s B_s)^2},\;
           c\, \frac{\sum y^2}{N \sum_s B_s} \right),

where the second term is the variance that returns of independent stocks would give (N of them; c = 4 in the first five
months, else 1). Weighing the slope by its precision against a prior slope of 0.5 with standard deviation 0.3 gives

.. math::  k = \frac{\hat k / v + 0.5 / 0.3^2}{1 / v + 1 / 0.3^2} ,

but at least :data:`LEAST`, so that a month's forecasts keep their order, and at most 1. With fewer than two earlier
months, k is the prior's 0.5. A forecast becomes its month's mean + k times its distance from that mean: ranks,
portfolios and Sharpe ratios do not change.
"""

import numpy as np
import pandas as pd

PRIOR, PRIOR_SD = 0.5, 0.3

LEAST = 0.01

_FEW = 6
"""Number of months below which the stocks are not assumed to be independent."""


def scales(forecasts: pd.DataFrame) -> pd.Series:
    """Return the factor k of every month, from the months before it alone.

    Args:
        forecasts: ``date``, ``asset``, ``y_true``, ``y_pred``, the last before shrinkage; a month without any return,
            or with one forecast for all stocks, is ignored.

    Returns:
        One value a month, in the order of time.
    """
    months = np.sort(forecasts["date"].unique())
    learned = _sums(forecasts).reindex(months, fill_value=0.0)
    values = [_factor(learned.iloc[:k]) for k in range(len(months))]
    return pd.Series(values, index=pd.Index(months, name="date"), dtype=float)


def newest_scale(forecasts: pd.DataFrame) -> float:
    """Return the factor for the month after all of ``forecasts``."""
    return _factor(_sums(forecasts))


def _sums(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Return, by month, the sums of f y, f² and y², and the number of stocks with a return."""
    known = forecasts.dropna(subset=["y_true"])
    values = known[["y_pred", "y_true"]]
    centred = values - values.groupby(known["date"]).transform("mean")
    parts = {
        "fy": centred["y_pred"] * centred["y_true"],
        "ff": centred["y_pred"] ** 2,
        "yy": centred["y_true"] ** 2,
        "n": pd.Series(1.0, index=known.index),
    }
    sums = pd.DataFrame(parts).groupby(known["date"]).sum()
    said_something = sums["ff"] > 1e-24 * values["y_pred"].abs().max() ** 2  # differ by more than rounding
    return sums[said_something]


def _factor(before: pd.DataFrame) -> float:
    before = before[before["n"] > 0]
    months = len(before)
    if months < 2:
        return PRIOR
    fy, ff = before["fy"].to_numpy(), before["ff"].to_numpy()
    slope = fy.sum() / ff.sum()
    by_month = months / (months - 1) * ((fy - slope * ff) ** 2).sum() / ff.sum() ** 2
    by_stock = (4 if months < _FEW else 1) * before["yy"].sum() / (before["n"].sum() * ff.sum())
    variance = max(by_month, by_stock)
    if variance == 0:
        return float(np.clip(slope, LEAST, 1))
    weighed = (slope / variance + PRIOR / PRIOR_SD**2) / (1 / variance + 1 / PRIOR_SD**2)
    return float(np.clip(weighed, LEAST, 1))
