"""Results of a walk-forward: forecasts, contributions and the newest models, with their tables."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..evaluation.contributions import Contributions
from ..models.base import Model
from ..samples.lagged import Samples


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of one family for consecutive months, averaged over its seeds.

    Attributes:
        samples_slice: The samples forecast.
        prediction: Forecasts as decimal returns, shape (n,).
        contributions: Contributions to the forecasts, if the family can explain them.
        seconds: Processor seconds of all fits, without training that was done on a device.
        by_seed, linearised_by_seed: Every seed's own forecasts and linearised forecasts, shape (seeds, n); the latter
            only if the family can explain its forecasts.
        faithfulness: Faithfulness of the explanations: one row per window and seed, with ``date`` (the first test
            month), ``member`` and the family's measures. No rows if the family measures nothing.
    """

    samples_slice: slice
    prediction: np.ndarray
    contributions: Contributions | None
    seconds: float
    by_seed: np.ndarray
    linearised_by_seed: np.ndarray | None
    faithfulness: pd.DataFrame


@dataclass(frozen=True)
class WalkForward:
    """Walk-forward of one family through all windows.

    Attributes:
        tested: Forecasts over the test windows.
        newest: Forecasts of the newest window, for months whose returns are not known yet.
        members: The newest window's models, one a seed.
    """

    tested: Forecasts
    newest: Forecasts
    members: tuple[Model, ...]


def forecast_table(samples: Samples, samples_slice: slice, prediction: np.ndarray) -> pd.DataFrame:
    """Return forecasts and outcomes: ``date``, ``asset``, ``y_true``, ``y_pred`` as decimal returns."""
    return pd.DataFrame(
        {
            "date": samples.dates[samples.month[samples_slice]],
            "asset": samples.asset[samples_slice],
            "y_true": samples.outcome[samples_slice].astype(np.float64),
            "y_pred": prediction,
        }
    )
