"""Register the newest window's networks as a new version, with all that a downstream job needs to load it."""

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
from ..models.base import Model
from ..models.lstm import LSTM
from ..tracking.runs import git_commit
from ..samples.lagged import Samples
from ..samples.windows import Window
from .forecaster import Forecaster, Spec

# The forecasting code that travels with a version: what forecaster.py imports, and nothing that trains.
_BUNDLED = (
    "__init__.py",
    "errors.py",
    "lrp",
    "models/__init__.py",
    "models/architecture.py",
    "registry/__init__.py",
    "registry/forecaster.py",
    "data/__init__.py",
    "data/universe.py",
    "samples/ranks.py",
    "samples/lagged.py",
    "samples/__init__.py",
)

EXAMPLE_STOCKS = 10


def make_forecaster(
    members: Sequence[LSTM], lags: Sequence[int], factors: Mapping[str, Sequence[str]], universe: int | None = None
) -> Forecaster:
    """The forecaster of several trained LSTMs that differ in their seed only."""
    model = members[0]
    spec = Spec(
        lags=list(lags),
        factors={name: list(names) for name, names in factors.items()},
        hidden=model.hidden,
        layers=model.layers,
        bidirectional=model.bidirectional,
        signal_bias=model.signal_bias,
        linearisation=model.linearisation,
        epsilon=model.epsilon,
        universe=universe,
        means=[member.mean_ for member in members],
        scales=[member.scale_ for member in members],
    )
    return Forecaster(spec, [member.network_ for member in members])


def register_newest(
    members: Sequence[Model],
    samples: Samples,
    window: Window,
    panel: pd.DataFrame,
    factors: Mapping[str, Sequence[str]],
    universe: int | None,
    name: str,
    run_id: str,
    tags: Mapping[str, str],
) -> str:
    """Register the models of the newest window with the months they were trained on; return the new version."""
    months = {
        "train_first": str(samples.dates[window.train.start].date()),
        "train_last": str(samples.dates[window.train.stop - 1].date()),
        "history_fingerprint": fingerprint(panel[panel["date"] <= samples.dates[window.train.stop - 1]]),
    }
    networks = [member for member in members if isinstance(member, LSTM)]
    forecaster = make_forecaster(networks, samples.lags, factors, universe)
    return register(forecaster, panel, name, run_id, {**tags, **months, "row_run": run_id, "git_commit": git_commit()})


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
                signature=_signature(forecaster, example),
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


def _signature(forecaster: Forecaster, example: pd.DataFrame) -> ModelSignature:
    inputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.datetime, "date"), ColSpec(DataType.string, "asset")]
    inputs += [ColSpec(DataType.double, name) for name in forecaster.spec.descriptors]
    names = ["prediction", *forecaster.spec.factors, "bias"]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.datetime, "date"), ColSpec(DataType.string, "asset")]
    outputs += [ColSpec(DataType.double, name) for name in names]
    params = ParamSchema([ParamSpec("detail", DataType.string, "factors")])
    return ModelSignature(Schema(inputs), Schema(outputs), params)
