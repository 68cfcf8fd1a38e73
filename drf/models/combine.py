"""Combination of forecasts in common units, month by month: each becomes a multiple of itself plus an offset.

So contributions change in the same way: they get the same multiple, and the offset goes to the intercept. This file
travels with every registered version, so it needs numpy alone.
"""

import numpy as np


def shrunk(forecast: np.ndarray, month: np.ndarray, scale: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Scale forecasts around their month's mean by a factor.

    Args:
        forecast, month: Shape (n,).
        scale: One factor, or one per sample.

    Returns:
        Multiples and offsets, shape (n,).
    """
    mean, _ = _moments(forecast, month)
    multiple = np.broadcast_to(np.asarray(scale, dtype=np.float64), forecast.shape)
    return multiple, (1 - multiple) * mean


def blended(forecasts: np.ndarray, month: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of forecasts that are standardised within each month and rescaled to their mean spread.

    With m_j and s_j the mean and the standard deviation of forecast j in a month, and bars their means over j, the
    blend is m̄ + s̄ · mean of (f_j - m_j) / s_j. A forecast that is the same for all stocks of a month adds nothing.

    Args:
        forecasts: Shape (forecasts, n).
        month: Shape (n,).

    Returns:
        Multiples, shape (forecasts, n), and offsets, shape (n,): the blend is the sum of the multiplied forecasts +
        offset.
    """
    means, deviations = (np.array(part) for part in zip(*(_moments(f, month) for f in forecasts), strict=True))
    varies = deviations > 1e-12 * np.abs(forecasts).max()
    share = deviations.mean(0) / (len(forecasts) * np.where(varies, deviations, 1.0))
    multiples = np.where(varies, share, 0.0)
    return multiples, means.mean(0) - (multiples * means).sum(0)


def _moments(forecast: np.ndarray, month: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and standard deviation of each sample's month."""
    _, position = np.unique(month, return_inverse=True)
    count = np.bincount(position)
    mean = (np.bincount(position, forecast) / count)[position]
    variance = np.bincount(position, (forecast - mean) ** 2) / count
    return mean, np.sqrt(variance)[position]
