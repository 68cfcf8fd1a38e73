r"""GRU and plain RNN: relevance through their cells in closed form, one layer and direction at a time.

With :math:`r, u = \sigma(z^r), \sigma(z^u)` and :math:`a = U h_{t-1} + b`, a GRU is

.. math::  n_t = \tanh(W x_t + b_n + r \odot a), \qquad h_t = (1 - u) \odot n_t + u \odot h_{t-1} ;

a plain RNN is its :math:`n_t` with :math:`r = 1, u = 0`, and may have relu in place of tanh. With :math:`g_t` the
relevance per unit of :math:`h_t`, every path back to :math:`x_t` or :math:`h_{t-1}` is a linear map of :math:`g_t`
times a slope that does not depend on relevance. So slopes are computed for all steps at once, and only a product with U
is left to the loop over time. Under layer-wise relevance the signals in the products, n, h and a, take all. Under the
Shapley rule the slopes are secants and means with the baseline, as in :mod:`~.recurrent`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .recurrent import Account, half_secant_of_sigmoid, half_secant_of_tanh
from .rules import ALL, Part, Rule, Term, row_sums, stabiliser

GATES = {"gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
"""Number of linear maps of the input, and of the state, by kind of cell."""


@dataclass
class GatedTrace:
    """Forward pass through one direction of one layer; all (steps, n, ...), ``h`` with the initial state first.

    ``z`` are pre-activations and ``active`` the values of r, u and n; a plain RNN has n alone. ``of_x`` and ``of_h``
    are the parts of n's pre-activation that come from the input and, before r, from the state.
    """

    x: Tensor
    h: Tensor
    z: list[Tensor]
    active: list[Tensor]
    of_x: Tensor
    of_h: Tensor
    weights: tuple[Tensor, ...]
    kind: str

    @classmethod
    def run(cls, kind: str, x: Tensor, h0: Tensor, weights: tuple[Tensor, ...]) -> "GatedTrace":
        """Run the pass. ``weights``: weights of input and state, then both biases if there are any."""
        steps, n, _ = x.shape
        size, gates = weights[1].shape[1], GATES[kind]
        of_input, of_state, *biases = (weight.chunk(gates) for weight in weights)
        flat = x.reshape(steps * n, -1)
        none = (x.new_zeros(size),) * gates
        for_input, for_state = biases or (none, none)
        # Each gate has its own tensor, since elementwise functions are much faster on contiguous memory. Only n
        # keeps the state's bias apart, since r scales it there.
        shift = [one + other for one, other in zip(for_input[:-1], for_state[:-1], strict=True)] + [for_input[-1]]
        z = [torch.addmm(b, flat, w.T).view(steps, n, size) for b, w in zip(shift, of_input, strict=True)]
        of_x, of_h = z[-1], x.new_empty(steps, n, size)
        z[-1] = torch.empty_like(of_x)
        recurrent = [w.T.contiguous() for w in of_state]
        active = [torch.empty_like(of_x) for _ in range(gates)]
        h = x.new_empty(steps + 1, n, size)
        h[0] = h0
        squash = torch.tanh if kind != "rnn_relu" else partial(torch.clamp_min, min=0)
        for t, (before, after, of_x_now, of_h_now, z_now, new) in enumerate(
            zip(h[:-1].unbind(0), h[1:].unbind(0), *(v.unbind(0) for v in (of_x, of_h, z[-1], active[-1])), strict=True)
        ):
            torch.addmm(for_state[-1], before, recurrent[-1], out=of_h_now)
            if gates == 1:
                squash(torch.add(of_x_now, of_h_now, out=z_now), out=new)
                after.copy_(new)
                continue
            for k in (0, 1):
                torch.sigmoid(z[k][t].addmm_(before, recurrent[k]), out=active[k][t])
            torch.tanh(torch.addcmul(of_x_now, active[0][t], of_h_now, out=z_now), out=new)
            torch.lerp(new, before, active[1][t], out=after)
        return cls(x, h, z, active, of_x, of_h, weights, kind)

    def rows(self, rows: Tensor) -> "GatedTrace":
        """Return the trace of the samples at the given positions."""
        take = lambda value: value.index_select(1, rows)
        single = {item.name: take(getattr(self, item.name)) for item in fields(self) if item.type is Tensor}
        return replace(self, **single, z=[take(v) for v in self.z], active=[take(v) for v in self.active])

    def maps(self, gate: int) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Return a gate's weights of input and state, and the biases of both."""
        own = [weight.chunk(GATES[self.kind])[gate] for weight in self.weights]
        return own[0], own[1], *(own[2:] or (None, None))


class Way(NamedTuple):
    """A linear map of input or state with its rule's parts, and for each part the slope (steps, n, hidden) of g."""

    weight: Tensor
    bias: Tensor | None
    parts: Sequence[Part]
    slopes: Sequence[Tensor]


class GatedSlopes(NamedTuple):
    """Slopes of a trace under one method: ``straight`` of the state before, ``of_x`` and ``of_h`` of the maps of input
    and state; ``stabilisers`` is the share of g that stabilisers take."""

    straight: Tensor | None
    of_x: Sequence[Way]
    of_h: Sequence[Way]
    stabilisers: Tensor | None


GatedRule = Callable[[GatedTrace], GatedSlopes]


