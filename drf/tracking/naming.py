"""Names of runs that tell trainings apart without ids."""

from pathlib import PurePath

from ..data.calendar import named
from ..experiment.experiment import Experiment

_MANY = 4  # largest number of families that a name lists


def training_name(experiment: Experiment) -> str:
    """Return the user's name for a training (``tracking.name``), or one that tells trainings apart.

    The first fifteen letters, which MLflow's lists show, give the newest month, seed and data; universe, families and
    window follow.
    """
    config = experiment.config
    if config.tracking.name:
        return config.tracking.name
    families, window = [family.name for family in experiment.families], config.window
    universe = "" if config.data.universe is None else f" {config.data.universe}"
    return ", ".join(
        [
            f"{named(experiment.samples.dates[-1])} s{config.seed} {short_source(config.data.source.name)}{universe}",
            " ".join(families) if len(families) <= _MANY else f"{len(experiment.rows)} rows",
            f"train {window.train_months}{'+' if window.expanding else ''} refit {window.refit_every}",
        ]
    )


def short_source(name: str) -> str:
    """Return a source's name, with each path reduced to its file's stem."""
    return " ".join(PurePath(word).stem if "/" in word or "." in word else word for word in name.split())
