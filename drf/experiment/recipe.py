"""The recipe of a training: its settings without what says where things lie or up to when data go.

Two trainings of one recipe differ in their months alone: the later is a refresh of the earlier.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from ..data.sources import Source
from .schema import MacroConfig, TrainConfig

_DATES = ("test_from", "test_to", "periods")
"""Of the window: which months are looked at, and not what is done with them."""


def recipe_of(config: TrainConfig) -> str:
    """Twelve hexadecimal digits that follow from a training's recipe."""
    text = json.dumps(_recipe(config), sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _recipe(config: TrainConfig) -> dict[str, Any]:
    data, tuning = config.data, asdict(config.tuning)
    for name in ("journal", "storage"):
        del tuning[name]
    return {
        "seed": config.seed,
        "source": _of_source(data.source),
        "universe": data.universe,
        "descriptors": data.descriptors,
        "macro": _of_macro(data.macro),
        "factors": list(config.factors.items()),  # their order is that of a network's inputs
        "model": config.model,
        "window": {name: value for name, value in asdict(config.window).items() if name not in _DATES},
        "tuning": tuning,
        "portfolio": asdict(config.portfolio),
        "row": config.registry.row,
    }


def _of_source(source: Source) -> dict[str, Any]:
    named = [entry.name for entry in fields(source)]  # type: ignore[arg-type]
    kept = {name: getattr(source, name) for name in named if name not in source.PLACES | source.READING}
    return {"source": type(source).__qualname__, **_without_paths(kept)}


def _without_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_paths(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if name != "path"
    }


def _of_macro(macro: MacroConfig | None) -> Mapping[str, Any] | None:
    return None if macro is None else _without_paths(asdict(macro))
