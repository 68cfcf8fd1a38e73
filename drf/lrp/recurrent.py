r"""LSTM: relevance through its cells. The LSTM's relevance is computed here.

For each layer and direction, with :math:`i, f, o = \sigma(z^i), \sigma(z^f), \sigma(z^o)`, :math:`g = \tanh(z^g)` and
:math:`z_t = W x_t + U h_{t-1} + b`,

.. math::  c_t = f_t \odot c_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh c_t .

Every method of attribution goes back through these equations in the same way. With :math:`\bar h_t` and
:math:`\bar c_t` the relevance per unit of :math:`h_t` and of :math:`c_t` after its stabiliser,

.. math::

   \bar h_t = \text{(from above)}_t + \sum_k U_k^T r^k_{t+1}, \qquad
   \bar c_t = A_t \odot \bar h_t + K_t \odot \bar c_{t+1}, \qquad
   r^k_t = B^k_t \odot \bar c_t \;(k = i, f, g), \qquad r^o_t = B^o_t \odot \bar h_t,

and the input's is :math:`\sum_k W_k^T r^k_t`. The methods differ in the slopes A, K and B, which do not depend on
relevance and are computed for all steps at once; what is left to the loop over time is one product with U and a few
multiplications a step.

**Layer-wise relevance** (Arras et al. 2017, arXiv 1706.07206): the epsilon rule splits :math:`c_t` between
:math:`f_t \odot c_{t-1}` and :math:`i_t \odot g_t`; in every product the signal gets all, or what the gate's fraction
leaves it; tanh and sigmoid pass relevance on to their pre-activation; from there the linear rule takes it.

**Shapley**: secants for tanh and sigmoid, means with the baseline for the products, see :mod:`~.shapley`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .gate_rules import Fraction
from .rules import ALL, Part, Rule, Term, lift, row_sums, stabiliser

Account = Callable[[str, Tensor], None]
"""Function that takes a kind and the amount that this kind absorbed for each sample."""


@dataclass
class Trace:
    """Forward pass through one direction of one layer, with the values that relevance needs.

    Shapes: ``x`` (steps, n, features); ``h`` and ``c`` (steps + 1, n, hidden), from the initial state on; all others
    (steps, n, hidden). ``z`` and ``active`` are the gates' pre-activations and values in PyTorch's order i, f, g, o,
    and ``squashed`` is tanh c; a trace without ``gates`` keeps only the pre-activation of g. ``kept`` is f * c with c
    from before the step, ``new`` is i * g, and ``first_forget`` is the first step's f.
    """

    x: Tensor
    h: Tensor
    c: Tensor
    kept: Tensor
    new: Tensor
    first_forget: Tensor
    z: Sequence[Tensor]
    active: Sequence[Tensor]
    squashed: Tensor | None
    weights: tuple[Tensor, ...]

    @classmethod
    def run(cls, x: Tensor, h0: Tensor, c0: Tensor, weights: tuple[Tensor, ...], gates: bool) -> Trace:
        """Run the pass. ``weights``: weights of input and hidden state, then the bias if there is one."""
        of_input, of_hidden, *bias = weights
        steps, n, _ = x.shape
        size = of_hidden.shape[1]
        rows = [slice(gate * size, (gate + 1) * size) for gate in range(4)]
        # The input's part in every gate comes from one product over all steps. Each gate has its own tensor, since the
        # elementwise functions are much faster on contiguous memory.
        flat = x.reshape(steps * n, -1)
        z = [
            (torch.addmm(bias[0][r], flat, of_input[r].T) if bias else flat @ of_input[r].T).view(steps, n, size)
            for r in rows
        ]
        recurrent = [of_hidden[r].T.contiguous() for r in rows]
        kept_steps = steps if gates else 1  # without gates every step overwrites the one before
        active = [x.new_empty(kept_steps, n, size) for _ in range(5)]
        h, c = x.new_empty(steps + 1, n, size), x.new_empty(steps + 1, n, size)
        h[0], c[0] = h0, c0
        kept, new = x.new_empty(steps, n, size), x.new_empty(steps, n, size)
        by_step = zip(*(pre.unbind(0) for pre in z), kept.unbind(0), new.unbind(0), strict=True)
        values = list(zip(*(value.unbind(0) for value in active), strict=True))
        h_at, c_at = h.unbind(0), c.unbind(0)
        started = bool(h0.any())
        for t, (*pre, kept_now, new_now) in enumerate(by_step):
            if t or started:
                for z_now, u in zip(pre, recurrent, strict=True):
                    z_now.addmm_(h_at[t], u)
            i, f, g, o, squashed = values[t if gates else 0]
            torch.sigmoid(pre[0], out=i)
            torch.sigmoid(pre[1], out=f)
            torch.tanh(pre[2], out=g)
            torch.sigmoid(pre[3], out=o)
            torch.mul(f, c_at[t], out=kept_now)
            torch.mul(i, g, out=new_now)
            torch.add(kept_now, new_now, out=c_at[t + 1])
            torch.tanh(c_at[t + 1], out=squashed)
            torch.mul(o, squashed, out=h_at[t + 1])
        first_forget = z[1][0].sigmoid()
        if gates:
            return cls(x, h, c, kept, new, first_forget, z, active[:4], active[4], weights)
        return cls(x, h, c, kept, new, first_forget, z[2:3], (), None, weights)

    def rows(self, rows: Tensor) -> Trace:
        """Return the trace of the samples at the given positions."""
        take = lambda value: value.index_select(1, rows)
        return replace(
            self,
            **{name: take(getattr(self, name)) for name in ("x", "h", "c", "kept", "new")},
            first_forget=self.first_forget[rows],
            z=[take(value) for value in self.z],
            active=[take(value) for value in self.active],
            squashed=None if self.squashed is None else take(self.squashed),
        )

    def map_of(self, gate: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return a gate's weights of the input and of the hidden state, and its bias."""
        size = self.h.shape[2]
        rows = slice(gate * size, (gate + 1) * size)
        of_input, of_hidden, *bias = self.weights
        return of_input[rows], of_hidden[rows], bias[0][rows] if bias else of_input.new_zeros(size)


