"""Model that MLflow loads from code; it has its own copy of the forecasting code, under a unique name.

So two versions with different code live side by side in one process, and nothing needs to be installed.
"""

import contextlib
import importlib
import importlib.util
import sys
import tempfile
import uuid
from pathlib import Path

import pandas
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from mlflow.types import DataType
from mlflow.types.schema import AnyType, Schema


@contextlib.contextmanager
def _compiled_in(folder):
    """Stop Python reading or writing compiled files next to the sources: it would run files that somebody planted
    there."""
    before, sys.pycache_prefix = sys.pycache_prefix, folder
    try:
        yield
    finally:
        sys.pycache_prefix = before


def _load(package):
    name = f"_drf_{uuid.uuid4().hex}"
    spec = importlib.util.spec_from_file_location(
        name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return name


def _any_kind_is_text_in_csv():
    """Let MLflow's server and ``mlflow models predict`` take CSV for a model whose inputs may be of any kind.

    Both look up each column's type in the signature. A column that takes any kind has no type, so MLflow refuses the
    file. Cells are read as text, so codes keep their zeros, and the forecaster interprets them itself.
    """
    refusing = Schema.pandas_types
    if hasattr(refusing, "takes_any_kind"):
        return

    def pandas_types(self):
        kinds = self.input_types()
        if not all(isinstance(kind, (DataType, AnyType)) for kind in kinds):
            return refusing(self)
        return [object if isinstance(kind, AnyType) else kind.to_pandas() for kind in kinds]

    pandas_types.takes_any_kind = True
    Schema.pandas_types = pandas_types


class DeepRecurrentFactorModel(PythonModel):
    """Forecasts as sums of factor contributions; see ``Forecaster.predict`` in the bundled code."""

    def load_context(self, context):
        """Load the bundled code and weights; raises ValueError if a file of the version is not as registered."""
        _any_kind_is_text_in_csv()
        folder = Path(context.artifacts["bundle"])
        with tempfile.TemporaryDirectory() as caches, _compiled_in(caches):
            name = _load(folder / "code" / "drf")
            importlib.import_module(f"{name}.registry.manifest").verify(folder.parents[1])
            self.forecaster = importlib.import_module(f"{name}.registry.forecaster").Forecaster.load(folder)

    def predict(self, context, model_input: pandas.DataFrame, params=None):
        given = params or {}
        return self.forecaster.predict(model_input, given.get("detail", "factors"), given.get("allow_small", False))


set_model(DeepRecurrentFactorModel())
