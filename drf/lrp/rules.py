r"""Relevance rules for a linear map :math:`z_j = \sum_i x_i w_{ij} + b_j`.

A rule hands the relevance :math:`R_j` of the outputs down to the inputs. Every rule here is in closed form: it needs a
few matrix products of shape (n, out) x (out, in) and never the message tensor of shape (n, out, in). What does not
reach an input is not dropped but returned under its name, so that for every sample

    inputs + bias + stabiliser = sum of the relevance that came in.

Sources: Bach et al. 2015 (epsilon, alpha-beta), Montavon et al. 2017 (z+, w2), Montavon et al. 2019 (gamma; the form
for inputs and outputs of either sign follows Andeol et al. 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class LinearTerm(NamedTuple):
    """One input of a linear map: values (n, in) and weight (out, in), as ``nn.Linear`` stores it."""

    x: Tensor
    weight: Tensor


class Shares(NamedTuple):
    """Where the relevance of a linear map went: a tensor (n, in) a term, and per sample (n,) to bias and stabiliser."""

    inputs: list[Tensor]
    bias: Tensor
    stabiliser: Tensor


class Rule(Protocol):
    """Distributes the relevance (n, out) of a linear map over its terms; ``z`` is the map's output (n, out)."""

    def distribute(self, terms: Sequence[LinearTerm], bias: Tensor, z: Tensor, relevance: Tensor) -> Shares: ...


def stabilised(z: Tensor, epsilon: float) -> Tensor:
    """Move ``z`` away from zero by ``epsilon``, with sign(0) = +1."""
    return torch.where(z >= 0, z + epsilon, z - epsilon)


@dataclass(frozen=True)
class Epsilon:
    r""":math:`R_i = \sum_j x_i w_{ij} R_j / (z_j + \epsilon\,\mathrm{sign}\,z_j)`."""

    epsilon: float = 1e-3

    def distribute(self, terms: Sequence[LinearTerm], bias: Tensor, z: Tensor, relevance: Tensor) -> Shares:
        ratio = relevance / stabilised(z, self.epsilon)
        return Shares(
            [x * (ratio @ weight) for x, weight in terms],
            (ratio * bias).sum(1),
            (relevance - ratio * z).sum(1),
        )


@dataclass(frozen=True)
class Gamma:
    r"""Epsilon rule after contributions of the output's own sign were multiplied by :math:`1 + \gamma`."""

    gamma: float = 0.25
    epsilon: float = 1e-3

    def distribute(self, terms: Sequence[LinearTerm], bias: Tensor, z: Tensor, relevance: Tensor) -> Shares:
        upward = z >= 0
        favoured = torch.where(
            upward,
            sum(_signed_output(x, weight, +1) for x, weight in terms) + bias.clamp(min=0),
            sum(_signed_output(x, weight, -1) for x, weight in terms) + bias.clamp(max=0),
        )
        total = z + self.gamma * favoured
        ratio = relevance / torch.where(upward, total + self.epsilon, total - self.epsilon)
        up, down = ratio * upward, ratio * ~upward
        return Shares(
            [
                x * (ratio @ weight)
                + self.gamma * (_signed_input(x, weight, up, +1) + _signed_input(x, weight, down, -1))
                for x, weight in terms
            ],
            (ratio * bias + self.gamma * (up * bias.clamp(min=0) + down * bias.clamp(max=0))).sum(1),
            (relevance - ratio * total).sum(1),
        )


@dataclass(frozen=True)
class AlphaBeta:
    r""":math:`R_i = \sum_j (\alpha z_{ij}^+ / z_j^+ - \beta z_{ij}^- / z_j^-) R_j` with :math:`\alpha - \beta = 1`."""

    alpha: float = 2.0
    beta: float = 1.0
    epsilon: float = 1e-9

    def __post_init__(self) -> None:
        if abs(self.alpha - self.beta - 1) > 1e-12:
            raise ValueError(f"alpha - beta must be 1, or relevance is not conserved; got {self.alpha} - {self.beta}")

    def distribute(self, terms: Sequence[LinearTerm], bias: Tensor, z: Tensor, relevance: Tensor) -> Shares:
        inputs = [torch.zeros_like(x) for x, _ in terms]
        to_bias = torch.zeros_like(relevance[:, 0])
        absorbed = torch.zeros_like(to_bias)
        for sign, factor in ((+1, self.alpha), (-1, -self.beta)):
            part = bias.clamp(min=0) if sign > 0 else bias.clamp(max=0)
            total = sum(_signed_output(x, weight, sign) for x, weight in terms) + part
            ratio = factor * relevance / (total + sign * self.epsilon)
            inputs = [
                share + _signed_input(x, weight, ratio, sign) for share, (x, weight) in zip(inputs, terms, strict=True)
            ]
            to_bias = to_bias + (ratio * part).sum(1)
            absorbed = absorbed + (factor * relevance - ratio * total).sum(1)
        return Shares(inputs, to_bias, absorbed)


@dataclass(frozen=True)
class ZPlus(AlphaBeta):
    r"""Only positive contributions count: alpha-beta with :math:`\alpha = 1, \beta = 0`."""

    alpha: float = 1.0
    beta: float = 0.0


@dataclass(frozen=True)
class WSquare:
    r""":math:`R_i = \sum_j w_{ij}^2 / \sum_{i'} w_{i'j}^2 \, R_j`: blind to the values, so biases receive nothing."""

    epsilon: float = 1e-9

    def distribute(self, terms: Sequence[LinearTerm], bias: Tensor, z: Tensor, relevance: Tensor) -> Shares:
        total = sum(weight.square().sum(1) for _, weight in terms)
        ratio = relevance / (total + self.epsilon)
        return Shares(
            [ratio @ weight.square() for _, weight in terms],
            torch.zeros_like(relevance[:, 0]),
            (relevance - ratio * total).sum(1),
        )


def _signed_output(x: Tensor, weight: Tensor, sign: int) -> Tensor:
    """Sum over inputs of the contributions x_i w_ij that have the given sign, shape (n, out)."""
    positive, negative = weight.clamp(min=0), weight.clamp(max=0)
    if sign < 0:
        positive, negative = negative, positive
    return x.clamp(min=0) @ positive.T + x.clamp(max=0) @ negative.T


def _signed_input(x: Tensor, weight: Tensor, ratio: Tensor, sign: int) -> Tensor:
    """Sum over outputs of (x_i w_ij of the given sign) * ratio_j, shape (n, in)."""
    positive, negative = weight.clamp(min=0), weight.clamp(max=0)
    if sign < 0:
        positive, negative = negative, positive
    return x.clamp(min=0) * (ratio @ positive) + x.clamp(max=0) * (ratio @ negative)
