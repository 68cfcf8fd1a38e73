"""Propagation: one run of a model that records how relevance goes back through every operation.

A relevance rule replaces the backward pass of one operation. The backward signal is relevance per unit of input; an
input's relevance is that signal times its value. Slices, sums, loops, dictionaries and residual connections then need
no rule, since autograd carries relevance through them.

A *signal* is a tensor that depends on the inputs; it requires a gradient. Parameters are constants here. A *gate* is a
signal that scales others: the output of a sigmoid or a softmax, or a denominator.

Every method of attribution is a :class:`Propagation` with the same few kinds of operation; :mod:`~.operations` lists
the kind of each torch function.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .composite import Composite
from .rules import LinearMap
from .tensor_flags import CHOSEN, is_gate, mark_gate, mark_origin, signal

Elementwise = Callable[[Tensor], Tensor]
Bilinear = Callable[[Tensor, Tensor], Tensor]


BY_ELEMENT = "_drf_lrp_by_element"
"""Attribute of functions that treat every element alike, wherever it stands."""


class UnsupportedOperationError(TypeError):
    """An operation of the model that relevance cannot be propagated through; the message names it."""


class Propagation(ABC):
    """Method of attribution, for one run of a model.

    Operations are numbered in the order in which they run. These numbers, called *sites*, are the same for every
    method.
    """

    def __init__(self, composite: Composite) -> None:
        self.composite, self.blind = composite, composite.blind
        """True if zeros get relevance, see :func:`~.rules.lift`."""
        self.modules: list[tuple[str, nn.Module]] = []
        """The modules that are running, by dotted name, the outermost first."""
        self.ends: list[Tensor] = []
        """Signals that come from no input; their relevance is needed too, or the account does not close."""
        self.drew_random_numbers = False
        self.noise = ""
        """The first operation in which random numbers met a signal, in words."""
        self.random_states = False
        """True if the initial states of a recurrent layer are random."""
        self.coarse = False
        """True if a part of the model computes in half precision."""
        self.left_torch = ""
        """The first operation that turned a signal into Python numbers, in words."""
        self.watched: Sequence[str] = ()
        """Names of modules whose outputs are explained too."""
        self.outputs: dict[str, tuple[int, Tensor]] = {}
        """Sites and values of these outputs."""
        self._sites = 0

    def watch(self, name: str, output: Tensor | None) -> None:
        """Keep the last output of a module."""
        if output is not None:
            self.outputs[name] = (self.site(output), output)

    @property
    def sites(self) -> int:
        """Number of operations that ran."""
        return self._sites

    @property
    def where(self) -> str:
        """Running layer, in words."""
        if not self.modules:
            return "the model"
        name, module = self.modules[-1]
        return f"layer '{name}' ({type(module).__name__})" if name else f"{type(module).__name__}.forward"

    def site(self, value: Tensor) -> int:
        """Count the next operation and return its number; ``value`` has the shape of the operation's account or
        baseline."""
        self._sites += 1
        return self._sites - 1

    def activation(self, function: Elementwise, z: Tensor, offset: bool = True) -> Tensor:
        """Apply an elementwise function. ``offset``: whether the operation's output may be nonzero when its input is
        0."""
        result = self._activation(self.site(z), function, z, offset)
        return mark_gate(result) if is_gate(z) else result

    def relu(self, z: Tensor) -> Tensor:
        return self._relu(self.site(z), z)

    def product(self, function: Bilinear, a: Tensor, b: Tensor) -> Tensor:
        """Apply a function of two signals that is linear in each."""
        result = self._product((self.site(a), self.site(b)), function, a, b)
        return mark_gate(result) if is_gate(a) and is_gate(b) else result

    def linear_map(self, function: LinearMap, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Apply a function linear in a signal and in a constant weight, with a bias that broadcasts to its result.

        Methods get its result ``y`` with the way back through it, and ``z``, the values with the bias.
        """
        y = function.forward(x, weight)
        z = y.detach() if bias is None else y.detach() + bias
        return self._linear_map(self.site(z), function, x, weight, bias, y, z)

    def total(self, y: Tensor) -> Tensor:
        """Add several signals."""
        return self._total(self.site(y), y)

    def constant(self, y: Tensor, amount: Tensor, kind: str = "bias") -> Tensor:
        """Add a constant to a signal."""
        return self._constant(self.site(y), y, amount, kind)

    def source(self, constant: Tensor, kind: str = "bias", even_zero: bool = False) -> Tensor:
        """Turn a constant that is joined with signals into a signal, unless it is zero."""
        site = self.site(constant)
        if not (even_zero or self.blind or constant.any()):
            return constant
        return self._source(site, self.end(constant), kind)

    def end(self, value: Tensor) -> Tensor:
        """Mark a signal that comes from no input."""
        self.ends.append(signal(value))
        return self.ends[-1]

    def choose(self, found: Any) -> Any:
        """Mark what the model chose by comparing values, such as a mask or the positions of the largest."""
        mark_origin(found, {CHOSEN})
        return found

    def number(self, found: Any) -> Any:
        """Return what the model took out of torch, such as a number to write down."""
        return found

    def barrier(self, value: Tensor, message: str) -> Tensor:
        """Return the result of an operation without a rule, which is refused if relevance reaches it."""
        if not (value.is_floating_point() or value.is_complex()):
            return value
        return Barrier.apply(self.end(value), f"{self.where}: {message}")

    def lookup(self, value: Tensor, indices: Tensor) -> Tensor:
        """Look up rows of a table (..., features) for indices (...), which carry a signal of 1 everywhere."""
        return self._lookup(self.site(value), value, indices)

    def standardise(self, x: Tensor, axes: tuple[int, ...], eps: float, centre: bool) -> Tensor:
        """Divide deviations from the mean over some axes, or the values themselves, by their root mean square."""
        return self._standardise(self.site(x), x, axes, eps, centre)

    def quotient(self, a: Tensor, b: Tensor, y: Tensor) -> Tensor:
        """Return ``y``, a quotient of two signals that was computed as a product with the reciprocal."""
        return self._quotient((self.site(a), self.site(b)), a, b, y)

    def softmax(self, z: Tensor, dim: int) -> Tensor:
        return mark_gate(self._softmax(self.site(z), z, dim))

    def log_softmax(self, z: Tensor, dim: int) -> Tensor:
        return self._log_softmax(self.site(z), z, dim)

    def lstm(self, x: Tensor, h: Tensor, c: Tensor, weights: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Run one direction of one layer of an LSTM, see :func:`drf.lrp.recurrent.lstm_layer`."""
        return self._lstm(self.site(x[0].sum(1)), x, h, c, weights)  # one value per sequence identifies its sample

    def gated(self, kind: str, x: Tensor, h: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
        """Run one direction of one layer of a GRU or plain RNN, see :mod:`~.gated`."""
        return self._gated(self.site(x[0].sum(1)), kind, x, h, weights)

    def selection(self, function: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        """Apply a function that picks elements of its first argument by their values, such as a maximum."""
        return self._selection(self.site(args[0]), function, name, args, kwargs)

    @abstractmethod
    def _selection(
        self, site: int, function: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]
    ) -> Any: ...

    @abstractmethod
    def _lstm(
        self, site: int, x: Tensor, h: Tensor, c: Tensor, weights: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]: ...

    @abstractmethod
    def _gated(self, site: int, kind: str, x: Tensor, h: Tensor, weights: tuple[Tensor, ...]) -> Tensor: ...

    @abstractmethod
    def _activation(self, site: int, function: Elementwise, z: Tensor, offset: bool) -> Tensor: ...

    def _relu(self, site: int, z: Tensor) -> Tensor:
        return torch.relu(z)  # its secant from 0 is its derivative

    @abstractmethod
    def _product(self, sites: tuple[int, int], function: Bilinear, a: Tensor, b: Tensor) -> Tensor: ...

    @abstractmethod
    def _linear_map(
        self, site: int, function: LinearMap, x: Tensor, weight: Tensor, bias: Tensor | None, y: Tensor, z: Tensor
    ) -> Tensor: ...

    # A method that needs no baseline goes back through the product. If no account is kept, sums and constants need no
    # backward pass of their own.

    def _quotient(self, sites: tuple[int, int], a: Tensor, b: Tensor, y: Tensor) -> Tensor:
        return y

    def _total(self, site: int, y: Tensor) -> Tensor:
        return y

    def _constant(self, site: int, y: Tensor, amount: Tensor, kind: str) -> Tensor:
        return y

    def _source(self, site: int, constant: Tensor, kind: str) -> Tensor:
        return constant

    @abstractmethod
    def _lookup(self, site: int, value: Tensor, indices: Tensor) -> Tensor: ...

    @abstractmethod
    def _standardise(self, site: int, x: Tensor, axes: tuple[int, ...], eps: float, centre: bool) -> Tensor: ...

    @abstractmethod
    def _softmax(self, site: int, z: Tensor, dim: int) -> Tensor: ...

    @abstractmethod
    def _log_softmax(self, site: int, z: Tensor, dim: int) -> Tensor: ...


class Carry(torch.autograd.Function):
    """A value computed elsewhere: relevance that comes back is multiplied by a slope and handed to ``z``."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (slope,) = ctx.saved_tensors
        return grads[0] * slope, None, None


class Through(torch.autograd.Function):
    """A value computed elsewhere: relevance that comes back goes through ``path``."""

    @staticmethod
    def forward(ctx: Any, path: Tensor, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0], None


class Barrier(torch.autograd.Function):
    """An operation without a rule, harmless as long as no relevance reaches it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, message: str) -> Tensor:
        ctx.message = message
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        if grads[0].any():
            raise UnsupportedOperationError(ctx.message)
        return None, None
