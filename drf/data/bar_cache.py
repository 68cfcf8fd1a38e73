"""Bar cache: monthly bars kept in a file between runs, so that only months with changed prices are summed up anew."""

import datetime
import json
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow
import pyarrow.parquet

from ..errors import InputError, first_few, first_line
from .daily import LONGEST_GAP_DAYS, checked, sum_up
from .files import whole_or_not

_SUMS = b"drf.months"


def kept_bars(lazy: pl.LazyFrame, prices: str, file: Path) -> tuple[pd.DataFrame, str]:
    """Return the result of :func:`drf.data.daily.month_bars`, with the bars of unchanged months taken from a file.

    Args:
        lazy: The daily prices, as :func:`drf.data.daily.read_prices` returns.
        prices: Name of their file in messages.
        file: Parquet file, which need not exist yet.

    Returns:
        The bars, and a sentence on how far the kept bars could be used.
    """
    if not file.absolute().parent.is_dir():
        raise InputError(f"data.bars={file}: the folder does not exist")
    sums = _sums_by_month(lazy, prices)
    columns = lazy.collect_schema().names()
    kept, former = _read(file, columns)
    changed = sorted(month for month in sums.keys() | former.keys() if sums.get(month) != former.get(month))
    if kept is None or not changed:
        bars = sum_up(checked(lazy, prices)) if kept is None else kept
        notices = "all months are summed up" if kept is None else "no month of the prices has changed"
    else:
        first = datetime.date.fromisoformat(changed[0])
        since = first - datetime.timedelta(days=LONGEST_GAP_DAYS + 31)
        new = sum_up(_in_order(lazy, since, prices)) if max(sums) >= changed[0] else kept[:0]
        at = pd.Timestamp(first)
        bars = pd.concat([kept[kept["date"] < at], new[new["date"] >= at]], ignore_index=True)
        bars = bars.sort_values(["asset", "date"], ignore_index=True)
        months = first_few(month[:7] for month in changed)
        notices = f"{len(changed)} of {len(sums)} months of the prices are new or have changed ({months})"
    if changed or kept is None:
        _write(bars, sums, columns, file)
    return bars, notices


def _in_order(lazy: pl.LazyFrame, since: datetime.date, prices: str) -> pl.LazyFrame:
    """Return the prices after a date if they are in order; errors count rows from the start of the whole file."""
    part = lazy.filter(pl.col("date") > since)
    try:
        return checked(part, prices)
    except InputError:
        checked(lazy, prices)
        raise


def _sums_by_month(lazy: pl.LazyFrame, prices: str) -> dict[str, int]:
    """Return month end -> a checksum of its rows, whatever their order."""
    month = pl.col("date").dt.month_end().alias("month")
    rows = pl.struct(pl.all()).hash(1).sum().alias("sum")
    try:
        found = lazy.group_by(month).agg(rows).collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise InputError(f"data.prices={prices}: cannot be read ({first_line(error)})") from error
    if found.is_empty() or found["month"].null_count():
        checked(lazy, prices)  # refuses it
    return {day.isoformat(): int(total) for day, total in found.iter_rows()}


def _read(file: Path, columns: list[str]) -> tuple[pd.DataFrame | None, dict[str, int]]:
    """Read the kept bars and the checksums of their months; ignore a file of another release or of other columns."""
    if not file.exists():
        return None, {}
    try:
        table = pyarrow.parquet.read_table(file)
        described = json.loads(table.schema.metadata[_SUMS])
        if (described["written_by"], described["columns"]) != (_written_by(), columns):
            return None, {}
        return table.to_pandas(), described["months"]
    except (pyarrow.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"data.bars={file}: is not a file of kept bars: name another file, or remove it") from error


def _write(bars: pd.DataFrame, sums: dict[str, int], columns: list[str], file: Path) -> None:
    table = pyarrow.Table.from_pandas(bars, preserve_index=False)
    described = json.dumps({"written_by": _written_by(), "columns": columns, "months": sums}).encode()
    table = table.replace_schema_metadata({**table.schema.metadata, _SUMS: described})
    try:
        whole_or_not(file, lambda aside: pyarrow.parquet.write_table(table, aside))
    except OSError as error:
        raise InputError(f"data.bars={file}: cannot be written ({first_line(error)})") from error


def _written_by() -> str:
    """Return the versions behind a file: its checksums depend on Polars, its bars on the formula."""
    return f"3, polars {pl.__version__}"
