"""Loading of a registered model, after a check that its files are those that were registered."""

import logging
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import mlflow
import pandas as pd
from mlflow.pyfunc import PyFuncModel

from ..errors import InputError, first_line
from .manifest import verify
from .signing import verify_if_asked
from .statements import require_registration
from .training_evidence import FOLDER, Evidence

MANIFEST = "manifest"
"""The tag of a version that holds the digest of its manifest."""

NO_MANIFEST = "it has no manifest to compare its files with: drf train registers versions that have one"

T = TypeVar("T")


def load_model(uri: str) -> PyFuncModel:
    """Load a model that this project registered; the files of a registered version are checked against its tag.

    Raises InputError if the model is absent, incomplete, changed, or cannot be loaded.
    """
    return _opened(uri, lambda folder: mlflow.pyfunc.load_model(str(folder)))


def load_with_evidence(uri: str) -> tuple[PyFuncModel, Evidence]:
    """Load a model with the evidence of its training; raises as :func:`load_model`."""

    def read(folder: Path) -> tuple[PyFuncModel, Evidence]:
        evidence = Evidence.read(folder / "artifacts" / "bundle" / FOLDER)
        return mlflow.pyfunc.load_model(str(folder)), evidence

    return _opened(uri, read)


def check_files(uri: str) -> None:
    """Check the files of a registered version against its manifest, tag and signature, without running any of them.

    Raises InputError as :func:`load_model`.
    """
    _opened(uri, lambda folder: None)


def forecast(model: PyFuncModel, panel: pd.DataFrame, detail: str = "factors") -> pd.DataFrame:
    """Let a loaded model forecast a panel in contract form, passing it only the columns that it knows.

    Raises ValueError if the panel lacks a column, or is too short.
    """
    wanted = model.metadata.get_input_schema().input_names()
    if missing := [name for name in wanted if name not in panel]:
        raise ValueError(f"the panel lacks {', '.join(missing)}, which this model was trained on")
    forecasts = model.predict(panel[wanted], params={"detail": detail})
    assert isinstance(forecasts, pd.DataFrame)
    return forecasts


def _opened(uri: str, read: Callable[[Path], T]) -> T:
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it warns of every column that a model does not need
    with tempfile.TemporaryDirectory() as folder:
        try:
            source, digest = _resolved(uri)
            files = Path(mlflow.artifacts.download_artifacts(source, dst_path=folder))
            for cache in list(files.rglob("__pycache__")):
                shutil.rmtree(cache)  # compiled files that somebody left there must not run
            verify(files, digest)
            verify_if_asked(files)
            return read(files)
        except InputError:
            raise
        except Exception as error:  # any error of the readers of Parquet, JSON and PyTorch on a damaged file
            raise InputError(f"{uri}: {first_line(error)}") from error


def _resolved(uri: str) -> tuple[str, str | None]:
    """Return the numbered URI of the version that a URI names now, and the digest registered with it.

    For a model that is in no registry, return the URI as it is and no digest.
    """
    named = re.fullmatch(r"models:/([^/@]+)(?:@([^/]+)|/([^/]+))", uri)
    if named is None:
        return uri, None
    name, alias, number = named.groups()
    client = mlflow.MlflowClient()
    if alias:
        entry = client.get_model_version_by_alias(name, alias)
    elif number.isdecimal():
        entry = client.get_model_version(name, number)
    else:
        raise InputError(f"{uri}: name a version by its number, or by an alias: models:/{name}@champion")
    if MANIFEST not in entry.tags:
        raise InputError(f"{uri}: {NO_MANIFEST}")
    require_registration(entry, str(entry.tags[MANIFEST]))
    return f"models:/{name}/{entry.version}", str(entry.tags[MANIFEST])
