r"""Per-stock factor returns of a linearised forecast.

A linear model has one return per factor for all stocks. A network linearised by relevance R has one per factor and
stock,

.. math::  F_{i,n,t} = R_{i,n,t} / X_{i,n,t} ,

so that the forecast is the sum of F X plus the intercept. Under the epsilon rule R is the product of X and a multiplier
that contains no division by X. So the quotient is well-behaved however small X is. At X = 0 exactly, where the exposure
is neutral or unknown, F is taken to be 0.
"""

import numpy as np


def factor_returns(relevance: np.ndarray, exposures: np.ndarray) -> np.ndarray:
    """Return F = R / X, and 0 where X is 0; all of the same shape."""
    neutral = exposures == 0
    return np.where(neutral, 0.0, relevance / np.where(neutral, 1.0, exposures))


def carried_forward(
    relevance: np.ndarray, exposures: np.ndarray, later: np.ndarray, intercept: np.ndarray
) -> np.ndarray:
    """Forecast stocks by their own factor returns of one month and their exposures of the next, shape (n,).

    Args:
        relevance, exposures: Of the month, of the same shape (n, ...).
        later: Exposures of the same stocks a month later.
        intercept: Of the month's forecasts, shape (n,).
    """
    forecasts: np.ndarray = (factor_returns(relevance, exposures) * later).sum(tuple(range(1, later.ndim))) + intercept
    return forecasts
