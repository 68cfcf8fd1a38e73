"""Daily prices -> one bar a stock and month. The only step that sees every day, so the only one that must be fast.

Polars reads the file lazily and takes some of the stocks at a time, so memory does not grow with the file.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl

from ..errors import InputError, first_line
from .dates import UnreadableDatesError, read_dates
from .names import read_names

COLUMNS = ("date", "asset", "close", "adj_close", "volume")
ROWS_AT_ONCE = 4_000_000

# Close and total-return close that part by more than this between two days do so by a split, not by a dividend.
_SPLIT = 1.3


def month_bars(prices: str) -> pd.DataFrame:
    """Sum up daily prices by stock and month.

    Parameters
    ----------
    prices
        Parquet or CSV file with ``date``, ``asset``, ``close``, ``adj_close`` (total return) and ``volume``.

    Returns
    -------
    One row a (asset, month): ``date`` (month end), ``asset``, ``last_day`` (the last with a price), ``close`` and
    ``adj_close`` of that day, ``illiq`` (mean |daily return| / traded value over days with volume), ``days``, ``idle``
    (days without volume), ``split`` (by what the number of shares grew in the month, 1 if by nothing).

    Raises
    ------
    InputError
        Naming file, column, rows and remedy.
    """
    lazy = _scan(prices)
    _check(lazy, prices)
    rows = lazy.select(pl.len()).collect().item()
    parts = max(1, -(-rows // ROWS_AT_ONCE))
    bars = [_bars(lazy.filter(pl.col("asset").hash() % parts == part)) for part in range(parts)]
    result = pl.concat(bars).sort("asset", "date").to_pandas()
    return result.astype({"date": "datetime64[ns]", "last_day": "datetime64[ns]", "asset": object})


def _scan(prices: str) -> pl.LazyFrame:
    """The five columns, typed; text that is no number or date becomes null and is found by the check."""
    file = Path(prices).expanduser()
    if not file.is_file():
        raise InputError(f"data.prices={prices}: there is no such file")
    try:
        if file.suffix.lower() == ".csv":
            lazy = pl.scan_csv(file, infer_schema=False)
        elif file.suffix.lower() in (".parquet", ".pq"):
            lazy = pl.scan_parquet(file)
        else:
            raise InputError(f"data.prices={prices}: unknown kind of file {file.suffix!r}: give .parquet or .csv")
        names = lazy.collect_schema().names()
    except pl.exceptions.PolarsError as error:
        raise InputError(f"data.prices={prices}: cannot be read ({first_line(error)})") from error
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InputError(f"data.prices={prices}: column {', '.join(missing)} missing: needed are {', '.join(COLUMNS)}")
    kinds = lazy.collect_schema()
    if all(kinds[name] == pl.String for name in COLUMNS):  # CSV, as text: blanks around cells, blank lines
        lazy = lazy.with_columns(pl.col(name).str.strip_chars() for name in COLUMNS)
        lazy = lazy.filter(~pl.all_horizontal(pl.col(name).is_null() for name in COLUMNS))
    numbers = [pl.col(name).cast(pl.Float64, strict=False) for name in COLUMNS[2:]]
    return lazy.select(_days(lazy, prices), _names(lazy), *numbers)


def _names(lazy: pl.LazyFrame) -> pl.Expr:
    cells = lazy.select(pl.col("asset").unique()).drop_nulls().collect()["asset"]
    names = pl.Series(read_names(cells.to_pandas()).tolist(), dtype=pl.String)
    return pl.col("asset").replace_strict(cells, names, default=None, return_dtype=pl.String)


def _days(lazy: pl.LazyFrame, prices: str) -> pl.Expr:
    """The days of the column ``date``, read by what it holds as a whole; each different cell is read once."""
    try:
        cells = lazy.select(pl.col("date").unique()).drop_nulls().collect()["date"]
    except pl.exceptions.PolarsError as error:
        raise InputError(f"data.prices={prices}: cannot be read ({first_line(error)})") from error
    try:
        days = read_dates(cells.to_pandas())
    except UnreadableDatesError as error:
        example = cells[int(error.rows[0])]
        where = lazy.with_row_index("row").filter(pl.col("date").is_in(cells.gather(error.rows).implode()))
        rows = where.select(pl.len(), pl.col("row").min()).collect().row(0)
        raise InputError(
            f"data.prices={prices}: column date, {rows[0]} row(s), first row {rows[1] + 1} ({example}): {error}"
        ) from None
    read = pl.Series(days.to_numpy().astype("datetime64[D]"))
    return pl.col("date").replace_strict(cells, read, default=None, return_dtype=pl.Date)


def _check(lazy: pl.LazyFrame, prices: str) -> None:
    price_is_bad = {name: ~(pl.col(name) > 0) | pl.col(name).is_infinite() for name in ("close", "adj_close")}
    faults = {
        ("date", "not a date: write YYYY-MM-DD"): pl.col("date").is_null(),
        ("asset", "empty: name the stock"): pl.col("asset").is_null() | (pl.col("asset") == ""),
        **{
            (name, "not a price above 0: leave out days without one"): pl.col(name).is_null() | bad
            for name, bad in price_is_bad.items()
        },
        ("volume", "not a number of shares, at least 0"): pl.col("volume").is_null()
        | ~(pl.col("volume") >= 0)
        | pl.col("volume").is_infinite(),
    }
    try:
        count = lazy.select(pl.len().alias("rows"), *(bad.sum().alias(str(k)) for k, bad in enumerate(faults.values())))
        found = count.collect().row(0)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"data.prices={prices}: cannot be read ({first_line(error)})") from error
    if found[0] == 0:
        raise InputError(f"data.prices={prices}: has no rows")
    for ((column, why), bad), number in zip(faults.items(), found[1:], strict=True):
        if number:
            first = lazy.with_row_index("row").filter(bad).select("row", column).head(1).collect().row(0)
            raise InputError(
                f"data.prices={prices}: column {column}, {number} row(s), first row {first[0] + 1} ({first[1]}): {why}"
            )


def _bars(lazy: pl.LazyFrame) -> pl.DataFrame:
    days = lazy.collect().sort("asset", "date")
    twice = days.select(pl.struct("asset", "date").is_duplicated().sum()).item()
    if twice:
        row = days.filter(pl.struct("asset", "date").is_duplicated()).row(0)
        raise InputError(
            f"daily prices: {row[1]} stands more than once on {row[0]} ({twice} such rows): keep one a day"
        )
    return (
        days.lazy()
        .with_columns(
            growth=pl.col("adj_close") / pl.col("adj_close").shift().over("asset"),
            plain=pl.col("close") / pl.col("close").shift().over("asset"),
            traded=pl.col("close") * pl.col("volume"),
        )
        .with_columns(
            split=pl.when((pl.col("growth") / pl.col("plain")).log().abs() > pl.lit(_SPLIT).log())
            .then(pl.col("growth") / pl.col("plain"))
            .otherwise(1.0),
            illiq=pl.when(pl.col("traded") > 0).then((pl.col("growth") - 1).abs() / pl.col("traded")),
        )
        .group_by("asset", pl.col("date").dt.month_end().alias("month"))
        .agg(
            pl.col("date").last().alias("last_day"),
            pl.col("close").last(),
            pl.col("adj_close").last(),
            pl.col("illiq").mean(),
            pl.len().alias("days"),
            (pl.col("volume") == 0).sum().alias("idle"),
            pl.col("split").product(),
        )
        .rename({"month": "date"})
        .collect()
    )
