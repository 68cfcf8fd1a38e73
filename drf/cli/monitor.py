"""What came true of what was issued: ``python -m drf.monitor --panel PANEL.parquet``.

Every month's forecasts and orders, as they were recorded by ``drf.score``, are held against the returns that the panel
knows by now, and beside what the backtest promised. Exit code 4: the promise is not kept.
"""

from __future__ import annotations

import argparse

import mlflow

from ..data.factors import DESCRIPTORS
from ..data.files import read_file
from ..data.panel import check_panel
from ..experiment.schema import RegistryConfig
from ..experiment.settings import make
from ..live.issues import EXPERIMENT
from ..live.record import log_record, read_record
from ..tracking.store import connect, without_secrets
from . import program
from .summary import record_summary


@program.refusing
def main() -> None:
    arguments = _parse()
    make(RegistryConfig, {"name": arguments.name}, "registry")
    frame = read_file("--panel", arguments.panel, reading=program.reading_of(arguments))
    panel = check_panel(frame, [name for name in DESCRIPTORS if name in frame], least_stocks=1)
    store = without_secrets(connect("drf"))
    client = mlflow.MlflowClient()
    record = read_record(client, arguments.name, panel)
    run_id = log_record(client, record)
    print(record_summary(record))
    print(f"Run: {run_id} of the experiment {EXPERIMENT} in {store}")
    if record.alarm:
        raise SystemExit(program.ALARM)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m drf.monitor", description=__doc__)
    parser.add_argument("--panel", required=True, help="Parquet or CSV with date, asset and ret_next")
    parser.add_argument("--name", default="drf-lstm-lrp", help="the registered model")
    program.add_reading(parser)
    return parser.parse_args()
