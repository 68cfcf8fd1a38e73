"""Registered versions, as far as they are known without loading them."""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from ..data.calendar import in_force, named
from ..data.panel import RETURN
from ..data.sources import NamedElsewhere
from ..errors import InputError, first_few, first_line
from ..experiment.config import read_recorded
from ..experiment.factors import make_factors
from ..experiment.identity import recipe_of
from ..experiment.market_name import BUILT_IN, of_panel
from ..experiment.schema import TrainConfig
from ..models.catalogue import ModelRow, row_named
from ..tracking.searches import MARKET, RECIPE, from_tag, same_market
from .loading import MANIFEST, NO_MANIFEST
from .manifest import FILE as MANIFEST_FILE
from .manifest import SIGNATURE, digest_of, verify_file
from .signing import VERIFYING_KEY, verify_if_asked, verifying
from .statements import require_registration
from .training_evidence import FOLDER, LONG, TAGS_FILE

VERDICT, JUDGED, ARCHIVED, GATES = "verdict", "judged", "archived", "gates"
"""Tags of a version: its last verdict, the gates of its final judgement, the reason it is no longer considered, and the
gates under which its recipe became champion."""

HEALTH, HEALTHY = "health", "passes its gates"
"""Tag of the champion: its fault at the last evaluation, or a note that it has none."""

DRIVERS = "drivers"
"""Tag of a version: what drives its forecasts, in words, as its training found."""

REJECTED, SUPERSEDED = "rejected", "superseded"
"""Verdicts: rejected by a person's rollback, and superseded by a newer version of the recipe."""

MARKET_NAME, WORDS = "market", "data"
"""Tags of a version: its market in words, and the command-line words that choose the market's data."""

_NEEDED = {"row_run", "parent_run", "train_last"}


@dataclass(frozen=True)
class Version:
    """A registered version with the tags of its registration and of earlier evaluations.

    Attributes:
        row, row_run, parent_run: Row from which the version was made, that row's run, and the run of its training.
        train_last: The last month whose return it has seen.
        recipe, market: See :func:`drf.experiment.identity.recipe_of` and :func:`drf.tracking.searches.market_returns`;
            None if unknown.
        config: The training's.
        tags: All.
        judged: Gates of the version's final judgement; None if it still waits to be judged.
        gates: Gates, in words, under which the version or the recipe that it refreshes became champion; None if neither
            did.
    """

    name: str
    number: str
    row: ModelRow
    row_run: str
    parent_run: str
    train_last: pd.Timestamp
    recipe: str
    market: pd.DataFrame | None
    config: TrainConfig
    tags: Mapping[str, str]
    judged: str | None = None
    gates: str | None = None

    @classmethod
    def of(cls, entry: ModelVersion, tags: Mapping[str, str]) -> Version:
        """Read a version's tags, see :func:`tags_of`.

        Raises InputError if it was registered by another release of this program, which this one cannot read.
        """
        config = read_recorded(tags["config"])
        make_factors(config.factors, config.data)  # refuses factors that no market could have
        row = row_named(tags.get("row", config.registry.row))
        if row is None:
            raise InputError(f"its row, {tags['row']}, is unknown")
        train_last = pd.Timestamp(tags["train_last"])
        if train_last is pd.NaT or train_last.tz is not None:
            raise InputError(f"its tag train_last, {tags['train_last']}, is not a month end")
        return cls(
            name=entry.name,
            number=str(entry.version),
            row=row,
            config=config,
            row_run=tags["row_run"],
            parent_run=tags["parent_run"],
            train_last=train_last,
            # if a source is only named and cannot be created here, the recipe is the one that the training recorded
            recipe=tags[RECIPE] if isinstance(config.data.source, NamedElsewhere) else recipe_of(config),
            market=from_tag(tags.get(MARKET)),
            tags=dict(tags),
            judged=tags.get(JUDGED),
            gates=tags.get(GATES),
        )

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.number}"

    def overdue(self, panel: pd.DataFrame) -> str:
        """Return a sentence if the version is older than its recipe's refit interval; else an empty text.

        ``panel``: in contract form; its newest month with a known return counts as today.
        """
        newest, every = panel.loc[panel[RETURN].notna(), "date"].max(), self.config.window.refit_every
        if pd.isna(newest):
            return ""
        months = in_force().count(self.train_last, newest)
        if months <= every:
            return ""
        return (
            f"version {self.number} is overdue: it has seen returns to {named(self.train_last)}, {months} months "
            f"before the newest, and its recipe is refitted every {every} month(s): train it (drf train, or drf "
            "month-end)"
        )

    @property
    def title(self) -> str:
        """Version, worded to begin a message."""
        return f"version {self.number} of {self.name}"

    @property
    def words(self) -> str:
        """Command-line words with which ``drf evaluate`` chooses the version's data and registered model."""
        return self.tags.get(WORDS, "")

    def is_like(self, other: Version) -> bool:
        """Tell whether two versions are of one recipe on one market: the newer is a refresh of the older."""
        if self.recipe != other.recipe:
            return False
        return self.market is None or other.market is None or same_market(self.market, other.market)

    @property
    def age(self) -> tuple[pd.Timestamp, int]:
        """Sort key by which the newer of two versions of a recipe comes last."""
        return self.train_last, int(self.number)


