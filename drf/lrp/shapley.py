r"""Shapley rule: every operation distributes its difference from a baseline exactly.

The model is run on the baseline first. Let a and a' be the values at one place for the input and for the baseline:

==============  ====================================================================================================
activation      :math:`R_z = \Delta y`, by the secant :math:`\Delta y / \Delta z`
product         :math:`y = a b`: the Shapley values of two players, :math:`R_a = \Delta a\,(b + b')/2` and
                :math:`R_b = \Delta b\,(a + a')/2`
linear map      :math:`R_i = w_i \Delta x_i`; biases cancel
softmax,        the mean gradient from baseline to input, Aumann and Shapley's values of players that join in small
normalisation,  parts, which stay bounded where a denominator is all but 0 for one of the two
maximum
==============  ====================================================================================================

So the inputs sum to f(x) - f(x') without stabilisers, whatever biases the model has. For activations it is the rescale
rule of DeepLIFT (Shrikumar et al. 2017, arXiv 1704.02685). For products it is the exact game of Lundberg and Lee 2017
(arXiv 1705.07874) between the two factors alone; layer upon layer it approximates the Shapley values of the whole
model.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .gated import GatedLayer, gated_shapley
from .joint_functions import Joint, Standardised, log_softmax_at, softmax_at
from .layout import Layout, OtherOperationsError
from .maxima import shares, windows
from .propagation import BY_ELEMENT, Bilinear, Carry, Elementwise, Propagation, Through, UnsupportedOperationError
from .recording import Recording
from .recurrent import lstm_layer, shapley_rule
from .rules import LinearMap
from .tensor_flags import is_root, map_tensors


class ShapleyDifferences(Propagation):
    """Method that distributes differences from a recorded run of the baseline."""

    def __init__(self, baseline: Recording, layout: Layout, samples: int) -> None:
        super().__init__(baseline.composite)
        self.baseline, self.layout, self.samples = baseline, layout, samples
        self._traces = iter(baseline.traces)

    def reference(self, site: int, like: Tensor) -> Tensor:
        """Return the baseline's value at a site, in the shape that the value has in this run."""
        if site >= len(self.baseline.values):
            raise OtherOperationsError("the model runs other operations for the baseline than for the input")
        return self.layout.spread(site, self.baseline.values[site], like, self.samples)

    def _lstm(self, site: int, x: Tensor, h: Tensor, c: Tensor, weights: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        return lstm_layer(x, h, c, weights, shapley_rule(self._trace(site, x)), lambda kind, by_sequence: None)

    def _gated(self, site: int, kind: str, x: Tensor, h: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
        rule = gated_shapley(self._trace(site, x))
        return GatedLayer.apply(x, h, kind, weights, rule, lambda kind, by_sequence: None)

    def _trace(self, site: int, x: Tensor) -> Any:
        """Return the baseline's trace of the next recurrent layer, with input ``x``."""
        baseline = next(self._traces, None)
        if baseline is None:
            raise OtherOperationsError("the model runs other operations for the baseline than for the input")
        sequences, of_baseline = x.shape[1], baseline.x.shape[1]
        if of_baseline in (1, sequences):
            return baseline
        rows = torch.arange(of_baseline, device=x.device)  # each sample has several sequences
        return baseline.rows(self.layout.spread(site, rows, x[0, :, 0], self.samples))

    def _selection(self, site: int, function: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        x, *rest = args
        reference, sign = self.reference(site, x), -1 if "min" in name else 1
        lowest = torch.stack([x.detach(), reference]).mul(sign)
        outside = float(torch.where(lowest.isfinite(), lowest, 0).min()) - 1
        try:
            here, of_input, of_baseline = (
                windows(name, sign * value, rest, kwargs, outside) for value in (x, x.detach(), reference)
            )
        except UnsupportedOperationError as error:
            message = str(error)
            return map_tensors(lambda value: self.barrier(value, message), function(x.detach(), *rest, **kwargs))
        masked = of_input.isneginf() & of_baseline.isneginf()
        share = shares(*(value.masked_fill(masked, outside) for value in (of_input, of_baseline)))
        path = sign * (share * here.masked_fill(masked, 0)).sum(-1)
        found = function(*args, **kwargs)
        if isinstance(found, Tensor):
            return Through.apply(path, found.detach())
        value, *others = found
        return type(found)((Through.apply(path, value.detach()), *others))

    def _activation(self, site: int, function: Elementwise, z: Tensor, offset: bool) -> Tensor:
        y, slope = secant(function, z.detach(), self.reference(site, z))
        return Carry.apply(z, y, slope)

    def _relu(self, site: int, z: Tensor) -> Tensor:
        z0 = self.reference(site, z)
        y, step = torch.relu(z.detach()), z.detach() - z0
        # A step of 0 moves nothing, so any slope will do there.
        return Carry.apply(z, y, (y - z0.clamp_min(0)).div_(step.add_(1e-30)))

    def _product(self, sites: tuple[int, int], function: Bilinear, a: Tensor, b: Tensor) -> Tensor:
        middle_a, middle_b = (
            (value.detach() + self.reference(site, value)) / 2 for site, value in zip(sites, (a, b), strict=True)
        )
        path = function(a, middle_b) + function(middle_a, b)
        return Through.apply(path, function(a.detach(), b.detach()))

    def _linear_map(
        self, site: int, function: LinearMap, x: Tensor, weight: Tensor, bias: Tensor | None, y: Tensor, z: Tensor
    ) -> Tensor:
        return y if bias is None else y + bias.detach()

    def _lookup(self, site: int, value: Tensor, indices: Tensor) -> Tensor:
        return Through.apply(indices[..., None] * (value - self.reference(site, value)), value)

    def _standardise(self, site: int, x: Tensor, axes: tuple[int, ...], eps: float, centre: bool) -> Tensor:
        return Standardised.apply(x, self.reference(site, x), axes, eps, centre)

    def _quotient(self, sites: tuple[int, int], a: Tensor, b: Tensor, y: Tensor) -> Tensor:
        a0, b0 = (self.reference(site, value) for site, value in zip(sites, (a, b), strict=True))
        of_a, of_b = _quotient_slopes(a.detach(), a0, b.detach(), b0, is_root(b))
        return Through.apply(of_a * a + of_b * b, y.detach())

    def _softmax(self, site: int, z: Tensor, dim: int) -> Tensor:
        return Joint.apply(z, self.reference(site, z), lambda z: z.softmax(dim), dim, softmax_at)

    def _log_softmax(self, site: int, z: Tensor, dim: int) -> Tensor:
        return Joint.apply(z, self.reference(site, z), lambda z: z.log_softmax(dim), dim, log_softmax_at)


def _quotient_slopes(a: Tensor, a0: Tensor, b: Tensor, b0: Tensor, root: bool) -> tuple[Tensor, Tensor]:
    r"""Return the slopes of a/b for a and for b; b gets the part of the difference that a does not.

    Two players share as in a product with 1/b, so the slope for a is the mean of 1/b and 1/b'. It is unbounded where b'
    is almost 0, as a norm of zeros is. There the slope is the mean of 1/b while many inputs join one after the other. A
    sum grows evenly, which gives :math:`\ln(b/b') / \Delta b`; its first inputs make it far larger than b', so b'
    counts as at least a tenth of b. In a ``root``, such as a standard deviation, the squares grow evenly, which gives
    :math:`2/(b + b')`.
    """
    step, middle = b - b0, (b + b0) / 2
    close = step.abs() <= closeness(b, b0)
    apart = torch.where(close, 1, step)
    if root:
        of_a = 1 / middle
    else:
        least = torch.maximum(b.abs(), b0.abs()) / 10
        high, low = (torch.where(value.abs() < least, least.copysign(value), value) for value in (b, b0))
        ratio = torch.where(close | (b * b0 < 0), 1, high / low)
        logarithm = ratio.log() / torch.where(close | (high == low), 1, high - low)
        players = (1 / b + 1 / b0) / 2
        few = (b * b0 < 0) | ((high == b) & (low == b0))
        of_a = torch.where(close, 1 / middle, torch.where(few, players, logarithm))
    of_b = (a / b - a0 / b0 - of_a * (a - a0)) / apart
    return of_a, torch.where(close, -(a + a0) / 2 / middle.square(), of_b)


def secant(function: Elementwise, z: Tensor, z0: Tensor) -> tuple[Tensor, Tensor]:
    """Return f(z) and (f(z) - f(z0)) / (z - z0); if z and z0 are too close, the derivative between them."""
    y, y0, step = function(z), function(z0), z - z0
    close = step.abs() <= closeness(z, z0)
    slope = (y - y0).div_(step.masked_fill_(close, 1))
    places = close.nonzero(as_tuple=True)
    if len(places[0]):
        middle = (z + z0) / 2
        by_element = getattr(function, BY_ELEMENT, False)
        middle = (middle[places] if by_element else middle).requires_grad_()
        with torch.enable_grad():
            (derivative,) = torch.autograd.grad(function(middle).sum(), middle)
        slope[places] = derivative if by_element else derivative[places]
    return y, slope


def closeness(z: Tensor, z0: Tensor) -> Tensor:
    """Return the difference below which a derivative approximates the secant better than a rounded quotient does."""
    size = torch.maximum(z.abs(), z0.abs()).clamp_max_(1)
    return size.mul_(1e-5 if z.dtype == torch.float64 else 1e-3)
