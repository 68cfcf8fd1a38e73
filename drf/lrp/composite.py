"""A composite: which rule serves which kind of layer."""

from __future__ import annotations

from dataclasses import dataclass, field

from .gates import GATE_RULES
from .rules import Epsilon, Rule


@dataclass(frozen=True)
class Composite:
    """The rules of one attribution.

    Attributes
    ----------
    linear
        Rule for ``nn.Linear`` and for the linear maps inside ``nn.LSTM``.
    gate
        One of :data:`drf.lrp.gates.GATE_RULES`.
    epsilon
        Stabiliser where a cell's state is split between its past and its news.
    """

    linear: Rule = field(default_factory=Epsilon)
    gate: str = "signal-takes-all"
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        if not hasattr(self.linear, "distribute"):
            raise ValueError(f"{self.linear!r} is not a rule for linear maps: use one of drf.lrp.rules")
        if self.gate not in GATE_RULES:
            raise ValueError(f"gate rule {self.gate!r} is unknown: use one of {', '.join(GATE_RULES)}")
