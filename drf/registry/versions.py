"""Registered versions, as far as they are known without loading them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from ..data.sources import NamedElsewhere
from ..errors import InputError, first_few, first_line
from ..experiment.config import read_recorded
from ..experiment.identity import recipe_of
from ..experiment.schema import TrainConfig
from ..models.catalogue import ModelRow, row_named
from ..tracking.searches import MARKET, RECIPE, from_tag, same_market
from .loading import MANIFEST, NO_MANIFEST
from .manifest import FILE as MANIFEST_FILE
from .manifest import verify_file
from .training_evidence import FOLDER, LONG, TAGS_FILE

VERDICT, JUDGED, ARCHIVED, GATES = "verdict", "judged", "archived", "gates"
"""Tags of a version: its last verdict, the gates of its final judgement, the reason it is no longer considered, and the
gates under which its recipe became champion."""

DRIVERS = "drivers"
"""Tag of a version: what drives its forecasts, in words, as its training found."""

REJECTED, SUPERSEDED = "rejected", "superseded"
"""Verdicts: rejected by a person's rollback, and superseded by a newer version of the recipe."""

_NEEDED = {"row_run", "parent_run", "train_last"}


@dataclass(frozen=True)
class Version:
    """A registered version with the tags of its registration and of earlier evaluations.

    Attributes
    ----------
    row, row_run, parent_run
        Row from which the version was made, that row's run, and the run of its training.
    train_last
        The last month whose return it has seen.
    recipe, market
        See :func:`drf.experiment.identity.recipe_of` and :func:`drf.tracking.searches.market_returns`; None if unknown.
    config
        The training's.
    tags
        All.
    judged
        Gates of the version's final judgement; None if it still waits to be judged.
    gates
        Gates, in words, under which the version or the recipe that it refreshes became champion; None if neither did.
    """

    name: str
    number: str
    row: ModelRow
    row_run: str
    parent_run: str
    train_last: pd.Timestamp
    recipe: str
    market: pd.Series | None
    config: TrainConfig
    tags: Mapping[str, str]
    judged: str | None = None
    gates: str | None = None

    @classmethod
    def of(cls, entry: ModelVersion, tags: Mapping[str, str]) -> Version:
        """Read a version's tags, see :func:`tags_of`.

        Raises
        ------
        InputError
            If it was registered by another release of this program, which this one cannot read.
        """
        config = read_recorded(tags["config"])
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
            # for a source that is not made here, the recipe is the one that the training wrote
            recipe=tags[RECIPE] if isinstance(config.data.source, NamedElsewhere) else recipe_of(config),
            market=from_tag(tags.get(MARKET)),
            tags=dict(tags),
            judged=tags.get(JUDGED),
            gates=tags.get(GATES),
        )

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.number}"

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
    entries = sorted(_search(client, name), key=lambda entry: int(entry.version))
    versions, left_aside = [], {}
    for entry in entries:
        reason = _why_aside(entry, str(entry.version) in aliased)
        try:
            tags = tags_of(entry) if reason is None else {}
        except InputError as error:
            reason = str(error)
        try:
            if reason is None:
                versions.append(Version.of(entry, tags))
        except (InputError, KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"it was registered by another release of this program ({first_line(error)})"
        if reason is not None:
            left_aside[str(entry.version)] = reason
    return RegisteredVersions(versions, left_aside)


def tags_of(entry: ModelVersion) -> Mapping[str, str]:
    """Return a version's tags as registered, including the long ones, checked against its files.

    Raises
    ------
    InputError
        If its files cannot be read or are not those registered, or if a tag was changed since.
    """
    place, uri = f"artifacts/bundle/{FOLDER}/{TAGS_FILE}", f"models:/{entry.name}/{entry.version}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            manifest, written = (
                Path(mlflow.artifacts.download_artifacts(f"{uri}/{name}", dst_path=folder)).read_bytes()
                for name in (MANIFEST_FILE, place)
            )
    except Exception as error:  # each kind of store has exceptions of its own
        raise InputError(f"its files cannot be read now: {first_line(error)}") from error
    try:
        verify_file(manifest, entry.tags[MANIFEST], place, written)
    except ValueError as error:
        raise InputError(f"{uri}: {error}") from error
    recorded = {key: str(value) for key, value in json.loads(written).items()}
    for key, value in recorded.items():
        if entry.tags.get(key, value if key in LONG else None) != value:
            raise InputError(f"{uri}: its tag {key} was changed since it was registered")
    return {**entry.tags, **recorded}


def _search(client: mlflow.MlflowClient, name: str) -> list[ModelVersion]:
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


def require_versions(versions: RegisteredVersions, name: str, store: str) -> None:
    """Refuse to evaluate where there is no version to evaluate.

    Raises
    ------
    InputError
        The message says why each version was left aside.
    """
    if not versions.versions:
        aside = [f"version {number}: {reason}" for number, reason in versions.left_aside.items()]
        why = f" ({first_few(aside, 5)})" if aside else ""
        raise InputError(f"{name} has no version to evaluate in {store}{why}: run drf train first")


def mark(client: mlflow.MlflowClient, name: str, number: str, tags: Mapping[str, Any]) -> None:
    """Write tags on a version; values other than text are written as JSON."""
    for key, value in tags.items():
        text = value if isinstance(value, str) else json.dumps(value)
        client.set_model_version_tag(name, number, key, text)
