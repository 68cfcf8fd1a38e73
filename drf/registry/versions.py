"""Registered versions: what is known of each, and its forecasts on months that it had not seen."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from dataclasses import dataclass

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from ..data.panel import fingerprint
from ..errors import InputError, first_few, first_line
from ..evaluation.metrics import rank_ic
from ..experiment.config import read_recorded
from ..experiment.schema import TrainConfig
from ..models.rows import ModelRow, row_named
from ..tracking.trials import trials_of
from .gates import Checkup

VERDICT = "verdict"
REJECTED = "rejected"

CHAMPION, PREVIOUS = "champion", "previous"

_NEEDED = {"config", "row_run", "parent_run", "history_fingerprint", "train_last"}

# A month counts only if the version forecast at least this share of the panel's stocks.
_COVERAGE = 0.5


@dataclass(frozen=True)
class Version:
    """A registered version and the tags that :mod:`drf.registry.register` gave it.

    Attributes
    ----------
    row, row_run, parent_run
        The row of which it was made, that row's run, and its training's.
    history
        Fingerprint of the panel up to ``train_last``, the last month whose return it has seen.
    config
        The training's.
    """

    name: str
    number: str
    row: ModelRow
    row_run: str
    parent_run: str
    history: str
    train_last: pd.Timestamp
    config: TrainConfig

    @classmethod
    def of(cls, entry: ModelVersion) -> Version:
        """Read a version's tags.

        Raises
        ------
        InputError
            If it was registered by another release of this program, which this one cannot read.
        """
        tags = entry.tags
        config = read_recorded(tags["config"])
        row = row_named(tags.get("row", config.registry.row))
        if row is None:
            raise InputError(f"its row, {tags['row']}, is unknown")
        return cls(
            name=entry.name,
            number=str(entry.version),
            row=row,
            config=config,
            row_run=tags["row_run"],
            parent_run=tags["parent_run"],
            history=tags["history_fingerprint"],
            train_last=pd.Timestamp(tags["train_last"]),
        )

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.number}"


@dataclass(frozen=True)
class RegisteredVersions:
    """All versions of a registered model, and those that were left aside with the reason."""

    versions: list[Version]
    left_aside: dict[str, str]
    champion: str | None
    previous: str | None


def read_versions(client: mlflow.MlflowClient, name: str) -> RegisteredVersions:
    """Read the registry. Versions that were rejected, or whose training did not finish, are left aside."""
    entries = sorted(client.search_model_versions(f"name='{name}'"), key=lambda entry: int(entry.version))
    aliases = client.get_registered_model(name).aliases if entries else {}
    champion, previous = _alias(aliases, CHAMPION), _alias(aliases, PREVIOUS)
    versions, left_aside = [], {}
    for entry in entries:
        number = str(entry.version)
        reason = _why_aside(client, entry, held=number in (champion, previous))
        try:
            if reason is None:
                versions.append(Version.of(entry))
        except (InputError, KeyError, TypeError) as error:
            reason = f"it was registered by another release of this program ({first_line(error)})"
        if reason is not None:
            left_aside[number] = reason
    return RegisteredVersions(versions, left_aside, champion, previous)


def _why_aside(client: mlflow.MlflowClient, entry: ModelVersion, held: bool) -> str | None:
    """Why a version is not to be judged, if so; ``held``: whether it has an alias, and so is in any case."""
    if not set(entry.tags) >= _NEEDED:
        return "its registration did not finish"
    if entry.tags.get(VERDICT) == REJECTED and not held:
        return f"rejected before: {entry.tags.get('reason', '')}"
    if (state := _state_of_run(client, entry.tags["parent_run"])) != "FINISHED":
        return f"its training run is {state}, not FINISHED"
    return None


def _state_of_run(client: mlflow.MlflowClient, run_id: str) -> str:
    try:
        run = client.get_run(run_id)
    except mlflow.MlflowException:
        return "gone"
    return str(run.info.status) if run.info.lifecycle_stage == "active" else "deleted"


def require_versions(known: RegisteredVersions, name: str, store: str) -> None:
    """Refuse to evaluate where there is nothing to evaluate.

    Raises
    ------
    InputError
        Saying why each version there is was left aside.
    """
    if not known.versions:
        aside = [f"version {number}: {reason}" for number, reason in known.left_aside.items()]
        why = f" ({first_few(aside, 5)})" if aside else ""
        raise InputError(f"{name} has no version to evaluate in {store}{why}: run train.py first")


def _alias(aliases: dict[str, str], name: str) -> str | None:
    return str(aliases[name]) if name in aliases else None


def unseen_forecasts(client: mlflow.MlflowClient, version: Version, panel: pd.DataFrame) -> pd.DataFrame:
    """The version's forecasts for months of the panel that it had not seen, with the panel's returns.

    Up to the last month that the version was trained on, these are the walk-forward forecasts that its training logged,
    each made by a model that had not seen the month; they count only if the panel's history up to that month is, to
    the last value, the one that they were made from. After it, they are the version's own. Months in which less than
    half of the panel's stocks were forecast do not count.

    Returns
    -------
    ``date``, ``asset``, ``y_true``, ``y_pred``; empty if there is no such month.
    """
    returns = panel[["date", "asset", "ret_next"]].rename(columns={"ret_next": "y_true"})
    returns = returns[returns.groupby("date")["y_true"].transform("count") > 0]
    columns = ["date", "asset", "y_pred"]
    parts = [pd.DataFrame({"date": returns["date"][:0], "asset": returns["asset"][:0], "y_pred": 0.0})]
    if fingerprint(panel[panel["date"] <= version.train_last]) == version.history:
        with tempfile.TemporaryDirectory() as folder:
            file = client.download_artifacts(version.row_run, "predictions.parquet", folder)
            parts.append(pd.read_parquet(file)[columns].astype({"date": "datetime64[ns]"}))
    if (returns["date"] > version.train_last).any():
        own = forecast(version, panel).rename(columns={"prediction": "y_pred"})
        parts.append(own.loc[own["date"] > version.train_last, columns].astype({"date": "datetime64[ns]"}))
    made = returns.merge(pd.concat(parts), on=["date", "asset"])
    covered = made.groupby("date").size() / returns.groupby("date").size()
    return made[made["date"].map(covered) >= _COVERAGE].reset_index(drop=True)


def forecast(version: Version, panel: pd.DataFrame, detail: str = "factors") -> pd.DataFrame:
    """Load the registered version and let it forecast a panel in contract form."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it warns of every column that a model does not need
    model = mlflow.pyfunc.load_model(version.uri)
    wanted = model.metadata.get_input_schema().input_names()
    return model.predict(panel[[name for name in wanted if name in panel]], params={"detail": detail})


