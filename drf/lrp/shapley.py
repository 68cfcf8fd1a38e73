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

from .joint_functions import Joint
from .layout import Layout
from .maxima import shares, windows
from .propagation import Bilinear, Carry, Elementwise, Propagation, Through, UnsupportedOperationError
from .recording import Recording
from .recurrent import lstm_layer, shapley_rule
from .rules import LinearMap
from .standardising import standardised


class ShapleyDifferences(Propagation):
    """Method that distributes differences from a recorded run of the baseline."""

    def __init__(self, baseline: Recording, layout: Layout, samples: int) -> None:
        super().__init__()
        self.baseline, self.layout, self.samples = baseline, layout, samples
        self._lstms = iter(baseline.lstms)

    def reference(self, site: int, like: Tensor) -> Tensor:
        """Return the baseline's value at a site, in the shape that the value has in this run."""
        return self.layout.spread(site, self.baseline.values[site], like, self.samples)

    def _lstm(self, site: int, x: Tensor, h: Tensor, c: Tensor, weights: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        baseline = next(self._lstms)
        sequences, of_baseline = x.shape[1], baseline.x.shape[1]
        if of_baseline not in (1, sequences):  # each sample has several sequences
            rows = torch.arange(of_baseline, device=x.device)
            baseline = baseline.rows(self.layout.spread(site, rows, x[0, :, 0], self.samples))
        return lstm_layer(x, h, c, weights, shapley_rule(baseline), lambda kind, by_sequence: None)

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
            raise UnsupportedOperationError(f"{self.where}: {error}") from None
        masked = of_input.isneginf() & of_baseline.isneginf()
        share = shares(of_input.masked_fill(masked, outside), of_baseline.masked_fill(masked, outside))
        path = sign * (share * here.masked_fill(masked, 0)).sum(-1)
        found = function(*args, **kwargs)
        if isinstance(found, Tensor):
            return Through.apply(path, found.detach())
        value, *others = found
        return type(found)((Through.apply(path, value.detach()), *others))

    def _activation(self, site: int, function: Elementwise, z: Tensor, offset: bool) -> Tensor:
        y, slope = secant(function, z.detach(), self.reference(site, z))
        return Carry.apply(z, y, slope)

    def _product(self, sites: tuple[int, int], function: Bilinear, a: Tensor, b: Tensor) -> Tensor:
        middle_a, middle_b = (
            (value.detach() + self.reference(site, value)) / 2 for site, value in zip(sites, (a, b), strict=True)
        )
        path = function(a, middle_b) + function(middle_a, b)
        return Through.apply(path, function(a.detach(), b.detach()))

    def _linear_map(
        self, site: int, function: LinearMap, x: Tensor, weight: Tensor, bias: Tensor | None, z: Tensor
    ) -> Tensor:
        return Through.apply(function.forward(x, weight), z)

    def _lookup(self, site: int, value: Tensor, indices: Tensor) -> Tensor:
        return Through.apply(indices[..., None] * (value - self.reference(site, value)), value)

    def _standardise(self, site: int, x: Tensor, axes: tuple[int, ...], eps: float, centre: bool) -> Tensor:
        function = lambda x: standardised(x, axes, eps, centre)
        return Joint.apply(x, self.reference(site, x), function, axes)

    def _softmax(self, site: int, z: Tensor, dim: int) -> Tensor:
        return Joint.apply(z, self.reference(site, z), lambda z: z.softmax(dim), (dim,))

    def _log_softmax(self, site: int, z: Tensor, dim: int) -> Tensor:
        return Joint.apply(z, self.reference(site, z), lambda z: z.log_softmax(dim), (dim,))


def secant(function: Elementwise, z: Tensor, z0: Tensor) -> tuple[Tensor, Tensor]:
    """Return f(z) and (f(z) - f(z0)) / (z - z0); if z and z0 are too close, the derivative between them."""
    y, y0, step = function(z), function(z0), z - z0
    close = step.abs() < closeness(z)
    slope = (y - y0) / torch.where(close, 1, step)
    if close.any():
        with torch.enable_grad():
            middle = ((z + z0) / 2).detach().requires_grad_()
            (derivative,) = torch.autograd.grad(function(middle).sum(), middle)
        slope = torch.where(close, derivative, slope)
    return y, slope


def closeness(z: Tensor) -> float:
    """Return the difference below which a derivative approximates the secant better than a rounded quotient does."""
    return 1e-5 if z.dtype == torch.float64 else 1e-3
