"""Forecast a panel with a registered model: ``python -m drf.score --panel IN.parquet --output OUT.parquet``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..data.files import read_file
from ..data.panel import check_panel
from ..errors import InputError, first_line
from ..tracking.store import connect
from . import program


@program.refusing
def main() -> None:
    arguments = _parse()
    output = Path(arguments.output)
    if output.suffix not in (".parquet", ".csv"):
        raise InputError(f"--output {output}: must end in .parquet or .csv")
    if not output.parent.is_dir():
        raise InputError(f"--output {output}: the folder {output.parent} does not exist")
    frame = read_file("--panel", arguments.panel)
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


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m drf.score", description=__doc__)
    parser.add_argument("--panel", required=True, help="Parquet or CSV with date, asset and the model's descriptors")
    parser.add_argument("--output", required=True, help="file to write, .parquet or .csv")
    parser.add_argument("--model", default="models:/drf-lstm-lrp@champion", help="URI of a registered model")
    parser.add_argument("--detail", default="factors", choices=["factors", "descriptors", "account"])
    return parser.parse_args()
