"""Tables from files, with one clear line for what cannot be read."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from ..errors import InputError, first_few, first_line
from .dates import UnreadableDatesError, read_dates
from .formats import FORMATS, Format, format_of, parquet_files
from .names import read_names
from .numbers import read_numbers

T = TypeVar("T")


NAMES = ("asset", "sector")
"""Columns that hold names, wherever they stand."""


def read_file(key: str, path: str, columns: Sequence[str] | None = None, names: Sequence[str] = NAMES) -> pd.DataFrame:
    """Read a table by its file's ending, see :data:`~.formats.FORMATS`.

    Keys that stand in the index become columns. A folder is read as one table of Parquet files, with a column for each
    ``name=value`` of its folders; a pattern (``prices_*.csv``) as one table of all files that fit it, in the order of
    their names.

    Parameters
    ----------
    key
        The file's name in the config.
    columns
        The only ones to load; all if none are given.
    names
        Those that hold names, whose codes are text.

    Raises
    ------
    InputError
        If there is no such file, or it is empty, of another kind, or cannot be read; or if files of a pattern have
        other columns.
    """
    files = _files(key, path)
    tables = [_reading(key, file, lambda kind: kind.read(file, columns, names)) for file in files]  # noqa: B023
    for file, table in zip(files, tables, strict=True):
        if set(table) != set(tables[0]):
            odd = sorted(map(str, set(table) ^ set(tables[0])))
            raise InputError(f"{key}={path}: {file.name} and {files[0].name} differ in column {first_few(odd)}")
    return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


def column_names(key: str, path: str) -> list[str]:
    """The columns of a table, without reading its rows; refuses what :func:`read_file` does."""
    file = _files(key, path)[0]
    return _reading(key, file, lambda kind: kind.names(file))


def _files(key: str, path: str) -> list[Path]:
    place = Path(path).expanduser()
    if any(sign in path for sign in "*?[") and not place.exists():
        found = sorted(Path(name) for name in glob.glob(str(place)))
        if not found:
            raise InputError(f"{key}={path}: no file fits the pattern")
        return found
    if not place.exists():
        raise InputError(f"{key}={path}: there is no such file")
    if place.is_dir() and not parquet_files(place):
        raise InputError(f"{key}={path}: is a folder without Parquet files")
    return [place]


def _reading(key: str, file: Path, read: Callable[[Format], T]) -> T:
    if file.is_file() and file.stat().st_size == 0:
        raise InputError(f"{key}={file}: the file is empty")
    kind = format_of(file)
    if kind is None:
        raise InputError(f"{key}={file}: unknown kind of file {file.suffix!r}: give one of {', '.join(FORMATS)}")
    try:
        return read(kind)
    except ImportError as error:
        raise InputError(f"{key}={file}: {first_line(error)}: pip install 'drf[excel]'") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{key}={file}: is not UTF-8 at byte {error.start}: save it so (iconv -f CP932 -t UTF-8), or as Parquet"
        ) from error
    except Exception as error:  # the readers raise a dozen unrelated types for a broken file
        raise InputError(f"{key}={file}: cannot be read as {kind.name} ({first_line(error)})") from error


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
            table[name] = read_numbers(text)
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
