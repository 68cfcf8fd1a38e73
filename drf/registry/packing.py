"""A model as MLflow keeps it: weights, the forecasting code that they need, inputs and outputs."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

import drf

from ..data.calendar import in_force
from ..data.panel import KEYS
from ..models.base import Loadable
from ..models.portable import PortableRegression, PortableTrees
from ..tracking.runs import metrics_are_of
from .forecaster import Forecaster, Spec
from .manifest import FILE as MANIFEST_FILE
from .manifest import digest_of, make_manifest
from .signing import sign_if_asked
from .training_evidence import FOLDER, Evidence

NAME = "model"
"""Name of every logged model below its run: ``runs:/<run>/model`` loads it."""

# The forecasting code that travels with a version: what forecaster.py imports, and nothing that trains.
_BUNDLED = (
    "__init__.py",
    "data/__init__.py",
    "data/calendar.py",
    "data/numbers.py",
    "data/dates.py",
    "data/names.py",
    "data/order.py",
    "data/universe.py",
    "lrp",
    "models/__init__.py",
    "models/architecture.py",
    "models/portable.py",
    "models/combine.py",
    "registry/__init__.py",
    "registry/forecaster.py",
    "registry/manifest.py",
    "samples/__init__.py",
    "samples/inputs.py",
    "samples/lagged.py",
    "samples/transforms.py",
)

EXAMPLE_STOCKS = 10


def make_forecaster(groups: Sequence[Sequence[Loadable]], spec: Spec) -> Forecaster:
    """Return the forecaster of fitted models: one group whose members differ in seeds, or several to be blended."""
    return Forecaster(spec, [[member.portable() for member in members] for members in groups])


@dataclass(frozen=True)
class Logged:
    """A model logged to MLflow.

    Attributes:
        model_id: Its own name in MLflow, ``m-...``.
        digest: Digest of its manifest.
    """

    model_id: str
    digest: str


def log_model(
    forecaster: Forecaster, run_id: str, row: str, panel: pd.DataFrame, evidence: Evidence | None = None
) -> Logged:
    """Log a forecaster to the run of its row.

    Args:
        row: The row's name, as MLflow shows it.
        panel: Panel in contract form; some stocks of its newest months become the input example.
        evidence: Training evidence stored with a registered version.
    """
    client = mlflow.MlflowClient()
    experiment = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment, name=NAME, source_run_id=run_id, model_type=row)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "model"
        digest = _write(forecaster, evidence, panel, files, Model(run_id=run_id, model_id=logged.model_id))
        client.log_model_artifacts(logged.model_id, str(files))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    metrics_are_of(client, run_id, logged.model_id)
    return Logged(str(logged.model_id), digest)


def _write(forecaster: Forecaster, evidence: Evidence | None, panel: pd.DataFrame, folder: Path, model: Model) -> str:
    """Write all files of a model into a new folder; return the digest of their manifest."""
    bundle = folder.with_name("bundle")
    write_bundle(forecaster, bundle)
    if evidence is not None:
        evidence.write(bundle / FOLDER)
    mlflow.pyfunc.save_model(
        path=str(folder),
        mlflow_model=model,
        python_model=str(Path(__file__).with_name("serving.py")),
        artifacts={"bundle": str(bundle)},
        signature=_signature(forecaster),
        input_example=(_example(panel, forecaster.spec), {"detail": "factors", "allow_small": True}),
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
    """Return the packages that a loaded version needs, pinned as in training, without local build tags."""
    kinds = {type(member) for members in forecaster.groups for member in members}
    names = ["mlflow", "numpy", "pandas", "torch"]
    names += ["lightgbm"] if PortableTrees in kinds else []
    names += ["scikit-learn", "skops"] if PortableRegression in kinds else []
    return [f"{name}=={importlib.metadata.version(name).split('+')[0]}" for name in names]


def _example(panel: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Return the rows of a few stocks that are present in all the months that one forecast needs."""
    first = in_force().shift(panel["date"].max(), -max(spec.lags))
    recent = panel[panel["date"] >= first]
    months = recent.groupby("asset")["date"].nunique()
    chosen = months.sort_values(ascending=False, kind="stable").index[:EXAMPLE_STOCKS]
    columns = ["date", "asset", *spec.columns]
    return recent.loc[recent["asset"].isin(chosen), columns].reset_index(drop=True)


def _signature(forecaster: Forecaster) -> ModelSignature:
    # Any type is allowed: text, codes, timestamps with a time zone and whole numbers are read as in training. Keys may
    # be in the index.
    inputs: list[ColSpec | TensorSpec] = [ColSpec(AnyType(), name, required=False) for name in KEYS]
    inputs += [ColSpec(AnyType(), name) for name in forecaster.spec.columns]
    names = ["prediction", *([*forecaster.spec.factors, "bias"] if forecaster.explains else [])]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(DataType.datetime, "date"), ColSpec(DataType.string, "asset")]
    outputs += [ColSpec(DataType.double, name) for name in names]
    params = ParamSchema(
        [ParamSpec("detail", DataType.string, "factors"), ParamSpec("allow_small", DataType.boolean, False)]
    )
    return ModelSignature(Schema(inputs), Schema(outputs), params)
