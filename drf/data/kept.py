"""Monthly bars kept in a file between runs: only the months from the first whose prices changed are summed up anew."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow
import pyarrow.parquet

from ..errors import InputError, first_few
from .daily import LONGEST_GAP_DAYS, checked, sum_up

_SUMS = b"drf.months"


def kept_bars(lazy: pl.LazyFrame, prices: str, file: Path) -> tuple[pd.DataFrame, str]:
    """What :func:`drf.data.daily.month_bars` returns, by way of a file that is read and written.

    Parameters
    ----------
    lazy
        The daily prices, as :func:`drf.data.daily.read_prices` returns.
    prices
        Their file, in messages.
    file
        Parquet; it need not be there yet.

    Returns
    -------
    The bars, and what of the kept ones was of use, in a sentence.
    """
    if not file.absolute().parent.is_dir():
        raise InputError(f"data.bars={file}: the folder does not exist")
    sums = _sums_by_month(lazy)
    kept, former = _read(file)
    changed = sorted(month for month in sums.keys() | former.keys() if sums.get(month) != former.get(month))
    if kept is None or not changed:
        bars = sum_up(checked(lazy, prices)) if kept is None else kept
        said = "all months are summed up" if kept is None else "no month of the prices has changed"
    else:
        first = datetime.date.fromisoformat(changed[0])
        since = first - datetime.timedelta(days=LONGEST_GAP_DAYS + 31)
        new = sum_up(checked(lazy.filter(pl.col("date") > since), prices)) if sums.keys() & set(changed) else kept[:0]
        at = pd.Timestamp(first)
        bars = pd.concat([kept[kept["date"] < at], new[new["date"] >= at]], ignore_index=True)
        bars = bars.sort_values(["asset", "date"], ignore_index=True)
        months = first_few(month[:7] for month in changed)
        said = f"{len(changed)} of {len(sums)} months of the prices are new or have changed ({months})"
    if changed or kept is None:
        _write(bars, sums, file)
    return bars, said


def _sums_by_month(lazy: pl.LazyFrame) -> dict[str, int]:
    """Month end -> a checksum of its rows, whatever their order."""
    month = pl.col("date").dt.month_end().alias("month")
    rows = pl.struct(pl.all()).hash(1).sum().alias("sum")
    found = lazy.drop_nulls("date").group_by(month).agg(rows).collect(engine="streaming")
    return {day.isoformat(): int(total) for day, total in found.iter_rows()}


def _read(file: Path) -> tuple[pd.DataFrame | None, dict[str, int]]:
    """The kept bars and their months' checksums; nothing of what another release or other software has written."""
    if not file.exists():
        return None, {}
    try:
        table = pyarrow.parquet.read_table(file)
        described = json.loads(table.schema.metadata[_SUMS])
    except (pyarrow.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"data.bars={file}: holds no bars that were kept: name another file, or remove it") from error
    if described["written_by"] != _written_by():
        return None, {}
    return table.to_pandas(), described["months"]


def _write(bars: pd.DataFrame, sums: dict[str, int], file: Path) -> None:
    table = pyarrow.Table.from_pandas(bars, preserve_index=False)
    described = json.dumps({"written_by": _written_by(), "months": sums}).encode()
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    pyarrow.parquet.write_table(table.replace_schema_metadata({**table.schema.metadata, _SUMS: described}), aside)
    os.replace(aside, file)


def _written_by() -> str:
    """Checksums are those of one version of Polars; bars those of one version of the formula."""
    return f"1, polars {pl.__version__}"
