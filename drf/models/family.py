"""A family: a model class with its settings, the number of seeds it is averaged over, and its search space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .base import Model

ROWS: dict[str, tuple[str, ...]] = {
    "linear": ("linear",),
    "svr": ("svr",),
    "forest": ("forest",),
    "dnn": ("dnn", "dnn_lrp"),
    "lstm": ("lstm", "lstm_lrp"),
}
"""The rows of the comparison that each family yields; the second is the same network linearised by LRP."""


@dataclass(frozen=True)
class Family:
    """What is trained.

    Attributes
    ----------
    name
        A key of :data:`ROWS`.
    model
        Makes an untrained model from keyword settings.
    settings
        Keyword settings, all but ``random_state``.
    seeds
        Forecasts and contributions are averaged over so many differently seeded models.
    space
        Search space of the tuning: setting -> ``{type: float|int|choice, low, high, log, choices}``.
    """

    name: str
    model: Callable[..., Model]
    settings: Mapping[str, Any]
    seeds: int = 1
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def make(self, seed: int, member: int) -> Model:
        """An untrained model; ``member`` counts the models of one average, ``seed`` the whole run."""
        return self.model(**self.settings, random_state=1000 * seed + member)

    def with_settings(self, settings: Mapping[str, Any]) -> Family:
        """The same family with some settings replaced."""
        return replace(self, settings={**self.settings, **settings})
