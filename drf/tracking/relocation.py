"""Relocation of a sqlite store: MLflow records absolute paths, which a moved or copied store keeps.

Anyone who continued with a copy would write into the original. A store's home folder is therefore recorded as a tag of
its experiments. A store opened from another folder is refused until its paths are corrected.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
from filelock import FileLock
from mlflow.entities import Experiment

from ..errors import InputError

HOME = "drf.home"

# Where MLflow keeps paths of artifacts.
_PATHS = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}


def require_home(file: Path) -> None:
    """Refuse a store that was moved or copied.

    Raises InputError; the message names both folders and the command that corrects the paths.
    """
    for home in sorted(_homes(file) - {file.parent.resolve()}):
        what = "copied" if (home / file.name).exists() else "moved"
        raise InputError(
            f"{file} was {what} here from {home}, but its recorded artifact paths still point there: move or "
            f"copy the folder mlruns too, then run drf relocate {file}"
        )


def record_home(file: Path, experiment: Experiment) -> None:
    """Record the folder of a store whose experiment is opened for the first time."""
    if HOME not in experiment.tags:
        here = str(file.parent.resolve())
        mlflow.MlflowClient().set_experiment_tag(experiment.experiment_id, HOME, here)


def _homes(file: Path) -> set[Path]:
    """Return the folders in which a store's experiments were made, where they are known."""
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT DISTINCT value FROM experiment_tags WHERE key = ?", (HOME,)).fetchall()
    return {Path(value) for (value,) in rows}


def relocate(file: Path) -> int:
    """Rewrite all paths of a store to its current folder; return how many paths were changed.

    A copy of the unchanged store is kept next to it, as ``<name>.before-relocation``.

    Raises InputError if the file is not an MLflow store, or has not moved.
    """
    here = file.parent.resolve()
    try:
        with FileLock(f"{file}.lock"), sqlite3.connect(f"file:{file}?mode=rw", uri=True) as database:
            rows = database.execute("SELECT value FROM experiment_tags WHERE key = ?", (HOME,)).fetchall()
            locations = database.execute("SELECT artifact_location FROM experiments").fetchall()
            homes = {Path(value) for (value,) in rows} or {Path(value).parents[1] for (value,) in locations}
            homes -= {here}
            if not homes:
                raise InputError(f"{file} has not moved: there is nothing to correct")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            shutil.copyfile(file, f"{file}.before-relocation")
            changed = sum(_replace(database, f"{home}/", f"{here}/") for home in homes)
            database.execute("UPDATE experiment_tags SET value = ? WHERE key = ?", (str(here), HOME))
    except (sqlite3.Error, OSError) as error:
        raise InputError(f"{file}: {error}: check that it is an MLflow store, writable and not in use") from error
    return changed


def _replace(database: sqlite3.Connection, old: str, new: str) -> int:
    return sum(
        database.execute(
            f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE instr({column}, ?) > 0", (old, new, old)
        ).rowcount
        for table, columns in _PATHS.items()
        for column in columns
    )
