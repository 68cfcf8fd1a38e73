"""Register the newest window's models as a new version, with all that a downstream job needs to load it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

import drf

from ..comparison.evidence import BENCHMARK
from ..comparison.rows import Row
from ..data.panel import KEYS
from ..errors import InputError
from ..experiment.config import located
from ..experiment.experiment import Experiment
from ..experiment.recipe import recipe_of
from ..models.base import Model as FittedModel
from ..models.base import Registrable
from ..models.portable import PortableTrees
from ..tracking.runs import git_commit
from ..tracking.trials import MARKET, RECIPE, as_tag, market_returns
from .evidence import FOLDER, Evidence, remember
from .forecaster import Forecaster, Spec
from .loading import MANIFEST
from .manifest import FILE as MANIFEST_FILE
from .manifest import digest_of, make_manifest
from .signing import sign_if_asked

# The forecasting code that travels with a version: what forecaster.py imports, and nothing that trains.
_BUNDLED = (
    "__init__.py",
    "data/__init__.py",
    "data/numbers.py",
    "data/dates.py",
    "data/names.py",
    "data/universe.py",
    "lrp",
    "models/__init__.py",
    "models/architecture.py",
    "models/portable.py",
    "models/units.py",
    "registry/__init__.py",
    "registry/forecaster.py",
    "registry/manifest.py",
    "samples/__init__.py",
    "samples/lagged.py",
    "samples/ranks.py",
)

EXAMPLE_STOCKS = 10

ROUNDING = 1e-4
"""The most that single precision lets a training's forecasts differ from the registered model's, beside the largest."""


def make_forecaster(groups: Sequence[Sequence[Registrable]], spec: Spec) -> Forecaster:
    """The forecaster of fitted models: of one group that differs in its seeds only, or of several to be blended."""
    return Forecaster(spec, [[member.portable() for member in members] for members in groups])


@dataclass(frozen=True)
class Origin:
    """Where a version comes from.

    Attributes
    ----------
    row_run, parent_run
        The run of the row that is registered, and its training's.
    """

    row_run: str
    parent_run: str


def register_newest(
    groups: Sequence[Sequence[FittedModel]], experiment: Experiment, rows: Sequence[Row], origin: Origin
) -> str:
    """Register the newest window's models with the evidence of their training; return the new version.

    Parameters
    ----------
    groups
        Fitted, of the family whose row is registered; of a blend, of each of its rows.
    rows
        The rows of the comparison, that row among them.

    Raises
    ------
    InputError
        If what would be registered does not forecast what the training did.
    """
    config, dates = experiment.config, experiment.samples.dates
    trained = experiment.schedule.newest.train
    spec = Spec(
        lags=list(experiment.samples.lags),
        factors={name: list(names) for name, names in experiment.factors.items()},
        universe=config.data.universe,
        scale=next(row.newest_scale for row in rows if row.name == config.registry.row),
    )
    forecaster = make_forecaster(
        [[member for member in members if isinstance(member, Registrable)] for members in groups], spec
    )
    tags = {
        "config": located(experiment.record.line, config.data.source),
        RECIPE: recipe_of(config),
        MARKET: as_tag(market_returns(experiment.panel)),
        "data_fingerprint": experiment.data,
        "parent_run": origin.parent_run,
        "train_first": str(dates[trained.start].date()),
        "train_last": str(dates[trained.stop - 1].date()),
        "row": config.registry.row,
        "row_run": origin.row_run,
        "git_commit": git_commit(),
    }
    evidence = gather_evidence(forecaster, experiment.panel, {row.name: row for row in rows}, config.registry.row)
    return register(forecaster, evidence, config.registry.name, origin.row_run, tags)


class Said(Protocol):
    """What a row of a training forecast: of the test months, and of the newest."""

    @property
    def predictions(self) -> pd.DataFrame: ...

    @property
    def forecast(self) -> pd.DataFrame: ...


def gather_evidence(forecaster: Forecaster, panel: pd.DataFrame, rows: Mapping[str, Said], name: str) -> Evidence:
    """What the version takes along of its training.

    Parameters
    ----------
    panel
        In contract form, of the training.
    rows
        Name -> row of the comparison; ``name`` is the registered one.

    Raises
    ------
    InputError
        If the forecaster's forecasts of the newest month are not the row's.
    """
    row, spec = rows[name], forecaster.spec
    first = panel["date"].max() - pd.offsets.MonthEnd(max(spec.lags))
    newest = forecaster.predict(panel[panel["date"] >= first])[[*KEYS, "prediction"]]
    both = row.forecast.merge(newest, on=list(KEYS))
    apart = (both["y_pred"] - both["prediction"]).abs().max()
    if len(row.forecast) and not apart <= ROUNDING * newest["prediction"].abs().max():
        raise InputError(
            f"the row {name} cannot be registered: on this panel the model's forecasts differ by {apart:.2g}"
        )
    predictions = row.predictions.assign(benchmark=np.nan)
    if BENCHMARK in rows:
        benchmark = rows[BENCHMARK].predictions[[*KEYS, "y_pred"]].rename(columns={"y_pred": "benchmark"})
        predictions = row.predictions.merge(benchmark, on=list(KEYS), how="left")
    return Evidence(predictions, newest, remember(panel, spec.descriptors, first))


def register(forecaster: Forecaster, evidence: Evidence, name: str, run_id: str, tags: Mapping[str, str]) -> str:
    """Log the forecaster with its evidence to a run and register it; return the new version.

    The version appears last, in one step and with all its tags: a registration that is stopped leaves none.

    Parameters
    ----------
    name, run_id
        Registered model, and the run that trained it.
    tags
        Of the version.
    """
    client = mlflow.MlflowClient()
    experiment = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment, name="model", source_run_id=run_id)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "model"
        digest = _write(
            forecaster, replace(evidence, tags=dict(tags)), files, Model(run_id=run_id, model_id=logged.model_id)
        )
        client.log_model_artifacts(logged.model_id, str(files))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    with contextlib.suppress(mlflow.MlflowException):  # it is there already
        client.create_registered_model(name)
    source, tags = f"models:/{logged.model_id}", {**tags, MANIFEST: digest}
    version = client.create_model_version(name, source, run_id, tags=tags, model_id=logged.model_id)
    return str(version.version)


def _write(forecaster: Forecaster, evidence: Evidence, folder: Path, model: Model) -> str:
    """Write all files of a version into a new folder; return the digest of their manifest."""
    bundle = folder.with_name("bundle")
    write_bundle(forecaster, bundle)
    evidence.write(bundle / FOLDER)
    mlflow.pyfunc.save_model(
        path=str(folder),
        mlflow_model=model,
        python_model=str(Path(__file__).with_name("serving.py")),
        artifacts={"bundle": str(bundle)},
        signature=_signature(forecaster),
        input_example=_example(evidence.history, forecaster.spec),
        pip_requirements=requirements(forecaster),
    )
    text = make_manifest(folder)
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")
    sign_if_asked(folder)
    return digest_of(text.encode())


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


def requirements(forecaster: Forecaster) -> list[str]:
    """What a loaded version needs, at the versions that trained it; a local build tag of torch is dropped."""
    trees = any(isinstance(member, PortableTrees) for members in forecaster.groups for member in members)
    names = ["mlflow", "numpy", "pandas", "torch", *(["lightgbm"] if trees else [])]
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
    # Of any kind: text, codes, stamps with a zone and whole numbers are read as a training reads them. Keys may stand
    # in the index.
    inputs: list[ColSpec | TensorSpec] = [ColSpec(AnyType(), name, required=False) for name in KEYS]
    inputs += [ColSpec(AnyType(), name) for name in forecaster.spec.descriptors]
    names = ["prediction", *forecaster.spec.factors, "bias"]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.datetime, "date"), ColSpec(DataType.string, "asset")]
    outputs += [ColSpec(DataType.double, name) for name in names]
    params = ParamSchema([ParamSpec("detail", DataType.string, "factors")])
    return ModelSignature(Schema(inputs), Schema(outputs), params)
