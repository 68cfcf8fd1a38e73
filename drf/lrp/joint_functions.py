"""Joint functions of many values, such as a softmax: differences split as by Aumann and Shapley."""

from typing import Any

import torch
from torch import Tensor

from .propagation import Elementwise

NODES = 24


class Joint(torch.autograd.Function):
    """A joint function, by its mean gradient on the straight path from the baseline to the input.

    These are the values of Aumann and Shapley (1974) for players that join in small parts, known as integrated
    gradients. The part of the difference that the quadrature misses is added along the path, so the sum is exact.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, baseline: Tensor, function: Elementwise, axes: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(x, baseline)
        ctx.function, ctx.axes = function, axes
        return function(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x, baseline), grad = ctx.saved_tensors, grads[0]
        held = x == baseline  # such as elements masked out (-inf) in both tensors
        step = torch.where(held, 0, x - baseline)
        slope = torch.zeros_like(x)
        for place, weight in gauss_legendre(NODES):
            with torch.enable_grad():
                point = torch.where(held, x, baseline + place * step).requires_grad_()
                (there,) = torch.autograd.grad(ctx.function(point), point, grad)
            slope += weight * torch.where(held, 0, there)
        # Elements that are masked out have no value, so their change is taken as zero.
        change = torch.where(grad == 0, 0, grad * (ctx.function(x) - ctx.function(baseline)))
        missed = (change - slope * step).sum(ctx.axes, keepdim=True)
        length = step.square().sum(ctx.axes, keepdim=True)
        return slope + torch.where(length == 0, 0, missed * step / length), None, None, None


def gauss_legendre(points: int) -> list[tuple[float, float]]:
    """Return nodes and weights on the unit interval, from the eigenvalues of Golub and Welsch (1969)."""
    k = torch.arange(1, points, dtype=torch.float64)
    beside = k / torch.sqrt(4 * k**2 - 1)
    nodes, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return list(zip(((nodes + 1) / 2).tolist(), vectors[0].square().tolist(), strict=True))
