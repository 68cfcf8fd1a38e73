"""Files: tables of every supported format, with one clear line for a table that cannot be read."""

import contextlib
import glob
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import pandas as pd
from charset_normalizer import from_bytes

from ..errors import InputError, first_few, first_line
from .archives import opened
from .columns import missing_columns, sources_of, with_names
from .dates import UnreadableDatesError, is_open_end, read_dates
from .formats import DUCKDB, FORMATS, SQLITE, File, Format, format_of, parquet_files
from .names import read_names
from .numbers import read_numbers

log = logging.getLogger(__name__)

T = TypeVar("T")


NAMES = ("asset", "sector")
"""Columns that hold names, in any table."""


@dataclass(frozen=True)
class Reading:
    """Properties of a file that it does not state itself.

    Attributes:
        encoding: Encoding of CSV files; None: UTF-8, or UTF-16 with its mark.
        unknown: Marks of an unknown number, in addition to empty cells: texts (``.``, ``B``) and numbers (-99).
        separator, decimal: CSV separator and decimal mark; None: found from first lines.
        columns: Contract's name -> the file's own column, see :func:`~.columns.with_names`.
    """

    encoding: str | None = None
    unknown: Sequence[str | float] = ()
    separator: str | None = None
    decimal: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


PLAIN = Reading()


def read_file(
    key: str, path: str, columns: Sequence[str] | None = None, names: Sequence[str] = NAMES, reading: Reading = PLAIN
) -> pd.DataFrame:
    """Read a table by its file's ending, see :data:`~.formats.FORMATS`; ``market.db#prices`` names a table of a
    database.

    Keys that stand in the index become columns. A folder is read as one table of Parquet files, with a column for each
    ``name=value`` of its folders. A pattern (``prices_*.csv``) is read as one table of all matching files, in name
    order.

    Args:
        key: The file's name in the config.
        columns: Columns to load; all if none are given.
        names: Columns that hold names; their codes are read as text.
        reading: Options of reading that the file itself does not state. Unknown cells are counted and logged.

    Raises:
        InputError: If the file is missing, empty, of another kind or unreadable, or if a pattern's files differ in
            their columns.
    """
    files = _files(key, path, reading)
    names = [*names, *sources_of(reading.columns, names)]
    tables = [_reading(key, file, lambda kind: kind.read(file, columns, names)) for file in files]  # noqa: B023  called at once
    for file, table in zip(files, tables, strict=True):
        if set(table) != set(tables[0]):
            odd = sorted(map(str, set(table) ^ set(tables[0])))
            raise InputError(
                f"{key}={path}: {file.path.name} and {files[0].path.name} differ in column {first_few(odd)}"
            )
    whole = tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)
    return with_names(_without_marks(whole, f"{key}={path}", names, reading.unknown), reading.columns)


def column_names(key: str, path: str, reading: Reading = PLAIN) -> list[str]:
    """Return the columns of a table without reading its rows; raises as :func:`read_file`."""
    file = _files(key, path, reading)[0]
    return _reading(key, file, lambda kind: kind.names(file))


def _without_marks(
    frame: pd.DataFrame, where: str, names: Sequence[str], unknown: Sequence[str | float]
) -> pd.DataFrame:
    """Empty the cells whose text stands for an unknown number."""
    texts = {str(mark).strip() for mark in unknown}
    numbers = {float(mark) for mark in unknown if _is_number(mark)}
    counts: dict[str, int] = {}
    for name in [name for name in frame if unknown and name not in names]:
        column = frame[name]
        if pd.api.types.is_bool_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
            continue
        marked = column.isin(numbers)
        if not pd.api.types.is_numeric_dtype(column):
            marked = column.astype(str).str.strip().isin(texts) & column.notna()
            marked |= pd.to_numeric(column, errors="coerce").isin(numbers)
        if marked.any():
            frame = frame.assign(**{str(name): column.mask(marked)})
            counts[str(name)] = int(marked.sum())
    if counts:
        words = first_few([f"{number:,} in {name}" for name, number in counts.items()], 5)
        log.info("%s: %s cells hold a text for unknown: %s", where, f"{sum(counts.values()):,}", words)
    return frame


def _is_number(mark: str | float) -> bool:
    try:
        float(mark)
    except ValueError:
        return False
    return True


_LOGIN = re.compile(r"://[^/@\s]*:[^@\s]*@|\b(?:password|passwd|pwd|token|secret)\s*=\s*[^\s/]", re.IGNORECASE)


def _files(key: str, path: str, reading: Reading) -> list[File]:
    if _LOGIN.search(path):
        raise InputError(f"{key}: holds a login, which would be logged: export the table to a file, and name the file")
    address, _, query = path.partition("#")
    if query and format_of(Path(address)) not in (SQLITE, DUCKDB):
        address, query = path, ""  # # is part of the file name
    layout = (reading.encoding, reading.separator, reading.decimal)
    return [File(place, query, *layout) for place in _places(key, address)]


def _places(key: str, path: str) -> list[Path]:
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


def _reading(key: str, file: File, read: Callable[[Format], T]) -> T:
    path = file.path
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{key}={path}: the file is empty")
    kind = format_of(path)
    if kind is None:
        raise InputError(f"{key}={path}: unknown kind of file {path.suffix!r}: give one of {', '.join(FORMATS)}")
    try:
        return read(kind)
    except ImportError as error:
        extra = "sql" if kind is DUCKDB else "excel"
        raise InputError(f"{key}={path}: {first_line(error)}: pip install 'drf[{extra}]'") from error
    except (UnicodeError, LookupError) as error:
        if isinstance(error, LookupError) and not str(error).startswith("unknown encoding"):
            raise InputError(f"{key}={path}: cannot be read as {kind.name} ({first_line(error)})") from error
        raise InputError(f"{key}={path}: {_encoding_remedy(file, error)}") from error
    except Exception as error:  # the readers raise a dozen unrelated types for a broken file
        raise InputError(f"{key}={path}: cannot be read as {kind.name} ({first_line(error)})") from error


