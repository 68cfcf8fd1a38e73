"""Register the newest window's models as a new version, with all that a downstream job needs to load it."""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

import drf

from ..data.panel import fingerprint
from ..experiment.experiment import Experiment
from ..models.base import Model, Registrable
from ..tracking.runs import git_commit
from .forecaster import Forecaster, Spec

# The forecasting code that travels with a version: what forecaster.py imports, and nothing that trains.
_BUNDLED = (
    "__init__.py",
    "data/__init__.py",
    "data/universe.py",
    "lrp",
    "models/__init__.py",
    "models/architecture.py",
    "models/portable.py",
    "registry/__init__.py",
    "registry/forecaster.py",
    "samples/__init__.py",
    "samples/lagged.py",
    "samples/ranks.py",
)

EXAMPLE_STOCKS = 10


def make_forecaster(members: Sequence[Registrable], spec: Spec) -> Forecaster:
    """The forecaster of several fitted models that differ in their seed only."""
    return Forecaster(spec, [member.portable() for member in members])


def register_newest(members: Sequence[Model], experiment: Experiment, run_id: str, parent_run: str) -> str:
    """Register the newest window's models with the months they were trained on; return the new version.

    Parameters
    ----------
    members
        Fitted, of the family whose row is registered.
    run_id, parent_run
        The run of that row, and its training's.
    """
    config, dates, panel = experiment.config, experiment.samples.dates, experiment.panel
    trained = experiment.schedule.newest.train
    last = dates[trained.stop - 1]
    tags = {
        "config": experiment.record.line,
        "data_fingerprint": experiment.data,
        "parent_run": parent_run,
        "train_first": str(dates[trained.start].date()),
        "train_last": str(last.date()),
        "history_fingerprint": fingerprint(panel[panel["date"] <= last]),
        "row": config.registry.row,
        "row_run": run_id,
        "git_commit": git_commit(),
    }
    spec = Spec(
        lags=list(experiment.samples.lags),
        factors={name: list(names) for name, names in experiment.factors.items()},
        universe=config.data.universe,
    )
    forecaster = make_forecaster([member for member in members if isinstance(member, Registrable)], spec)
    return register(forecaster, panel, config.registry.name, run_id, tags)


def register(forecaster: Forecaster, panel: pd.DataFrame, name: str, run_id: str, tags: Mapping[str, str]) -> str:
    """Log the forecaster to a run and register it; return the new version.

    Parameters
    ----------
    panel
        In contract form; its newest months of some stocks become the input example.
    name, run_id
        Registered model, and the run that trained it.
    tags
        Of the version.
    """
    example = _example(panel, forecaster.spec)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        write_bundle(forecaster, bundle)
        with mlflow.start_run(run_id=run_id, nested=True):
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("serving.py")),
                artifacts={"bundle": str(bundle)},
                signature=_signature(forecaster),
                input_example=example,
                pip_requirements=requirements(),
                registered_model_name=name,
                await_registration_for=60,
            )
    client = mlflow.MlflowClient()
    version = str(info.registered_model_version)
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)
    return version


def write_bundle(forecaster: Forecaster, folder: Path) -> None:
    """Write weights, specification and forecasting code into a new folder."""
    folder.mkdir()
    forecaster.save(folder)
    source = Path(drf.__file__).parent
    for part in _BUNDLED:
        target = folder / "code" / "drf" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source / part, target)


def requirements() -> list[str]:
    """What a loaded version needs, at the versions that trained it; a local build tag of torch is dropped."""
    names = ("mlflow", "numpy", "pandas", "torch")
    return [f"{name}=={importlib.metadata.version(name).split('+')[0]}" for name in names]


def _example(panel: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """The newest months that one forecast needs, of a few stocks that lived through all of them."""
    first = panel["date"].max() - pd.offsets.MonthEnd(max(spec.lags))
    recent = panel[panel["date"] >= first]
    months = recent.groupby("asset")["date"].nunique()
    chosen = months.sort_values(ascending=False, kind="stable").index[:EXAMPLE_STOCKS]
    columns = ["date", "asset", *spec.descriptors]
    return recent.loc[recent["asset"].isin(chosen), columns].reset_index(drop=True)


def _signature(forecaster: Forecaster) -> ModelSignature:
    inputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.datetime, "date"), ColSpec(DataType.string, "asset")]
    inputs += [ColSpec(DataType.double, name) for name in forecaster.spec.descriptors]
    names = ["prediction", *forecaster.spec.factors, "bias"]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.datetime, "date"), ColSpec(DataType.string, "asset")]
    outputs += [ColSpec(DataType.double, name) for name in names]
    params = ParamSchema([ParamSpec("detail", DataType.string, "factors")])
    return ModelSignature(Schema(inputs), Schema(outputs), params)
