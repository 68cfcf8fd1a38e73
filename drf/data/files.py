"""Tables from files, with one clear line for what cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet

from ..errors import InputError
from .cells import as_numbers
from .dates import UnreadableDatesError, read_dates
from .names import read_names

_UNKNOWN = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None"]


def read_file(key: str, path: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read Parquet or CSV (comma-separated, with a header), by the file's ending.

    Parameters
    ----------
    key
        The file's name in the config.
    columns
        The only ones to load; all if none are given.

    Raises
    ------
    InputError
        If the file is missing, empty, of another kind, or cannot be read.
    """
    return _reading(key, path, _read_parquet, _read_csv, columns)


def column_names(key: str, path: str) -> list[str]:
    """The columns of a file, without reading its rows; refuses what :func:`read_file` does."""
    return _reading(key, path, _parquet_columns, _csv_columns)


def _reading(key: str, path: str, parquet: Callable[..., Any], csv: Callable[..., Any], *arguments: Any) -> Any:
    file = Path(path).expanduser()
    if not file.is_file():
        what = "is a folder, not a file" if file.is_dir() else "there is no such file"
        raise InputError(f"{key}={path}: {what}")
    if file.stat().st_size == 0:
        raise InputError(f"{key}={path}: the file is empty")
    kind = file.suffix.lower()
    try:
        if kind in (".parquet", ".pq"):
            return parquet(file, *arguments)
        if kind == ".csv":
            return csv(file, *arguments)
    except Exception as error:  # the readers raise a dozen unrelated types for a broken file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{key}={path}: cannot be read as {kind[1:]} ({reason})") from error
    raise InputError(f"{key}={path}: unknown kind of file {kind!r}: give .parquet or .csv")


def _read_parquet(file: Path, columns: Sequence[str] | None) -> pd.DataFrame:
    frame = pd.read_parquet(file, columns=None if columns is None else list(columns))
    # Texts are decoded here, where one that cannot be counts as a broken file.
    return frame.astype(dict.fromkeys(frame.columns[frame.dtypes == "string"], object))


def _parquet_columns(file: Path) -> list[str]:
    return list(pyarrow.parquet.read_schema(file).names)


def _read_csv(file: Path, columns: Sequence[str] | None) -> pd.DataFrame:
    """Read asset names as text: codes keep their zeros, and a company may be called NA."""
    unknown = {name: _UNKNOWN for name in _csv_columns(file) if name != "asset"}
    return pd.read_csv(
        file,
        usecols=None if columns is None else list(columns),
        dtype={"asset": str},
        keep_default_na=False,
        na_values=unknown,
        low_memory=False,
    )


def _csv_columns(file: Path) -> list[str]:
    return list(pd.read_csv(file, nrows=0).columns)


def read_table(
    key: str,
    path: str,
    dates: Sequence[str],
    numbers: Sequence[str],
    keys: Sequence[str] = (),
    may_be_empty: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a small table and check its columns: dates, numbers, and which of them name a row (``asset`` is text).

    Raises
    ------
    InputError
        Naming the config key, the column and the rows.
    """
    frame = read_file(key, path)
    columns = list(dict.fromkeys([*keys, *dates, *numbers]))
    missing = [name for name in columns if name not in frame]
    if missing:
        raise InputError(f"{key}={path}: column {', '.join(missing)} missing: needed are {', '.join(columns)}")
    table = frame[columns].reset_index(drop=True)
    if "asset" in columns:
        table["asset"] = read_names(table["asset"])
    for name in (*dates, *numbers):
        text = table[name]
        if name in dates:
            table[name] = _dates(f"{key}={path}", text)
            bad = table[name].isna()
        else:
            table[name] = as_numbers(text)
            bad = table[name].isna() | table[name].isin([np.inf, -np.inf])
        if name in may_be_empty:
            bad &= text.notna()
        if bad.any():
            at = int(bad.to_numpy().argmax())
            kind = "a date, YYYY-MM-DD" if name in dates else "a finite number"
            rows = f"{int(bad.sum())} row(s), first row {at + 1} ({text.iloc[at]!r})"
            raise InputError(f"{key}={path}: column {name}, {rows}: not {kind}")
    if keys and table.duplicated(list(keys)).any():
        row = table[table.duplicated(list(keys))].iloc[0]
        what = ", ".join(str(row[name]) for name in keys)
        raise InputError(f"{key}={path}: {what} stands more than once: keep one row a ({', '.join(keys)})")
    return table.sort_values(list(dates[:1])).reset_index(drop=True)


def _dates(where: str, column: pd.Series) -> pd.Series:
    try:
        return read_dates(column)
    except UnreadableDatesError as error:
        rows = f"{len(error.rows)} row(s), first row {error.rows[0] + 1}"
        raise InputError(f"{where}: column {column.name}, {rows}: {error}") from None
