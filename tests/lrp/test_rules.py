"""Every rule against its formula written on the full message matrix, and the books of each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from drf.lrp import AlphaBeta, Epsilon, Gamma, WSquare, ZPlus
from drf.lrp.rules import Rule, Shares, Term, distribute

RULES: list[Rule] = [Epsilon(), Epsilon(0.1), Gamma(), Gamma(2.0), AlphaBeta(), AlphaBeta(1.5, 0.5), ZPlus(), WSquare()]


def shares_of(rule: Rule, terms: list[Term], bias: Tensor, z: Tensor, relevance: Tensor) -> Shares:
    return distribute(rule.split(terms, bias, z), terms, bias, relevance)


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
