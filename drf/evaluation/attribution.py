r"""Realised attribution: the return earned by each factor of a forecast, compared with its forecast.

In each month the realised returns of the stocks are regressed on the factors' contributions to their forecasts,

.. math::  r_i = a + \sum_f \lambda_f C_{i,f} + e_i ,

as a cross-sectional factor model with the contributions for exposures (Rosenberg 1974; Grinold and Kahn 2000, ch. 3).
:math:`\lambda_f` is what came true of each unit that was forecast: 1 where a factor kept its word. A portfolio of
weights w that sum to 0 earned :math:`\lambda_f \sum_i w_i C_{i,f}` by factor f, and the rest,
:math:`\sum_i w_i e_i`, is specific to its stocks. The parts sum to its return exactly.
"""

import numpy as np
import pandas as pd

from .portfolio import Weights

SPECIFIC = "specific"


def realised(contributions: pd.DataFrame, returns: pd.Series, weights: Weights) -> pd.DataFrame:
    """Return each factor's contribution to the realised return of a long-short portfolio, month by month.

    Args:
        contributions: ``date``, ``asset`` and a column for each factor, in decimals a month.
        returns: Decimal returns of the month after, aligned.
        weights: Aligned weights of stocks with a known return, so that the sides sum to 1 and -1.

    Returns:
        One row for each month in which both sides are held, with a column for each factor and ``specific``; decimals a
        month.
    """
    factors = [str(name) for name in contributions if name not in ("date", "asset")]
    known = returns.notna() & contributions[factors].notna().all(axis=1)
    table = contributions[known].assign(y=returns[known], w=weights.table["weight"][known])
    earned = {
        date: _of_month(month, factors)
        for date, month in table.groupby("date")
        if month["w"].min() < 0 < month["w"].max()
    }
    return pd.DataFrame.from_dict(earned, orient="index", columns=[*factors, SPECIFIC]).rename_axis("date")


def _of_month(month: pd.DataFrame, factors: list[str]) -> np.ndarray:
    contribution, y, weight = (month[names].to_numpy(dtype=float) for names in (factors, "y", "w"))
    centred = contribution - contribution.mean(axis=0)
    size = np.abs(centred).max(axis=0)
    unit = np.where(size > 0, size, 1.0)  # sizes differ by orders of magnitude: none may fall below the rank's cutoff
    slope = np.linalg.lstsq(centred / unit, y - y.mean(), rcond=None)[0] / unit
    by_factor = slope * (weight @ centred)
    return np.append(by_factor, weight @ (y - y.mean()) - by_factor.sum())
