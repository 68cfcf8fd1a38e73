r"""Trials: their number, and the number of independent trials that they are worth.

Trials of one search, and searches of one idea, are near-twins. With M trials whose returns correlate by
:math:`\bar\rho` on average over all pairs, they amount to

.. math::  N = \bar\rho + (1 - \bar\rho) M

independent ones (Bailey and Lopez de Prado 2014, appendix 3). A pair with too few common months counts as uncorrelated,
and a trial with unknown returns counts as independent. So missing knowledge does not lower the bar.
``benchmarks/size_and_power.py trials`` measures how often the best of so many trials is mistaken for skill.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

LEAST_COMMON = 12


@dataclass(frozen=True)
class Trials:
    """Trials on a market.

    Attributes:
        table: One row a trial: ``name``, ``sharpe`` a month after costs, ``periods``; NaN where a trial has none.
        independent: Number of independent trials to which they amount.
    """

    table: pd.DataFrame
    independent: float

    def __len__(self) -> int:
        return len(self.table)


def count_trials(returns: Sequence[pd.DataFrame], others: pd.DataFrame | None = None) -> Trials:
    """Count trials.

    Args:
        returns: Monthly returns after costs of each search: one row for each month, one column for each trial.
        others: Trials of which only ``name``, ``sharpe`` and ``periods`` are known.
    """
    known = [table.add_prefix(f"{k}/") for k, table in enumerate(returns)]
    wide = pd.concat(known, axis=1) if known else pd.DataFrame()
    table = pd.DataFrame(
        {
            "name": [str(name).partition("/")[2] for name in wide],
            "sharpe": [_sharpe(wide[name].dropna().to_numpy()) for name in wide],
            "periods": [float(wide[name].count()) for name in wide],
        }
    )
    alone = others if others is not None else table[:0]
    counted = pd.concat([part for part in (table, alone) if len(part)] or [table], ignore_index=True)
    return Trials(counted, independent_trials(wide) + len(alone))


def independent_trials(returns: pd.DataFrame) -> float:
    """Return the number of independent trials that the columns of a table are worth; 0 if there are none.

    ``returns``: one row a month, one column a trial.
    """
    count = returns.shape[1]
    if count < 2:
        return float(count)
    correlations = returns.corr(min_periods=LEAST_COMMON).fillna(0.0).to_numpy()
    mean = (correlations.sum() - np.trace(correlations)) / (count * (count - 1))
    mean = float(np.clip(mean, 0.0, 1.0))
    return mean + (1 - mean) * count


def _sharpe(values: np.ndarray) -> float:
    if len(values) < 2 or not values.std(ddof=1) > 1e-12:
        return float("nan")
    return float(values.mean() / values.std(ddof=1))
