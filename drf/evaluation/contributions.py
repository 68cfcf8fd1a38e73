"""Contributions to forecasts: sums by descriptor and by lag for every forecast, single cells for a few.

A cell is one descriptor at one lag. All cells of all forecasts are samples times inputs numbers, too many for a large
market. So they are summed while they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from .portfolio import Weights

KEYS = ["date", "asset"]

SHOWN = 100
"""Most forecasts of a month whose cells are kept: enough for the mean size of a cell."""

STEP = 2.0**-24
"""Rounding step of a stored table of contributions: 0.0006 basis points, below a network's arithmetic error."""

_TOGETHER = 8
"""Number of columns that are looked at together, so that a wide table is not copied whole."""

_ENTRIES = ("inputs", "intercept", "bias", "stabiliser", "initial_state", "ahead")
_TABLES = ("by_descriptor", "by_lag", "cells")


def whole_samples(month: np.ndarray, newest: int, every: bool = False) -> np.ndarray:
    """Return the positions of the samples whose cells are kept.

    These are all samples of month ``newest``, and of every other month at most :data:`SHOWN`, evenly spaced.

    Args:
        month: Month of each sample, ascending, shape (n,).
        newest: Month of which all cells are kept.
        every: True keeps the cells of all samples.
    """
    if every:
        return np.arange(len(month))
    months, first, count = np.unique(month, return_index=True, return_counts=True)
    shown = np.where(months == newest, count, np.minimum(count, SHOWN))
    places = [start + np.arange(k) * n // k for start, n, k in zip(first, count, shown, strict=True)]
    return np.concatenate(places) if places else np.empty(0, dtype=int)


@dataclass(frozen=True)
class Contributions:
    """Forecasts of n samples as sums of contributions, in decimal returns.

    Attributes:
        descriptors, lags: Names of the descriptors, and distances in months, oldest first.
        inputs: Sum of all contributions of the inputs, shape (n,).
        intercept, bias, stabiliser, initial_state: Other entries of the account, see
            :class:`drf.models.base.Explanation`, shape (n,).
        ahead: Forecast for the same stock a month later by this month's per-stock factor returns, see
            :mod:`~.factor_returns`; NaN if it has no sample then, shape (n,).
        by_descriptor: Sums over lags, before ``multiple``, float32, shape (n, descriptors).
        by_lag: Sums over descriptors, before ``multiple``, float32, shape (n, lags).
        whole: Positions of the samples whose cells are kept, ascending, shape (k,).
        cells: Their contributions, before ``multiple``, float32, shape (k, lags * descriptors).
        multiple: Number by which each row of ``by_descriptor``, ``by_lag`` and ``cells`` is multiplied, shape (n,).
    """

    descriptors: Sequence[str]
    lags: Sequence[int]
    inputs: np.ndarray
    intercept: np.ndarray
    bias: np.ndarray
    stabiliser: np.ndarray
    initial_state: np.ndarray
    ahead: np.ndarray
    by_descriptor: np.ndarray
    by_lag: np.ndarray
    whole: np.ndarray
    cells: np.ndarray
    multiple: np.ndarray

    @classmethod
    def empty(
        cls,
        descriptors: Sequence[str],
        lags: Sequence[int],
        samples: int,
        whole: np.ndarray,
        table: Callable[[int, int], np.ndarray],
    ) -> Contributions:
        """Return contributions that are to be filled. ``table``: makes a table of float32, shape (rows, columns)."""
        return cls(
            descriptors,
            lags,
            **{name: np.full(samples, np.nan) for name in _ENTRIES},
            by_descriptor=table(samples, len(descriptors)),
            by_lag=table(samples, len(lags)),
            whole=whole,
            cells=table(len(whole), len(lags) * len(descriptors)),
            multiple=np.ones(samples),
        )

    def fill(self, samples: slice, account: Any, ahead: np.ndarray) -> None:
        """Sum the relevance of consecutive samples.

        Args:
            account: ``relevance`` of shape (samples, lags, descriptors), and the other entries of the account.
            ahead: See the attribute; shape (samples,).
        """
        relevance = account.relevance
        self.inputs[samples] = relevance.sum((1, 2), dtype=np.float64)
        for name in _ENTRIES[1:-1]:
            getattr(self, name)[samples] = getattr(account, name)
        self.ahead[samples] = ahead
        self.by_descriptor[samples] = relevance.sum(1, dtype=np.float64)
        self.by_lag[samples] = relevance.sum(2, dtype=np.float64)
        kept = slice(*np.searchsorted(self.whole, [samples.start, samples.stop]))
        self.cells[kept] = relevance[self.whole[kept] - samples.start].reshape(-1, self.cells.shape[1])

    def put(self, samples: slice, models: Sequence[Contributions]) -> None:
        """Put the mean of several models' contributions to consecutive samples in their place."""
        for name in _ENTRIES:
            getattr(self, name)[samples] = np.mean([getattr(one, name) for one in models], axis=0)
        kept = slice(*np.searchsorted(self.whole, [samples.start, samples.stop]))
        for name, where in (("by_descriptor", samples), ("by_lag", samples), ("cells", kept)):
            getattr(self, name)[where] = np.mean([getattr(one, name) for one in models], axis=0)

    def times(self, multiple: np.ndarray, offset: np.ndarray) -> Contributions:
        """Return the contributions times ``multiple``, with ``offset`` added to the intercept, each of shape (n,)."""
        scaled: dict[str, Any] = {name: getattr(self, name) * multiple for name in _ENTRIES}
        scaled["intercept"], scaled["ahead"] = scaled["intercept"] + offset, scaled["ahead"] + offset
        return replace(self, **scaled, multiple=self.multiple * multiple)

    @staticmethod
    def sum(parts: Sequence[Contributions]) -> Contributions:
        """Return the contributions to the sum of several models' forecasts of the same samples."""
        entries: dict[str, Any] = {name: np.sum([getattr(part, name) for part in parts], axis=0) for name in _ENTRIES}
        tables: dict[str, Any] = {}
        for name in _TABLES:
            tables[name] = np.zeros_like(np.asarray(getattr(parts[0], name)))
            for part in parts:
                multiple = part.multiple[part.whole] if name == "cells" else part.multiple
                tables[name] += getattr(part, name) * multiple[:, None].astype(np.float32)
        return replace(parts[0], **entries, **tables, multiple=np.ones_like(parts[0].multiple))

    @property
    def linearised(self) -> np.ndarray:
        """The forecast that the contributions and the intercept sum to, shape (n,)."""
        return self.inputs + self.intercept

    def shares(self) -> dict[str, float]:
        """Return the ratio of each entry's mean size to the mean size of the forecast less its intercept."""
        entries = {name: getattr(self, name) for name in ("inputs", "bias", "stabiliser", "initial_state")}
        whole = np.abs(sum(entries.values())).mean() or 1.0
        return {name: float(np.abs(entry).mean() / whole) for name, entry in entries.items()}

    def of(self, names: Sequence[str], index: pd.Index | None = None) -> pd.DataFrame:
        """Return the contributions of some descriptors, summed over lags: one row a sample, one column a descriptor."""
        chosen = [self.descriptors.index(name) for name in names]
        values = self.by_descriptor[:, chosen] * self.multiple[:, None]
        return pd.DataFrame(values, index, list(names), copy=False)

    def by_factor(self, factors: Mapping[str, Sequence[str]], index: pd.Index | None = None) -> pd.DataFrame:
        """Return the contributions of the factors: one row a sample, one column a factor."""
        return pd.DataFrame({factor: self.of(names, index).sum(axis=1) for factor, names in factors.items()})

    def relevance(self, keys: pd.DataFrame, month: pd.Timestamp | None = None) -> pd.DataFrame:
        """Return the kept cells: ``date``, ``asset`` and a column ``<descriptor>_lag<months>`` for each input.

        Args:
            keys: ``date`` and ``asset`` of the samples.
            month: Month to return; None: all that is kept.
        """
        own = keys[KEYS].iloc[self.whole].reset_index(drop=True)
        chosen = np.arange(len(own)) if month is None else np.flatnonzero(own["date"] == month)
        names = [f"{name}_lag{lag}" for lag in self.lags for name in self.descriptors]
        values = (self.cells[chosen] * self.multiple[self.whole[chosen], None]).astype(np.float32)
        return pd.concat([own.iloc[chosen].reset_index(drop=True), pd.DataFrame(values, columns=names)], axis=1)

    def mean_absolute_by_lag(self) -> pd.DataFrame:
        """Return the mean size of the kept cells: one row a descriptor, one column a lag (largest first)."""
        size = np.abs(self.cells * self.multiple[self.whole, None]).mean(axis=0, dtype=np.float64)
        by_lag = size.reshape(len(self.lags), len(self.descriptors)).T
        return pd.DataFrame(
            by_lag, pd.Index(self.descriptors, name="descriptor"), pd.Index(self.lags, name="lag")
        ).sort_index(axis=1, ascending=False)

    def by_stock(self, keys: pd.DataFrame) -> pd.DataFrame:
        """Return ``date``, ``asset`` and the contributions of each descriptor, rounded for a file, float32."""
        values = np.multiply(self.by_descriptor, self.multiple[:, None].astype(np.float32))
        table = pd.DataFrame(values, keys.index, list(self.descriptors), copy=False)
        return rounded(pd.concat([keys[KEYS], table], axis=1))


def rounded(contributions: pd.DataFrame) -> pd.DataFrame:
    """Round a table of contributions to steps of :data:`STEP`, so that it takes two thirds of the space.

    The rounding error of one value is carried to the next, so a value is off by at most a step. The same holds for the
    sum of all values of a stock and month.
    """
    values = contributions.drop(columns=KEYS)
    steps = np.empty(values.shape, dtype=np.float32)
    summed, before = np.zeros(len(values)), np.zeros(len(values))
    for column, name in enumerate(values):
        summed = summed + values[name].to_numpy(dtype=np.float64)
        now = np.round(summed / STEP)
        steps[:, column], before = (now - before) * STEP, now
    return pd.concat([contributions[KEYS], pd.DataFrame(steps, values.index, values.columns, copy=False)], axis=1)


def percentages(contributions: pd.DataFrame) -> pd.DataFrame:
    """Return each month's contributions as signed percentages of the sum of their absolute values."""
    total = contributions.abs().sum(axis=1)
    return 100 * contributions.div(total.where(total > 0), axis=0)


def agreement_with_truth(contributions: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """Return the mean monthly correlation over stocks of each factor's contributions with the true ones.

    ``contributions``, ``truth``: ``date``, ``asset`` and a column for each factor. A factor is left out if its true
    effect is zero or unknown.
    """
    both = contributions.merge(truth, on=KEYS, suffixes=("", " truly"))
    factors = [
        name for name in truth.columns if name in contributions and name not in KEYS and both[f"{name} truly"].any()
    ]
    months = [month for _, month in both.groupby("date")]
    return {
        factor: float(np.nanmean([month[factor].corr(month[f"{factor} truly"]) for month in months]))
        for factor in factors
    }


def risk_table(contributions: Contributions, weights: Weights, factors: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the risk table of the long-short portfolio: contributions of each side, and their change.

    Args:
        contributions: Contributions to the forecasts.
        weights: Aligned with ``contributions``.
        factors: Descriptors of each factor.

    Returns:
        One line for each month, portfolio (``long``, ``short``, ``spread``), level (``factor``, ``descriptor``,
        ``lag``) and name. ``signed``: weighted mean contribution over the stocks. ``absolute``: weighted mean absolute
        contribution (for the spread: of both sides together). ``change``: change of ``signed`` since the month before.
        Decimals a month.
    """
    parts = []
    for level, tables in _levels(contributions, factors, weights.table.index).items():
        signed, absolute = _sides(tables, weights)
        for portfolio, monthly in signed.items():
            columns = {"signed": monthly, "absolute": absolute[portfolio], "change": monthly.diff()}
            long = pd.concat({name: frame.stack() for name, frame in columns.items()}, axis=1)
            long = long.rename_axis(index=["date", "name"]).reset_index()
            parts.append(long.assign(portfolio=portfolio, level=level))
    return pd.concat(parts, ignore_index=True)[["date", "portfolio", "level", "name", "signed", "absolute", "change"]]


def _levels(
    contributions: Contributions, factors: Mapping[str, Sequence[str]], index: pd.Index
) -> dict[str, Iterator[pd.DataFrame]]:
    """Return the contributions at each level, a few columns at a time."""
    names = contributions.descriptors
    by_lag = contributions.by_lag * contributions.multiple[:, None]
    return {
        "factor": iter([contributions.by_factor(factors, index)]),
        "descriptor": (
            contributions.of(names[start : start + _TOGETHER], index) for start in range(0, len(names), _TOGETHER)
        ),
        "lag": iter([pd.DataFrame(by_lag, index, [str(lag) for lag in contributions.lags])]),
    }


def _sides(tables: Iterator[pd.DataFrame], weights: Weights) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Return mean contributions and mean sizes of the long side, the short side and the spread, by month."""
    signs = {"long": +1, "short": -1}
    means: dict[str, list[pd.DataFrame]] = {side: [] for side in signs}
    sizes: dict[str, list[pd.DataFrame]] = {side: [] for side in signs}
    for table in tables:
        for side, sign in signs.items():
            means[side].append(weights.mean(table, sign))
            sizes[side].append(weights.mean(table.abs(), sign))
    signed = {side: pd.concat(found, axis=1) for side, found in means.items()}
    absolute = {side: pd.concat(found, axis=1) for side, found in sizes.items()}
    signed["spread"] = signed["long"] - signed["short"]
    absolute["spread"] = absolute["long"] + absolute["short"]
    return signed, absolute
