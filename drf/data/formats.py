"""Formats: for each kind of file, how its columns are named and its rows are read."""

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.dataset
import pyarrow.feather

from .archives import opened, require_proportion
from .databases import ask_duckdb, ask_sqlite

Columns = Sequence[str] | None

_END_OF_DOS = "\x1a"
"""Sign with which old programs end a text file."""

UNKNOWN = ["", "#N/A", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None"]


@dataclass(frozen=True)
class File:
    """A file, with the properties that its path does not state.

    Attributes:
        query: A table's name in a database, or a SELECT.
        encoding: Encoding of a CSV file; None: found from its first bytes, else UTF-8.
        separator, decimal: CSV separator and decimal mark; None: found from first lines.
    """

    path: Path
    query: str = ""
    encoding: str | None = None
    separator: str | None = None
    decimal: str | None = None


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        name: In messages.
        names: Function that lists a file's columns without reading its rows.
        read: Function that reads a file, given the columns to load (all if none are given) and the columns of names,
            where codes are text.
    """

    name: str
    names: Callable[[File], list[str]]
    read: Callable[[File, Columns, Sequence[str]], pd.DataFrame]


def _arrow_names(file: File) -> list[str]:
    return list(_dataset(file.path).schema.names)


def _read_arrow(file: File, columns: Columns, texts: Sequence[str]) -> pd.DataFrame:
    table = _dataset(file.path).to_table(None if columns is None else list(columns))
    frame = table.to_pandas(split_blocks=True, self_destruct=True)  # a column at a time, and none held twice
    del table
    pyarrow.default_memory_pool().release_unused()
    # Keys that were the index of a table in pandas.
    kept = [name for name in frame.index.names if name is not None and name not in frame]
    frame = frame.reset_index(level=kept) if kept else frame
    # Texts are decoded here, so that one that cannot be decoded counts as a broken file.
    return frame.reset_index(drop=True).astype(dict.fromkeys(frame.columns[frame.dtypes == "string"], object))


def _dataset(path: Path) -> Any:
    kind = "feather" if path.suffix.lower() in (".feather", ".arrow") else "parquet"
    if path.is_file():
        return pyarrow.dataset.dataset(str(path), format=kind)
    parts = {
        part.partition("=")[0]
        for file in parquet_files(path)
        for part in file.relative_to(path).parts[:-1]
        if "=" in part
    }
    schema = pyarrow.schema([(name, pyarrow.string()) for name in sorted(parts)])  # codes keep their noughts
    found = pyarrow.dataset.dataset(
        [str(file) for file in parquet_files(path)],
        format=kind,
        partitioning=pyarrow.dataset.HivePartitioning(schema),
        partition_base_dir=str(path),
    )
    first, *others = found.get_fragments()
    for other in others:
        odd = set(first.physical_schema.names) ^ set(other.physical_schema.names)
        if odd:
            raise ValueError(f"{Path(other.path).name} and {Path(first.path).name} differ in column {sorted(odd)[0]}")
    return found


def parquet_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".parquet", ".pq"))


def csv_layout(file: File) -> dict[str, Any]:
    """Return how a CSV file is laid out, as arguments of :func:`pandas.read_csv`.

    Columns are separated by what Excel's ``sep=`` line says, or by the semicolon, tab or bar that the header has in
    place of commas. If commas do not separate, a number such as ``1,5`` has a decimal comma, unless another has a
    point.
    """
    written_in = file.encoding or encoding(file.path)
    with opened(file.path) as content:
        head = content.read(2**16).decode(written_in, errors="replace").lstrip("\ufeff")
    first, *lines = head.splitlines() or [""]
    named = re.fullmatch(r'"?sep=(.)"?', first.strip("\r\n ")) if first.lower().startswith(("sep=", '"sep=')) else None
    header = lines[0] if named and lines else first
    likely = max(";\t|", key=header.count)
    found = named[1] if named else likely if likely in header and "," not in header else ","
    separator = file.separator or found
    cells = [cell.strip('" ') for line in lines for cell in line.split(separator)]
    commas, points = (any(re.fullmatch(rf"[-+]?\d*{sign}\d+", cell) for cell in cells) for sign in (",", r"\."))
    decimal = file.decimal or ("," if separator != "," and commas and not points else ".")
    return {"sep": separator, "decimal": decimal, "skiprows": int(named is not None), "encoding": written_in}


def _csv_names(file: File) -> list[str]:
    with opened(file.path) as content:
        return list(pd.read_csv(content, nrows=0, **csv_layout(file)).columns)


def _read_csv(file: File, columns: Columns, texts: Sequence[str]) -> pd.DataFrame:
    """Read names as text: codes keep their leading zeros, and a company may be called NA."""
    unknown = {name: UNKNOWN for name in _csv_names(file) if name not in texts}
    with opened(file.path) as content:
        frame = pd.read_csv(
            content,
            usecols=None if columns is None else list(columns),
            dtype=dict.fromkeys(texts, str),
            keep_default_na=False,
            na_values=unknown,
            low_memory=False,
            **csv_layout(file),
        )
    ends = len(frame) > 0 and str(frame.iloc[-1, 0]).strip() == _END_OF_DOS
    return frame.iloc[:-1].infer_objects() if ends else frame


def encoding(path: Path) -> str:
    """Return the encoding of a CSV file from its first bytes; UTF-8 where they do not tell."""
    with opened(path) as file:
        marked = file.read(4).startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if marked else "utf-8-sig"


def _excel_names(file: File) -> list[str]:
    require_proportion(file.path)
    return [str(name) for name in pd.read_excel(file.path, nrows=0).columns]


def _read_excel(file: File, columns: Columns, texts: Sequence[str]) -> pd.DataFrame:
    unknown: dict[Any, Sequence[str]] = {name: UNKNOWN for name in _excel_names(file) if name not in texts}
    kinds: Any = dict.fromkeys(texts, object)  # raw cells: a cell that a spreadsheet made into a date is no name
    frame = pd.read_excel(file.path, keep_default_na=False, na_values=unknown, dtype=kinds)
    return frame if columns is None else frame[list(columns)]


def _database(name: str, ask: Callable[[Path, str, str], pd.DataFrame]) -> Format:
    def read(file: File, columns: Columns, texts: Sequence[str]) -> pd.DataFrame:
        frame = ask(file.path, file.query, "")
        return frame if columns is None else frame[list(columns)]

    return Format(name, lambda file: [str(column) for column in ask(file.path, file.query, " LIMIT 0").columns], read)


PARQUET = Format("parquet", _arrow_names, _read_arrow)
FEATHER = Format("feather", _arrow_names, _read_arrow)
CSV = Format("csv", _csv_names, _read_csv)
EXCEL = Format("Excel", _excel_names, _read_excel)
SQLITE = _database("SQLite", ask_sqlite)
DUCKDB = _database("DuckDB", ask_duckdb)

FORMATS: dict[str, Format] = {
    ".parquet": PARQUET, ".pq": PARQUET, ".feather": FEATHER, ".arrow": FEATHER, ".csv": CSV, ".csv.gz": CSV,
    ".csv.bz2": CSV, ".csv.zip": CSV, ".zip": CSV, ".xlsx": EXCEL,
    ".db": SQLITE, ".sqlite": SQLITE, ".duckdb": DUCKDB,
}  # fmt: skip
"""Formats by the ending of the file's name."""


def format_of(path: Path) -> Format | None:
    """Return the format of the longest ending that fits; a folder holds Parquet files."""
    if path.is_dir():
        return PARQUET
    name = path.name.lower()
    endings = sorted((ending for ending in FORMATS if name.endswith(ending)), key=len)
    return FORMATS[endings[-1]] if endings else None
