"""A composite: which rule serves which layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .gates import GATE_RULES
from .rules import RULES, Rule


@dataclass(frozen=True)
class Composite:
    """The rules of one attribution.

    Attributes
    ----------
    linear
        Rule for ``nn.Linear`` and for the linear maps inside ``nn.LSTM``: a name of :data:`drf.lrp.rules.RULES`, or a
        rule.
    gate
        One of :data:`drf.lrp.gates.GATE_RULES`; ``nn.LSTM`` only.
    epsilon
        Stabiliser where a cell's state is split between its past and its news.
    bias_factor
        Share (0 to 1) of what biases and stabilisers absorb in each map that is spread evenly over the map's inputs: 0
        as in Arras et al. 2017, 1 makes the inputs sum to f(x), at the price of relevance that no input has earned.
    layers
        Rules for single layers by their dotted name in the model, in place of ``linear``.
    """

    linear: Rule | str = "epsilon"
    gate: str = "signal-takes-all"
    epsilon: float = 1e-3
    bias_factor: float = 0.0
    layers: Mapping[str, Rule | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule in (self.linear, *self.layers.values()):
            _resolve(rule)
        if self.gate not in GATE_RULES:
            raise ValueError(f"gate rule {self.gate!r} is unknown: use one of {', '.join(GATE_RULES)}")
        if not 0 <= self.bias_factor <= 1:
            raise ValueError(f"bias_factor={self.bias_factor} must lie between 0 and 1")

    def rule_for(self, layer: str) -> Rule:
        """The rule of the linear maps of the layer with this name."""
        return _resolve(self.layers.get(layer, self.linear))


def _resolve(rule: Rule | str) -> Rule:
    if isinstance(rule, Rule):
        return rule
    if rule in GATE_RULES:
        raise ValueError(f"{rule!r} is a rule for gates, which a linear map cannot take: use one of {', '.join(RULES)}")
    if rule not in RULES:
        raise ValueError(f"{rule!r} is not a rule for linear maps: use one of {', '.join(RULES)}, or a drf.lrp.Rule")
    return RULES[rule]()
