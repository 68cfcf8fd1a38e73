"""A family: a model class with its settings, the number of seeds it is averaged over, and its search space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .base import Model


@dataclass(frozen=True)
class Family:
    """A model class with its settings, seeds and search space.

    Attributes:
        name: A key of :data:`~.catalogue.FAMILIES`.
        model: Makes an untrained model from keyword settings.
        settings: Keyword settings, all but ``random_state``.
        seeds: Number of differently seeded models over which forecasts and contributions are averaged.
        space: Search space of the tuning: setting -> ``{type: float|int|choice, low, high, log, choices}``.
        parts: Families that this one combines, if it trains no model of its own.
    """

    name: str
    model: Callable[..., Model]
    settings: Mapping[str, Any]
    seeds: int = 1
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parts: tuple[str, ...] = ()

    @property
    def trained(self) -> tuple[str, ...]:
        """The families whose models make this one's forecasts."""
        return self.parts or (self.name,)

    @property
    def warm_start(self) -> bool:
        """Tell whether each window's fit starts from the model of the window before."""
        return bool(self._setting("warm_start", False))

    @property
    def months_held_back(self) -> int:
        """Training months that a fit holds back to decide when to stop."""
        return int(self._setting("validation_months", 0))

    def _setting(self, name: str, otherwise: Any) -> Any:
        return self.settings.get(name, getattr(self.model, name, otherwise))

    def make(self, seed: int, member: int) -> Model:
        """Return an untrained model; ``member`` is its number within one average, ``seed`` the seed of the whole
        run."""
        return self.model(**self.settings, random_state=1000 * seed + member)

    def with_settings(self, settings: Mapping[str, Any]) -> Family:
        """Return the same family with some settings replaced."""
        return replace(self, settings={**self.settings, **settings})
