"""The models of the literature are explained as their authors wrote them.

``python -m tests.lrp.test_public`` prints the errors of the Shapley rule and of integrated gradients against exact
Shapley values of groups of inputs.
"""

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from drf.lrp import Account, UnsupportedOperationError, attribute
from tests.lrp.public import PUBLIC, build, draw

GROUPS = 6


def explained(name: str, composite: str, n: int = 4) -> tuple[Account, list[str]]:
    """Return the account, after checks that hold for every account, and what the user was warned of."""
    model, inputs, public = build(name), draw(name, n), PUBLIC[name]
    against = {"baseline": public.baseline()} if composite == "shapley" else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        account = attribute(model, *inputs, composite=composite, **against, **public.told)
    with torch.no_grad():
        own = model(*inputs).reshape(n, -1)[:, position(name)]
    assert (account.output - own).abs().max() <= 1e-4 * own.abs().max()
    sizes = torch.stack([part.abs() for part in (account.output, account.bias, account.chosen, account.baseline)])
    assert (account.residual.abs() <= 1e-4 * sizes.amax(0)).all()
    return account, [str(warning.message) for warning in caught]


def position(name: str) -> int:
    target = PUBLIC[name].told.get("target", 0)
    return target[0] if isinstance(target, tuple) else target


def test_there_is_one_of_each_mechanism() -> None:
    assert len(PUBLIC) >= 40


@pytest.mark.parametrize("name", PUBLIC)
def test_relevance_explains_it(name: str) -> None:
    account, _ = explained(name, "epsilon")
    assert any(relevance.any() for relevance in account.relevances)


@pytest.fixture(scope="module")
def errors() -> dict[str, tuple[float, bool]]:
    """Relative errors against exact Shapley values of groups, and whether a user was warned of them."""
    result = {}
    for name in PUBLIC:
        account, told = explained(name, "shapley")
        warned = any("off the exact Shapley values" in warning for warning in told)
        result[name] = error_of(name, account.relevances), warned
    return result


def error_of(name: str, relevances: Sequence[Tensor]) -> float:
    exact, groups = exact_values(name)
    found = torch.zeros_like(exact)
    for relevance, places in zip(relevances, groups, strict=True):
        if places is not None:
            for group in range(GROUPS):
                found[:, group] += (relevance * (places == group)).reshape(len(relevance), -1).sum(1)
    return float((found - exact).norm() / exact.norm())


def test_the_shapley_rule_explains_them_and_says_where_it_is_far_off(errors: dict[str, tuple[float, bool]]) -> None:
    assert not [(name, error) for name, (error, warned) in errors.items() if error >= 0.5 and not warned]
    assert sorted(error for error, _ in errors.values())[len(errors) // 2] < 0.15


def exact_values(name: str) -> tuple[Tensor, list[Tensor | None]]:
    model, inputs, public = build(name), draw(name), PUBLIC[name]
    baseline = public.baseline()
    zero = [baseline if baseline is not None else torch.zeros_like(x) if x.is_floating_point() else x for x in inputs]
    shared = public.told.get("sample_axis", (0,) * len(inputs))
    generator = torch.Generator().manual_seed(0)
    groups = [
        None if axis is None else torch.randint(GROUPS, x.shape[1:], generator=generator)
        for x, axis in zip(inputs, shared, strict=True)
    ]

    def value(coalition: tuple[bool, ...]) -> Tensor:
        there = torch.tensor(coalition)
        mixed = [
            x if places is None else torch.where(there[places], x, x0.expand_as(x))
            for x, x0, places in zip(inputs, zero, groups, strict=True)
        ]
        with torch.no_grad():
            return model(*mixed).reshape(len(inputs[0]), -1)[:, position(name)]

    values = {coalition: value(coalition) for coalition in itertools.product((False, True), repeat=GROUPS)}
    exact = []
    for group in range(GROUPS):
        total: Any = 0
        for coalition in (c for c in values if not c[group]):
            size = sum(coalition)
            weight = math.factorial(size) * math.factorial(GROUPS - size - 1) / math.factorial(GROUPS)
            joined = (*coalition[:group], True, *coalition[group + 1 :])
            total = total + weight * (values[joined] - values[coalition])
        exact.append(total)
    return torch.stack(exact, 1), groups


def test_what_a_model_must_not_do_is_still_refused() -> None:
    class Hidden(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.bessel_j0(x).sum(1)

    with pytest.raises(UnsupportedOperationError, match="bessel_j0"):
        attribute(Hidden(), torch.randn(3, 4))


def integrated_gradients(name: str, steps: int = 50) -> list[Tensor]:
    model, inputs = build(name), draw(name)
    total = [torch.zeros_like(x) for x in inputs]
    for k in range(steps):
        leaves = [((k + 0.5) / steps * x).requires_grad_() for x in inputs]
        output = model(*leaves).reshape(len(inputs[0]), -1)[:, position(name)].sum()
        for whole, x, gradient in zip(total, inputs, torch.autograd.grad(output, leaves), strict=True):
            whole += gradient * x / steps
    return total


if __name__ == "__main__":
    for entry in PUBLIC:
        try:
            other = f"{error_of(entry, integrated_gradients(entry)):.3f}"
        except RuntimeError:  # whole numbers, or a model that writes into its input
            other = "-"
        print(f"{entry:65} Shapley rule {error_of(entry, explained(entry, 'shapley')[0].relevances):.3f}  IG {other}")
