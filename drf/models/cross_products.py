"""Cross-products of inputs and targets, summed month by month, from which linear models are solved.

A month is summed once, however many windows it is part of: where the inputs lie in a shared table, its sums are kept
beside the table for all processes.
"""

from __future__ import annotations

import functools
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import linalg

from ..data.files import whole_or_not
from ..samples.inputs import Inputs
from ..samples.label import Label

ROWS = 4096
"""Samples that are summed together."""

LEAST = 1e-10
"""Share of the inputs' sum of squares below which a direction of the inputs counts as constant."""

_TARGETS = ("return", "rank", "excess")


@dataclass(frozen=True)
class CrossProducts:
    r"""Sums :math:`A^\top A` over samples, with the columns of A: 1, the inputs, and three targets.

    The targets are the return, its rank within the month (0 to 1), and its excess over the month's mean.
    """

    sums: np.ndarray

    @property
    def count(self) -> float:
        return float(self.sums[0, 0])

    @property
    def mean_return(self) -> float:
        return float(self.sums[0, -len(_TARGETS)] / self.count)

    @property
    def means(self) -> np.ndarray:
        """Means of the inputs, shape (inputs,)."""
        return self.sums[0, self._inputs] / self.count

    @property
    def _inputs(self) -> slice:
        return slice(1, -len(_TARGETS))

    def scatter(self) -> np.ndarray:
        """Return the sums of products of the centred inputs, shape (inputs, inputs)."""
        return self.sums[self._inputs, self._inputs] - self.count * np.outer(self.means, self.means)

    def with_target(self, target: str) -> np.ndarray:
        """Return the sums of products of the centred inputs with a target, shape (inputs,)."""
        column = _TARGETS.index(target) - len(_TARGETS)
        return self.sums[self._inputs, column] - self.means * self.sums[0, column]

    def deviation(self, target: Label) -> float:
        """Return the standard deviation of a target."""
        column = _TARGETS.index(target) - len(_TARGETS)
        return float(np.sqrt(max(0.0, self.sums[column, column] - self.sums[0, column] ** 2 / self.count) / self.count))

    def solve(self, target: Label, penalty: float = 0.0) -> np.ndarray:
        """Return the coefficients of least squares with an intercept, shape (inputs,), shrunk by ``penalty``.

        Without a penalty, directions in which the inputs hardly vary get no coefficient (:data:`LEAST`): the solution
        is the shortest one.
        """
        sizes, directions, known = self._directions()
        known |= penalty > 0
        along = directions[:, known].T @ self.with_target(target)
        return directions[:, known] @ (along / (sizes[known] + penalty))

    def _directions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the eigenvalues of the scatter, their directions, and which are more than rounding."""
        sizes, directions = linalg.eigh(self.scatter())
        return sizes, directions, sizes > LEAST * np.trace(self.sums[self._inputs, self._inputs])

    def as_samples(self, target: Label) -> tuple[np.ndarray, np.ndarray]:
        """Return as many samples as there are inputs, with the same mean products: (inputs, inputs) and (inputs,).

        They replace the real samples in a least-squares regression without an intercept, with any penalty.
        """
        sizes, directions, known = self._directions()
        roots = np.sqrt(np.where(known, sizes, 0.0) * len(sizes) / self.count)
        along = directions.T @ self.with_target(target) * len(sizes) / self.count
        return roots[:, None] * directions.T, np.divide(along, roots, out=np.zeros_like(along), where=known)


def cross_products(x: Inputs, y: np.ndarray, month: np.ndarray) -> CrossProducts:
    """Return the cross-products of samples that are ordered by month; ``y``, ``month``: shape (n,)."""
    starts = np.flatnonzero(np.diff(month, prepend=month[:1] - 1))
    months = [slice(*ends) for ends in zip(starts, [*starts[1:], len(y)], strict=True)]
    return CrossProducts(functools.reduce(np.add, (_month(x.part(rows), y[rows]) for rows in months)))


def _month(x: Inputs, y: np.ndarray) -> np.ndarray:
    """Return the sums of one month, and keep them beside a shared table."""
    if x.folder is None or not Path(x.folder).is_dir():
        return _summed(x, y)
    key = hashlib.sha256(x.rows.tobytes() + y.tobytes()).hexdigest()[:32]
    file = Path(x.folder) / f"{key}.sums"
    if file.is_file():
        sums = np.fromfile(file)
        side = round(np.sqrt(len(sums)))
        return sums.reshape(side, side)
    sums = _summed(x, y)
    with suppress(OSError):  # without room they are summed again when they are needed
        whole_or_not(file, sums.tofile)
    return sums


def _summed(x: Inputs, y: np.ndarray) -> np.ndarray:
    returns = y.astype(np.float64)
    targets = np.stack([returns, pd.Series(returns).rank(pct=True).to_numpy(), returns - returns.mean()], axis=1)
    _, lags, descriptors = x.shape
    side = 1 + lags * descriptors + len(_TARGETS)
    sums = np.zeros((side, side))
    for start in range(0, len(x), ROWS):
        rows = slice(start, start + ROWS)
        values = np.empty((len(targets[rows]), side))
        values[:, 0], values[:, -len(_TARGETS) :] = 1, targets[rows]
        values[:, 1 : -len(_TARGETS)] = x[rows].reshape(len(values), -1)
        sums += values.T @ values
    return sums
