r"""Per-stock factor returns of a linearised forecast.

A linear model has one return per factor for all stocks. A network linearised by relevance R has one per factor and
stock,

.. math::  F_{i,n,t} = R_{i,n,t} / X_{i,n,t} ,

so that the forecast is the sum of F X plus the intercept. Under the epsilon rule R is the product of X and a multiplier
that contains no division by X. So the quotient is well-behaved however small X is. At X = 0 exactly, where the exposure
is neutral or unknown, F is taken to be 0.
"""

from typing import Any

import numpy as np
import pandas as pd

from ..data.calendar import MONTHLY


def factor_returns(relevance: np.ndarray, exposures: np.ndarray) -> np.ndarray:
    """Return F = R / X, and 0 where X is 0; all of the same shape."""
    neutral = exposures == 0
    return np.where(neutral, 0.0, relevance / np.where(neutral, 1.0, exposures))


def carried_forward(keys: pd.DataFrame, relevance: np.ndarray, exposures: Any, intercept: np.ndarray) -> np.ndarray:
    """Forecast each stock by its own factor returns of the month before and its current exposures.

    Args:
        keys: ``date`` (month ends) and ``asset`` of the n samples.
        relevance: Shape (n, ...).
        exposures: The same for the exposures; anything that gives an array when it is indexed by samples.
        intercept: Shape (n,).

    Returns:
        Forecasts, shape (n,); NaN for a stock without a sample a month before.
    """
    row = pd.Series(np.arange(len(keys)), index=pd.MultiIndex.from_frame(keys[["date", "asset"]]))
    month_before = pd.MultiIndex.from_arrays([MONTHLY.shift(keys["date"], -1), keys["asset"]])
    before = row.reindex(month_before).to_numpy()
    forecasts = np.full(len(keys), np.nan)
    for now in keys.groupby("date").indices.values():  # a month at a time: all at once would copy every input
        known = now[~np.isnan(before[now])]
        earlier = before[known].astype(int)
        if len(known):
            returns = factor_returns(relevance[earlier], exposures[earlier])
            forecasts[known] = (returns * exposures[known]).reshape(len(known), -1).sum(1) + intercept[earlier]
    return forecasts
