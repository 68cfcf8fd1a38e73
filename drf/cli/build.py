"""``drf data build``: make a panel and keep it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..data.calendar import named
from ..experiment.composing import compose_settings
from ..experiment.schema import TrainConfig
from ..workflows.build import build, require_output
from . import program

_ABOUT = """Make a panel and keep it.

Reads what a training would (data, factors, macro series), checks it, and writes it with a description beside it:
fingerprint, counts, what was treated, the configuration. A panel that is built again says what has changed."""


@program.refusing
def main(words: Sequence[str]) -> None:
    """Run the command."""
    arguments = _parse(words)
    output = Path(arguments.output)
    require_output(output)
    settings = compose_settings("config", TrainConfig, arguments.overrides)
    result = build(settings, output)
    for line in result.changes:
        print(line)
    same = "nothing has changed, " if result.same else ""
    print(f"{result.output}: {same}{_size(result.panel)}, fingerprint {result.fingerprint}")


def _size(panel: pd.DataFrame) -> str:
    months = panel["date"].nunique()
    return f"{len(panel):,} rows, {panel['asset'].nunique():,} stocks, {months} months to {named(panel['date'].max())}"


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="drf data build", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="+", metavar="key=value", help="as for drf train: data=raw data.prices=...")
    parser.add_argument("--output", required=True, help="panel to write, such as panel.parquet")
    return parser.parse_intermixed_args(list(words))
