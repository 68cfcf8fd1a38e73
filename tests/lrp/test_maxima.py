"""A maximum's difference: where on the way from baseline to input which value is the largest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drf.lrp import Composite, MixedSamplesError, UnsupportedOperationError, attribute
from drf.lrp.maxima import shares

SHAPLEY = Composite(gate="shapley")


class Of(nn.Module):
    """A function of the input, and a weight for every output."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        y = self.function(x).reshape(len(x), -1)
        return y @ torch.linspace(1, 2, y.shape[1], dtype=y.dtype)


MAXIMA: dict[str, Callable[[Tensor], Tensor]] = {
    "max": lambda x: x.max(dim=-1).values,
    "max, by position": lambda x: torch.max(x, 1, True)[0],
    "amax over two axes": lambda x: x.amax((1, 2)),
    "min": lambda x: x.min(-1)[0],
    "amin": lambda x: torch.amin(x, dim=1, keepdim=True),
    "pool": lambda x: F.max_pool1d(x, 2),
    "pool, padded and overlapping": lambda x: F.max_pool1d(x, 3, stride=1, padding=1),
    "pool, dilated": lambda x: F.max_pool1d(x, 2, 1, 0, 2),
    "pool with indices": lambda x: F.max_pool1d(x, 2, return_indices=True)[0],
    "pool of two axes": lambda x: F.max_pool2d(x.unsqueeze(1), (2, 3), padding=1),
    "adaptive pool": lambda x: F.adaptive_max_pool1d(x, 2),
    "adaptive pool of two axes": lambda x: F.adaptive_max_pool2d(x.unsqueeze(1), (2, None)),
}


def along_the_way(model: nn.Module, x: Tensor, baseline: Tensor, points: int = 4000) -> Tensor:
    """The mean gradient at many points of the straight way, times the difference."""
    alpha = ((torch.arange(points, dtype=x.dtype) + 0.5) / points)[:, None, None]
    way = (baseline + alpha * (x - baseline)).requires_grad_()
    (gradient,) = torch.autograd.grad(model(way).sum(), way)
    return gradient.mean(0) * (x - baseline)[0]


@pytest.mark.parametrize("name", MAXIMA)
def test_a_maximum_is_shared_as_along_the_straight_way(name: str) -> None:
    torch.manual_seed(0)
    model, x, baseline = Of(MAXIMA[name]), torch.randn(3, 4, 6).double(), torch.randn(1, 4, 6).double()
    account = attribute(model, x, composite=SHAPLEY, baseline=baseline)
    assert account.residual.abs().max() < 1e-12
    for k in range(len(x)):
        expected = along_the_way(model, x[k : k + 1], baseline)
        assert torch.allclose(account.relevance[k], expected, atol=5e-3), name


def test_equal_values_share_alike_and_nothing_is_shared_twice() -> None:
    x = torch.tensor([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0], [0.0, -1.0, -2.0]], dtype=torch.float64)
    found = shares(x, torch.zeros_like(x))
    assert torch.allclose(found, torch.tensor([[0.5, 0.5, 0], [1 / 3] * 3, [1.0, 0, 0]], dtype=torch.float64))
    torch.manual_seed(0)
    found = shares(torch.randn(500, 7).double(), torch.randn(500, 7).double())
    assert (found >= 0).all() and torch.allclose(found.sum(-1), torch.ones(500).double())


def test_steps_that_are_masked_out_before_a_maximum_get_nothing() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 5, 2).double()
    late = torch.arange(5)[None, :, None] >= 3
    account = attribute(Of(lambda x: x.masked_fill(late, -torch.inf).max(1)[0]), x, composite=SHAPLEY)
    assert account.residual.abs().max() < 1e-12 and not account.relevance[:, 3:].any() and account.relevance.any()


@pytest.mark.parametrize(
    ("function", "said"), [(lambda x: F.adaptive_max_pool1d(x, 4), "several sizes"), (lambda x: x + x.max(), "samples")]
)
def test_what_has_no_exact_split_is_refused(function: Callable[[Tensor], Tensor], said: str) -> None:
    with pytest.raises((UnsupportedOperationError, MixedSamplesError), match=said):
        attribute(Of(function), torch.randn(3, 4, 6), composite=SHAPLEY)