@dataclass(frozen=True)
class RegisteredVersions:
    """Versions of a registered model that can be evaluated, in order, and the reasons why others cannot."""

    versions: list[Version]
    left_aside: dict[str, str]

    def get(self, number: str | None) -> Version | None:
        return next((version for version in self.versions if version.number == number), None)

    @property
    def numbers(self) -> set[str]:
        """Numbers of all versions."""
        return {version.number for version in self.versions} | set(self.left_aside)


def read_versions(client: mlflow.MlflowClient, name: str, aliased: Container[str | None] = ()) -> RegisteredVersions:
    """Read the registry; leave aside versions that were rejected or archived, or that this release cannot read.

    ``aliased``: versions with an alias, which are judged whatever was decided about them before.
    """
    versions, left_aside = [], {}
    entries = sorted(registered(client, name), key=lambda entry: int(entry.version))
    owner: dict[str, str] = {}  # manifest -> the verified version that has it
    for entry in entries:
        reason = _why_aside(entry, str(entry.version) in aliased)
        if reason is None and entry.tags[MANIFEST] in owner:
            reason = f"its files are those of version {owner[entry.tags[MANIFEST]]}"
        try:
            if reason is None:
                versions.append(Version.of(entry, tags_of(entry)))
                owner[entry.tags[MANIFEST]] = str(entry.version)
        except InputError as error:
            reason = str(error)
        except Exception as error:  # strangers may register anything; the other versions are still judged
            reason = f"it was registered by another release of this program ({first_line(error)})"
        if reason is not None:
            left_aside[str(entry.version)] = reason
    return RegisteredVersions(versions, left_aside)


def tags_of(entry: ModelVersion) -> Mapping[str, str]:
    """Return a version's tags as they were registered, long ones included.

    They are read only after the manifest was compared with its tag and, if a verifying key is set, with its signature.

    Raises InputError if its files cannot be read, are unsigned or differ from the registered ones, or if a tag has
    changed since.
    """
    uri = f"models:/{entry.name}/{entry.version}"
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        manifest = _downloaded(uri, MANIFEST_FILE, files)
        try:
            if verifying():
                _downloaded(uri, SIGNATURE, files)
                verify_if_asked(files)
            written = _downloaded(uri, _TAGS_PLACE, files)
            verify_file(manifest, entry.tags[MANIFEST], _TAGS_PLACE, written)
            require_registration(entry, digest_of(manifest))
        except ValueError as error:
            raise InputError(str(error) if isinstance(error, InputError) else f"{uri}: {error}") from error
    recorded = {key: str(value) for key, value in json.loads(written).items()}
    for key, value in recorded.items():
        if entry.tags.get(key, value if key in LONG else None) != value:
            raise InputError(f"{uri}: its tag {key} was changed since it was registered")
    return {**entry.tags, **recorded}


def read_history(version: Version) -> pd.DataFrame:
    """Return the panel of a version's training, see :attr:`~.training_evidence.Evidence.history`.

    Raises InputError if it cannot be read, or is not the one that was registered.
    """
    place = f"artifacts/bundle/{FOLDER}/history.parquet"
    with tempfile.TemporaryDirectory() as folder:
        manifest, written = (_downloaded(version.uri, name, Path(folder)) for name in (MANIFEST_FILE, place))
    try:
        verify_file(manifest, version.tags[MANIFEST], place, written)
        return pd.read_parquet(io.BytesIO(written)).astype({"date": "datetime64[ns]"})
    except Exception as error:  # a damaged Parquet file raises any of a dozen exceptions
        raise InputError(f"{version.uri}: {first_line(error)}") from error


