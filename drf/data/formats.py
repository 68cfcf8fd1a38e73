"""The kinds of file that tables are read from: for each, how its columns are named and how its rows are read."""

from __future__ import annotations

import bz2
import codecs
import gzip
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.dataset
import pyarrow.feather

Columns = Sequence[str] | None

_UNKNOWN = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None"]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes
    ----------
    name
        In messages.
    names
        The columns of a file, without reading its rows.
    read
        A file, and the only columns to load; all if none are given.
    """

    name: str
    names: Callable[[Path], list[str]]
    read: Callable[[Path, Columns], pd.DataFrame]


def _arrow_names(path: Path) -> list[str]:
    return list(_dataset(path).schema.names)


def _read_arrow(path: Path, columns: Columns) -> pd.DataFrame:
    table = _dataset(path).to_table(None if columns is None else list(columns))
    frame = table.to_pandas()
    kept = [name for name in frame.index.names if name is not None]  # keys that were the index of a table in pandas
    frame = frame.reset_index() if kept else frame
    # Texts are decoded here, where one that cannot be counts as a broken file.
    return frame.astype(dict.fromkeys(frame.columns[frame.dtypes == "string"], object))


def _dataset(path: Path) -> Any:
    kind = "feather" if path.suffix.lower() in (".feather", ".arrow") else "parquet"
    return pyarrow.dataset.dataset(str(path), format=kind, partitioning="hive")


def _csv_names(path: Path) -> list[str]:
    return list(pd.read_csv(path, nrows=0, encoding=_encoding(path)).columns)


def _read_csv(path: Path, columns: Columns) -> pd.DataFrame:
    """Read asset names as text: codes keep their noughts, and a company may be called NA."""
    unknown = {name: _UNKNOWN for name in _csv_names(path) if name != "asset"}
    return pd.read_csv(
        path,
        usecols=None if columns is None else list(columns),
        dtype={"asset": str},
        keep_default_na=False,
        na_values=unknown,
        low_memory=False,
        encoding=_encoding(path),
    )


def _encoding(path: Path) -> str:
    """What the file's first bytes say; UTF-8 where they say nothing."""
    ending = path.suffix.lower()
    if ending == ".zip":
        with zipfile.ZipFile(path) as packed:
            first = packed.open(packed.namelist()[0]).read(4)
    else:
        with gzip.open(path) if ending == ".gz" else bz2.open(path) if ending == ".bz2" else path.open("rb") as file:
            first = file.read(4)
    marked = first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if marked else "utf-8-sig"


def _excel_names(path: Path) -> list[str]:
    return [str(name) for name in pd.read_excel(path, nrows=0).columns]


def _read_excel(path: Path, columns: Columns) -> pd.DataFrame:
    frame = pd.read_excel(path, dtype={"asset": str})
    return frame if columns is None else frame[list(columns)]


PARQUET = Format("parquet", _arrow_names, _read_arrow)
FEATHER = Format("feather", _arrow_names, _read_arrow)
CSV = Format("csv", _csv_names, _read_csv)
EXCEL = Format("Excel", _excel_names, _read_excel)

FORMATS: dict[str, Format] = {
    ".parquet": PARQUET, ".pq": PARQUET, ".feather": FEATHER, ".arrow": FEATHER, ".csv": CSV, ".csv.gz": CSV,
    ".csv.bz2": CSV, ".csv.zip": CSV, ".zip": CSV, ".xlsx": EXCEL,
}  # fmt: skip
"""By the ending of the file's name."""


def format_of(path: Path) -> Format | None:
    """The format that the longest fitting ending names; of a folder, that of Parquet files."""
    if path.is_dir():
        return PARQUET
    name = path.name.lower()
    endings = sorted((ending for ending in FORMATS if name.endswith(ending)), key=len)
    return FORMATS[endings[-1]] if endings else None