@dataclass
class Way:
    """Way from a state to a gate: the pre-activation's share of the relevance per unit of h or c, and its map.

    ``slopes`` (steps, n, hidden) and ``parts`` have one entry for each channel of the map's rule.
    """

    of_output: bool
    slopes: list[Tensor]
    parts: list[Part]
    of_input: Term
    of_hidden: Term
    bias: Tensor | None


@dataclass
class Slopes:
    """Slopes of a trace under one method.

    Shapes: ``state`` A, ``carry`` K (for all steps but the last), ``own``, what :math:`c_t` gets of what reaches it
    from above (asked for only where a cell state was read), and ``stabiliser`` of the cell state, all (steps, n,
    hidden); ``before``, the slope to the cell state before the first step, (n, hidden).
    """

    state: Tensor
    carry: Tensor
    own: Callable[[], Tensor]
    before: Tensor
    ways: list[Way]
    stabiliser: Tensor | None


@dataclass(frozen=True)
class CellRule:
    """Rule by which a method goes back through a cell, and whether it needs the values of all gates."""

    gates: bool
    slopes: Callable[[Trace], Slopes]


_I, _F, _G, _O = range(4)  # the gates in PyTorch's order


def relevance_rule(rule: Rule, fraction: Fraction | None, epsilon: float) -> CellRule:
    """Return the layer-wise relevance rule of a cell, given a rule for linear maps, a fraction for gates and a
    stabiliser."""

    def slopes(trace: Trace) -> Slopes:
        change = lift if rule.blind else lambda x: x
        c, h, before = trace.c[1:], change(trace.h[1:]), change(trace.h[:-1])

        def way(gate: int, z: Tensor, relevance: Tensor) -> Way:
            of_input, of_hidden, bias = trace.map_of(gate)
            terms = Term(trace.x, of_input), Term(before, of_hidden)
            parts = rule.split(terms, bias, z)
            return Way(gate == _O, [part.factor.mul_(relevance) for part in parts], parts, *terms, bias)

        away = stabiliser(c, epsilon)
        per_cell = (c + away).reciprocal_()
        kept, output, first = trace.kept, h, trace.first_forget
        if fraction:
            i, f, g, o = trace.z
            to_i, to_f, to_o = fraction(i, g), fraction(f, trace.c[:-1]), fraction(o, c)
            ways = [
                way(_I, i, to_i * trace.new),
                way(_F, f, to_f * kept),
                way(_G, g, (1 - to_i) * trace.new),
                way(_O, o, to_o * h),
            ]
            kept, first, output = (1 - to_f) * kept, (1 - to_f[0]) * first, (1 - to_o) * h
        else:
            ways = [way(_G, trace.z[0], trace.new)]
        carry = kept[1:].mul_(per_cell[:-1])  # the trace is no longer needed
        return Slopes(per_cell.mul_(output), carry, lambda: c / (c + away), first, ways, away)

    return CellRule(fraction is not None, slopes)


