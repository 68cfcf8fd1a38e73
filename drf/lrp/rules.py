r"""Relevance rules for a linear map :math:`z_j = \sum_i x_i w_{ij} + b_j`.

A rule hands the relevance :math:`R_j` of the outputs down to the inputs as

.. math::  R_i = \sum_k \sum_j \langle x_i w_{ij} \rangle_k \, m_{kj} R_j ,

where :math:`\langle \cdot \rangle_k` keeps certain contributions only (all, the positive ones, the negative ones, or
the squared weights in their stead) and :math:`m_{kj}` does not depend on :math:`R`. So a rule is a list of such
*channels*, and costs a few products of shape (n, out) x (out, in), never a message tensor of shape (n, out, in). What
reaches no input goes to the bias, :math:`\sum_{kj} \langle b_j \rangle_k m_{kj} R_j`, or to the stabiliser,
:math:`\sum_{kj} e_{kj} m_{kj} R_j` with :math:`e_{kj}` what was added to keep a denominator from zero, by name.

Sources: Bach et al. 2015 (epsilon, alpha-beta), Montavon et al. 2017 (z+, w2), Montavon et al. 2019 (gamma; the form
for inputs and outputs of either sign follows Andeol et al. 2021).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Term(NamedTuple):
    """One input of a linear map: values (..., in) and weight (out, in), as ``nn.Linear`` stores it."""

    x: Tensor
    weight: Tensor


class Channel(ABC):
    """Which contributions of an input to an output count."""

    @abstractmethod
    def forward(self, term: Term) -> Tensor:
        """Sum of the contributions over the inputs, (..., out)."""

    @abstractmethod
    def backward(self, term: Term, ratio: Tensor) -> Tensor:
        """Sum over the outputs of contribution times ``ratio`` (..., out), shape (..., in)."""

    @abstractmethod
    def of_bias(self, bias: Tensor) -> Tensor:
        """The part of the bias that counts, (out,)."""


class _All(Channel):
    def forward(self, term: Term) -> Tensor:
        return term.x @ term.weight.T

    def backward(self, term: Term, ratio: Tensor) -> Tensor:
        return (ratio @ term.weight).mul_(term.x)

    def of_bias(self, bias: Tensor) -> Tensor:
        return bias


class _Signed(Channel):
    """Contributions of one sign: input and weight of the same sign, or of opposite ones."""

    def __init__(self, sign: int) -> None:
        self.sign = sign

    def _parts(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        positive, negative = weight.clamp(min=0), weight.clamp(max=0)
        return (positive, negative) if self.sign > 0 else (negative, positive)

    def forward(self, term: Term) -> Tensor:
        for_positive, for_negative = self._parts(term.weight)
        return term.x.clamp(min=0) @ for_positive.T + term.x.clamp(max=0) @ for_negative.T

    def backward(self, term: Term, ratio: Tensor) -> Tensor:
        for_positive, for_negative = self._parts(term.weight)
        return term.x.clamp(min=0) * (ratio @ for_positive) + term.x.clamp(max=0) * (ratio @ for_negative)

    def of_bias(self, bias: Tensor) -> Tensor:
        return bias.clamp(min=0) if self.sign > 0 else bias.clamp(max=0)


class _Squares(Channel):
    def forward(self, term: Term) -> Tensor:
        return term.weight.square().sum(1)

    def backward(self, term: Term, ratio: Tensor) -> Tensor:
        return ratio @ term.weight.square()

    def of_bias(self, bias: Tensor) -> Tensor:
        return torch.zeros_like(bias)


ALL, POSITIVE, NEGATIVE, SQUARES = _All(), _Signed(+1), _Signed(-1), _Squares()


class Part(NamedTuple):
    """One channel of a rule, with its factor m (..., out) and what stabilises its denominators, e (..., out)."""

    channel: Channel
    factor: Tensor
    stabiliser: Tensor | float


class Shares(NamedTuple):
    """Where relevance went: a tensor (..., in) a term, and (...) to bias and stabiliser."""

    inputs: list[Tensor]
    bias: Tensor
    stabiliser: Tensor


class Rule(ABC):
    """Distributes the relevance of a linear map."""

    @abstractmethod
    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> list[Part]:
        """How to split the relevance of the map with output ``z`` (..., out) and bias (out,)."""


def distribute(parts: Sequence[Part], terms: Sequence[Term], bias: Tensor, relevance: Tensor) -> Shares:
    """Hand relevance (..., out) down to the terms, the bias and the stabiliser."""
    return collect(parts, terms, bias, [relevance * part.factor for part in parts])


def collect(parts: Sequence[Part], terms: Sequence[Term], bias: Tensor, ratios: Sequence[Tensor]) -> Shares:
    """The second half of :func:`distribute`, when relevance times factor is known for every channel."""
    used = [(part, ratio) for part, ratio in zip(parts, ratios, strict=True)]
    return Shares(
        [total([part.channel.backward(term, ratio) for part, ratio in used]) for term in terms],
        total([ratio @ part.channel.of_bias(bias) for part, ratio in used]),
        total([row_sums(ratio * part.stabiliser) for part, ratio in used]),
    )


def row_sums(x: Tensor) -> Tensor:
    """Sum over the last axis, as a product, which is faster where that axis is short."""
    return x @ x.new_ones(x.shape[-1])


def total(parts: Sequence[Tensor]) -> Tensor:
    """The sum of several tensors; a single one is not copied."""
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result


def stabiliser(z: Tensor, epsilon: float) -> Tensor:
    """What moves ``z`` away from zero by ``epsilon``, with sign(0) = +1."""
    return z.new_tensor(epsilon).copysign(z)


@dataclass(frozen=True)
class Epsilon(Rule):
    r""":math:`R_i = \sum_j x_i w_{ij} R_j / (z_j + \epsilon\,\mathrm{sign}\,z_j)`."""

    epsilon: float = 1e-3

    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> list[Part]:
        away = stabiliser(z, self.epsilon)
        return [Part(ALL, (z + away).reciprocal_(), away)]


@dataclass(frozen=True)
class Gamma(Rule):
    r"""Epsilon rule after contributions of the output's own sign were multiplied by :math:`1 + \gamma`."""

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
    r"""Only positive contributions count: alpha-beta with :math:`\alpha = 1, \beta = 0`."""

    alpha: float = 1.0
    beta: float = 0.0


@dataclass(frozen=True)
class WSquare(Rule):
    r""":math:`R_i = \sum_j w_{ij}^2 / \sum_{i'} w_{i'j}^2 \, R_j`: blind to the values, so biases receive nothing."""

    epsilon: float = 1e-9

    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> list[Part]:
        weights = total([SQUARES.forward(term) for term in terms])
        factor = (weights + self.epsilon).reciprocal().expand_as(z)
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
