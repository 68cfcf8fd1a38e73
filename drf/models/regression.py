"""Regressions fitted as in scikit-learn: on flattened lags and descriptors, and a label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator

from ..samples.inputs import Inputs
from ..samples.label import Label, label, worth


@dataclass(kw_only=True, eq=False, repr=False)
class Regression(BaseEstimator, ABC):
    """A regression on the flattened ranks, fitted as in scikit-learn.

    Args:
        label: Training target: ``return``, or ``rank`` for the return's rank in its month, where an outlier's size does
            not count, only its position. Ranks are scaled to the mean and spread of returns, so settings in units of
            returns keep their meaning. Forecasts are returns in either case, see :mod:`drf.samples.label`.
        random_state: Seed, for families with random draws.
    """

    CALIBRATED_ON: ClassVar[int | None] = None
    """Largest number of training samples, evenly spaced, that estimate the return of a rank; None: all."""

    label: Label = "return"
    random_state: int = 0

    @abstractmethod
    def regress(self, x: Inputs, target: np.ndarray) -> None:
        """Fit on the samples' inputs and ``target`` (n,)."""

    @abstractmethod
    def output(self, x: np.ndarray) -> np.ndarray:
        """Return the regression's output for ``x`` (n, inputs): shape (n,)."""

    def fit(self, x: Inputs | np.ndarray, y: np.ndarray, month: np.ndarray) -> Regression:
        inputs = Inputs.of(x)
        self.shape_ = inputs.shape[1:]
        if self.label == "return":
            self.regress(inputs, y)
            self.multiple_, self.offset_ = 1.0, 0.0
            return self
        mean, spread = float(y.mean(dtype=np.float64)), float(y.std(dtype=np.float64))
        self.regress(inputs, mean + spread * label("rank", y, month).astype(np.float64))
        some = _evenly_spaced(len(y), self.CALIBRATED_ON)
        output = self._outputs(inputs.part(some))
        self.multiple_ = worth(output, y[some], month[some])
        self.offset_ = mean - self.multiple_ * float(output.mean())
        return self

    def predict(self, x: Inputs | np.ndarray) -> np.ndarray:
        return self.offset_ + self.multiple_ * self._outputs(Inputs.of(x))

    def _outputs(self, x: Inputs) -> np.ndarray:
        return np.concatenate([self.output(flat(block)) for block in x.blocks()])


def flat(x: np.ndarray) -> np.ndarray:
    """Return the inputs of each sample in one row: shape (n, lags * descriptors)."""
    return x.reshape(len(x), -1)


def _evenly_spaced(samples: int, most: int | None) -> np.ndarray:
    if most is None or samples <= most:
        return np.arange(samples)
    return ((np.arange(most) + 0.5) * samples / most).astype(int)
