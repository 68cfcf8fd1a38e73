r"""Layer-wise relevance propagation: the way back through each kind of operation.

=============  =====================================================================================================
activation     :math:`y = \varphi(0) + s z` with the secant s: z gets all but the constant, which counts as bias
product        the gate gets a fraction, see :mod:`~.gates`, the signal the rest; two signals, or two gates, half each
linear map     its rule, see :mod:`~.rules`
total          in proportion to the signals that are added, with the stabiliser of the composite
constant       what was added counts as bias
standardise    the deviations, held the root mean square that divides them
softmax        every logit by how far it is above the mean of all, see :mod:`~.joint`; the even distribution counts as
               bias
=============  =====================================================================================================
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .composite import Composite
from .gate_rules import FRACTIONS
from .gated import GatedLayer, gated_relevance
from .joint_functions import log_softmax_at, mean_slope, softmax_at
from .layout import Layout
from .propagation import Bilinear, Carry, Elementwise, Propagation, Through, UnsupportedOperationError
from .recurrent import lstm_layer, relevance_rule
from .rules import Epsilon, LinearMap, Part, Rule, Term, absorbed, lift, stabiliser, total
from .tensor_flags import is_gate

KINDS = ("bias", "stabiliser", "initial_state", "chosen")


class LayerwiseRelevance(Propagation):
    """Method that propagates relevance by a composite's rules, and records for each sample the relevance that reaches
    no input."""

    def __init__(self, composite: Composite, layout: Layout, samples: int, like: Tensor) -> None:
        super().__init__(composite)
        self.layout, self.samples = layout, samples
        self.absorbed = {kind: like.new_zeros(samples) for kind in KINDS}
        self.served: set[str] = set()
        """Names of the layers in which some linear map ran."""

    def absorb(self, kind: str, site: int, amount: Tensor, factor: Tensor | None = None) -> None:
        """Record the relevance that an operation's constants took, in the shape of its site."""
        self.absorbed[kind] += self.layout.by_sample(site, amount, self.samples, factor)

    def _rule(self) -> Rule:
        names = [name for name, _ in self.modules]
        self.served.update(names)
        return self.composite.rule_for(names)

    def take_account(self) -> dict[str, Tensor]:
        """Return the absorbed relevance since the last call, by kind."""
        taken, self.absorbed = self.absorbed, {kind: torch.zeros_like(v) for kind, v in self.absorbed.items()}
        return taken

    def _lstm(self, site: int, x: Tensor, h: Tensor, c: Tensor, weights: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        rule = self._rule()

        def account(kind: str, by_sequence: Tensor) -> None:
            self.absorb(kind, site, by_sequence)

        cell = relevance_rule(rule, FRACTIONS[self.composite.gate], self.composite.epsilon)
        return lstm_layer(x, h, c, weights, cell, account)

    def _gated(self, site: int, kind: str, x: Tensor, h: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
        rule = gated_relevance(self._rule(), self.composite.epsilon)
        return GatedLayer.apply(x, h, kind, weights, rule, lambda took, amount: self.absorb(took, site, amount))

    def _selection(self, site: int, function: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        return function(*args, **kwargs)  # the winner takes all, which is autograd's way

    def _activation(self, site: int, function: Elementwise, z: Tensor, offset: bool) -> Tensor:
        z0 = z.detach()
        y = function(z0)
        at_zero = function(torch.zeros_like(z0)) if offset else None
        if at_zero is not None:
            at_zero = torch.where(at_zero.isfinite(), at_zero, 0)  # such as a denominator of 0: z then gets all
            at_zero = torch.where(z0.isfinite(), at_zero, y)  # values masked before a softmax
        change = y if at_zero is None else y - at_zero
        if self.blind:
            slope = lift(change) / lift(z0)
        else:
            slope = torch.where(z0 == 0, 0, change / z0)
        result = Carry.apply(z, y, slope)
        return result if at_zero is None else Absorb.apply(result, at_zero, self, "bias", site)

    def _relu(self, site: int, z: Tensor) -> Tensor:
        return self._activation(site, torch.relu, z, False) if self.blind else super()._relu(site, z)

    def _product(self, sites: tuple[int, int], function: Bilinear, a: Tensor, b: Tensor) -> Tensor:
        gate = self.composite.gate
        if is_gate(a) == is_gate(b) or gate == "half":
            return Halve.apply(function(a, b))
        if gate == "signal-takes-all":
            return function(a.detach(), b) if is_gate(a) else function(a, b.detach())
        raise UnsupportedOperationError(
            f"{self.where}: gate={gate!r} needs pre-activations, which only an LSTM's own gates have: use "
            "'signal-takes-all', 'half' or 'shapley'"
        )

    def _linear_map(
        self, site: int, function: LinearMap, x: Tensor, weight: Tensor, bias: Tensor | None, y: Tensor, z: Tensor
    ) -> Tensor:
        rule = self._rule()
        if isinstance(rule, Epsilon):  # all contributions count alike, so its way back is the map's own
            return EpsilonMap.apply(y, z, bias, rule.epsilon, self, site)
        return MapByRule.apply(x, weight, z.new_zeros(()) if bias is None else bias, z, function, rule, self, site)

    def _total(self, site: int, y: Tensor) -> Tensor:
        return y if y.is_complex() else Stabilise.apply(y, self.composite.epsilon, self, site)

    def _constant(self, site: int, y: Tensor, amount: Tensor, kind: str) -> Tensor:
        return Absorb.apply(y, amount, self, kind, site)

    def _source(self, site: int, constant: Tensor, kind: str) -> Tensor:
        amount = constant.detach()
        return Absorb.apply(constant, lift(amount) if self.blind else amount, self, kind, site)

    def _lookup(self, site: int, value: Tensor, indices: Tensor) -> Tensor:
        own = indices.detach()[..., None] * value  # rows with an index from no input, such as padding, are constants
        return Absorb.apply(Through.apply(indices[..., None] * value, value), value - own, self, "bias", site)

    def _standardise(self, site: int, x: Tensor, axes: tuple[int, ...], eps: float, centre: bool) -> Tensor:
        deviation = x - x.mean(axes, keepdim=True) if centre else x
        return deviation * torch.rsqrt(deviation.detach().square().mean(axes, keepdim=True) + eps)

    def _softmax(self, site: int, z: Tensor, dim: int) -> Tensor:
        return AgainstEven.apply(z, dim, False, self, site)

    def _log_softmax(self, site: int, z: Tensor, dim: int) -> Tensor:
        return AgainstEven.apply(z, dim, True, self, site)


class AgainstEven(torch.autograd.Function):
    """A softmax, or its logarithm: every logit by how far it is above the mean of those that are not made 0.

    The even distribution over these counts as bias. The largest logit is taken away first, so that no mask of a large
    finite number cancels the others.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, dim: int, log: bool, propagation: LayerwiseRelevance, site: int) -> Tensor:
        y = z.log_softmax(dim) if log else z.softmax(dim)
        ctx.save_for_backward(z, y)
        ctx.given = dim, log, propagation, site
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (z, y), (dim, log, propagation, site), grad = ctx.saved_tensors, ctx.given, grads[0]
        if not grad.any():  # gates get nothing
            return torch.zeros_like(grad), None, None, None, None
        possible = (y.exp() if log else y) > 0
        count = possible.sum(dim, keepdim=True).to(z.dtype)
        near = torch.where(possible, z - z.amax(dim, keepdim=True), 0)
        level = torch.where(possible, 0, torch.full_like(z, -torch.inf))
        centred = torch.where(possible, near - near.sum(dim, keepdim=True) / count, level)
        even = torch.where(possible, -count.log(), y) if log else possible / count
        propagation.absorb("bias", site, torch.where(grad == 0, 0, grad * even))
        function, pull = (torch.log_softmax, log_softmax_at) if log else (torch.softmax, softmax_at)
        slope = mean_slope(centred, level, torch.where(possible, grad, 0), lambda z: function(z, dim), dim, pull)
        return torch.where(possible, slope - slope.sum(dim, keepdim=True) / count, 0), None, None, None, None


class Absorb(torch.autograd.Function):
    """Function that records the relevance of a constant in ``y`` and passes on the rest."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, amount: Tensor, propagation: LayerwiseRelevance, kind: str, site: int) -> Tensor:
        ctx.save_for_backward(amount)
        ctx.propagation, ctx.kind, ctx.site = propagation, kind, site
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (amount,), grad = ctx.saved_tensors, grads[0]
        taken = grad.conj() * amount
        if not taken.sum().isfinite().all():  # an amount may be infinite where no relevance comes, such as a mask
            taken = torch.where(grad == 0, 0, taken)
        ctx.propagation.absorb(ctx.kind, ctx.site, taken.real if taken.is_complex() else taken)
        return grad, None, None, None, None


class Stabilise(torch.autograd.Function):
    r"""Epsilon rule of a sum: :math:`g \mapsto g z / (z + \epsilon\,\mathrm{sign}\,z)`."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, epsilon: float, propagation: LayerwiseRelevance, site: int) -> Tensor:
        ctx.save_for_backward(z)
        ctx.epsilon, ctx.propagation, ctx.site = epsilon, propagation, site
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (z,), grad = ctx.saved_tensors, grads[0]
        away = stabiliser(z, ctx.epsilon)
        kept = grad * (z / (z + away))
        ctx.propagation.absorb("stabiliser", ctx.site, kept, away)
        return kept, None, None, None


class Halve(torch.autograd.Function):
    """Rule for products: each factor gets half of the relevance."""

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0] / 2


class EpsilonMap(torch.autograd.Function):
    """A linear map under the epsilon rule: relevance per unit of its result without the bias."""

    @staticmethod
    def forward(
        ctx: Any, y: Tensor, z: Tensor, bias: Tensor | None, epsilon: float, propagation: LayerwiseRelevance, site: int
    ) -> Tensor:
        ctx.save_for_backward(z)
        ctx.bias, ctx.epsilon, ctx.propagation, ctx.site = bias, epsilon, propagation, site
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (z,) = ctx.saved_tensors
        away = stabiliser(z, ctx.epsilon)
        kept = (z + away).reciprocal_().mul_(z).mul_(grads[0])
        if ctx.bias is not None:
            ctx.propagation.absorb("bias", ctx.site, kept, ctx.bias)
        ctx.propagation.absorb("stabiliser", ctx.site, kept, away)
        return kept, None, None, None, None, None


class MapByRule(torch.autograd.Function):
    """A linear map whose relevance is distributed by a rule."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        z: Tensor,
        function: LinearMap,
        rule: Rule,
        propagation: LayerwiseRelevance,
        site: int,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, bias, z)
        ctx.function, ctx.rule, ctx.propagation, ctx.site = function, rule, propagation, site
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, weight, bias, z = ctx.saved_tensors
        term = Term(x, weight, ctx.function)
        parts: list[Part] = ctx.rule.split([term], bias, z)
        relevance = grads[0] * (lift(z) if ctx.propagation.blind else z)
        ratios = [relevance * part.factor for part in parts]
        to_bias, to_stabiliser = absorbed(parts, bias, ratios)
        ctx.propagation.absorb("bias", ctx.site, to_bias)
        ctx.propagation.absorb("stabiliser", ctx.site, to_stabiliser)
        below = total([part.channel.backward(term, ratio) for part, ratio in zip(parts, ratios, strict=True)])
        return below, *(None,) * 7
