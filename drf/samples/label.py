"""Labels: the training target of a model, and the value of its output as a return."""

from typing import Literal

import numpy as np
import pandas as pd

Label = Literal["return", "rank"]


def label(kind: Label, y: np.ndarray, month: np.ndarray) -> np.ndarray:
    """Return the label with mean 0 and standard deviation 1, shape (n,), float32.

    Args:
        kind: ``return``: the target itself. ``rank``: its rank among the targets of the month, from 0 to 1, which
            outliers cannot distort.
        y, month: Targets as decimal returns and the month of each, shape (n,).
    """
    values: np.ndarray = y.astype(np.float64)
    if kind == "rank":
        values = pd.Series(values).groupby(month).rank(pct=True).to_numpy()
    return ((values - values.mean()) / (values.std() or 1.0)).astype(np.float32)


def worth(output: np.ndarray, y: np.ndarray, month: np.ndarray) -> float:
    """Return the stock return per unit of output: the least-squares slope on ``output``, shape (n,).

    The regression uses the targets less their month's mean, since ranks within a month say nothing about the market.
    """
    excess = pd.Series(y.astype(np.float64))
    excess -= excess.groupby(month).transform("mean")
    centred = output - output.mean()
    return float(centred @ excess.to_numpy() / (centred @ centred or 1.0))
