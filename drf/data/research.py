"""Mapping of research panels to the contract: other names, signs, units and date conventions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError, first_few, nearest
from .calendar import MONTHLY
from .columns import changed, term
from .dates import UnreadableDatesError, read_dates
from .files import PLAIN, Reading, column_names, read_file
from .joins import same_names, without_partner
from .names import read_names
from .numbers import read_numbers
from .panel import KEYS, RETURN, require_frequency

DATES = ("date", "yyyymm", "yyyymmdd")


def map_panel(
    path: str,
    date: Mapping[str, Any],
    asset: str,
    columns: Mapping[str, str],
    returns: Mapping[str, Any],
    keep: Mapping[str, Any] | None,
    most_unmatched: float = 1.0,
    reading: Reading = PLAIN,
) -> tuple[pd.DataFrame, list[str]]:
    """Read a research panel; only the columns that the mapping names are loaded.

    Args:
        path: Parquet or CSV, one row a stock and month.
        date: ``column``; ``form``, one of :data:`DATES`; ``ahead``, the number of months by which the dates lie after
            the month end at which the descriptors were known.
        asset: Column of the stocks' names.
        columns: Descriptor -> column, with ``-`` before it for the other sign, ``1/`` for its inverse, ``log`` for its
            logarithm. Dates are moved to the month end at which the descriptors were known.
        returns: ``column``; ``percent``, true if its unit is per cent. Without ``path``, the column is the panel's own
            and holds the return over the month after its date. With ``path``, the column is in a file with one row per
            stock and month, and holds the return over the month of the row's date. ``date``, ``form`` and ``asset``
            describe the file's columns; ``ahead`` is the number of months by which its dates lie after the month of the
            return.
        keep: Column -> value or values to keep; rows with other values are left out, and counted.
        most_unmatched: Share of the stocks that may have no row in a file of returns.
        reading: Options of reading that the files themselves do not state.

    Returns:
        The panel, not yet checked, and how many rows and values had to be treated, in sentences.

    Raises:
        InputError: Naming the file, the column and the remedy: for a column that the file lacks, a date that cannot be
            read, or a return that matches no row.
    """
    terms = {name: term(f"data.source.columns.{name}", text) for name, text in columns.items()}
    keep = dict(keep or {})
    own_returns = [] if returns.get("path") else [returns["column"]]
    wanted = [date["column"], asset, *(column for _, column in terms.values()), *own_returns, *keep]
    frame = _read("data.path", path, wanted, {column: name for name, (_, column) in terms.items()}, asset, reading)
    counts, notices = {"rows": len(frame)}, list[str]()
    for column, values in keep.items():
        cells = frame[column].map(lambda cell: int(cell) if isinstance(cell, (bool, np.bool_)) else cell)
        kept = cells.astype(str).isin(_as_texts(values))
        counts[f"rows whose {column} is another"] = int((~kept).sum())
        frame = frame[kept].reset_index(drop=True)
    if frame.empty:
        raise InputError(f"data.keep: no row of {path} has {', '.join(f'{k}={v}' for k, v in keep.items())}")
    over = _month_ends(path, frame[date["column"]], date.get("form", "date"))
    known_at = MONTHLY.shift(over, -date.get("ahead", 0))
    panel = pd.DataFrame({"date": known_at, "asset": _names(path, frame[asset])})
    for name, (change, column) in terms.items():
        values = _numbers(path, frame[column])
        panel[name] = changed(values, change)
        counts[f"values of {name} that have no {change}"] = int((panel[name].isna() & values.notna()).sum())
    if own_returns:
        panel[RETURN] = _numbers(path, frame[returns["column"]])
    else:
        panel, counts["rows without a return"], notices = _with_returns(panel, returns, most_unmatched, reading)
    if returns.get("percent", False):
        panel[RETURN] /= 100
    return panel, [*(f"{number:,} {name}" for name, number in counts.items() if number), *notices]


def _with_returns(
    panel: pd.DataFrame, returns: Mapping[str, Any], most_unmatched: float, reading: Reading
) -> tuple[pd.DataFrame, int, list[str]]:
    """Add each row's return over the month after its date, from a file that dates each return by its own month."""
    path = str(returns["path"])
    names = [returns[key] for key in ("date", "asset", "column")]
    frame = _read("data.returns.path", path, names, {}, returns["asset"], reading)
    over = _month_ends(path, frame[returns["date"]], returns.get("form", "date"))
    stocks = set(panel["asset"])
    of, notices = same_names(_names(path, frame[returns["asset"]]), stocks, f"data.returns.path={path}")
    words = f"stocks have no row in data.returns.path={path}"
    notices += without_partner(stocks - set(of), len(stocks), words, most_unmatched)
    ahead = returns.get("ahead", 0)
    found = pd.DataFrame({"date": MONTHLY.shift(over, -1 - ahead), "asset": of})
    found[RETURN] = _numbers(path, frame[returns["column"]])
    twice = found.duplicated(list(KEYS))
    if twice.any():
        row = found[twice].iloc[0]
        month = MONTHLY.shift(row["date"], 1).date()
        raise InputError(f"data.returns.path={path}: {row['asset']} has more than one return in the month of {month}")
    joined = panel.merge(found, on=list(KEYS), how="left")
    if joined[RETURN].isna().all():
        raise InputError(
            f"data.returns.path={path}: none of its returns matches a row of the panel: compare the months"
        )
    return joined, int(joined[RETURN].isna().sum()), notices