def gated_relevance(rule: Rule, epsilon: float) -> GatedRule:
    """Return layer-wise relevance with signal-takes-all gates, given a rule for linear maps and a stabiliser."""

    def slopes(trace: GatedTrace) -> GatedSlopes:
        z, new = trace.z[-1], trace.active[-1]
        straight = taken = None
        away = stabiliser(z, epsilon)
        inside = new / (z + away)  # tanh and the sum under it at once: tanh(z) / z times z / (z + away)
        if trace.kind == "gru":
            of_state = stabiliser(trace.h[1:], epsilon)
            kept = trace.h[1:] / (trace.h[1:] + of_state)
            straight, taken = kept * trace.active[1], of_state.mul_(kept)
            inside.mul_(kept.sub_(straight))
        taken = away.mul_(inside) if taken is None else taken.addcmul_(inside, away)
        of_x, of_h, bias_x, bias_h = trace.maps(-1)
        before = inside * trace.active[0] if trace.kind == "gru" else inside
        return GatedSlopes(
            straight,
            [_way(rule, trace.x, of_x, bias_x, trace.of_x, inside)],
            [_way(rule, trace.h[:-1], of_h, bias_h, trace.of_h, before)],
            taken,
        )

    return slopes


def _way(rule: Rule, values: Tensor, weight: Tensor, bias: Tensor | None, z: Tensor, slope: Tensor) -> Way:
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    parts = rule.split([Term(values, weight)], bias, z)
    of_z = slope * z
    return Way(weight, bias, parts, [part.factor.mul_(of_z) for part in parts])


def gated_shapley(baseline: GatedTrace) -> GatedRule:
    """Return the rule of differences from a baseline's trace, which has one sample for all or one for each sample."""

    def slopes(trace: GatedTrace) -> GatedSlopes:
        def middle(one: Tensor, other: Tensor) -> Tensor:
            return (one + other) / 2

        z, z0, new, new0 = trace.z[-1], baseline.z[-1], trace.active[-1], baseline.active[-1]
        if trace.kind == "rnn_relu":
            step = z - z0
            secant = torch.where(step == 0, (z > 0).to(z.dtype), (new - new0) / torch.where(step == 0, 1, step))
        else:
            secant = 2 * half_secant_of_tanh(z, z0, new, new0)
        if trace.kind != "gru":
            return GatedSlopes(None, [_plain(trace, 0, 0, secant)], [_plain(trace, 0, 1, secant)], None)
        (r, u, _), (r0, u0, _) = trace.active, baseline.active
        straight = middle(u, u0)
        inside = (1 - straight) * secant
        of_r, of_u = (
            2 * half_secant_of_sigmoid(trace.z[k], baseline.z[k], trace.active[k], baseline.active[k]) for k in (0, 1)
        )
        of_r = of_r * inside * middle(trace.of_h, baseline.of_h)
        of_u = of_u * (middle(trace.h[:-1], baseline.h[:-1]) - middle(new, new0))
        each = [of_r, of_u, inside * middle(r, r0)]
        return GatedSlopes(
            straight,
            [_plain(trace, k, 0, slope) for k, slope in enumerate((of_r, of_u, inside))],
            [_plain(trace, k, 1, slope) for k, slope in enumerate(each)],
            None,
        )

    return slopes


def _plain(trace: GatedTrace, gate: int, of: int, slope: Tensor) -> Way:
    return Way(trace.weights[of].chunk(GATES[trace.kind])[gate], None, [Part(ALL, slope, 0.0)], [slope])


class GatedLayer(torch.autograd.Function):
    """One direction of one layer: input (steps, n, features) and state (n, hidden) to states (steps, n, hidden)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h: Tensor, kind: str, weights: tuple[Tensor, ...], rule: GatedRule, account: Account
    ) -> Tensor:
        ctx.trace, ctx.rule, ctx.account, ctx.slopes = GatedTrace.run(kind, x, h, weights), rule, account, None
        return ctx.trace.h[1:]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        ctx.slopes = ctx.slopes or ctx.rule(ctx.trace)
        slopes, trace = ctx.slopes, ctx.trace
        g = torch.empty_like(grads[0])
        ratios = [[torch.empty_like(slope) for slope in way.slopes] for way in slopes.of_h]
        below = torch.zeros_like(grads[0][0])
        for t in reversed(range(len(g))):
            torch.add(grads[0][t], below, out=g[t])
            below = torch.zeros_like(below) if slopes.straight is None else g[t] * slopes.straight[t]
            for way, mine in zip(slopes.of_h, ratios, strict=True):
                for part, slope, ratio in zip(way.parts, way.slopes, mine, strict=True):
                    torch.mul(g[t], slope[t], out=ratio[t])
                    part.channel.accumulate(below, Term(trace.h[t], way.weight), ratio[t])
        of_x = torch.zeros_like(trace.x).flatten(0, 1)
        by_input = [[g * slope for slope in way.slopes] for way in slopes.of_x]
        for way, mine in zip(slopes.of_x, by_input, strict=True):
            for part, ratio in zip(way.parts, mine, strict=True):
                part.channel.accumulate(of_x, Term(trace.x.flatten(0, 1), way.weight), ratio.flatten(0, 1))
        for way, mine in zip((*slopes.of_x, *slopes.of_h), (*by_input, *ratios), strict=True):
            for part, ratio in zip(way.parts, mine, strict=True) if way.bias is not None else ():
                ctx.account("bias", (ratio @ part.channel.of_bias(way.bias)).sum(0))
                ctx.account("stabiliser", row_sums(ratio * part.stabiliser).sum(0))
        if slopes.stabilisers is not None:
            ctx.account("stabiliser", row_sums(g * slopes.stabilisers).sum(0))
        return of_x.view_as(trace.x), below, None, None, None, None