_TAGS_PLACE = f"artifacts/bundle/{FOLDER}/{TAGS_FILE}"

_LONGEST = 2**31
"""Largest size in bytes of a file that is read before the version is loaded."""


def _downloaded(uri: str, place: str, folder: Path) -> bytes:
    """Copy the file at a given place in a version to a folder, and return its content."""
    try:
        file = Path(mlflow.artifacts.download_artifacts(f"{uri}/{place}", dst_path=str(folder)))
        size = file.stat().st_size
        content = file.read_bytes() if size <= _LONGEST else b""
    except Exception as error:  # each kind of store has exceptions of its own
        if place == SIGNATURE:
            raise InputError(f"{uri}: it is not signed, and {VERIFYING_KEY} asks for a signature") from error
        raise InputError(f"its files cannot be read now: {first_line(error)}") from error
    if size > _LONGEST:
        raise InputError(f"{uri}: its file {place} has {size:,} bytes, more than any that this program writes")
    return content


def registered(client: mlflow.MlflowClient, name: str) -> list[ModelVersion]:
    """Return all versions of a registered model, as MLflow holds them."""
    entries: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(f"name='{name}'", max_results=500, page_token=token)
        entries += page
        token = page.token
        if not token:
            return entries


def _why_aside(entry: ModelVersion, aliased: bool) -> str | None:
    tags = entry.tags
    if not set(tags) >= _NEEDED:
        return "its registration did not finish, or it is not a version of this project"
    if tags.get(VERDICT) == REJECTED and not aliased:
        return f"rejected before: {tags.get('reason', '')}"
    if ARCHIVED in tags and not aliased:
        return f"archived: {tags[ARCHIVED]}"
    if MANIFEST not in tags:
        return NO_MANIFEST
    if MARKET_NAME not in tags:
        return "it was registered before versions belonged to a market: train it again"
    return None


def why_not_now(client: mlflow.MlflowClient, version: Version) -> str | None:
    """Return why a waiting version cannot be evaluated now, and what to do; None if it can."""
    run_id = version.parent_run
    try:
        run = client.get_run(run_id)
    except mlflow.MlflowException:
        return f"its training run {run_id} is gone, and with it what it said of itself: train it again"
    if run.info.lifecycle_stage != "active":
        return f"its training run is deleted: mlflow runs restore --run-id {run_id} brings it back"
    if run.info.status != "FINISHED":
        return f"its training run is {run.info.status}, not FINISHED"
    return None


def require_versions(client: mlflow.MlflowClient, versions: RegisteredVersions, name: str, store: str) -> None:
    """Refuse to evaluate where there is no version to evaluate.

    Raises InputError; the message says why each version was left aside, and which data belong to the other registered
    models.
    """
    if not versions.versions:
        aside = [f"version {number}: {reason}" for number, reason in versions.left_aside.items()]
        why = f" ({first_few(aside, 5)})" if aside else ""
        others = _other_models(client, name)
        else_ = f", or evaluate another: {first_few(others)}" if others else ""
        raise InputError(f"{name} has no version to evaluate in {store}{why}: run drf train first{else_}")


def _other_models(client: mlflow.MlflowClient, name: str) -> list[str]:
    """Return the other registered models that have a version, each with the command-line words that choose it."""
    names = sorted(model.name for model in client.search_registered_models() if model.name != name)
    newest = {other: versions[-1] for other in names[:5] if (versions := read_versions(client, other).versions)}
    return [f"{other} ({f'drf evaluate {version.words}'.strip()})" for other, version in newest.items()]


def model_of_panel(path: str) -> str:
    """Return the one registered model of a panel file, of any universe; if none, the built-in market's.

    Raises InputError if there are several.
    """
    own = of_panel(path)
    names = [model.name for model in mlflow.MlflowClient().search_registered_models(max_results=1000)]
    fitting = [name for name in names if re.fullmatch(rf"{re.escape(own)}(-top\d+)?", name)]
    if len(fitting) > 1:
        raise InputError(f"{path}: {first_few(fitting)} are all of this panel: name one (--model, or --name)")
    return fitting[0] if fitting else BUILT_IN


def mark(client: mlflow.MlflowClient, name: str, number: str, tags: Mapping[str, Any]) -> None:
    """Write tags on a version; values other than text are written as JSON."""
    for key, value in tags.items():
        text = value if isinstance(value, str) else json.dumps(value)
        client.set_model_version_tag(name, number, key, text)