def _read(
    key: str, path: str, wanted: Sequence[str], meaning: Mapping[str, str], asset: str, reading: Reading
) -> pd.DataFrame:
    there = column_names(key, path, reading)
    for column in wanted:
        if column not in there:
            remedy = "map it to the column that holds it (data.source.columns), or is this another vintage of the file?"
            if column in meaning:
                remedy += f" Without it: data.descriptors, a list without {meaning[column]}"
            raise InputError(f"{key}={path}: column {column} missing{nearest(column, there)}: {remedy}")
    return read_file(key, path, list(dict.fromkeys(wanted)), [asset], reading)


def _as_texts(values: Any) -> set[str]:
    several = values if isinstance(values, (list, tuple, set)) else [values]
    numbers = [value for value in several if isinstance(value, (int, float))]
    return {str(value) for value in several} | {str(kind(v)) for v in numbers for kind in (int, float) if kind(v) == v}


def _month_ends(path: str, column: pd.Series, form: str) -> pd.Series:
    if form not in DATES:
        raise InputError(f"data.source.date.form={form}: must be one of {', '.join(DATES)}")
    try:
        dates = read_dates(column, None if form == "date" else form)
    except UnreadableDatesError as error:
        rows = f"{len(error.rows)} row(s), first row {error.rows[0] + 1} ({column.iloc[error.rows[0]]!r})"
        raise InputError(
            f"{path}: column {column.name}, {rows}: not written as {form} says: {error} (data.source.date.form, or "
            "data.source.returns.form)"
        ) from None
    empty = dates.isna().to_numpy()
    if empty.any():
        first = int(empty.argmax())
        raise InputError(f"{path}: column {column.name}, {int(empty.sum())} row(s), first row {first + 1}: empty")
    require_frequency(f"{path}: column {column.name}", dates)
    return MONTHLY.end(dates)


def _names(path: str, column: pd.Series) -> pd.Series:
    """Return names as text; codes that a file holds as floats are written as whole numbers."""
    if column.isna().any():
        raise InputError(
            f"{path}: column {column.name} is empty in {int(column.isna().sum())} row(s): name every stock"
        )
    return read_names(column)


def _numbers(path: str, column: pd.Series) -> pd.Series:
    numbers = read_numbers(column)
    bad = (numbers.isna() & column.notna()).to_numpy().nonzero()[0]
    if len(bad):
        values = first_few([repr(column.iloc[k]) for k in bad])
        raise InputError(
            f"{path}: column {column.name}, {len(bad)} row(s) hold no number: {values}: empty or correct them"
        )
    return numbers