def shapley_rule(baseline: Trace) -> CellRule:
    """Return the rule of differences from the trace of a baseline: one sample for all, or one for each sample."""

    def slopes(trace: Trace) -> Slopes:
        def way(gate: int, partner: Tensor, partner0: Tensor) -> Way:
            of_input, of_hidden, _ = trace.map_of(gate)
            terms = Term(trace.x, of_input), Term(trace.h[:-1], of_hidden)
            slope = _half_secant(trace, baseline, gate).mul_(partner + partner0)
            return Way(gate == _O, [slope], [Part(ALL, slope, 0.0)], *terms, None)

        (i, f, g, o), (i0, f0, g0, o0) = trace.active, baseline.active
        assert trace.squashed is not None and baseline.squashed is not None
        ways = [
            way(_I, g, g0),
            way(_F, trace.c[:-1], baseline.c[:-1]),
            way(_G, i, i0),
            way(_O, trace.squashed, baseline.squashed),
        ]
        of_state = half_secant_of_tanh(trace.c[1:], baseline.c[1:], trace.squashed, baseline.squashed)
        forget = torch.add(f0 / 2, f, alpha=0.5)
        return Slopes(of_state.mul_(o + o0), forget[1:], lambda: torch.ones_like(forget), forget[0], ways, None)

    return CellRule(True, slopes)


def _half_secant(trace: Trace, baseline: Trace, gate: int) -> Tensor:
    """Return half a gate function's slope between two points; the half stems from the mean in the product."""
    of = half_secant_of_tanh if gate == 2 else half_secant_of_sigmoid
    return of(trace.z[gate], baseline.z[gate], trace.active[gate], baseline.active[gate])


# By tanh a - tanh b = tanh(a - b) (1 - tanh a tanh b) the slopes need no quotient of two small differences, so they are
# exact however close input and baseline are. Adding 1e-30 changes only differences of zero.


def half_secant_of_tanh(z: Tensor, z0: Tensor, y: Tensor, y0: Tensor) -> Tensor:
    step = (z - z0).add_(1e-30)
    return step.tanh().div_(step).mul_(torch.addcmul(y.new_tensor(0.5), y, y0, value=-0.5))


def half_secant_of_sigmoid(z: Tensor, z0: Tensor, y: Tensor, y0: Tensor) -> Tensor:
    half_step = torch.add(-z0 / 2, z, alpha=0.5).add_(1e-30)
    return half_step.tanh().div_(half_step).mul_(torch.addcmul(y0 / 4, y, (1 - 2 * y0) / 4))


