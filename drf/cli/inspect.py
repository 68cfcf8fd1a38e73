"""``drf data inspect``: look at a panel before it is trusted."""

import argparse
from collections.abc import Sequence

from ..data.paper_descriptors import DESCRIPTORS
from ..errors import InputError
from ..workflows.inspect import inspect
from . import program

_ABOUT = """Look at a panel before it is trusted.

Exit code 2 if a training would refuse it; nothing is written but the figure, if one is asked for."""


@program.refusing
def main(words: Sequence[str]) -> None:
    """Run the command."""
    arguments = _parse(words)
    seen = inspect(arguments.panel, arguments.descriptors.split(","), arguments.figure, program.reading_of(arguments))
    program.say(seen.text)
    if seen.refusal:
        raise InputError(f"{arguments.panel}: {seen.refusal}")


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="drf data inspect", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("panel", help="file, folder of Parquet files, pattern, or market.db#table")
    parser.add_argument("--descriptors", default=",".join(DESCRIPTORS), help="default: the papers' sixteen")
    parser.add_argument("--figure", help="picture of the coverage to write, such as coverage.png")
    program.add_reading(parser)
    return parser.parse_args(list(words))
