r"""Rules of relevance for a linear map :math:`z_j = \sum_i x_i w_{ij} + b_j`.

A rule hands the relevance :math:`R_j` of the outputs down to the inputs as

.. math::  R_i = \sum_k \sum_j \langle x_i w_{ij} \rangle_k \, m_{kj} R_j ,

where :math:`\langle \cdot \rangle_k` keeps certain contributions only (all, the positive ones, the negative ones, or
the squared weights in their stead) and :math:`m_{kj}` does not depend on :math:`R`. So a rule is a list of such
*channels*, and costs a few products of shape (n, out) x (out, in), never a message tensor of shape (n, out, in). What
reaches no input goes to the bias, :math:`\sum_{kj} \langle b_j \rangle_k m_{kj} R_j`, or to the stabiliser,
:math:`\sum_{kj} e_{kj} m_{kj} R_j` with :math:`e_{kj}` what was added to keep a denominator from zero, by name.

What is handed down is :math:`R_i / x_i`, relevance per unit of the input, so that autograd can carry it on through
whatever the model does with :math:`x_i` before; the input's relevance is that times its value. A rule that gives
relevance to inputs that are zero is *blind*; for it zeros count as :func:`lift` makes them.

Sources: Bach et al. 2015 (epsilon, alpha-beta), Montavon et al. 2017 (z+, w2), Montavon et al. 2019 (gamma; the form
for inputs and outputs of either sign follows Andeol et al. 2021).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor


class LinearMap:
    """Function that is linear in input and in weight, such as a convolution, without its biases."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.function = function

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.function(x, weight)

    def backward(self, x: Tensor, weight: Tensor, ratio: Tensor) -> Tensor:
        """Apply the transposed map to ``ratio``, in the shape of ``x``, whose values do not matter."""
        with torch.enable_grad():
            leaf = torch.zeros_like(x).requires_grad_()
            (result,) = torch.autograd.grad(self.function(leaf, weight), leaf, ratio)
        return result

    def accumulate(self, onto: Tensor, x: Tensor, weight: Tensor, ratio: Tensor) -> None:
        """Add to ``onto`` the relevance that goes back to the input."""
        onto.add_(self.backward(x, weight, ratio))


class _Dense(LinearMap):
    """Dense map: weights have shape (out, in), as in ``nn.Linear``; the input may have any number of sample axes before
    its last axis."""

    def __init__(self) -> None:
        super().__init__(torch.nn.functional.linear)

    def backward(self, x: Tensor, weight: Tensor, ratio: Tensor) -> Tensor:
        return ratio @ weight

    def accumulate(self, onto: Tensor, x: Tensor, weight: Tensor, ratio: Tensor) -> None:
        onto.addmm_(ratio, weight)


DENSE = _Dense()


class Term(NamedTuple):
    """One input of a linear map: values, weight and map; by default the map of ``nn.Linear``."""

    x: Tensor
    weight: Tensor
    map: LinearMap = DENSE


def lift(x: Tensor) -> Tensor:
    """Replace zeros by the smallest number that is safe to divide by, where a blind rule must give them relevance."""
    return torch.where(x == 0, 1e-30, x)


class Channel(ABC):
    """Choice of which contributions of an input to an output count."""

    @abstractmethod
    def forward(self, term: Term) -> Tensor:
        """Return the sum of the contributions over the inputs, (..., out)."""

    @abstractmethod
    def backward(self, term: Term, ratio: Tensor) -> Tensor:
        """Return the sum over outputs of contribution times ``ratio`` (..., out), divided by input, (..., in)."""

    def accumulate(self, onto: Tensor, term: Term, ratio: Tensor) -> None:
        """Add to ``onto`` the relevance that goes back to the input; one axis of samples."""
        onto.add_(self.backward(term, ratio))

    @abstractmethod
    def of_bias(self, bias: Tensor) -> Tensor:
        """Return the part of the bias that counts, in the bias's shape."""


class _All(Channel):
    def forward(self, term: Term) -> Tensor:
        return term.map.forward(term.x, term.weight)

    def backward(self, term: Term, ratio: Tensor) -> Tensor:
        return term.map.backward(term.x, term.weight, ratio)

    def accumulate(self, onto: Tensor, term: Term, ratio: Tensor) -> None:
        term.map.accumulate(onto, term.x, term.weight, ratio)

    def of_bias(self, bias: Tensor) -> Tensor:
        return bias


