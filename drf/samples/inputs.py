"""Inputs of samples: places in one table of ranks, so that a rank is held once however many samples look at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

BLOCK = 2**26
"""Bytes of inputs that are looked at together: enough for speed, and little beside a training's other memory."""


class Inputs:
    """Inputs of samples, in shape (n, lags, descriptors), without a copy for every lag.

    An index chooses samples and copies their inputs into an array; the whole is ``inputs[:]``.

    Args:
        table: Ranks, float32, shape (rows, descriptors).
        rows: For every sample and lag the row of the table, shape (n, lags).
        folder: Folder of the table's file, if it is shared.
    """

    def __init__(self, table: np.ndarray, rows: np.ndarray, folder: str | None = None) -> None:
        self.table, self.rows, self.folder = table, rows, folder

    @classmethod
    def of(cls, x: Inputs | np.ndarray) -> Inputs:
        """Return inputs that are given as an array, shape (n, lags, descriptors)."""
        if isinstance(x, Inputs):
            return x
        samples, lags, descriptors = x.shape
        return cls(x.reshape(samples * lags, descriptors), np.arange(samples * lags).reshape(samples, lags))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        return (*self.rows.shape, self.table.shape[1])

    @property
    def size(self) -> int:
        """Number of values."""
        return self.rows.size * self.table.shape[1]

    def __getitem__(self, samples: Any) -> np.ndarray:
        return self.table[self.rows[samples]]

    def part(self, samples: Any) -> Inputs:
        """Return the inputs of some samples, still without a copy of them."""
        return Inputs(self.table, self.rows[samples], self.folder)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the inputs of all samples, in order, as arrays of at most about :data:`BLOCK` bytes."""
        _, lags, descriptors = self.shape
        samples = max(1, BLOCK // (4 * lags * descriptors))
        return (self[start : start + samples] for start in range(0, max(1, len(self)), samples))
