"""Summary of daily prices as one bar a stock and month. No other step reads every day, so only this one must be fast.

Polars reads the file lazily and takes some of the stocks at a time, so memory does not grow with the file.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow

from ..errors import InputError, first_line
from .columns import missing_columns, sources_of
from .dates import UnreadableDatesError, read_dates
from .files import PLAIN, Reading, read_file
from .formats import UNKNOWN, File, csv_layout
from .names import read_names

COLUMNS = ("date", "asset", "close", "adj_close", "volume")
OPTIONAL = ("split", "shares", "market_value")
TEXTS = ("company", "currency")
ROWS_AT_ONCE = 4_000_000

# Most days in a row that are left out because a vendor gave them in another unit.
_LONGEST_SPIKE = 10

# Largest move on a day on which the unit also changes, such as from pence to pounds.
_DAYS_MOVE = 1.2

# If close and total-return close diverge by more than this between two days, a split is probable, not a dividend.
_SPLIT = 1.3

LONGEST_BREAK = 14
"""Largest number of days between two trading days of a market; a move over a longer gap is not one day's return."""

LONGEST_GAP_DAYS = 400
"""Longest gap in days over which two prices of a name can still show splits between them."""


def month_bars(prices: str, reading: Reading = PLAIN) -> pd.DataFrame:
    """Sum up daily prices by stock and month.

    Args:
        prices: Parquet or CSV file with ``date``, ``asset``, ``close``, ``adj_close`` (total return) and ``volume``.
            Optional: ``company`` (the issuer, where it has several classes of shares), ``currency``, ``split`` (factor
            by which one share multiplied on the day, 1 or empty if none) and ``market_value``, or ``shares``
            outstanding on the basis of ``close``. A negative price on a day without volume is, as CRSP writes it, the
            mean of bid and ask.
        reading: Options of reading that the file itself does not state.

    Returns:
        One row a (asset, month): ``date`` (month end), ``asset``, ``first_day`` and ``last_day`` with a price,
        ``close`` and ``adj_close`` of the last day, ``illiq`` (mean |daily return| / traded value over days with
        volume), ``idle`` (number of days without volume), ``quoted`` (number of days whose price is a mean of bid and
        ask), ``jump`` (factor by which the number of shares seems to have grown in the month, judged by the two closes;
        1 if it has not), ``rebased`` (first day whose total return is a factor of 100 or more, as after a change of
        unit; or none), ``spikes`` (number of the stock's days left out, since they are in another unit than the days
        around them; in its first bar), ``company`` and ``currency`` if the prices have them, and how many in the month.
        If the prices have the columns for them: ``seen`` (number of stated splits that the closes show, less the number
        that they do not show), ``split`` (product over the month), ``shares`` (newest in the month, or market value
        over the close of its day; then ``valued`` is there too) and ``grown`` (factor by which splits multiplied the
        shares in the rest of the month).

    Raises:
        InputError: Naming file, column, rows and remedy.
    """
    return sum_up(checked(read_prices(prices, reading), prices))


