"""The same panel through every container, encoding and kind of column gives the same fingerprint."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drf.data.factors import DESCRIPTORS
from drf.data.files import column_names, read_file
from drf.data.panel import check_panel, fingerprint
from drf.data.sources import PanelFile
from drf.errors import InputError

Write = Callable[[pd.DataFrame, Path], object]


def in_parts(panel: pd.DataFrame, folder: Path) -> None:
    """A folder a year, as Spark and pyarrow write them."""
    panel.assign(year=panel["date"].dt.year).to_parquet(folder, partition_cols=["year"])


def by_year(panel: pd.DataFrame, pattern: Path) -> None:
    for year, part in panel.groupby(panel["date"].dt.year):
        part.to_csv(str(pattern).replace("*", str(year)), index=False)


CONTAINERS: dict[str, tuple[str, Write]] = {
    "Parquet": ("p.parquet", lambda p, f: p.to_parquet(f)),
    "Parquet, keys in the index": ("p.pq", lambda p, f: p.set_index(["date", "asset"]).to_parquet(f)),
    "Parquet, categories": ("p.parquet", lambda p, f: p.astype({"asset": "category"}).to_parquet(f)),
    "Parquet, dates": ("p.parquet", lambda p, f: p.assign(date=p["date"].dt.date).to_parquet(f)),
    "Parquet, months": ("p.parquet", lambda p, f: p.assign(date=p["date"].dt.to_period("M")).to_parquet(f)),
    "Parquet, stamps of Tokyo": (
        "p.parquet", lambda p, f: p.assign(date=p["date"].dt.tz_localize("Asia/Tokyo")).to_parquet(f)
    ),
    "Parquet, stamps of microseconds": ("p.parquet", lambda p, f: p.astype({"date": "datetime64[us]"}).to_parquet(f)),
    "Parquet by Polars": ("p.parquet", lambda p, f: __import__("polars").from_pandas(p).write_parquet(f)),
    "folder in parts": ("parts", in_parts),
    "folder of stocks": ("parts", lambda p, f: p.to_parquet(f, partition_cols=["asset"])),
    "feather": ("p.feather", lambda p, f: p.to_feather(f)),
    "CSV": ("p.csv", lambda p, f: p.to_csv(f, index=False)),
    "CSV with an index": ("p.csv", lambda p, f: p.to_csv(f)),
    "CSV, day first": ("p.csv", lambda p, f: p.to_csv(f, index=False, date_format="%d.%m.%Y")),
    "CSV, numbers for dates": ("p.csv", lambda p, f: p.to_csv(f, index=False, date_format="%Y%m%d")),
    "CSV, marked as UTF-8": ("p.csv", lambda p, f: p.to_csv(f, index=False, encoding="utf-8-sig")),
    "CSV, UTF-16": ("p.csv", lambda p, f: p.to_csv(f, index=False, encoding="utf-16")),
    "CSV, zipped": ("p.csv.zip", lambda p, f: p.to_csv(f, index=False)),
    "CSV, gzipped": ("p.csv.gz", lambda p, f: p.to_csv(f, index=False)),
    "CSV, gzipped UTF-16": ("p.csv.gz", lambda p, f: p.to_csv(f, index=False, encoding="utf-16")),
    "CSV, a file a year": ("p_*.csv", by_year),
    "Excel": ("p.xlsx", lambda p, f: p.to_excel(f, index=False)),
}  # fmt: skip


@pytest.fixture
def codes(panel: pd.DataFrame) -> pd.DataFrame:
    """Stocks named by codes with noughts in front, and numbers that text keeps."""
    small = panel[panel["asset"] < "S0012"].round(9)
    named = "0" + pd.Series(pd.factorize(small["asset"])[0] + 100, index=small.index).astype(str)
    return small.assign(asset=named.to_numpy()).reset_index(drop=True)


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_panel(codes: pd.DataFrame, container: str, tmp_path: Path) -> None:
    name, write = CONTAINERS[container]
    write(codes, tmp_path / name)
    found = check_panel(PanelFile(str(tmp_path / name)).panel(), DESCRIPTORS, 5)
    assert fingerprint(found) == fingerprint(check_panel(codes, DESCRIPTORS, 5))
    there = column_names("data.path", str(tmp_path / name))
    assert {"date", "asset", *DESCRIPTORS} <= set(there)
    some = read_file("data.path", str(tmp_path / name), ["asset", "ROE"])
    assert set(some) == {"asset", "ROE"} and len(some) == len(codes)


@pytest.mark.parametrize("kind", ["float64", "float32", "Int64", "int32", "category", "string"])
def test_codes_of_any_kind_are_the_same_names(codes: pd.DataFrame, kind: str, tmp_path: Path) -> None:
    numbers = codes["asset"].astype(int)
    told = numbers.astype(str).astype(kind) if kind in ("category", "string") else numbers.astype(kind)
    codes.assign(asset=told).to_parquet(tmp_path / "p.parquet")
    found = check_panel(PanelFile(str(tmp_path / "p.parquet")).panel(), DESCRIPTORS, 5)
    assert fingerprint(found) == fingerprint(check_panel(codes.assign(asset=numbers.astype(str)), DESCRIPTORS, 5))


@pytest.mark.parametrize(
    ("name", "write", "told"),
    [
        ("p.csv", lambda p, f: p.assign(asset="会社" + p["asset"]).to_csv(f, encoding="cp932"), "is not UTF-8 at byte"),
        ("p_*.csv", lambda p, f: None, "no file fits the pattern"),
        ("empty", lambda p, f: f.mkdir(), "is a folder without Parquet files"),
        ("p.sas7bdat", lambda p, f: f.write_bytes(b"x"), r"unknown kind of file '.sas7bdat': give one of .parquet"),
        ("p.csv.gz", lambda p, f: f.write_bytes(b"not packed"), "cannot be read as csv"),
        ("p.csv.zip", lambda p, f: f.write_bytes(b"not packed"), "cannot be read as csv"),
        ("p.feather", lambda p, f: f.write_bytes(b"nothing"), "cannot be read as feather"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_line(
    codes: pd.DataFrame, tmp_path: Path, name: str, write: Write, told: str
) -> None:
    write(codes, tmp_path / name)
    with pytest.raises(InputError, match=told) as refused:
        PanelFile(str(tmp_path / name)).panel()
    assert "\n" not in str(refused.value)


def test_an_archive_may_hold_what_a_mac_puts_beside(codes: pd.DataFrame, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as packed:
        packed.writestr("__MACOSX/._p.csv", b"\x00")
        packed.writestr("p.csv", codes.to_csv(index=False))
    assert len(PanelFile(str(tmp_path / "p.zip")).panel()) == len(codes)


@pytest.mark.parametrize("container", ["p.csv", "p.xlsx", "p.parquet"])
def test_names_are_what_was_written_or_refused(codes: pd.DataFrame, tmp_path: Path, container: str) -> None:
    writing = {"p.csv": "to_csv", "p.xlsx": "to_excel"}.get(container, "to_parquet")
    first = codes["asset"] == codes["asset"].iloc[0]
    named = codes.assign(asset=codes["asset"].mask(first, "NA"), sector=np.where(first, "0050", "1050"))
    getattr(named, writing)(tmp_path / container, index=False)
    found = check_panel(PanelFile(str(tmp_path / container)).panel(), DESCRIPTORS, 5)
    assert "NA" in set(found["asset"]) and set(found["sector"]) == {"0050", "1050"}
    if container == "p.xlsx":
        spoilt = codes.assign(asset=codes["asset"].astype(object).mask(first, datetime.datetime(2015, 3, 1)))
        spoilt.to_excel(tmp_path / container, index=False)
        with pytest.raises(InputError, match="empty, or a date, true or false"):
            check_panel(PanelFile(str(tmp_path / container)).panel(), DESCRIPTORS, 5)


def test_files_of_a_folder_must_agree_too(codes: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "q").mkdir()
    (tmp_path / "q" / "README.txt").write_text("what this is")
    codes.to_parquet(tmp_path / "q" / "1.parquet")
    assert len(PanelFile(str(tmp_path / "q")).panel()) == len(codes)
    codes.drop(columns="ROE").to_parquet(tmp_path / "q" / "2.parquet")
    with pytest.raises(InputError, match=r"2.parquet and 1.parquet differ in column ROE"):
        PanelFile(str(tmp_path / "q")).panel()


def test_files_of_a_pattern_must_agree(codes: pd.DataFrame, tmp_path: Path) -> None:
    codes.to_csv(tmp_path / "p_1.csv", index=False)
    codes.drop(columns="ROE").to_csv(tmp_path / "p_2.csv", index=False)
    with pytest.raises(InputError, match=r"p_2.csv and p_1.csv differ in column ROE"):
        PanelFile(str(tmp_path / "p_*.csv")).panel()


def test_the_order_of_rows_and_columns_does_not_matter(codes: pd.DataFrame, tmp_path: Path) -> None:
    shuffled = codes.sample(frac=1, random_state=0)[np.random.default_rng(0).permutation(codes.columns)]
    shuffled.to_parquet(tmp_path / "p.parquet")
    found = check_panel(PanelFile(str(tmp_path / "p.parquet")).panel(), DESCRIPTORS, 5)
    assert fingerprint(found) == fingerprint(check_panel(codes, DESCRIPTORS, 5))
