"""Sequences: recurrent layers as torch calls them, with directions, packing, projections and cells.

LSTMs (:mod:`~.recurrent`), GRUs and plain RNNs (:mod:`~.gated`) go back in closed form, one layer and direction at a
time. Projected LSTMs, and GRUs and RNNs under other rules of gates, run step by step in plain operations, each of which
has its own rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from .dispatch import Swapped
from .propagation import Propagation
from .tensor_flags import is_signal

State = tuple[Tensor, ...]
"""State (h,), or (h, c) for an LSTM; each tensor (n, hidden)."""
Weights = tuple[Tensor, ...]
"""Weights of input and hidden state, then both biases if there are any, then the projection if there is one."""


# One step of a cell: the linear maps of input and hidden state, and the state, give the new state.


def _lstm(of_x: Tensor, of_h: Tensor, state: State) -> State:
    i, f, g, o = (of_x + of_h).chunk(4, -1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru(of_x: Tensor, of_h: Tensor, state: State) -> State:
    (x_r, x_u, x_n), (h_r, h_u, h_n) = of_x.chunk(3, -1), of_h.chunk(3, -1)
    reset, update = (x_r + h_r).sigmoid(), (x_u + h_u).sigmoid()
    return ((1 - update) * (x_n + reset * h_n).tanh() + update * state[0],)


def _rnn_tanh(of_x: Tensor, of_h: Tensor, state: State) -> State:
    return ((of_x + of_h).tanh(),)


def _rnn_relu(of_x: Tensor, of_h: Tensor, state: State) -> State:
    return ((of_x + of_h).relu(),)


STEPS = {"lstm": _lstm, "gru": _gru, "rnn_tanh": _rnn_tanh, "rnn_relu": _rnn_relu}


@dataclass(frozen=True)
class Lengths:
    """Ends of n packed sequences; ``rows`` (steps, n) holds the position of each packed row."""

    sizes: Tensor
    lengths: Tensor
    rows: Tensor
    there: Tensor

    @classmethod
    def of(cls, sizes: Tensor) -> Lengths:
        """Return the lengths from the number of sequences that reach each step, torch's own form."""
        n = int(sizes[0])
        there = torch.arange(n) < sizes[:, None]
        rows = (torch.arange(n) + (sizes.cumsum(0) - sizes)[:, None]).where(there, torch.zeros(()).long())
        return cls(sizes, there.sum(0), rows, there)

    def unpack(self, data: Tensor) -> Tensor:
        """Unpack to (steps, n, features), with zeros after a sequence's end."""
        return data[self.rows] * self.there[..., None].to(data.dtype)

    def pack(self, padded: Tensor) -> Tensor:
        return padded[self.there]

    def reverse(self, padded: Tensor) -> Tensor:
        """Reverse every sequence within its own length."""
        steps = torch.arange(len(padded))[:, None]
        order = (self.lengths - 1 - steps).where(self.there, steps)
        return padded[order, torch.arange(padded.shape[1])]

    def last(self, padded: Tensor) -> Tensor:
        return padded[self.lengths - 1, torch.arange(padded.shape[1])]


def run_layers(
    kind: str,
    propagation: Propagation,
    x: Tensor,
    states: State,
    weights: Sequence[Tensor],
    layers: int,
    directions: int,
    biases: bool,
    lengths: Lengths | None,
) -> tuple[Tensor, State]:
    """Run all layers and directions.

    Args:
        x: (steps, n, features).
        states: Initial states, each (layers * directions, n, hidden).

    Returns:
        The output (steps, n, hidden * directions) and the final states in the shape of the initial ones.
    """
    each = len(weights) // (layers * directions)
    finals: list[State] = []
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            place = layer * directions + direction
            own = tuple(weights[place * each : (place + 1) * each])
            start = tuple(state[place] for state in states)
            signal = _in_time(x, direction, lengths)
            output, reached = _run_direction(kind, propagation, signal, start, own, biases)
            outputs.append(_in_time(output, direction, lengths))
            finals.append(tuple(sequence[-1] if lengths is None else lengths.last(sequence) for sequence in reached))
        x = outputs[0] if directions == 1 else torch.cat(outputs, dim=2)
    return x, tuple(torch.stack(states) for states in zip(*finals, strict=True))


def _in_time(sequence: Tensor, direction: int, lengths: Lengths | None) -> Tensor:
    """Convert between a direction's own order of steps and time order; the function is its own inverse."""
    if not direction:
        return sequence
    return sequence.flip(0) if lengths is None else lengths.reverse(sequence)


def _run_direction(
    kind: str, propagation: Propagation, x: Tensor, start: State, weights: Weights, biases: bool
) -> tuple[Tensor, State]:
    """Return the output sequence, and the sequences of every state."""
    projected = len(weights) > (4 if biases else 2)
    by_steps = projected or not (kind == "lstm" or propagation.composite.closed)
    x = x if is_signal(x) else propagation.source(x)  # such as the embedding of a start token
    start = tuple(
        # A state that a gate scales must be a signal even in the first step, or the gate would be taken for the signal.
        state if is_signal(state) else propagation.source(state, "initial_state", even_zero=by_steps)
        for state in start
    )
    if by_steps:
        with Swapped(propagation):
            return _by_steps(kind, x, start, weights, biases)
    if kind != "lstm":
        output = propagation.gated(kind, x, start[0], weights)
        return output, (output,)
    h, c = start
    states = propagation.lstm(x, h, c, (*weights[:2], weights[2] + weights[3]) if biases else weights[:2])
    return states[0], states


def _by_steps(kind: str, x: Tensor, start: State, weights: Weights, biases: bool) -> tuple[Tensor, State]:
    of_input, of_hidden, *others = weights
    bias_x, bias_h = others[:2] if biases else (None, None)
    projection = others[-1] if len(others) in (1, 3) else None
    mapped = linear(x, of_input, bias_x)
    state, history = start, []
    for step in mapped.unbind(0):
        state = STEPS[kind](step, linear(state[0], of_hidden, bias_h), state)
        if projection is not None:
            state = (linear(state[0], projection), *state[1:])
        history.append(state)
    sequences = tuple(torch.stack(values) for values in zip(*history, strict=True))
    return sequences[0], sequences
