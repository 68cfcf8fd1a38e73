r"""Relevance through ``nn.LSTM``: this is where the LSTM's relevance is computed.

For each layer and direction, with :math:`i, f, o = \sigma(\cdot)`, :math:`g = \tanh(z^g)`,
:math:`z^g_t = W_g x_t + U_g h_{t-1} + b_g`,

.. math::  c_t = f_t \odot c_{t-1} + i_t \odot g_t, \qquad h_t = o_t \odot \tanh c_t .

Going back in time (Arras et al. 2017, arXiv 1706.07206):

* :math:`h_t`: the product's relevance goes to the signal :math:`c_t` (tanh passes relevance through);
* :math:`c_t`: the epsilon rule splits it between :math:`f_t \odot c_{t-1}` and :math:`i_t \odot g_t`;
* in both products the signal, :math:`c_{t-1}` or :math:`g_t`, takes all;
* :math:`g_t`: the linear rule splits it between :math:`x_t`, :math:`h_{t-1}` and the bias over :math:`z^g_t`.

Under the other gate rules a share goes to the gate and from there, by the same linear rule, to :math:`x_t`,
:math:`h_{t-1}` and the gate's bias.

Everything that does not depend on the relevance itself is computed for all steps at once; what is left to the loop over
time is one product with :math:`U` and a few multiplications a step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .composite import Composite
from .gates import GATE_RULES, gate_share
from .rules import Rule, Term, collect, row_sums, stabiliser, total


@dataclass
class LSTMShares:
    """Relevance of the input sequence (n, steps, features), and per sample (n,) what else absorbed some."""

    relevance: Tensor
    bias: Tensor
    stabiliser: Tensor
    initial_state: Tensor


class LSTMTrace:
    """A forward pass through an ``nn.LSTM`` that keeps what relevance needs.

    Parameters
    ----------
    lstm
        Unprojected; any number of layers, one or two directions.
    x
        Input, (n, steps, features).
    gates
        Whether the gates' own pre-activations will be needed, which is so for all rules but signal-takes-all.
    """

    def __init__(self, lstm: nn.LSTM, x: Tensor, gates: bool) -> None:
        self.directions = 2 if lstm.bidirectional else 1
        self.layers: list[list[_Trace]] = []
        signal = x.transpose(0, 1).contiguous()
        for layer in range(lstm.num_layers):
            traces = []
            for direction in range(self.directions):
                weights = _Weights.of(lstm, layer, direction)
                traces.append(_run(weights, _in_time(signal, direction), gates))
            self.layers.append(traces)
            outputs = [_in_time(trace.h, k) for k, trace in enumerate(traces)]
            signal = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)
        self.output = signal.transpose(0, 1)
        self.final = torch.cat([trace.h[-1] for trace in self.layers[-1]], dim=1)

    def less(self, baseline: LSTMTrace) -> LSTMTrace:
        """Differences from the trace of one other sample. Biases cancel."""
        result = object.__new__(LSTMTrace)
        result.directions, result.output, result.final = self.directions, self.output, self.final
        result.layers = [
            [a.less(b) for a, b in zip(these, those, strict=True)]
            for these, those in zip(self.layers, baseline.layers, strict=True)
        ]
        return result

    def propagate(self, relevance: Tensor, rule: Rule, composite: Composite) -> LSTMShares:
        """Hand the relevance (n, steps, hidden * directions) of the output sequence down to the input sequence."""
        n = len(relevance)
        shares = LSTMShares(relevance.transpose(0, 1), *(relevance.new_zeros(n) for _ in range(3)))
        for traces in reversed(self.layers):
            parts = shares.relevance.chunk(self.directions, dim=2)
            below = [
                _propagate(trace, _in_time(part, k), rule, composite)
                for k, (trace, part) in enumerate(zip(traces, parts, strict=True))
            ]
            shares = LSTMShares(
                total([_in_time(part.relevance, k) for k, part in enumerate(below)]),
                shares.bias + total([part.bias for part in below]),
                shares.stabiliser + total([part.stabiliser for part in below]),
                shares.initial_state + total([part.initial_state for part in below]),
            )
        return replace(shares, relevance=shares.relevance.transpose(0, 1))


def _in_time(sequence: Tensor, direction: int) -> Tensor:
    """Between a direction's own order of steps and the calendar's; its own inverse."""
    return sequence.flip(0) if direction else sequence


@dataclass
class _Weights:
    """One direction of one layer; gates stacked as PyTorch does: i, f, g, o."""

    input: Tensor
    hidden: Tensor
    biases: tuple[Tensor, ...]

    @classmethod
    def of(cls, lstm: nn.LSTM, layer: int, direction: int) -> _Weights:
        suffix = f"l{layer}" + ("_reverse" if direction else "")
        names = ("bias_ih", "bias_hh") if lstm.bias else ()
        return cls(
            getattr(lstm, f"weight_ih_{suffix}").detach(),
            getattr(lstm, f"weight_hh_{suffix}").detach(),
            tuple(getattr(lstm, f"{name}_{suffix}").detach() for name in names),
        )

    @property
    def bias(self) -> Tensor:
        return total(self.biases) if self.biases else self.input.new_zeros(len(self.input))


@dataclass
class _Trace:
    """What one direction of one layer computed, in its own order of time.

    Shapes: ``term_x.x`` (steps, n, features); ``z`` (steps, n, rows), the pre-activations of the maps that carry
    relevance, the candidate's alone under signal-takes-all; the rest (steps, n, hidden).
    """

    term_x: Term
    term_h: Term  # h before the step
    bias: Tensor
    z: Tensor
    c: Tensor
    kept: Tensor  # f * c before the step
    new: Tensor  # i * g
    h: Tensor

    def less(self, other: _Trace) -> _Trace:
        return _Trace(
            Term(self.term_x.x - other.term_x.x, self.term_x.weight),
            Term(self.term_h.x - other.term_h.x, self.term_h.weight),
            torch.zeros_like(self.bias),
            *(getattr(self, name) - getattr(other, name) for name in ("z", "c", "kept", "new", "h")),
        )


def _run(weights: _Weights, x: Tensor, gates: bool) -> _Trace:
    steps, n, _ = x.shape
    size = weights.hidden.shape[1]
    rows = [slice(gate * size, (gate + 1) * size) for gate in range(4)]
    # What the input sequence sends to each gate comes from one product over all steps; in each gate's own tensor, since
    # the elementwise functions are much faster on contiguous memory.
    flat = x.reshape(steps * n, -1)
    pre = [torch.addmm(weights.bias[r], flat, weights.input[r].T).view(steps, n, size) for r in rows]
    recurrent = [weights.hidden[r].T.contiguous() for r in rows]
    h = x.new_zeros(steps + 1, n, size)  # from the initial state on
    c, kept, new = (x.new_empty(steps, n, size) for _ in range(3))
    before = h[0]
    for t in range(steps):
        if t:
            for z, u in zip(pre, recurrent, strict=True):
                z[t].addmm_(h[t], u)
        i, f, g, o = (z[t] for z in pre)
        torch.sigmoid(f, out=kept[t]).mul_(before)
        torch.tanh(g, out=new[t]).mul_(i.sigmoid())
        before = torch.add(kept[t], new[t], out=c[t])
        torch.tanh(before, out=h[t + 1]).mul_(o.sigmoid())
    mapped = slice(0, 4 * size) if gates else rows[2]
    return _Trace(
        Term(x, weights.input[mapped]),
        Term(h[:-1], weights.hidden[mapped]),
        weights.bias[mapped],
        torch.cat(pre, dim=2) if gates else pre[2],
        *(c, kept, new, h[1:]),
    )


def _propagate(trace: _Trace, relevance: Tensor, rule: Rule, composite: Composite) -> LSTMShares:
    to_gate = GATE_RULES[composite.gate]
    terms = (trace.term_x, trace.term_h)
    parts = rule.split(terms, trace.bias, trace.z)
    away = stabiliser(trace.c, composite.epsilon)
    per_cell = (trace.c + away).reciprocal_()
    new, kept = trace.new, trace.kept
    spread, units = composite.bias_factor, sum(term.weight.shape[1] for term in terms)
    if spread:
        new, kept = new + spread / 2 * away, kept + spread / 2 * away
        lost = [(part.channel.of_bias(trace.bias) + part.stabiliser).expand_as(trace.z) for part in parts]

    r_cells = torch.empty_like(trace.c)  # each divided by the stabilised state
    ratios = [torch.empty_like(trace.z) for _ in parts]
    even = trace.z.new_zeros(trace.z.shape[:2])
    r_h = r_c = torch.zeros_like(trace.c[0])
    for t in reversed(range(len(relevance))):
        r_signal = r_h + relevance[t]
        if to_gate is None:
            r_cell = torch.mul(r_signal.add_(r_c), per_cell[t], out=r_cells[t])
            r_z, r_c = r_cell * new[t], r_cell * kept[t]
        else:
            i, f, g, o = trace.z[t].chunk(4, dim=1)
            c_before = trace.c[t - 1] if t else torch.zeros_like(r_c)
            r_o, r_signal = gate_share(to_gate, o, trace.c[t], r_signal)
            r_cell = torch.mul(r_c + r_signal, per_cell[t], out=r_cells[t])
            r_i, r_g = gate_share(to_gate, i, g, r_cell * new[t])
            r_f, r_c = gate_share(to_gate, f, c_before, r_cell * kept[t])
            r_z = torch.cat([r_i, r_f, r_g, r_o], dim=1)
        here = [torch.mul(r_z, part.factor[t], out=ratio[t]) for part, ratio in zip(parts, ratios, strict=True)]
        before = Term(trace.term_h.x[t], trace.term_h.weight)
        r_h = total([part.channel.backward(before, ratio) for part, ratio in zip(parts, here, strict=True)])
        if spread:
            even[t] = spread / units * total([row_sums(r * e[t]) for r, e in zip(here, lost, strict=True)])
            r_h = r_h + even[t][:, None]

    shares = collect(parts, [trace.term_x], trace.bias, ratios)
    below, left = shares.inputs[0], 1 - spread
    if spread:
        below = below + even[..., None]
    stabiliser_share = shares.stabiliser.sum(0) + row_sums(r_cells.mul_(away)).sum(0)
    return LSTMShares(below, left * shares.bias.sum(0), left * stabiliser_share, (r_h + r_c).sum(1))
