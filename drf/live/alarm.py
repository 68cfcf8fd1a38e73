r"""Alarm: a sequential test of whether a mean is still as promised, valid however often it is looked at.

For monthly numbers that fall short of their promised mean by :math:`z_t` standard deviations, where deviations are no
wilder than those of a normal distribution, with :math:`S_t = \sum_{i \le t} z_i`,

.. math:: E_t = 2 \sqrt{\frac{\rho}{t + \rho}} \exp\left(\frac{S_t^2}{2 (t + \rho)}\right)
          \Phi\left(\frac{S_t}{\sqrt{t + \rho}}\right)

is, as long as the mean is what was promised or more, a non-negative supermartingale that begins at 1: the mixture of
:math:`\exp(\lambda S_t - \lambda^2 t / 2)` over a half-normal :math:`\lambda` (Howard, Ramdas, McAuliffe and Sekhon
2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences", section 3.2). It reaches
:math:`1 / \alpha` at any time with a probability of :math:`\alpha` at most (Ville 1939). So does the sum of such
processes begun anew in each month k with the weights :math:`1 / k (k + 1)`, which sees a mean that falls later sooner,
and so does the mean of two such sums. The promised mean and the deviation are estimates, and months may hang together,
so the guarantee is approximate, the more so the longer one looks: ``benchmarks/alarm.py`` measures it.
"""

import numpy as np
import pandas as pd
from scipy import stats

from ..evaluation.sharpe import best_of_chance

ALPHA = 0.05

LEAST_MONTHS = 12
"""Fewest months of a backtest from which a promise can be read."""

_TUNED_TO = 12
"""Months after which the mixture is at its tightest."""

_LARGEST_LOG = 700.0  # exp of a larger number overflows, and a larger value would change nothing

_RHO = _TUNED_TO / (2 * np.log(1 / ALPHA) + np.log(1 + 2 * np.log(1 / ALPHA)))


def evidence_against(shortfalls: np.ndarray) -> np.ndarray:
    """Return monthly evidence that the mean is below its promise; 1 / alpha or more is an alarm.

    ``shortfalls``: promised mean less the realised value, in standard deviations of a month, shape (months,).
    """
    months = len(shortfalls)
    total = np.full(months, 1 / (months + 1))  # weight of the sums begun after the newest month
    for start in range(months):
        weight = 1 / ((start + 1) * (start + 2))
        total[:start] += weight
        total[start:] += weight * _mixture(shortfalls[start:])
    return total


def _mixture(shortfalls: np.ndarray) -> np.ndarray:
    short, spread = np.cumsum(shortfalls), np.arange(1, len(shortfalls) + 1) + _RHO
    log = np.log(2) + 0.5 * np.log(_RHO / spread) + short**2 / (2 * spread) + stats.norm.logcdf(short / np.sqrt(spread))
    return np.asarray(np.exp(np.minimum(log, _LARGEST_LOG)))


def promised_mean(months: pd.Series, trials: float) -> float:
    """Return the mean return to expect from a backtest: its mean, less its standard error and the expected luck of the
    best trial.

    The estimate may be too high by chance, and the best of several trials was chosen. If ``trials`` independent trials
    are equally good, the best one's mean is too high by :func:`~drf.evaluation.sharpe.best_of_chance` standard errors.
    NaN if the months are too few, or do not vary.
    """
    months = months.dropna()
    if len(months) < LEAST_MONTHS or not months.std() > 1e-12:
        return float("nan")
    return float(months.mean() - (1 + best_of_chance(trials, 1.0)) * months.std() / np.sqrt(len(months)))


def shortfalls(values: pd.Series, promised: pd.Series, trials: float) -> np.ndarray:
    """Return each month's shortfall from the promise, in standard deviations of the backtest; see above."""
    return np.asarray((promised_mean(promised, trials) - values.to_numpy()) / promised.std())
