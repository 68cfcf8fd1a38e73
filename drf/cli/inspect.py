"""Look at a panel: ``python -m drf.data inspect PANEL [--descriptors A,B,...] [--figure coverage.png]``."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from ..data.factors import DESCRIPTORS
from ..data.files import read_file
from ..data.inspection import by_descriptor, coverage, coverage_figure, findings, refusal
from ..errors import InputError, first_few
from . import program


@program.refusing
def main() -> None:
    arguments = _parse()
    print(_inspect(arguments.panel, arguments.descriptors.split(","), arguments.figure))


def _inspect(path: str, wanted: list[str], figure: str) -> str:
    if not Path(figure).absolute().parent.is_dir():
        raise InputError(f"--figure {figure}: the folder does not exist")
    frame = read_file("panel", path)
    missing = [name for name in ("date", "asset") if name not in frame]
    if missing:
        raise InputError(f"{path}: column {', '.join(missing)} missing: a panel has a row a (date, asset)")
    panel = frame.assign(date=pd.to_datetime(frame["date"], errors="coerce"))
    for name in {*wanted, "ret_next"} & set(frame):
        panel[name] = pd.to_numeric(frame[name], errors="coerce")
    there = [name for name in wanted if name in panel]
    if not there:
        raise InputError(f"{path}: has none of the descriptors {first_few(wanted, 4)}: name its own with --descriptors")
    dated = panel.dropna(subset=["date", "asset"]).reset_index(drop=True)
    if dated.empty:
        raise InputError(f"{path}: no row has a date and an asset")
    coverage_figure(coverage(dated, there)).savefig(figure, dpi=120)
    stocks = dated.groupby("date").size()
    absent = [name for name in wanted if name not in panel]
    lines = [
        f"{len(frame):,} rows, {dated['asset'].nunique():,} stocks, {len(stocks)} months from "
        f"{stocks.index[0]:%Y-%m} to {stocks.index[-1]:%Y-%m}, {stocks.min():,} to {stocks.max():,} stocks a month",
        "",
        by_descriptor(dated, there).to_string(index=False, float_format="{:.3f}".format),
        "",
        *([f"not there: {', '.join(absent)}: run with data.descriptors=[{','.join(there)}]"] if absent else []),
        *([f"{len(frame) - len(dated):,} rows without a date or an asset"] if len(dated) < len(frame) else []),
        *refusal(frame, there, 5),
        *findings(dated, there),
        f"coverage by month: {figure}",
    ]
    return "\n".join(lines)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m drf.data", description=__doc__)
    parser.add_argument("command", choices=["inspect"])
    parser.add_argument("panel", help="Parquet or CSV file")
    parser.add_argument("--descriptors", default=",".join(DESCRIPTORS), help="default: the papers' sixteen")
    parser.add_argument("--figure", default="coverage.png", help="picture of the coverage to write")
    return parser.parse_args()
