r"""Gate rules for a product gate * signal, as in an LSTM's cell: the gate's share of its relevance.

``signal-takes-all``
    Nothing (Arras et al. 2017; "LRP-all" in Arras et al. 2019, arXiv 1909.12114). The default: the account of the
    signal path contains no relevance of the gates.
``half``
    One half.
``proportional``, ``absolute``
    In proportion to the pre-activations of gate and signal, or to their sizes.
``shapley``
    Not a fraction but a method of its own, see :mod:`~.shapley`: everything counts by its difference from a baseline.

On tasks whose true attribution is known, half, proportional and absolute do not recover it; they serve only for
comparison. ``proportional`` divides by a sum that can vanish, and warns.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .rules import stabiliser

Fraction = Callable[[Tensor, Tensor], Tensor]
"""Function from pre-activations of gate and signal to the gate's fraction of the product's relevance."""


def _half(gate: Tensor, signal: Tensor) -> Tensor:
    return torch.full_like(gate, 0.5)


def _proportional(gate: Tensor, signal: Tensor) -> Tensor:
    both = gate + signal
    return gate / (both + stabiliser(both, 1e-3))


def _absolute(gate: Tensor, signal: Tensor) -> Tensor:
    return gate.abs() / (gate.abs() + signal.abs() + 1e-9)


SHAPLEY = "shapley"

FRACTIONS: dict[str, Fraction | None] = {
    "signal-takes-all": None,
    "half": _half,
    "proportional": _proportional,
    "absolute": _absolute,
}
"""By name. ``None``: gates receive nothing and their maps need not be computed at all."""

GATE_RULES = (*FRACTIONS, SHAPLEY)
