"""Composite: the rule of each layer."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .gate_rules import GATE_RULES, SHAPLEY
from .rules import RULES, Epsilon, Gamma, Rule


@dataclass(frozen=True)
class Composite:
    """Rules of one attribution.

    Attributes:
        linear: Rule for linear maps: ``nn.Linear``, convolutions, products with a constant matrix, the maps inside
            recurrent layers. A name of :data:`drf.lrp.RULES`, or a rule.
        gate: One of :data:`drf.lrp.GATE_RULES`, for products of two signals. Under ``shapley`` linear maps pass on
            differences from a baseline exactly, so ``linear``, ``layers`` and ``epsilon`` have no effect.
        epsilon: Stabiliser of the linear maps whose rule is named, and where a sum of signals is split between them,
            such as a cell's state between its past and its new input.
        layers: Rules for single layers by their dotted name in the model, in place of ``linear``; a name holds for all
            layers inside.

    Raises:
        ValueError: If a rule or gate is unknown, ``epsilon`` is negative, or a rule is given that ``shapley`` does not
            use.
    """

    linear: Rule | str = "epsilon"
    gate: str = "signal-takes-all"
    epsilon: float = 1e-3
    layers: Mapping[str, Rule | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule in (self.linear, *self.layers.values()):
            _resolve(rule)
        if self.gate not in GATE_RULES:
            raise ValueError(f"gate rule {self.gate!r} is unknown: use one of {', '.join(GATE_RULES)}")
        if self.epsilon < 0:
            raise ValueError(f"epsilon={self.epsilon} must not be negative: it moves denominators away from zero")
        if self.gate == SHAPLEY and (self.linear != "epsilon" or self.layers):
            raise ValueError(
                "gate='shapley' distributes differences from a baseline, and takes no rule for linear maps"
            )
        if self.gate == "proportional":
            warnings.warn(
                "gate='proportional' divides by a sum that can vanish, which amplifies relevance (up to 1e12 was "
                "seen): use it to compare, not to explain",
                stacklevel=3,
            )

    def rule_for(self, layers: Sequence[str]) -> Rule:
        """Return the rule for a linear map inside nested layers; ``names`` lists them from outermost to innermost."""
        for name in reversed(layers):
            if name in self.layers:
                return _resolve(self.layers[name], self.epsilon)
        return _resolve(self.linear, self.epsilon)

    @property
    def blind(self) -> bool:
        """Tell whether some rule gives relevance to inputs that are zero."""
        return any(_resolve(rule).blind for rule in (self.linear, *self.layers.values()))

    @property
    def closed(self) -> bool:
        """Tell whether GRUs and plain RNNs have a closed form under these rules."""
        return self.gate in ("signal-takes-all", SHAPLEY) and not self.blind


def _resolve(rule: Rule | str, epsilon: float = 1e-3) -> Rule:
    if isinstance(rule, Rule):
        return rule
    if rule in GATE_RULES:
        raise ValueError(f"{rule!r} is a rule for gates, which a linear map cannot take: use one of {', '.join(RULES)}")
    if rule not in RULES:
        raise ValueError(f"{rule!r} is not a rule for linear maps: use one of {', '.join(RULES)}, or a drf.lrp.Rule")
    return Epsilon(epsilon) if rule == "epsilon" else Gamma(epsilon=epsilon) if rule == "gamma" else RULES[rule]()
