"""Portable models: the parts of fitted models by which registered versions forecast and explain without training code.

This file travels with every registered version, so it needs torch and numpy alone. Arithmetic is in double precision,
so accounts add up with errors far too small for a user to see.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from zipfile import ZIP_DEFLATED

import numpy as np
import torch
from torch import Tensor, nn

from ..lrp import Linearisation, linearise
from .architecture import ARCHITECTURES

PARTS = ("network", "inputs", "intercept", "network_bias", "stabiliser", "initial_state")
"""Entries of a forecast's account; ``network``, the model's own forecast, is the sum of the others."""


class Portable(Protocol):
    """A fitted model that can be written as JSON and tensors, and read again.

    ``settings()`` returns the JSON and ``tensors()`` the rest; the class method ``read(settings, tensors)`` rebuilds
    the model from them. ``explains``: whether its forecasts have contributions.
    """

    explains: ClassVar[bool]

    def settings(self) -> dict[str, Any]: ...

    def tensors(self) -> dict[str, Tensor]: ...

    def account(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return ``relevance``, shape (n, lags, descriptors), and :data:`PARTS`, shape (n,), as decimal returns,
        float64.

        A model without explanations returns only ``network``, its forecast. ``x``: ranks (n, lags, descriptors).
        """
        ...


@dataclass(frozen=True)
class PortableNetwork:
    """A network read as a sum of contributions; a forecast is ``mean`` + ``scale`` * output.

    Attributes:
        architecture, shape: One of :data:`~.architecture.ARCHITECTURES`, and its keyword arguments.
        linearisation, epsilon: See :func:`drf.lrp.linearise`.
    """

    explains: ClassVar[bool] = True

    network: nn.Sequential
    architecture: str
    shape: Mapping[str, Any]
    linearisation: Linearisation
    epsilon: float
    mean: float
    scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", copy.deepcopy(self.network).double().eval())

    @classmethod
    def read(cls, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> PortableNetwork:
        network = ARCHITECTURES[settings["architecture"]](**settings["shape"])
        network.load_state_dict(dict(tensors))
        return cls(network, **settings)

    def settings(self) -> dict[str, Any]:
        names = ("architecture", "shape", "linearisation", "epsilon", "mean", "scale")
        return {name: getattr(self, name) for name in names}

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.network.state_dict())

    def account(self, x: np.ndarray) -> dict[str, np.ndarray]:
        found = linearise(self.network, torch.from_numpy(x).double(), self.linearisation, self.epsilon)
        return {
            "relevance": self.scale * found.relevance.numpy(),
            "network": self.mean + self.scale * found.output.numpy(),
            "inputs": self.scale * found.inputs.numpy(),
            "intercept": self.mean + self.scale * found.baseline.numpy(),
            "network_bias": self.scale * found.bias.numpy(),
            "stabiliser": self.scale * found.stabiliser.numpy(),
            "initial_state": self.scale * found.initial_state.numpy(),
        }


@dataclass(frozen=True)
class PortableLinear:
    """Coefficients, shape (lags, descriptors), and an intercept; a contribution is coefficient times rank."""

    explains: ClassVar[bool] = True

    coefficients: np.ndarray
    intercept: float

    @classmethod
    def read(cls, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> PortableLinear:
        return cls(tensors["coefficients"].numpy(), **settings)

    def settings(self) -> dict[str, Any]:
        return {"intercept": self.intercept}

    def tensors(self) -> dict[str, Tensor]:
        return {"coefficients": torch.from_numpy(np.ascontiguousarray(self.coefficients))}

    def account(self, x: np.ndarray) -> dict[str, np.ndarray]:
        relevance = x.astype(np.float64) * self.coefficients
        inputs, nothing = relevance.sum((1, 2)), np.zeros(len(x))
        return {
            "relevance": relevance,
            "network": inputs + self.intercept,
            "inputs": inputs,
            "intercept": np.full(len(x), self.intercept),
            "network_bias": nothing,
            "stabiliser": nothing,
            "initial_state": nothing,
        }


@dataclass(frozen=True)
class PortableTrees:
    """Boosted trees in LightGBM's own text; a forecast is ``offset`` + ``multiple`` * their output.

    Attributes:
        shape: Lags and descriptors.
    """

    explains: ClassVar[bool] = True

    trees: str
    multiple: float
    offset: float
    shape: Sequence[int]

    @classmethod
    def read(cls, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> PortableTrees:
        return cls(tensors["trees"].numpy().tobytes().decode(), **settings)

    def settings(self) -> dict[str, Any]:
        return {"multiple": self.multiple, "offset": self.offset, "shape": list(self.shape)}

    def tensors(self) -> dict[str, Tensor]:
        return {"trees": torch.frombuffer(bytearray(self.trees.encode()), dtype=torch.uint8)}

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.offset + self.multiple * self._said(x)

    def account(self, x: np.ndarray) -> dict[str, np.ndarray]:
        shares = self.multiple * self._said(x, pred_contrib=True)
        relevance = shares[:, :-1].reshape(len(x), *self.shape)
        intercept, inputs, nothing = self.offset + shares[:, -1], relevance.sum((1, 2)), np.zeros(len(x))
        return {
            "relevance": relevance,
            "network": self.predict(x),
            "inputs": inputs,
            "intercept": intercept,
            "network_bias": nothing,
            "stabiliser": nothing,
            "initial_state": nothing,
        }

    def _said(self, x: np.ndarray, **how: Any) -> np.ndarray:
        import lightgbm  # only versions that hold trees need it

        booster = lightgbm.Booster(model_str=self.trees)
        return np.asarray(booster.predict(x.reshape(len(x), -1).astype(np.float64), num_threads=1, **how))


@dataclass(frozen=True)
class PortableRegression:
    """A regression of scikit-learn's, in skops' format; a forecast is ``offset`` + ``multiple`` * its output."""

    explains: ClassVar[bool] = False

    regression: Any
    multiple: float
    offset: float

    @classmethod
    def read(cls, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> PortableRegression:
        import skops.io  # only models of scikit-learn need it

        # skops requires trees to be trusted because bad indices could crash the process. The code stored with the trees
        # could crash it as well.
        packed, trusted = tensors["skops"].numpy().tobytes(), ["sklearn.tree._tree.Tree"]
        return cls(skops.io.loads(packed, trusted=trusted), **settings)

    def settings(self) -> dict[str, Any]:
        return {"multiple": self.multiple, "offset": self.offset}

    def tensors(self) -> dict[str, Tensor]:
        import skops.io

        packed = skops.io.dumps(self.regression, compression=ZIP_DEFLATED)
        return {"skops": torch.frombuffer(bytearray(packed), dtype=torch.uint8)}

    def account(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return {"network": self.offset + self.multiple * self.regression.predict(x.reshape(len(x), -1))}


KINDS: dict[str, Any] = {
    "network": PortableNetwork,
    "linear": PortableLinear,
    "trees": PortableTrees,
    "regression": PortableRegression,
}
"""Portable model classes by the name under which a registered model records its own class."""
