"""Lagged samples: each stock's ranks at several past dates, and the return to forecast."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
import pandas as pd

from ..data.order import Grid, in_order
from .inputs import Inputs
from .transforms import Transform, fill_inputs

Target = Literal["raw", "excess"]
TARGETS = get_args(Target)

OUTCOME, LABEL = "ret_next", "return over the horizon"
"""Panel columns: the return over the next month, and the mean return a month over a longer horizon."""


@dataclass(frozen=True)
class Samples:
    """Samples of a panel, ordered by month and, within a month, by asset.

    Attributes:
        x: Inputs, as a rule ranks in [-1, 1], shape (n, lags, descriptors), the oldest date first; 0 where unknown.
        y: Label as a decimal return a month, float32, shape (n,): the mean return a month over the horizon after the
            sample's date; NaN where unknown.
        outcome: What forecasts are judged by, in the same units: the return over the next month alone, shape (n,).
        month: Position of the sample's date in ``dates``, int, shape (n,).
        asset: Asset names, shape (n,).
        after: Position of the same stock's sample a month later; -1 if there is none, shape (n,).
        dates: Every month end from the panel's first to its last.
        lags: Distances in months, the oldest first, in the order of ``x``'s second axis.
        descriptors: Names, in the order of ``x``'s third axis; states and products are among them, see
            :mod:`~.transforms`.
        missing_values: Number of values of ``x`` that are 0 because the stock had a row but not this descriptor.
        missing_months: Number of (sample, lag) pairs that are all 0 because the stock had no row at that date.
    """

    x: Inputs
    y: np.ndarray
    outcome: np.ndarray
    month: np.ndarray
    asset: np.ndarray
    after: np.ndarray
    dates: pd.DatetimeIndex
    lags: tuple[int, ...]
    descriptors: tuple[str, ...]
    missing_values: int
    missing_months: int

    def __len__(self) -> int:
        return len(self.month)

    @property
    def first_month(self) -> int:
        """The first month at which every lag lies within the panel."""
        return max(self.lags)

    @property
    def known_months(self) -> np.ndarray:
        """Months, ascending, in which at least one stock has a known outcome."""
        return np.unique(self.month[~np.isnan(self.outcome)])

    def sample_slice(self, months: range) -> slice:
        """Return the samples of consecutive months as a slice (samples are ordered by month)."""
        return slice(
            int(np.searchsorted(self.month, months.start, "left")),
            int(np.searchsorted(self.month, months.stop, "left")),
        )


def in_memory(rows: int, columns: int) -> np.ndarray:
    """Return a table of float32 to be filled, shape (rows, columns)."""
    return np.empty((rows, columns), dtype=np.float32)


def make_samples(
    panel: pd.DataFrame,
    descriptors: Sequence[str],
    lags: Sequence[int],
    target: Target = "raw",
    table: Callable[[int, int], np.ndarray] = in_memory,
    transforms: Mapping[str, Transform] = MappingProxyType({}),
) -> Samples:
    """Cut samples from a panel.

    A sample exists for every row whose month has all lags within the panel's calendar. Where the stock had no row at a
    lag, or a descriptor was not known, the rank is 0: the neutral stock.

    Args:
        panel: ``date`` (month ends), ``asset``, the descriptors and, if targets are wanted, ``ret_next``; with the
            column of :func:`~.horizon.with_label`, that is the label.
        descriptors, lags: Inputs to use, and how many months back. Lag 0 is the date of the forecast itself.
        target: ``raw``: the return as it is. ``excess``: the return less the mean over the stocks of the same month.
        table: Function that makes the table of ranks; :func:`~.shared_table.shared_table` for several processes.
        transforms: Descriptor -> how its values become inputs; ``rank`` for those that are not named.

    Raises ValueError if ``target`` is not one of :data:`TARGETS`.
    """
    if target not in TARGETS:
        raise ValueError(f"target={target} is unknown; use one of {', '.join(TARGETS)}")
    panel = in_order(panel)
    grid = Grid.of(panel)
    ordered = tuple(sorted(lags, reverse=True))
    kept = grid.date >= max(ordered)
    rows = np.stack([grid.rows_before(lag)[kept] for lag in ordered], axis=1)
    nowhere = len(panel)  # the row of a stock that had none: the neutral ranks
    rows[rows < 0] = nowhere

    sample = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)  # of each row; the last: of a row that is not there

    ranks = table(nowhere + 1, len(descriptors))
    unknown = np.append(fill_inputs(panel, descriptors, transforms, ranks[:nowhere]), 0)
    ranks[nowhere] = 0
    outcome = _target(panel, OUTCOME, target)[kept]
    return Samples(
        x=Inputs(ranks, rows, str(Path(str(ranks.filename)).parent) if isinstance(ranks, np.memmap) else None),
        y=_target(panel, LABEL, target)[kept] if LABEL in panel else outcome,
        outcome=outcome,
        month=grid.date[kept],
        asset=grid.stocks[grid.stock[kept]],
        after=sample[grid.rows_before(-1)[kept]],
        dates=grid.dates,
        lags=ordered,
        descriptors=tuple(descriptors),
        missing_values=int(unknown[rows].sum()),
        missing_months=int((rows == nowhere).sum()),
    )


def _target(panel: pd.DataFrame, column: str, target: Target) -> np.ndarray:
    """Return a column of returns, less the mean over the stocks of the date if the target is the excess, float32."""
    if column not in panel:
        return np.full(len(panel), np.nan, dtype=np.float32)
    returns = panel[column]
    if target == "excess":
        returns = returns - returns.groupby(panel["date"]).transform("mean")
    return returns.to_numpy(dtype=np.float32)


def newest_ranks(samples: Samples, keys: pd.DataFrame) -> pd.DataFrame:
    """Return the ranks of the newest lag, one column a descriptor, aligned with ``keys``: ``date``, ``asset``."""
    newest = samples.x.rows[:, samples.lags.index(min(samples.lags))]
    index = pd.MultiIndex.from_arrays([samples.dates[samples.month], samples.asset])
    ranks = pd.DataFrame(samples.x.table[newest], index=index, columns=list(samples.descriptors))
    return ranks.reindex(pd.MultiIndex.from_frame(keys[["date", "asset"]])).set_axis(keys.index)
