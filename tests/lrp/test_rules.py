"""Every rule against its formula written on the full message matrix, and the books of each."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from drf.lrp import AlphaBeta, Epsilon, Gamma, WSquare, ZPlus
from drf.lrp.rules import LinearMap, Rule, Term, absorbed, lift, total

RULES: list[Rule] = [Epsilon(), Epsilon(0.1), Gamma(), Gamma(2.0), AlphaBeta(), AlphaBeta(1.5, 0.5), ZPlus(), WSquare()]


class Shares(NamedTuple):
    inputs: list[Tensor]
    bias: Tensor
    stabiliser: Tensor


def shares_of(rule: Rule, terms: list[Term], bias: Tensor, z: Tensor, relevance: Tensor) -> Shares:
    """Relevance of the terms' inputs, and what bias and stabiliser took of every sample."""
    parts = rule.split(terms, bias, z)
    ratios = [relevance * part.factor for part in parts]
    back = lambda term: total([p.channel.backward(term, r) for p, r in zip(parts, ratios, strict=True)])
    return Shares([lift(t.x) * back(t) for t in terms], *(amount.sum(1) for amount in absorbed(parts, bias, ratios)))


@pytest.fixture
def case() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias, relevance = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in [(7, 5), (4, 5), (4,), (7, 4)]
    )
    return x, weight, bias, relevance


def messages(rule: Rule, x: Tensor, weight: Tensor, bias: Tensor, relevance: Tensor) -> Tensor:
    """Message of every output to every input, (n, out, in), from the formulas."""
    contribution = x[:, None, :] * weight[None]
    z = contribution.sum(2) + bias
    sign = torch.where(z >= 0, 1.0, -1.0).double()
    if isinstance(rule, Epsilon):
        share = contribution / (z + rule.epsilon * sign)[:, :, None]
    elif isinstance(rule, Gamma):
        favoured = contribution * (1 + rule.gamma * (contribution * sign[:, :, None] > 0))
        total = favoured.sum(2) + bias * (1 + rule.gamma * (bias * sign > 0))
        share = favoured / (total + rule.epsilon * sign)[:, :, None]
    elif isinstance(rule, AlphaBeta):
        up, down = contribution.clamp(min=0), contribution.clamp(max=0)
        total_up = up.sum(2) + bias.clamp(min=0) + rule.epsilon
        total_down = down.sum(2) + bias.clamp(max=0) - rule.epsilon
        share = rule.alpha * up / total_up[:, :, None] - rule.beta * down / total_down[:, :, None]
    else:
        squares = weight.square()
        share = (squares / (squares.sum(1, keepdim=True) + 1e-9)).expand(len(x), -1, -1)
    return share * relevance[:, :, None]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_rule_agrees_with_its_formula(rule: Rule, case: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    x, weight, bias, relevance = case
    z = x @ weight.T + bias
    shares = shares_of(rule, [Term(x, weight)], bias, z, relevance)
    assert torch.allclose(shares.inputs[0], messages(rule, x, weight, bias, relevance).sum(1), atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_inputs_bias_and_stabiliser_add_up(rule: Rule, case: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    x, weight, bias, relevance = case
    shares = shares_of(rule, [Term(x, weight)], bias, x @ weight.T + bias, relevance)
    total = shares.inputs[0].sum(1) + shares.bias + shares.stabiliser
    assert torch.allclose(total, relevance.sum(1), atol=1e-10)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_two_terms_are_one_map_of_both(rule: Rule, case: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    x, weight, bias, relevance = case
    z = x @ weight.T + bias
    one = shares_of(rule, [Term(x, weight)], bias, z, relevance)
    two = shares_of(rule, [Term(x[:, :2], weight[:, :2]), Term(x[:, 2:], weight[:, 2:])], bias, z, relevance)
    assert torch.allclose(torch.cat(two.inputs, 1), one.inputs[0], atol=1e-12)
    assert torch.allclose(two.bias, one.bias)


def test_the_epsilon_rule_on_a_hand_made_case() -> None:
    x, weight, bias = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]]), torch.tensor([1.0])
    shares = shares_of(Epsilon(0.0), [Term(x, weight)], bias, torch.tensor([[2.0]]), torch.tensor([[10.0]]))
    assert shares.inputs[0].tolist() == [[15.0, -10.0]]
    assert shares.bias.item() == 5.0


def test_alpha_and_beta_must_conserve() -> None:
    with pytest.raises(ValueError, match="alpha - beta must be 1"):
        AlphaBeta(2.0, 0.5)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_any_map_that_is_linear_in_both_follows_the_same_rule(
    rule: Rule, case: tuple[Tensor, Tensor, Tensor, Tensor]
) -> None:
    x, weight, bias, relevance = case
    z = x @ weight.T + bias
    dense = shares_of(rule, [Term(x, weight)], bias, z, relevance)
    general = shares_of(rule, [Term(x, weight, LinearMap(lambda x, w: x @ w.T))], bias, z, relevance)
    assert torch.allclose(general.inputs[0], dense.inputs[0], atol=1e-13)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_convolution_is_the_dense_map_of_its_windows(rule: Rule) -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, relevance = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in [(3, 2, 6), (4, 2, 3), (3, 4, 4)]
    )
    convolution = LinearMap(torch.nn.functional.conv1d)
    bias = torch.zeros(4, 1, dtype=torch.float64)
    z = convolution.forward(x, weight)
    found = shares_of(rule, [Term(x, weight, convolution)], bias, z, relevance).inputs[0]
    windows = x.unfold(2, 3, 1).permute(0, 2, 1, 3).reshape(12, 6)  # a row a window, (channel, place)
    rows = lambda of: of.transpose(1, 2).reshape(12, 4)
    shares = shares_of(rule, [Term(windows, weight.reshape(4, 6))], bias[:, 0], rows(z), rows(relevance)).inputs[0]
    expected = torch.zeros_like(x)
    for place in range(4):
        expected[:, :, place : place + 3] += shares.reshape(3, 4, 2, 3)[:, place]
    assert torch.allclose(found, expected, atol=1e-12)
