"""Inspect: what a panel holds, and whether a training would refuse it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..data.calendar import MONTHLY, in_force, named, use
from ..data.files import PLAIN, Reading, dates_of, read_file
from ..data.inspection import by_descriptor, by_month, coverage, coverage_figure, findings, refusal
from ..data.names import read_names
from ..data.numbers import read_numbers
from ..data.panel import RETURN
from ..errors import InputError, first_few


@dataclass(frozen=True)
class Inspection:
    """A look at a panel.

    Attributes:
        text: Counts, a table by descriptor, and findings.
        refusal: Reason for which a training would refuse the panel; empty if there is none.
    """

    text: str
    refusal: str


_SHOWN = 12  # months that are printed, the newest


def inspect(path: str, wanted: Sequence[str], figure: str | None = None, reading: Reading = PLAIN) -> Inspection:
    """Look at a panel before it is trusted.

    Args:
        path: File, folder of Parquet files, pattern, or ``market.db#table``.
        wanted: Descriptors to look at.
        figure: File of the coverage picture to write; None: no picture is drawn.
        reading: Options of reading the file.

    Raises InputError if the file cannot be read as a panel at all.
    """
    if figure is not None and not Path(figure).absolute().parent.is_dir():
        raise InputError(f"--figure {figure}: the folder does not exist")
    frame = read_file("panel", path, reading=reading)
    missing = [name for name in ("date", "asset") if name not in frame]
    if missing:
        raise InputError(f"{path}: column {', '.join(missing)} missing: a panel has a row a (date, asset)")
    dates = dates_of(path, frame["date"])
    use("weekly" if MONTHLY.other_frequency(dates) == "weekly" else "monthly")
    panel = frame.assign(date=in_force().end(dates), asset=read_names(frame["asset"]))
    for name in {*wanted, RETURN} & set(frame):
        panel[name] = read_numbers(frame[name])
    there = [name for name in wanted if name in panel]
    if not there:
        raise InputError(f"{path}: has none of the descriptors {first_few(wanted, 4)}: name its own with --descriptors")
    dated = panel.dropna(subset=["date", "asset"]).reset_index(drop=True)
    if dated.empty:
        raise InputError(f"{path}: no row has a date and an asset")
    if figure is not None:
        coverage_figure(coverage(dated, there)).savefig(figure, dpi=120)
    refused = refusal(frame, there, 5)
    stocks = dated.groupby("date").size()
    absent = [name for name in wanted if name not in panel]
    lines = [
        f"{len(frame):,} rows, {dated['asset'].nunique():,} stocks, {len(stocks)} months from "
        f"{named(stocks.index[0])} to {named(stocks.index[-1])}, {stocks.min():,} to {stocks.max():,} stocks a month",
        "",
        by_descriptor(dated, there).to_string(index=False, float_format="{:.3f}".format),
        "",
        by_month(dated, there).tail(_SHOWN).to_string(index=False, float_format="{:.3f}".format),
        "",
        *([f"not there: {', '.join(absent)}: run with data.descriptors=[{','.join(there)}]"] if absent else []),
        *([f"{len(frame) - len(dated):,} rows without a date or an asset"] if len(dated) < len(frame) else []),
        *([] if RETURN in frame else [f"no column {RETURN}: the panel can be forecast, and not trained on"]),
        *_missing_months(stocks.index),
        *findings(dated, there),
        *([f"coverage by month: {figure}"] if figure is not None else []),
    ]
    return Inspection("\n".join(lines), refused)


def _missing_months(months: pd.Index) -> list[str]:
    every = in_force().between(months[0], months[-1])
    gaps = every.difference(pd.DatetimeIndex(months))
    return [f"{len(gaps)} month(s) have no row: {first_few([named(gap) for gap in gaps])}"] if len(gaps) else []
