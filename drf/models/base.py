"""Model contracts: fit, predict, explain, make portable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ..errors import InputError
from ..samples.inputs import Inputs
from .portable import Portable


@dataclass(frozen=True)
class Explanation:
    """Forecasts as sums of contributions, in decimal returns.

    ``relevance.sum((1, 2)) + intercept`` is the linearised forecast (the papers' "+LRP"); adding ``bias``,
    ``stabiliser`` and ``initial_state`` gives the forecast of the model itself, up to rounding.

    Attributes:
        relevance: Contribution of every lag and descriptor, shape (n, lags, descriptors).
        intercept: Forecast of the neutral stock, shape (n,): the mean training return or, under the linearisation
            ``shapley``, the network's own forecast of that stock.
        bias, stabiliser, initial_state: Amounts absorbed by the network's biases, the rule's stabilisers and the state
            before the first date, shape (n,).
    """

    relevance: np.ndarray
    intercept: np.ndarray
    bias: np.ndarray
    stabiliser: np.ndarray
    initial_state: np.ndarray

    @property
    def linearised(self) -> np.ndarray:
        """The forecast that the contributions and the intercept sum to, shape (n,)."""
        return self.relevance.sum((1, 2), dtype=np.float64) + self.intercept

    @property
    def total(self) -> np.ndarray:
        """Sum of all entries of the account: the model's own forecast up to rounding, shape (n,)."""
        return self.linearised + self.bias + self.stabiliser + self.initial_state


class TrainingDivergedError(InputError):
    """A training without a finite validation error in any epoch."""


class Model(Protocol):
    """A return model. ``x``: ranks (n, lags, descriptors); ``y``: targets (n,); ``month``: each sample's month (n,)."""

    def fit(self, x: Inputs, y: np.ndarray, month: np.ndarray) -> Model: ...

    def predict(self, x: np.ndarray) -> np.ndarray: ...


@runtime_checkable
class Explains(Protocol):
    """A model whose forecasts are sums of contributions."""

    def explain(self, x: np.ndarray) -> Explanation: ...


@runtime_checkable
class MeasuresFaithfulness(Protocol):
    """A model that can measure the faithfulness of its own explanations."""

    def faithfulness(self, x: np.ndarray) -> dict[str, float]: ...


@runtime_checkable
class Loadable(Protocol):
    """A model that can be used without its training code installed."""

    def portable(self) -> Portable: ...


@runtime_checkable
class Combines(Protocol):
    """Settings of a family that combines other families' rows and trains no model of its own."""

    def of_rows(self) -> Sequence[str]: ...


@runtime_checkable
class Registrable(Explains, Loadable, Protocol):
    """A model that can be registered: it explains its forecasts and is portable."""