class _Signed(Channel):
    """Channel of contributions of one sign: input and weight of the same sign, or of opposite ones."""

    def __init__(self, sign: int) -> None:
        self.sign = sign

    def _parts(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        positive, negative = weight.clamp(min=0), weight.clamp(max=0)
        return (positive, negative) if self.sign > 0 else (negative, positive)

    def forward(self, term: Term) -> Tensor:
        x, map_ = term.x, term.map
        for_positive, for_negative = self._parts(term.weight)
        return map_.forward(x.clamp(min=0), for_positive) + map_.forward(x.clamp(max=0), for_negative)

    def backward(self, term: Term, ratio: Tensor) -> Tensor:
        above, below = (term.map.backward(term.x, weight, ratio) for weight in self._parts(term.weight))
        return torch.where(term.x > 0, above, below)

    def of_bias(self, bias: Tensor) -> Tensor:
        return bias.clamp(min=0) if self.sign > 0 else bias.clamp(max=0)


class _Squares(Channel):
    def forward(self, term: Term) -> Tensor:
        return term.map.forward(torch.ones_like(term.x), term.weight.square())

    def backward(self, term: Term, ratio: Tensor) -> Tensor:
        return term.map.backward(term.x, term.weight.square(), ratio) / lift(term.x)

    def of_bias(self, bias: Tensor) -> Tensor:
        return torch.zeros_like(bias)


ALL, POSITIVE, NEGATIVE, SQUARES = _All(), _Signed(+1), _Signed(-1), _Squares()


class Part(NamedTuple):
    """One channel of a rule, with its factor m (..., out) and the stabiliser of its denominators, e (..., out)."""

    channel: Channel
    factor: Tensor
    stabiliser: Tensor | float


class Rule(ABC):
    """Rule that distributes the relevance of a linear map."""

    blind: ClassVar[bool] = False
    """True if it gives relevance to inputs that are zero."""

    @abstractmethod
    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> list[Part]:
        """Return how to split the relevance of the map with output ``z`` and a bias that broadcasts to it.

        The caller may change the factors.
        """


def absorbed(parts: Sequence[Part], bias: Tensor, ratios: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return what bias and stabiliser absorb, given relevance times factor of each channel, (..., out)."""
    pairs = list(zip(parts, ratios, strict=True))
    return (
        total([ratio * part.channel.of_bias(bias) for part, ratio in pairs]),
        total([ratio * part.stabiliser for part, ratio in pairs]),
    )


def row_sums(x: Tensor) -> Tensor:
    """Sum over the last axis, as a product, which is faster where that axis is short."""
    return x @ x.new_ones(x.shape[-1])


def total(parts: Sequence[Tensor]) -> Tensor:
    """Return the sum of several tensors; a single one is not copied."""
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result


def stabiliser(z: Tensor, epsilon: float) -> Tensor:
    """Return the term that moves ``z`` away from zero by ``epsilon``, with sign(0) = +1."""
    return z.new_tensor(epsilon).copysign(z)


@dataclass(frozen=True)
class Epsilon(Rule):
    r""":math:`R_i = \sum_j x_i w_{ij} R_j / (z_j + \epsilon\,\mathrm{sign}\,z_j)`."""

    epsilon: float = 1e-3

    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> list[Part]:
        away = stabiliser(z, self.epsilon)
        return [Part(ALL, (z + away).reciprocal_(), away)]

    def __post_init__(self) -> None:
        if self.epsilon < 0:
            raise ValueError(f"epsilon={self.epsilon} must not be negative: it moves denominators away from zero")


@dataclass(frozen=True)
class Gamma(Rule):
    r"""Epsilon rule after contributions of the output's own sign are multiplied by :math:`1 + \gamma`."""

    gamma: float = 0.25
    epsilon: float = 1e-3

    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> list[Part]:
        away = stabiliser(z, self.epsilon)
        upward = away > 0
        favoured = torch.where(upward, _sum(POSITIVE, terms, bias), _sum(NEGATIVE, terms, bias))
        weighted = z + self.gamma * favoured
        factor = (weighted + away).reciprocal()
        extra = self.gamma * factor
        return [Part(ALL, factor, away), Part(POSITIVE, extra * upward, 0.0), Part(NEGATIVE, extra * ~upward, 0.0)]


@dataclass(frozen=True)
class AlphaBeta(Rule):
    r""":math:`R_i = \sum_j (\alpha z_{ij}^+ / z_j^+ - \beta z_{ij}^- / z_j^-) R_j` with :math:`\alpha - \beta = 1`."""

    alpha: float = 2.0
    beta: float = 1.0
    epsilon: float = 1e-9

    def __post_init__(self) -> None:
        if abs(self.alpha - self.beta - 1) > 1e-12:
            raise ValueError(f"alpha - beta must be 1, or relevance is not conserved; got {self.alpha} - {self.beta}")

    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> list[Part]:
        up, down = _sum(POSITIVE, terms, bias), _sum(NEGATIVE, terms, bias)
        rise, fall = self.alpha / (up + self.epsilon), -self.beta / (down - self.epsilon)
        return [Part(POSITIVE, rise, self.epsilon), Part(NEGATIVE, fall, -self.epsilon)]


@dataclass(frozen=True)
class ZPlus(AlphaBeta):
    r"""Rule with positive contributions alone: alpha-beta with :math:`\alpha = 1, \beta = 0`."""

    alpha: float = 1.0
    beta: float = 0.0


@dataclass(frozen=True)
class WSquare(Rule):
    r""":math:`R_i = \sum_j w_{ij}^2 / \sum_{i'} w_{i'j}^2 \, R_j`: blind to the values, so biases receive nothing."""

    blind: ClassVar[bool] = True
    epsilon: float = 1e-9

    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> list[Part]:
        weights = total([SQUARES.forward(term) for term in terms])
        factor = (weights + self.epsilon).reciprocal().expand_as(z).clone()
        return [Part(SQUARES, factor, self.epsilon)]


def _sum(channel: Channel, terms: Sequence[Term], bias: Tensor) -> Tensor:
    return total([channel.forward(term) for term in terms]) + channel.of_bias(bias)


RULES: dict[str, type[Rule]] = {
    "epsilon": Epsilon,
    "gamma": Gamma,
    "alpha-beta": AlphaBeta,
    "z-plus": ZPlus,
    "w-square": WSquare,
}
"""Rules by name, with the settings that are usual for them."""
