"""Every public shape of model is explained: the books close, a batch is its samples, the model stays as it was."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from drf.lrp import Composite, attribute
from tests.lrp.shapes import SHAPES, T, build, draw, told

RULES = {"plain": Composite(), "gamma, half": Composite("gamma", gate="half"), "shapley": Composite(gate="shapley")}


def rules(name: str, rule: str) -> dict[str, Any]:
    words = name in ("embedded words", "log-probabilities of tags")
    against = {"baseline": torch.zeros(1, T, dtype=torch.long)} if words and rule == "shapley" else {}
    return {"composite": RULES[rule], **against}


def test_there_are_many() -> None:
    assert len(SHAPES) >= 40


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SHAPES)
def test_it_is_explained_and_the_books_close(name: str, rule: str) -> None:
    model, inputs = build(name), draw(name)
    account = attribute(model, *inputs, **rules(name, rule), **told(name))
    assert [r.shape[-x.ndim :] for r, x in zip(account.relevances, inputs, strict=True)] == [x.shape for x in inputs]
    assert account.relevances[0].any()
    parts = torch.stack([account.inputs, account.bias, account.stabiliser, account.initial_state, account.output])
    assert (account.residual.abs() <= 1e-10 * parts.abs().amax(0)).all()
    if rule == "shapley":
        assert not account.bias.any() and not account.stabiliser.any()


BATCHED = [(name, rule) for rule in ("plain", "shapley") for name, shape in SHAPES.items() if shape.batched]


@pytest.mark.parametrize(("name", "rule"), BATCHED)
def test_a_batch_is_its_samples(name: str, rule: str) -> None:
    model, inputs, arguments = build(name), draw(name, 5), told(name, 5)
    together = attribute(model, *inputs, **rules(name, rule), **arguments)
    apart = attribute(model, *inputs, **rules(name, rule), chunk=1, **arguments)
    for field in ("inputs", "bias", "stabiliser", "initial_state", "baseline", "output"):
        assert torch.allclose(getattr(together, field), getattr(apart, field), atol=1e-10, rtol=1e-9), field
    for one, other in zip(together.relevances, apart.relevances, strict=True):
        assert torch.allclose(one, other, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("name", SHAPES)
def test_the_model_stays_as_it_was(name: str) -> None:
    model, inputs = build(name), draw(name)
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    attributes = {key: sorted(module.__dict__) for key, module in model.named_modules()}
    given = [x.clone() for x in inputs]
    attribute(model, *inputs, **told(name))
    assert torch.equal(random, torch.get_rng_state())
    assert {key: sorted(module.__dict__) for key, module in model.named_modules()} == attributes
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(given, inputs, strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
