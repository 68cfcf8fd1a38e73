r"""Relevance rules for a linear map :math:`z_j = \sum_i x_i w_{ij} + b_j`.

A rule hands the relevance :math:`R_j` of the outputs down to the inputs as

.. math::  R_i = \sum_k \sum_j \langle x_i w_{ij} \rangle_k \, m_{kj} R_j ,

where :math:`\langle \cdot \rangle_k` keeps certain contributions only (all, the positive ones, the negative ones, or
the squared weights in their stead) and :math:`m_{kj}` does not depend on :math:`R`. So a rule is a list of such
*channels*, and costs a few products of shape (n, out) x (out, in), never a message tensor of shape (n, out, in). What
reaches no input goes to the bias, :math:`\sum_{kj} \langle b_j \rangle_k m_{kj} R_j`, or to the stabiliser, by name.

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
        return term.x * (ratio @ term.weight)

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


class Split(NamedTuple):
    """How a rule splits relevance: channels with their factors m, and the stabiliser's share; all (..., out)."""

    channels: list[tuple[Channel, Tensor]]
    absorbed: Tensor


class Shares(NamedTuple):
    """Where relevance went: a tensor (..., in) a term, and (...) to bias and stabiliser."""

    inputs: list[Tensor]
    bias: Tensor
    stabiliser: Tensor


class Rule(ABC):
    """Distributes the relevance of a linear map."""

    @abstractmethod
    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> Split:
        """How to split the relevance of the map with output ``z`` (..., out) and bias (out,)."""


def distribute(split: Split, terms: Sequence[Term], bias: Tensor, relevance: Tensor) -> Shares:
    """Hand relevance (..., out) down to the terms, the bias and the stabiliser."""
    return collect(split, terms, bias, relevance, [relevance * factor for _, factor in split.channels])


def collect(split: Split, terms: Sequence[Term], bias: Tensor, relevance: Tensor, ratios: Sequence[Tensor]) -> Shares:
    """The second half of :func:`distribute`, when relevance times factor is known for every channel."""
    used = [(channel, ratio) for (channel, _), ratio in zip(split.channels, ratios, strict=True)]
    return Shares(
        [total([channel.backward(term, ratio) for channel, ratio in used]) for term in terms],
        total([ratio @ channel.of_bias(bias) for channel, ratio in used]),
        row_sums(relevance * split.absorbed),
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


def stabilised(z: Tensor, epsilon: float) -> Tensor:
    """Move ``z`` away from zero by ``epsilon``, with sign(0) = +1."""
    return z + z.new_tensor(epsilon).copysign(z)


@dataclass(frozen=True)
class Epsilon(Rule):
    r""":math:`R_i = \sum_j x_i w_{ij} R_j / (z_j + \epsilon\,\mathrm{sign}\,z_j)`."""

    epsilon: float = 1e-3

    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> Split:
        factor = stabilised(z, self.epsilon).reciprocal_()
        # 1 - z / (z + epsilon sign z), without the cancellation
        return Split([(ALL, factor)], factor.abs().mul_(self.epsilon))


@dataclass(frozen=True)
class Gamma(Rule):
    r"""Epsilon rule after contributions of the output's own sign were multiplied by :math:`1 + \gamma`."""

    gamma: float = 0.25
    epsilon: float = 1e-3

    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> Split:
        upward = z >= 0
        favoured = torch.where(upward, _sum(POSITIVE, terms, bias), _sum(NEGATIVE, terms, bias))
        weighted = z + self.gamma * favoured
        factor = torch.where(upward, weighted + self.epsilon, weighted - self.epsilon).reciprocal()
        extra = self.gamma * factor
        return Split([(ALL, factor), (POSITIVE, extra * upward), (NEGATIVE, extra * ~upward)], 1 - weighted * factor)


@dataclass(frozen=True)
class AlphaBeta(Rule):
    r""":math:`R_i = \sum_j (\alpha z_{ij}^+ / z_j^+ - \beta z_{ij}^- / z_j^-) R_j` with :math:`\alpha - \beta = 1`."""

    alpha: float = 2.0
    beta: float = 1.0
    epsilon: float = 1e-9

    def __post_init__(self) -> None:
        if abs(self.alpha - self.beta - 1) > 1e-12:
            raise ValueError(f"alpha - beta must be 1, or relevance is not conserved; got {self.alpha} - {self.beta}")

    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> Split:
        up, down = _sum(POSITIVE, terms, bias), _sum(NEGATIVE, terms, bias)
        rise, fall = self.alpha / (up + self.epsilon), -self.beta / (down - self.epsilon)
        return Split([(POSITIVE, rise), (NEGATIVE, fall)], 1 - up * rise - down * fall)


@dataclass(frozen=True)
class ZPlus(AlphaBeta):
    r"""Only positive contributions count: alpha-beta with :math:`\alpha = 1, \beta = 0`."""

    alpha: float = 1.0
    beta: float = 0.0


@dataclass(frozen=True)
class WSquare(Rule):
    r""":math:`R_i = \sum_j w_{ij}^2 / \sum_{i'} w_{i'j}^2 \, R_j`: blind to the values, so biases receive nothing."""

    epsilon: float = 1e-9

    def split(self, terms: Sequence[Term], bias: Tensor, z: Tensor) -> Split:
        weights = total([SQUARES.forward(term) for term in terms])
        factor = (weights + self.epsilon).reciprocal().expand_as(z)
        return Split([(SQUARES, factor)], 1 - weights * factor)


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
