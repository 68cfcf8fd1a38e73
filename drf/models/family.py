"""A family: a model class with its settings, the number of seeds it is averaged over, and its search space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .base import Model


@dataclass(frozen=True)
class Family:
    """What is trained.

    Attributes
    ----------
    name
        A key of :data:`~.rows.FAMILIES`.
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

    @property
    def warm_start(self) -> bool:
        """Whether each window's fit starts from the model of the window before."""
        return bool(getattr(self.make(0, 0), "warm_start", False))

    @property
    def months_held_back(self) -> int:
        """Training months that a fit needs for itself, to decide when to stop."""
        return int(getattr(self.make(0, 0), "validation_months", 0))

    def make(self, seed: int, member: int) -> Model:
        """An untrained model; ``member`` counts the models of one average, ``seed`` the whole run."""
        return self.model(**self.settings, random_state=1000 * seed + member)

    def with_settings(self, settings: Mapping[str, Any]) -> Family:
        """The same family with some settings replaced."""
        return replace(self, settings={**self.settings, **settings})
