"""Forecast a panel with a registered model: ``python -m drf.score --panel IN.parquet --output OUT.parquet``.

The newest month's inputs are watched first. What is unusual is printed, and nothing is forecast from it (exit code 3)
without ``--force``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ..data.dates import read_dates
from ..data.files import read_file
from ..data.names import read_names
from ..data.numbers import read_numbers
from ..data.panel import RETURN, check_panel
from ..data.universe import largest
from ..errors import InputError, first_line
from ..live.inputs import watch
from ..tracking.store import connect
from . import program

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

HELD_BACK = 3
"""The exit code where the inputs are unusual and nothing was forecast."""


@program.refusing
def main() -> None:
    arguments = _parse()
    output = Path(arguments.output)
    if output.suffix not in (".parquet", ".csv"):
        raise InputError(f"--output {output}: must end in .parquet or .csv")
    if not output.parent.is_dir():
        raise InputError(f"--output {output}: the folder {output.parent} does not exist")
    frame = read_file("--panel", arguments.panel, reading=program.reading_of(arguments))
    connect("drf")

    from ..registry.loading import (
        forecast,
        load_model,
    )  # MLflow takes seconds to import, and is not needed to refuse a file

    try:
        model = load_model(arguments.model)
    except InputError as error:
        raise InputError(f"--model {error}") from error
    if model.metadata.get_input_schema() is None:
        raise InputError(f"--model {arguments.model}: is not a model of this project, it has no signature")
    # The model itself says which descriptors it was trained on.
    descriptors = [name for name in model.metadata.get_input_schema().input_names() if name not in ("date", "asset")]
    panel = check_panel(frame, descriptors, least_stocks=1, with_returns=False)
    _hold_back(model, frame, panel, arguments.force)
    try:
        forecasts = forecast(model, panel, arguments.detail)
    except ValueError as error:
        raise InputError(f"--panel {arguments.panel}: {error}") from error
    try:
        write = forecasts.to_parquet if output.suffix == ".parquet" else forecasts.to_csv
        write(output, index=False)
    except OSError as error:
        raise InputError(f"--output {output}: cannot be written ({first_line(error)})") from error
    months = forecasts["date"].nunique()
    print(f"{len(forecasts):,} forecasts of {months} month(s), to {forecasts['date'].max().date()}, in {output}")


def _hold_back(model: PyFuncModel, frame: pd.DataFrame, panel: pd.DataFrame, force: bool) -> None:
    """Print what is unusual in the newest month of what the model looks at; end there unless forced."""
    spec = model.unwrap_python_model().forecaster.spec
    watched = panel if spec.universe is None else largest(panel, spec.universe)
    if RETURN in frame and "MOM1" in panel:
        returns = frame[["date", "asset", RETURN]].assign(date=read_dates(frame["date"]) + pd.offsets.MonthEnd(0))
        returns = returns.assign(asset=read_names(returns["asset"]), **{RETURN: read_numbers(returns[RETURN])})
        watched = watched.merge(returns, on=["date", "asset"], how="left")
    try:
        found = watch(watched, spec.descriptors, spec.lags)
    except ValueError as error:
        print(f"note: the inputs are not watched: {error}")
        return
    month = f"{panel['date'].max():%Y-%m}"
    for finding in found:
        print(f"unusual in {month}: {finding}")
    if found and not force:
        program.refuse(
            f"--panel: {len(found)} number(s) of {month} are unusual, and nothing was forecast: correct the panel, or "
            "give --force",
            HELD_BACK,
        )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m drf.score", description=__doc__)
    parser.add_argument("--panel", required=True, help="Parquet or CSV with date, asset and the model's descriptors")
    parser.add_argument("--output", required=True, help="file to write, .parquet or .csv")
    parser.add_argument("--model", default="models:/drf-lstm-lrp@champion", help="URI of a registered model")
    parser.add_argument("--detail", default="factors", choices=["factors", "descriptors", "account"])
    program.add_reading(parser)
    parser.add_argument("--force", action="store_true", help="forecast although the newest month's inputs are unusual")
    return parser.parse_args()
