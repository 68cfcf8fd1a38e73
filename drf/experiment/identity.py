"""Identity of results: the one answer to what a number depends on.

A fit, a trial, a training and a month end are each known by a digest. Everything that follows from data depends on the
data's fingerprint, every setting, the source code of this project and the versions of the libraries that compute. A
setting counts unless it is named here as one that changes no number, so that a new setting cannot be forgotten.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..data.sources import Source
from ..samples.windows import WindowRule
from .schema import TrainConfig

_COMPUTING = ("joblib", "lightgbm", "numpy", "optuna", "pandas", "scipy", "scikit-learn", "torch")

_TEST_MONTHS = ("test_from", "test_to", "periods")
"""Settings of the window that choose the months to look at, but not how these are treated."""

_MONTHS = ("train_months", "test_months", "refit_every", "expanding", *_TEST_MONTHS)
"""Settings of the window that choose the months a fit sees; the fit's task names those months."""


def digest(parts: object, digits: int = 12) -> str:
    """Return the first hexadecimal digits of the SHA-256 of parts written as JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:digits]


def identity_of_program() -> dict[str, Any]:
    """Return the digest of this project's source code and the versions of the libraries that compute."""
    return {"code": _code(), "libraries": {name: _version(name) for name in _COMPUTING}}


def identity_of_samples(
    data: str, descriptors: tuple[str, ...], window: WindowRule, transforms: Mapping[str, str]
) -> dict[str, Any]:
    """Return what the result of a fit or a trial depends on, besides its own settings, seed and months.

    Args:
        data: Fingerprint of the panel, see :func:`drf.data.panel.fingerprint`.
        descriptors: Descriptors in the order of the samples.
        window: Rule that cut the samples; its settings that only choose months are left out.
        transforms: Descriptor -> how its values become inputs, where it is not by ranks.
    """
    cut = {name: value for name, value in asdict(window).items() if name not in _MONTHS}
    samples = {"data": data, "descriptors": descriptors, "transforms": dict(transforms), "window": cut}
    return {**samples, **identity_of_program()}


def recipe_of(config: TrainConfig) -> str:
    """Return the digest of a training's recipe: its settings except locations and the months it looks at.

    Two trainings of one recipe differ in their months alone: the later is a refresh of the earlier. Code and libraries
    are no part of a recipe, so that a version can be refreshed by a later release.
    """
    return digest(_recipe(config))


def tested_months(config: TrainConfig) -> str:
    """Return the bounds that the settings put to the test months, in words: another choice of them is another trial."""
    window = config.window
    return f"from {window.test_from or 'the first'} to {window.test_to or 'the last'}"


def _recipe(config: TrainConfig) -> dict[str, Any]:
    data, tuning = config.data, asdict(config.tuning)
    for name in ("journal", "storage"):
        del tuning[name]
    return {
        "seed": config.seed,
        "source": _of_source(data.source),
        "universe": data.universe,
        "descriptors": data.descriptors,
        "macro": None if data.macro is None else _without_paths(asdict(data.macro)),
        "samples": asdict(config.samples),
        "frequency": data.frequency,
        "factors": list(config.factors.items()),  # their order is the order of a network's inputs
        "model": config.model,
        "window": {name: value for name, value in asdict(config.window).items() if name not in _TEST_MONTHS},
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


@functools.cache
def _code() -> str:
    code = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        code.update(file.read_bytes())
    return code.hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # an optional one
        return "absent"