def lstm_layer(
    x: Tensor, h: Tensor, c: Tensor, weights: tuple[Tensor, ...], rule: CellRule, account: Account
) -> tuple[Tensor, Tensor]:
    """Run one direction of one layer.

    Args:
        x, h, c: Input (steps, n, features) and initial states (n, hidden), any of them signals.
        weights: Weights of the input (4 hidden, features) and of the hidden state (4 hidden, hidden); summed biases if
            any.

    Returns:
        Hidden and cell states (steps, n, hidden), through which relevance goes back by ``rule``.
    """
    return _LSTMLayer.apply(x, h, c, weights, rule, account)


class _LSTMLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, h: Tensor, c: Tensor, weights: tuple[Tensor, ...], rule: CellRule, account: Account
    ) -> tuple[Tensor, Tensor]:
        trace = Trace.run(x, h, c, weights, rule.gates)
        ctx.trace, ctx.rule, ctx.account, ctx.slopes = trace, rule, account, None
        ctx.set_materialize_grads(False)
        return trace.h[1:], trace.c[1:]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        if ctx.slopes is None:
            ctx.slopes = ctx.rule.slopes(ctx.trace)
        return *_propagate(ctx.slopes, grads[0], grads[1], ctx.account), None, None, None


def _propagate(
    slopes: Slopes, of_h: Tensor | None, of_c: Tensor | None, account: Account
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the relevance per unit of x and of the initial h and c, given the relevance per unit of h and c."""
    cells = torch.empty_like(slopes.state)
    ratios = [[torch.empty_like(slope) for slope in way.slopes] for way in slopes.ways]
    own = None if of_c is None else slopes.own()
    below = torch.zeros_like(cells[0])
    for t in reversed(range(len(cells))):
        output = below if of_h is None else below.add_(of_h[t])
        torch.mul(output, slopes.state[t], out=cells[t])
        if t < len(cells) - 1:
            cells[t].addcmul_(cells[t + 1], slopes.carry[t])
        if of_c is not None and own is not None:
            cells[t].addcmul_(of_c[t], own[t])
        below = torch.zeros_like(output)
        for way, mine in zip(slopes.ways, ratios, strict=True):
            before = Term(way.of_hidden.x[t], way.of_hidden.weight)
            for part, slope, ratio in zip(way.parts, way.slopes, mine, strict=True):
                torch.mul(output if way.of_output else cells[t], slope[t], out=ratio[t])
                part.channel.accumulate(below, before, ratio[t])
    to_cell = cells[0] * slopes.before
    of_x = _through_maps(slopes.ways, ratios)
    _put_down(slopes, cells, ratios, account)
    return of_x, below, to_cell


def _through_maps(ways: Sequence[Way], ratios: Sequence[Sequence[Tensor]]) -> Tensor:
    x = ways[0].of_input.x
    result = torch.zeros_like(x).flatten(0, 1)
    for way, mine in zip(ways, ratios, strict=True):
        term = Term(x.flatten(0, 1), way.of_input.weight)
        for part, ratio in zip(way.parts, mine, strict=True):
            part.channel.accumulate(result, term, ratio.flatten(0, 1))
    return result.view_as(x)


def _put_down(slopes: Slopes, cells: Tensor, ratios: Sequence[Sequence[Tensor]], account: Account) -> None:
    """Record what biases and stabilisers took, by sample."""
    for way, mine in zip(slopes.ways, ratios, strict=True):
        if way.bias is not None:
            for part, ratio in zip(way.parts, mine, strict=True):
                account("bias", (ratio @ part.channel.of_bias(way.bias)).sum(0))
                account("stabiliser", row_sums(ratio.mul_(part.stabiliser)).sum(0))
    if slopes.stabiliser is not None:
        account("stabiliser", row_sums(cells.mul_(slopes.stabiliser)).sum(0))
