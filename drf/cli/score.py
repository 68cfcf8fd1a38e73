"""``drf score``: forecast the newest month of a panel and issue orders."""

import argparse
import sys

from ..data.calendar import named
from ..live.issue_log import EXPERIMENT
from ..reporting.terminal import issue_text, watch_text
from ..workflows.score import ScoreConfig, score
from . import program
from .failures import HELD_BACK

_ABOUT = """Write the champion's forecasts, target weights and trades for the newest month of a panel.

The result is a file; no broker is contacted. The month's inputs are checked first. Unusual inputs are printed, and
nothing is issued from them (exit code 3) without --force. The forecasts are recorded in MLflow's experiment drf-live,
once a month unless --replace is given.
Example: drf score --panel panel.parquet --output forecasts.parquet"""


@program.refusing
def main() -> None:
    """Run the command."""
    arguments = _parse(sys.argv[1:])
    names = ("panel", "output", "detail", "as_of", "force", "replace")
    given = {name: getattr(arguments, name) for name in names}
    result = score(ScoreConfig(**given, model=arguments.model or None, reading=program.reading_of(arguments)))
    if watched := watch_text(result.watched, result.month):
        program.say(watched)
    if result.issuance is None:
        program.refuse(
            f"--panel: {len(result.watched.unusual)} number(s) of {named(result.month)} are unusual, and nothing was "
            "issued: correct the panel, or give --force",
            HELD_BACK,
        )
    program.say(issue_text(result.issuance))
    where = f"run {result.issuance.run_id} of the experiment {EXPERIMENT} in {result.store}"
    program.say(f"Recorded: {where}" if result.issuance.run_id else "Not recorded: the model is not in a registry.")
    program.say(f"In {arguments.output}")


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="drf score", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--panel", required=True, help="Parquet or CSV with date, asset and the model's descriptors")
    parser.add_argument("--output", required=True, help="file to write, .parquet or .csv")
    parser.add_argument("--model", help="registered model (models:/NAME@champion); default: that of the panel's market")
    parser.add_argument(
        "--detail",
        default=ScoreConfig.detail,
        choices=["factors", "descriptors", "account"],
        help="contributions by factor, by descriptor, or all shares with bias and stabiliser; default: %(default)s",
    )
    parser.add_argument("--as-of", help="as-of date, YYYY-MM-DD; default: today")
    program.add_reading(parser)
    parser.add_argument("--force", action="store_true", help="issue although the newest month's inputs are unusual")
    parser.add_argument("--replace", action="store_true", help="issue a month again that was issued already")
    return parser.parse_args(words if words[-1:] != [""] else words[:-1])  # MLflow's runner hands an empty option over
