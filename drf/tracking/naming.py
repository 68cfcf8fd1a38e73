"""Names of runs: what a training is, so that a list of them can be read without ids."""

from __future__ import annotations

from pathlib import PurePath

from ..experiment.experiment import Experiment

_MANY = 4  # families that a name lists


def training_name(experiment: Experiment) -> str:
    """The name that the user gave (``tracking.name``), or data, universe, newest month, families, window and seed."""
    config = experiment.config
    if config.tracking.name:
        return config.tracking.name
    families, window = [family.name for family in experiment.families], config.window
    return ", ".join(
        [
            short_source(config.data.source.name),
            "all stocks" if config.data.universe is None else f"{config.data.universe} largest",
            f"to {experiment.samples.dates[-1]:%Y-%m}",
            " ".join(families) if len(families) <= _MANY else f"{len(experiment.rows)} rows",
            f"train {window.train_months}{'+' if window.expanding else ''} refit {window.refit_every}",
            f"seed {config.seed}",
        ]
    )


def short_source(name: str) -> str:
    """The last part of each path in a source's name."""
    return " ".join(PurePath(word).name if "/" in word else word for word in name.split())
