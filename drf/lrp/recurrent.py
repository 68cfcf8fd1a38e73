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
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .gates import GATE_RULES, gate_share
from .rules import LinearTerm, Rule, stabilised


@dataclass
class _Weights:
    """One direction of one layer; gates stacked as PyTorch does: i, f, g, o."""

    input: Tensor
    hidden: Tensor
    bias: Tensor


@dataclass
class _Trace:
    """Everything one direction of one layer computed, steps first: shapes (steps, n, ...), in its own time order."""

    weights: _Weights
    x: Tensor
    z: Tensor  # pre-activations of the four gates, (steps, n, 4 * hidden)
    c: Tensor  # c_{-1} .. c_{T-1}, (steps + 1, n, hidden)
    h: Tensor  # h_{-1} .. h_{T-1}, (steps + 1, n, hidden)


class LSTMTrace:
    """A forward pass through an ``nn.LSTM`` that keeps what relevance needs.

    Parameters
    ----------
    lstm
        Unprojected; any number of layers, one or two directions.
    x
        Input, (n, steps, features).
    """

    def __init__(self, lstm: nn.LSTM, x: Tensor) -> None:
        self.directions = 2 if lstm.bidirectional else 1
        self.layers: list[list[_Trace]] = []
        signal = x.transpose(0, 1)
        for layer in range(lstm.num_layers):
            traces = [
                _run(_weights(lstm, layer, direction), signal.flip(0) if direction else signal)
                for direction in range(self.directions)
            ]
            self.layers.append(traces)
            signal = torch.cat([_in_time(trace.h[1:], k) for k, trace in enumerate(traces)], dim=2)
        self.output = signal.transpose(0, 1)
        self.h_n = torch.stack([trace.h[-1] for traces in self.layers for trace in traces])

    def propagate(self, relevance: Tensor, rule: Rule, gate_rule: str, epsilon: float) -> LSTMShares:
        """Hand the relevance (n, steps, hidden * directions) of the output sequence down to the input sequence."""
        shares = LSTMShares(relevance.transpose(0, 1), *(relevance.new_zeros(relevance.shape[0]) for _ in range(3)))
        for traces in reversed(self.layers):
            parts = shares.relevance.chunk(self.directions, dim=2)
            below = [
                _propagate(trace, _in_time(part, k), rule, gate_rule, epsilon)
                for k, (trace, part) in enumerate(zip(traces, parts, strict=True))
            ]
            shares = LSTMShares(
                torch.stack([_in_time(part.relevance, k) for k, part in enumerate(below)]).sum(0),
                shares.bias + sum(part.bias for part in below),
                shares.stabiliser + sum(part.stabiliser for part in below),
                shares.initial_state + sum(part.initial_state for part in below),
            )
        shares.relevance = shares.relevance.transpose(0, 1)
        return shares


@dataclass
class LSTMShares:
    """Relevance of the input sequence, and per sample what bias, stabiliser and initial state absorbed."""

    relevance: Tensor
    bias: Tensor
    stabiliser: Tensor
    initial_state: Tensor


def _in_time(sequence: Tensor, direction: int) -> Tensor:
    """Between a direction's own order of steps and the calendar's; its own inverse."""
    return sequence.flip(0) if direction else sequence


def _weights(lstm: nn.LSTM, layer: int, direction: int) -> _Weights:
    suffix = f"l{layer}" + ("_reverse" if direction else "")
    weight = getattr(lstm, f"weight_ih_{suffix}").detach()
    bias = weight.new_zeros(weight.shape[0])
    if lstm.bias:
        bias = (getattr(lstm, f"bias_ih_{suffix}") + getattr(lstm, f"bias_hh_{suffix}")).detach()
    return _Weights(weight, getattr(lstm, f"weight_hh_{suffix}").detach(), bias)


def _run(weights: _Weights, x: Tensor) -> _Trace:
    steps, n, _ = x.shape
    hidden = weights.hidden.shape[1]
    from_input = x @ weights.input.T + weights.bias
    z = torch.empty_like(from_input)
    c, h = x.new_zeros(steps + 1, n, hidden), x.new_zeros(steps + 1, n, hidden)
    for t in range(steps):
        z[t] = torch.addmm(from_input[t], h[t], weights.hidden.T)
        i, f, g, o = z[t].chunk(4, dim=1)
        c[t + 1] = f.sigmoid() * c[t] + i.sigmoid() * g.tanh()
        h[t + 1] = o.sigmoid() * c[t + 1].tanh()
    return _Trace(weights, x, z, c, h)


def _propagate(trace: _Trace, relevance: Tensor, rule: Rule, gate_rule: str, epsilon: float) -> LSTMShares:
    to_gate = GATE_RULES[gate_rule]
    hidden = trace.c.shape[2]
    # Under signal-takes-all only the candidate's map, g, carries relevance.
    rows = slice(2 * hidden, 3 * hidden) if to_gate is None else slice(None)
    w_in, w_hidden = trace.weights.input[rows], trace.weights.hidden[rows]
    bias = trace.weights.bias[rows]

    below = torch.empty_like(trace.x)
    absorbed_bias, absorbed_stabiliser = (
        relevance.new_zeros(relevance.shape[1]),
        relevance.new_zeros(relevance.shape[1]),
    )
    r_h = torch.zeros_like(trace.h[0])
    r_c = torch.zeros_like(trace.c[0])
    for t in reversed(range(len(relevance))):
        i, f, g, o = trace.z[t].chunk(4, dim=1)
        kept, new = f.sigmoid() * trace.c[t], i.sigmoid() * g.tanh()
        r_signal = r_h + relevance[t]
        if to_gate is not None:
            r_o, r_signal = gate_share(to_gate, o, trace.c[t + 1], r_signal)
        r_c = r_c + r_signal
        ratio = r_c / stabilised(trace.c[t + 1], epsilon)
        absorbed_stabiliser += (r_c - ratio * trace.c[t + 1]).sum(1)
        r_g, r_c = ratio * new, ratio * kept
        r_z = r_g
        if to_gate is not None:
            r_i, r_g = gate_share(to_gate, i, g, r_g)
            r_f, r_c = gate_share(to_gate, f, trace.c[t], r_c)
            r_z = torch.cat([r_i, r_f, r_g, r_o], dim=1)
        terms = (LinearTerm(trace.x[t], w_in), LinearTerm(trace.h[t], w_hidden))
        shares = rule.distribute(terms, bias, trace.z[t][:, rows], r_z)
        below[t], r_h = shares.inputs
        absorbed_bias += shares.bias
        absorbed_stabiliser += shares.stabiliser
    return LSTMShares(below, absorbed_bias, absorbed_stabiliser, (r_h + r_c).sum(1))
