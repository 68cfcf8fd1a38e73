"""Forecast a panel's newest month and issue it: ``python -m drf.score --panel IN.parquet --output OUT.parquet``.

The month's inputs are watched first. What is unusual is printed, and nothing is issued from it (exit code 3) without
``--force``. What is issued is recorded in MLflow's experiment ``drf-live``: once a month, unless ``--replace``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from ..data.files import read_file, whole_or_not
from ..data.panel import RETURN, check_panel
from ..errors import InputError, first_line
from ..live.calendar import day_of, up_to
from ..live.issues import EXPERIMENT
from ..live.scorer import Scorer, load_scorer, recent
from ..live.scoring import issue_month
from ..live.watching import Watch, watch_month
from ..registry.loading import forecast
from ..tracking.store import connect, without_secrets
from . import program
from .summary import issue_summary


@program.refusing
def main() -> None:
    arguments = _parse()
    output = Path(arguments.output)
    if output.suffix not in (".parquet", ".csv"):
        raise InputError(f"--output {output}: must end in .parquet or .csv")
    if not output.parent.is_dir():
        raise InputError(f"--output {output}: the folder {output.parent} does not exist")
    if output.exists() and Path(arguments.panel).exists() and output.samefile(arguments.panel):
        raise InputError(f"--output {output}: is the panel itself: name another file")
    frame = read_file("--panel", arguments.panel, reading=program.reading_of(arguments))
    store = without_secrets(connect("drf"))
    try:
        scorer = load_scorer(arguments.model)
    except InputError as error:
        raise InputError(f"--model {error}") from error
    knows_returns = RETURN in frame and bool(frame[RETURN].notna().any())
    panel = check_panel(frame, scorer.descriptors, least_stocks=1, with_returns=knows_returns)
    panel, afterwards = up_to(panel, arguments.as_of)
    watched = watch_month(scorer, panel, day_of(arguments.as_of))
    print_watch(watched, panel["date"].max())
    if watched.unusual and not arguments.force:
        program.refuse(
            f"--panel: {len(watched.unusual)} number(s) of {panel['date'].max():%Y-%m} are unusual, and nothing was "
            "issued: correct the panel, or give --force",
            program.HELD_BACK,
        )
    made = issue_month(scorer, panel, watched, afterwards, arguments.replace)
    issue = made.issued.issue
    if made.other and not made.is_new:
        raise InputError(
            f"{issue.month:%Y-%m} is issued already, by version {issue.version} at {issue.issued}, and would differ: "
            f"{'; '.join(made.other)}: give --replace to issue it anew"
        )
    _write(output, _in_detail(scorer, panel, made.issued.orders, arguments.detail))
    print(issue_summary(made))
    where = f"run {made.run_id} of the experiment {EXPERIMENT} in {store}"
    print(f"Recorded: {where}" if made.run_id else "Not recorded: the model is in no registry.")
    print(f"In {output}")


def print_watch(watched: Watch, month: pd.Timestamp) -> None:
    """Say what is unusual in a month, or that it was not watched."""
    if watched.not_watched:
        print(f"note: the inputs are not watched: {watched.not_watched}")
    for text in watched.unusual:
        print(f"unusual in {month:%Y-%m}: {text}")


def _in_detail(scorer: Scorer, panel: pd.DataFrame, orders: pd.DataFrame, detail: str) -> pd.DataFrame:
    """The orders with what was asked for in place of the factors' contributions."""
    if detail == "factors":
        return orders
    parts = forecast(scorer.model, recent(scorer, panel), detail).drop(columns=["date", "prediction"])
    names = list(orders)
    factors = names[names.index("prediction") + 1 : names.index("rank")]
    merged = orders.drop(columns=factors).merge(parts, on="asset", how="left")
    more = [name for name in parts if name != "asset"]
    return merged[[*names[: names.index("prediction") + 1], *more, *names[names.index("rank") :]]]


def _write(output: Path, table: pd.DataFrame) -> None:
    try:
        whole_or_not(
            output,
            lambda file: (
                table.to_parquet(file, index=False) if output.suffix == ".parquet" else table.to_csv(file, index=False)
            ),
        )
    except OSError as error:
        raise InputError(f"--output {output}: cannot be written ({first_line(error)})") from error


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m drf.score", description=__doc__)
    parser.add_argument("--panel", required=True, help="Parquet or CSV with date, asset and the model's descriptors")
    parser.add_argument("--output", required=True, help="file to write, .parquet or .csv")
    parser.add_argument("--model", default="models:/drf-lstm-lrp@champion", help="URI of a registered model")
    parser.add_argument("--detail", default="factors", choices=["factors", "descriptors", "account"])
    parser.add_argument("--as-of", help="the day on which one stands, YYYY-MM-DD; today if not given")
    program.add_reading(parser)
    parser.add_argument("--force", action="store_true", help="issue although the newest month's inputs are unusual")
    parser.add_argument("--replace", action="store_true", help="issue a month anew that is issued already")
    return parser.parse_args()
