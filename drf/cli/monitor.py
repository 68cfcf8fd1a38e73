"""``drf monitor``: compare issued forecasts with realised returns."""

import argparse
import sys

from ..live.issue_log import EXPERIMENT
from ..reporting.terminal import record_text
from ..workflows.monitor import MonitorConfig, monitor
from . import program
from .failures import ALARM

_ABOUT = """Compare what was issued with what came true.

Every month's forecasts and orders, as drf score recorded them, are compared with the returns of a panel and with the
backtest. Exit code 4: the backtest's promise is not kept."""


@program.refusing
def main() -> None:
    """Run the command."""
    arguments = _parse(sys.argv[1:])
    config = MonitorConfig(panel=arguments.panel, name=arguments.name, reading=program.reading_of(arguments))
    result = monitor(config)
    program.say(record_text(result.record))
    program.say(f"Run: {result.run_id} of the experiment {EXPERIMENT} in {result.store}")
    if result.alarm:
        raise SystemExit(ALARM)


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="drf monitor", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--panel", required=True, help="Parquet or CSV with date, asset and ret_next")
    parser.add_argument("--name", help="registered model; default: that of the panel's market")
    program.add_reading(parser)
    return parser.parse_args(words)
