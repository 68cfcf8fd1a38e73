r"""Joint functions of many values, such as a softmax: differences split as by Aumann and Shapley.

Each value's coefficient is the mean gradient on the straight way from the baseline to the input. These are the values
of Aumann and Shapley (1974) for players that join in small parts, known as integrated gradients.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from .propagation import Elementwise
from .standardising import deviation, standardised

Pull = Callable[[Tensor, Tensor], Tensor]
"""Function that takes a point and the gradient of the outputs there, and returns the gradient of the inputs."""


FEW, MANY = 6, 24
"""Nodes of the quadrature where logits move little, and where they move by more than :data:`LITTLE`."""
LITTLE = 6.0


class Joint(torch.autograd.Function):
    """A joint function along one axis, by its mean gradient.

    The part of the difference that the quadrature misses is added along the path, so the sum is exact.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, baseline: Tensor, function: Elementwise, dim: int, pull: Callable[[int], Pull]
    ) -> Tensor:
        ctx.save_for_backward(x, baseline)
        ctx.function, ctx.dim, ctx.pull = function, dim, pull
        return function(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, baseline = ctx.saved_tensors
        return mean_slope(x, baseline, grads[0], ctx.function, ctx.dim, ctx.pull), *(None,) * 4


def mean_slope(
    x: Tensor, baseline: Tensor, grad: Tensor, function: Elementwise, dim: int, pull: Callable[[int], Pull]
) -> Tensor:
    """Return the mean gradient of a joint function from baseline to input, in the shape of ``x``."""
    step = x - baseline
    held = step.isnan()  # elements masked out (-inf) in both tensors
    step = step.nan_to_num_(0) if held.any() else step
    slope = _mean_gradient(pull(dim), FEW, baseline, step, grad)
    far = (step.amax(dim) - step.amin(dim) > LITTLE).nonzero(as_tuple=True)
    if len(far[0]):
        rows = [value.expand_as(x).movedim(dim, -1)[far] for value in (baseline, step, grad)]
        slope.movedim(dim, -1)[far] = _mean_gradient(pull(-1), MANY, *rows)
    # Elements that are masked out have no value, so their change is taken as zero.
    change = grad * (function(x) - function(baseline))
    change = torch.where(held | (grad == 0), 0, change) if held.any() else change
    missed = (change - slope * step).sum(dim, keepdim=True)
    moving = torch.where(slope == 0, 0, step)  # an element that moves nothing, such as a masked one, gets nothing
    length = moving.square().sum(dim, keepdim=True)
    return slope + torch.where(length == 0, 0, missed * moving / length)


def _mean_gradient(pull: Pull, nodes: int, baseline: Tensor, step: Tensor, grad: Tensor) -> Tensor:
    slope = torch.zeros_like(step)
    for place, weight in gauss_legendre(nodes):
        slope.add_(pull(torch.add(baseline, step, alpha=place), grad), alpha=weight)
    return slope


def softmax_at(dim: int) -> Pull:
    def pull(point: Tensor, grad: Tensor) -> Tensor:
        y = point.softmax(dim)
        weighted = grad * y
        return weighted.addcmul_(y, weighted.sum(dim, keepdim=True), value=-1)

    return pull


def log_softmax_at(dim: int) -> Pull:
    return lambda point, grad: torch.addcmul(grad, point.softmax(dim), grad.sum(dim, keepdim=True), value=-1)


class Standardised(torch.autograd.Function):
    r"""Standardisation :math:`d_i / r`, with d the deviations and r their root mean square with eps.

    While inputs join one after the other, their squares grow evenly: :math:`r^2 = r_0^2 + t (r_1^2 - r_0^2)`. This is
    the rule of a quotient by a root, see :mod:`~.shapley`, in closed form: it stays bounded for a constant baseline.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, baseline: Tensor, axes: tuple[int, ...], eps: float, centre: bool) -> Tensor:
        ctx.save_for_backward(x, baseline)
        ctx.given = axes, eps, centre
        return standardised(x, axes, eps, centre)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x, baseline), (axes, eps, centre), grad = ctx.saved_tensors, ctx.given, grads[0]
        before, after = (deviation(value, axes, centre) for value in (baseline, x))

        def mean(product: Tensor) -> Tensor:
            return product.mean(axes, keepdim=True)

        r0, r1 = ((mean(d * d) + eps).sqrt() for d in (before, after))
        of_deviation = 2 / (r0 + r1)
        left = mean(grad * after) / r1 - mean(grad * before) / r0 - mean(grad * (after - before)) * of_deviation
        moved = mean((after + before) * (after - before))
        still = moved.abs() <= 1e-6 * r1.square()
        middle = (before + after) / 2
        of_square = torch.where(still, -mean(grad * middle) * of_deviation**3 / 2, left / torch.where(still, 1, moved))
        slope = grad * of_deviation + 2 * middle * of_square
        return slope - mean(slope) if centre else slope, *(None,) * 4


@cache
def gauss_legendre(points: int) -> list[tuple[float, float]]:
    """Return nodes and weights on the unit interval, from the eigenvalues of Golub and Welsch (1969)."""
    k = torch.arange(1, points, dtype=torch.float64)
    beside = k / torch.sqrt(4 * k**2 - 1)
    nodes, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return list(zip(((nodes + 1) / 2).tolist(), vectors[0].square().tolist(), strict=True))