def sum_up(lazy: pl.LazyFrame) -> pd.DataFrame:
    """Return the monthly bars of prices that are in order, some of the stocks at a time."""
    rows = lazy.select(pl.len()).collect().item()
    parts = max(1, -(-rows // ROWS_AT_ONCE))
    bars = [_bars(lazy.filter(pl.col("asset").hash() % parts == part)) for part in range(parts)]
    result = pl.concat(bars).sort("asset", "date").to_pandas()
    days = dict.fromkeys(("date", "first_day", "last_day", "rebased"), "datetime64[ns]")
    return result.astype({**days, "asset": object})


def read_prices(prices: str, reading: Reading) -> pl.LazyFrame:
    """Return the typed columns, not read yet; text that is no number or date becomes null, and a check finds it."""
    try:
        lazy = _open(prices, reading)
        own = dict(zip(sources_of(reading.columns, reading.columns), reading.columns, strict=True))
        there = lazy.collect_schema().names()
        lazy = lazy.rename({column: name for column, name in own.items() if column in there and name not in there})
        names = lazy.collect_schema().names()
    except pl.exceptions.PolarsError as error:
        raise _unreadable(prices, error) from error
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        words = missing_columns(missing, [name for name in names if name not in COLUMNS])
        raise InputError(f"data.prices={prices}: column {words} missing: needed are {', '.join(COLUMNS)}")
    columns = [*COLUMNS, *(name for name in OPTIONAL if name in names)]
    texts = [name for name in TEXTS if name in names]
    kinds = lazy.collect_schema()
    if all(kinds[name] == pl.String for name in columns):  # CSV, as text: blanks around cells, blank lines
        lazy = lazy.with_columns(pl.col(name).str.strip_chars() for name in columns)
        empty = [pl.col(name).is_null() | (pl.col(name) == "") for name in columns]
        lazy = lazy.filter(~pl.all_horizontal(empty))
    numbers = [_number(name, kinds[name]) for name in columns[2:]]
    lazy = lazy.select(_days(lazy, prices), _names(lazy), *numbers, *(_names(lazy, name) for name in texts))
    return lazy.with_columns(pl.col("split").replace(0.0, None)) if "split" in names else lazy  # 0: no split at Yahoo


def _open(prices: str, reading: Reading) -> pl.LazyFrame:
    """Open a price file: Parquet and plain CSV in parts, every other format of :func:`read_file` as a whole."""
    file = Path(prices).expanduser()
    plain = file.is_file() and replace(reading, columns=PLAIN.columns) == PLAIN
    if plain and file.suffix.lower() in (".parquet", ".pq"):
        return pl.scan_parquet(file)
    if plain and file.suffix.lower() == ".csv" and _is_plain_csv(file):
        return pl.scan_csv(file, infer_schema=False)
    frame = read_file("data.prices", prices, reading=reading)
    try:
        return pl.from_pandas(frame).lazy()
    except (pyarrow.ArrowException, TypeError, ValueError) as error:  # cells of several kinds in one column
        raise _unreadable(prices, error) from error


def _is_plain_csv(file: Path) -> bool:
    """Tell whether Polars reads a CSV file as :func:`read_file` does: UTF-8, commas, points, usual line ends."""
    with file.open("rb") as content:
        start = content.read(2**16)
        content.seek(max(0, file.stat().st_size - 64))
        end = content.read()
    layout = csv_layout(File(file))
    usual = {"sep": ",", "decimal": ".", "skiprows": 0, "encoding": "utf-8-sig"}
    return layout == usual and b"\x1a" not in end and (b"\n" in start or b"\r" not in start)


def _unreadable(prices: str, error: Exception) -> InputError:
    """Return the error for a file that Polars cannot read; :func:`read_file` knows more about encodings."""
    if "utf" in str(error).lower():
        try:
            read_file("data.prices", prices)
        except InputError as refused:
            return refused
    return InputError(f"data.prices={prices}: cannot be read ({first_line(error)})")


def _number(name: str, kind: pl.DataType) -> pl.Expr:
    """Return a column's numbers: null where unknown, NaN where a text is no number."""
    if kind == pl.String:
        unknown = pl.col(name).is_null() | pl.col(name).is_in(UNKNOWN)
        read = pl.col(name).cast(pl.Float64, strict=False).fill_null(float("nan"))
        return pl.when(unknown).then(None).otherwise(read).alias(name)
    return pl.col(name).cast(pl.Float64, strict=False).fill_nan(None)


def _names(lazy: pl.LazyFrame, name: str = "asset") -> pl.Expr:
    cells = lazy.select(pl.col(name).unique()).drop_nulls().collect()[name]
    names = pl.Series(read_names(cells.to_pandas()).tolist(), dtype=pl.String)
    if cells.dtype == pl.String and names.equals(cells):
        return pl.col(name)
    return pl.col(name).replace_strict(cells, names, default=None, return_dtype=pl.String)


def _days(lazy: pl.LazyFrame, prices: str) -> pl.Expr:
    """Return the days of the column ``date``, interpreted as a whole; each distinct cell is read once."""
    try:
        cells = lazy.select(pl.col("date").unique()).drop_nulls().collect()["date"]
    except pl.exceptions.PolarsError as error:
        raise _unreadable(prices, error) from error
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
    if cells.dtype in (pl.Date, pl.Datetime) and read.equals(cells.cast(pl.Date)):
        return pl.col("date").cast(pl.Date)
    return pl.col("date").replace_strict(cells, read, default=None, return_dtype=pl.Date)


def checked(lazy: pl.LazyFrame, prices: str) -> pl.LazyFrame:
    """Return the prices if they are in order, and refuse them if not."""
    there = [name for name in OPTIONAL if name in lazy.collect_schema().names()]
    quoted = (pl.col("close") < 0) & (pl.col("volume").fill_null(0) == 0)
    faults = {
        ("date", "not a date: write YYYY-MM-DD"): pl.col("date").is_null(),
        **{
            (
                name,
                "not a number: write all columns with one decimal sign (data.decimal), and no separator of thousands",
            ): (pl.col(name).is_nan())
            for name in (*COLUMNS[2:], *there)
        },
        ("asset", "empty: name the stock"): pl.col("asset").is_null() | (pl.col("asset") == ""),
        ("close", "negative with trading; CRSP's means of bid and ask stand on days without: correct it"): (
            (pl.col("close") < 0) & ~quoted
        ),
        ("close", "not a price above 0: leave out days without one"): _no_price("close"),
        (
            "adj_close",
            "negative where close is not: dividends were subtracted: take closes that dividends multiply, or close",
        ): (pl.col("adj_close") < 0) & ~(quoted & (pl.col("close") < 0)),
        ("adj_close", "not a price above 0, and close is there: fill it, with close if no dividend was paid"): (
            _no_price("adj_close")
        ),
        ("volume", "not a number of shares, at least 0"): (pl.col("volume").is_null() & ~quoted)
        | pl.col("volume").is_nan()
        | ~(pl.col("volume") >= 0)
        | pl.col("volume").is_infinite(),
        **{
            (name, "not a number above 0: correct it, or leave it empty"): (
                pl.col(name).is_nan() | ~(pl.col(name) > 0) | pl.col(name).is_infinite()
            )
            for name in there
        },
    }
    try:
        count = lazy.select(
            pl.len().alias("rows"), *(bad.fill_null(False).sum().alias(str(k)) for k, bad in enumerate(faults.values()))
        )
        found = count.collect().row(0)
    except pl.exceptions.PolarsError as error:
        raise _unreadable(prices, error) from error
    if found[0] == 0:
        raise InputError(f"data.prices={prices}: has no rows")
    for ((column, why), bad), number in zip(faults.items(), found[1:], strict=True):
        if number:
            first = lazy.with_row_index("row").filter(bad).select("row", column).head(1).collect().row(0)
            raise InputError(
                f"data.prices={prices}: column {column}, {number} row(s), first row {first[0] + 1} ({first[1]}): {why}"
            )
    return lazy


def _no_price(name: str) -> pl.Expr:
    price = pl.col(name)
    return price.is_null() | price.is_nan() | (price == 0) | price.is_infinite()


def _bars(lazy: pl.LazyFrame) -> pl.DataFrame:
    days = lazy.collect().sort("asset", "date")
    twice = days.select(pl.struct("asset", "date").is_duplicated().sum()).item()
    if twice:
        row = days.filter(pl.struct("asset", "date").is_duplicated()).row(0)
        raise InputError(
            f"daily prices: {row[1]} appears more than once on {row[0]} ({twice} such rows): keep one a day"
        )
    month = pl.col("date").dt.month_end().alias("month")
    kept, spikes = _without_spikes(days)
    by_day = kept.lazy().with_columns(_by_day(days.columns))
    bars = by_day.group_by("asset", month).agg(_by_month(days.columns))
    left_out = spikes.lazy().group_by("asset").agg(pl.len().cast(pl.Int64).alias("spikes"))
    is_first = pl.col("month") == pl.col("month").min().over("asset")
    number = pl.when(is_first).then(pl.col("spikes")).fill_null(0)
    return bars.join(left_out, on="asset", how="left").with_columns(number).rename({"month": "date"}).collect()


def _without_spikes(days: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Separate the days that a vendor gives in another unit than the days before and after them."""
    adjusted = pl.col("adj_close").abs()
    growth = adjusted / adjusted.shift().over("asset")
    step = pl.when(_is_unit_break(growth)).then(growth.log(10).round()).otherwise(0.0).fill_null(0.0)
    unit = days.with_columns(step.cum_sum().over("asset").alias("unit"))
    unit = unit.with_columns(pl.struct("asset", "unit").rle_id().alias("run"))
    runs = unit.group_by("run", maintain_order=True).agg(pl.col("asset", "unit").first(), pl.len().alias("days"))
    before, after = (pl.col("unit").shift(k).over("asset") for k in (1, -1))
    spikes = runs.filter((before == after) & (pl.col("days") <= _LONGEST_SPIKE))["run"]
    is_spike = unit["run"].is_in(spikes.implode())
    return days.filter(~is_spike), days.filter(is_spike)


def _by_day(columns: Sequence[str]) -> list[pl.Expr]:
    """Return the change from one day to the next."""
    close, adjusted = pl.col("close").abs(), pl.col("adj_close").abs()
    growth, plain = (price / price.shift().over("asset") for price in (adjusted, close))
    pause = (pl.col("date") - pl.col("date").shift().over("asset")).dt.total_days()
    traded = close * pl.col("volume")
    apart = growth / plain
    by_day = [
        pl.when(_is_far(apart, _SPLIT) & (pause <= LONGEST_GAP_DAYS)).then(apart).otherwise(1.0).alias("jump"),
        pl.when((traded > 0) & (pause <= LONGEST_BREAK)).then((growth - 1).abs() / traded).alias("illiq"),
    ]
    by_day.append((_is_unit_break(growth) & (pause <= LONGEST_BREAK)).alias("rebased"))
    if "split" in columns:
        split = pl.col("split").fill_null(1.0)
        shown = pl.when(_is_far(apart, _SPLIT)).then(1).otherwise(-1)
        compared = _is_far(split, _SPLIT) & (pause <= LONGEST_GAP_DAYS)
        by_day.append(pl.when(compared).then(shown).otherwise(0).alias("seen"))
    return by_day


def _is_unit_break(growth: pl.Expr) -> pl.Expr:
    """Return True if a total return is a change of unit: a factor of 100, 1,000 or more, give or take a day's move."""
    size = growth.log(10).abs()
    return (size > 1.5) & ((size - size.round()).abs() < math.log10(_DAYS_MOVE))


def _is_far(ratio: pl.Expr, bound: float) -> pl.Expr:
    return ratio.log().abs() > pl.lit(bound).log()


def _by_month(columns: Sequence[str]) -> list[pl.Expr]:
    close = pl.col("close").abs()
    by_month = [
        pl.col("date").first().alias("first_day"),
        pl.col("date").last().alias("last_day"),
        close.last(),
        pl.col("adj_close").abs().last(),
        pl.col("illiq").mean(),
        (pl.col("volume").fill_null(0) == 0).sum().alias("idle"),
        (pl.col("close") < 0).sum().alias("quoted"),
        pl.col("jump").product(),
        pl.col("date").filter(pl.col("rebased")).first().alias("rebased"),
    ]
    if "split" in columns:
        by_month += [pl.col("split").fill_null(1.0).product(), pl.col("seen").sum()]
    for name in [name for name in TEXTS if name in columns]:
        by_month += [pl.col(name).last(), pl.col(name).n_unique().alias(f"{name}s")]
    if "market_value" in columns or "shares" in columns:
        # Shares are on the basis of close, whatever it is.
        shares = pl.col("market_value") / close if "market_value" in columns else pl.col("shares")
        if "market_value" in columns:
            by_month.append(pl.lit(True).alias("valued"))
        split = pl.col("split").fill_null(1.0) if "split" in columns else pl.col("jump")
        later = shares.is_not_null().cum_sum(reverse=True) == 0
        by_month += [shares.drop_nulls().last().alias("shares"), split.filter(later).product().alias("grown")]
    return by_month