def check_up(version: Version, panel: pd.DataFrame) -> Checkup:
    """Let the version forecast the newest month and look at its books and its linearisation.

    Two sums must close for every stock: contributions + bias = prediction, and inputs + intercept + what biases,
    stabiliser and initial state absorbed = the models' own forecast.
    """
    newest = panel[panel["date"] >= panel["date"].max() - pd.offsets.MonthEnd(max(version.config.window.lags))]
    factors = forecast(version, newest)
    contributions = factors.drop(columns=["date", "asset", "prediction"]).sum(axis=1)
    account = forecast(version, newest, "account")
    absorbed = account[["inputs", "intercept", "network_bias", "stabiliser", "initial_state"]].sum(axis=1)
    errors = [contributions - factors["prediction"], absorbed - account["network"]]
    linearised = account.assign(y_true=account["network"], y_pred=account["inputs"] + account["intercept"])
    return Checkup(float(np.abs(np.concatenate(errors)).max()), float(rank_ic(linearised).mean()))


def trials_behind(client: mlflow.MlflowClient, name: str) -> pd.DataFrame:
    """Everything that was tried in the experiments that any version of the model comes from, rejected ones too."""
    experiments = set()
    for entry in client.search_model_versions(f"name='{name}'"):
        with contextlib.suppress(mlflow.MlflowException, KeyError):  # a run that is gone for good
            experiments.add(client.get_run(entry.tags["row_run"]).info.experiment_id)
    return trials_of(sorted(experiments))


def mark(client: mlflow.MlflowClient, name: str, number: str, verdict: str, reason: str) -> None:
    """Write a verdict and its reason on a version."""
    client.set_model_version_tag(name, number, VERDICT, verdict)
    client.set_model_version_tag(name, number, "reason", reason)