def _encoding_remedy(file: File, error: UnicodeError | LookupError) -> str:
    """Return the likely encoding of a text that cannot be decoded, and how to state it."""
    with opened(file.path) as content:
        likely = from_bytes(content.read(200_000)).best()
    at = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
    guess = f" (it looks like {likely.encoding})" if likely is not None else ""
    message = f"is not {file.encoding or 'UTF-8'}{at}: say its encoding{guess}"
    return f"{message}: data.encoding=..., or --encoding; or save it as Parquet"


def read_table(
    key: str,
    path: str,
    dates: Sequence[str],
    numbers: Sequence[str],
    keys: Sequence[str] = (),
    may_be_empty: Sequence[str] = (),
    least: Mapping[str, float] = MappingProxyType({}),
    open_ends: Sequence[str] = (),
    optional: Sequence[str] = (),
    texts: Sequence[str] = (),
    reading: Reading = PLAIN,
) -> pd.DataFrame:
    """Read a small table and check its columns: dates, numbers, and the columns that name a row (``asset`` is text).

    ``least``: lowest value allowed in a column. ``open_ends``: columns in which a date far in the future, such as
    9999-12-31, stands for "not yet"; such rows are left out and counted. ``optional``, ``texts``: numbers and
    texts that are read if the table has them.

    Raises InputError, naming the config key, the column and the rows.
    """
    frame = read_file(key, path, reading=reading)
    numbers = [*numbers, *(name for name in optional if name in frame)]
    columns = list(dict.fromkeys([*keys, *dates, *numbers]))
    missing = [name for name in columns if name not in frame]
    if missing:
        words = missing_columns(missing, [name for name in frame if name not in columns])
        raise InputError(f"{key}={path}: column {words} missing: needed are {', '.join(columns)}")
    table = frame[[*columns, *(name for name in texts if name in frame)]].reset_index(drop=True)
    for name in open_ends:
        not_yet = table[name].map(is_open_end).astype(bool)
        if not_yet.any():
            log.info("%s=%s: %s rows are left out: the date in %s means not yet", key, path, f"{not_yet.sum():,}", name)
            table = table[~not_yet].reset_index(drop=True)
    if "asset" in columns:
        table["asset"] = read_names(table["asset"])
    for name in (*dates, *numbers):
        text = table[name]
        if name in dates:
            table[name] = dates_of(f"{key}={path}", text)
            bad = table[name].isna()
        else:
            table[name] = read_numbers(text)
            bad = table[name].isna() | table[name].isin([np.inf, -np.inf])
        if name in may_be_empty:
            bad &= text.notna()
        if bad.any():
            at = int(bad.to_numpy().argmax())
            kind = "a date, YYYY-MM-DD" if name in dates else "a finite number"
            kind += " (data.decimal=',' if decimals have a comma)" if re.search(r"\d,\d", str(text.iloc[at])) else ""
            rows = f"{int(bad.sum())} row(s), first row {at + 1} ({text.iloc[at]!r})"
            raise InputError(f"{key}={path}: column {name}, {rows}: not {kind}")
    for name, bound in least.items():
        below = (table[name] < bound).to_numpy().nonzero()[0]
        if len(below):
            rows = f"{len(below)} row(s), first row {below[0] + 1} ({table[name].iloc[below[0]]:g})"
            what = f"below {bound:g}" if bound < 0 else "not above 0"
            empty = ", or leave it empty if it is unknown" if name in may_be_empty else ""
            raise InputError(f"{key}={path}: column {name}, {rows}: {what}: correct it{empty}")
    if keys and table.duplicated(list(keys)).any():
        row = table[table.duplicated(list(keys))].iloc[0]
        what = ", ".join(str(row[name]) for name in keys)
        raise InputError(f"{key}={path}: {what} appears more than once: keep one row a ({', '.join(keys)})")
    return table.sort_values(list(dates[:1])).reset_index(drop=True)


def whole_or_not(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name and rename it, so that it is whole or absent; errors of writing pass through."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write(aside)
        os.replace(aside, file)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """Write a table as CSV, with no text that a spreadsheet would run as a formula.

    A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line end gets an apostrophe before it.
    """
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    safe = {name: table[name].map(_without_formula) for name in texts}
    table.assign(**safe).to_csv(file, index=False)  # type: ignore[arg-type]


def _without_formula(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r", " ")  # a CR would end the line
    return f"'{text}" if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def dates_of(where: str, column: pd.Series) -> pd.Series:
    """Return the dates of a column; refuse one that cannot be read, naming table and rows."""
    try:
        return read_dates(column)
    except UnreadableDatesError as error:
        rows = f"{len(error.rows)} row(s), first row {error.rows[0] + 1}"
        raise InputError(f"{where}: column {column.name}, {rows}: {error}") from None


def write_parquet(table: pd.DataFrame, file: Path) -> None:
    """Write a table as small Parquet: bytes of equal weight are stored together, which zstd packs best."""
    numbers = [str(name) for name in table if table[name].dtype.kind == "f"]
    others = [str(name) for name in table if name not in numbers]
    table.to_parquet(
        file, index=False, compression="zstd", use_dictionary=others or False, use_byte_stream_split=numbers or False
    )
