"""Refit: when the champion's recipe is due for retraining, and with which settings."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..data.calendar import in_force
from ..data.panel import RETURN
from ..errors import InputError
from ..experiment.composing import read_option
from ..experiment.schema import ComputeConfig, DataConfig
from ..registry.versions import RegisteredVersions, Version
from ..tuning.rule import TuningRule


def newest_of_recipe(versions: RegisteredVersions, champion: Version) -> Version:
    """Return the newest version of the champion's recipe, evaluated or not."""
    return max((version for version in versions.versions if version.is_like(champion)), key=lambda version: version.age)


def is_due(version: Version, panel: pd.DataFrame) -> bool:
    """Tell whether the refit interval of a version's backtest has passed since its training."""
    last = panel.loc[panel[RETURN].notna(), "date"].max()
    return in_force().count(version.train_last, last) >= version.config.window.refit_every


def training_config(version: Version, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings for training a version's recipe on data up to now.

    Args:
        given: The ``data`` config to train on, with its source and macro series; universe and descriptors are the
            version's.

    Places recorded in the version are ignored. Fits and studies are kept on this machine, in the default places.

    Raises InputError if the recorded settings refer to other settings, which would be looked up on this machine.
    """
    if "${" in version.tags["config"]:
        raise InputError(f"{version.title}: its recorded settings refer to others (${{...}}): train it again")
    recorded: dict[str, Any] = json.loads(version.tags["config"])
    compute, tuning = read_option("compute", "local", ComputeConfig), read_option("tuning", "walkforward", TuningRule)
    here = {"scheduler": compute.scheduler, "checkpoints": compute.checkpoints}
    studies = {"journal": tuning.journal, "storage": tuning.storage}
    # the keys that every data config has; the others are references that the recorded source does not use
    data = {entry.name: recorded["data"].get(entry.name) for entry in dataclasses.fields(DataConfig)}
    data["source"] = given["source"]
    if data["macro"] and given.get("macro"):  # which series, and how they are used, belongs to the recipe
        data["macro"] = {**data["macro"], "path": given["macro"]["path"]}
    tracking = {**recorded["tracking"], "name": None}
    return {
        **recorded,
        "data": data,
        "tracking": tracking,
        "window": {**recorded["window"], "test_to": None},
        "compute": {**recorded["compute"], **here},
        "tuning": {**recorded["tuning"], **studies},
        "registry": {**recorded["registry"], "name": version.name},
    }
