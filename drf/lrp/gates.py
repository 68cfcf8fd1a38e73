r"""Relevance rules for a product gate * signal, as in an LSTM's cell.

Only *signal takes all* keeps the account of the signal path clean and is the default (Arras et al. 2017; "LRP-all" in
Arras et al. 2019, arXiv 1909.12114). The others exist to be compared with it: on tasks whose true attribution is known
they do not recover it.

Each rule maps the pre-activations of gate and signal, and the relevance of their product, to the gate's share; the
signal receives the rest.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .rules import stabiliser

GateRule = Callable[[Tensor, Tensor, Tensor], Tensor]


def _half(gate: Tensor, signal: Tensor, relevance: Tensor) -> Tensor:
    return relevance / 2


def _proportional(gate: Tensor, signal: Tensor, relevance: Tensor) -> Tensor:
    both = gate + signal
    return relevance * gate / (both + stabiliser(both, 1e-3))


def _absolute(gate: Tensor, signal: Tensor, relevance: Tensor) -> Tensor:
    return relevance * gate.abs() / (gate.abs() + signal.abs() + 1e-9)


GATE_RULES: dict[str, GateRule | None] = {
    "signal-takes-all": None,
    "half": _half,
    "proportional": _proportional,
    "absolute": _absolute,
}
"""By name. ``None``: gates receive nothing and their maps need not be computed at all."""


def gate_share(rule: GateRule, gate: Tensor, signal: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
    """Split the relevance of a product into (gate, signal); the two sum to what came in."""
    share = rule(gate, signal, relevance)
    return share, relevance - share
