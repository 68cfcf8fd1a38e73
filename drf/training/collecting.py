"""Collecting: forecasts of a family, put together from its fits while these end, in any order.

A window's contributions are averaged as soon as all its seeds are there, so that only the mean is held.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..evaluation.contributions import Contributions, whole_samples
from ..samples.lagged import Samples
from ..samples.shared_table import shared_table
from ..samples.windows import Window
from .forecasts import Forecasts


@dataclass
class Collected:
    """Forecasts of one family for consecutive windows, as far as its fits have ended.

    Attributes:
        samples, windows, seeds: The samples, the windows in the order of time, and the number of seeds.
        newest: Month of which all contributions by cell are kept.
        every: True keeps the cells of all months.
    """

    samples: Samples
    windows: Sequence[Window]
    seeds: int
    newest: int
    every: bool
    seconds: float = 0.0
    contributions: Contributions | None = None
    linearised: np.ndarray | None = None
    waiting: dict[Window, dict[int, Contributions]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.where = self.samples.sample_slice(range(self.windows[0].test.start, self.windows[-1].test.stop))
        self.by_seed = np.empty((self.seeds, self.where.stop - self.where.start))

    def add(
        self, window: Window, member: int, seconds: float, prediction: np.ndarray, parts: Contributions | None
    ) -> None:
        """Put the forecasts of one fit in their place, and their contributions once all seeds are there."""
        place = self._place(window)
        self.by_seed[member, place] = prediction
        self.seconds += seconds
        if parts is None:
            return
        if self.contributions is None or self.linearised is None:
            self.contributions = self._empty()
            self.linearised = np.empty_like(self.by_seed)
        self.linearised[member, place] = parts.linearised
        seeds = self.waiting.setdefault(window, {})
        seeds[member] = parts
        if len(seeds) == self.seeds:
            self.contributions.put(place, [seeds[member] for member in range(self.seeds)])
            del self.waiting[window]

    def _place(self, window: Window) -> slice:
        own = self.samples.sample_slice(window.test)
        return slice(own.start - self.where.start, own.stop - self.where.start)

    def _empty(self) -> Contributions:
        month = self.samples.month[self.where]
        whole = whole_samples(month, self.newest, self.every)
        return Contributions.empty(self.samples.descriptors, self.samples.lags, len(month), whole, shared_table)

    def forecasts(self, faithfulness: pd.DataFrame) -> Forecasts:
        """Return the forecasts once all fits have ended."""
        return Forecasts(
            samples_slice=self.where,
            prediction=self.by_seed.mean(axis=0),
            contributions=self.contributions,
            seconds=self.seconds,
            by_seed=self.by_seed,
            linearised_by_seed=self.linearised,
            faithfulness=faithfulness,
        )
