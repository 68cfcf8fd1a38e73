"""The same panel through every container, encoding and kind of column gives the same fingerprint."""

from __future__ import annotations

import bz2
import datetime
import gzip
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from drf.data.files import column_names, read_file, write_csv, write_parquet
from drf.data.panel import check_panel, fingerprint
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.sources import PanelFile
from drf.errors import InputError

Write = Callable[[pd.DataFrame, Path], object]


def in_parts(panel: pd.DataFrame, folder: Path) -> None:
    """A folder a year, as Spark and pyarrow write them."""
    panel.assign(year=panel["date"].dt.year).to_parquet(folder, partition_cols=["year"])


def by_year(panel: pd.DataFrame, pattern: Path) -> None:
    for year, part in panel.groupby(panel["date"].dt.year):
        part.to_csv(str(pattern).replace("*", str(year)), index=False)


def in_sqlite(panel: pd.DataFrame, address: Path) -> None:
    with sqlite3.connect(str(address).partition("#")[0]) as database:
        panel.to_sql("prices", database, index=False)
    database.close()


def in_duckdb(panel: pd.DataFrame, address: Path) -> None:
    with duckdb.connect(str(address).partition("#")[0]) as database:
        database.execute("CREATE TABLE prices AS SELECT * FROM panel")


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
    "SQLite, a table": ("p.db#prices", in_sqlite),
    "SQLite, a query": ("p.sqlite#SELECT * FROM prices ORDER BY asset;", in_sqlite),
    "DuckDB, a table": ("p.duckdb#prices", in_duckdb),
    "DuckDB, a query": ("p.duckdb#SELECT * FROM prices WHERE 4//2 = 2", in_duckdb),
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
    write(codes, Path(f"{tmp_path}/{name}"))
    found = check_panel(PanelFile(f"{tmp_path}/{name}").panel(), DESCRIPTORS, 5)
    assert fingerprint(found) == fingerprint(check_panel(codes, DESCRIPTORS, 5))
    there = column_names("data.path", f"{tmp_path}/{name}")
    assert {"date", "asset", *DESCRIPTORS} <= set(there)
    some = read_file("data.path", f"{tmp_path}/{name}", ["asset", "ROE"])
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


@pytest.mark.parametrize(
    ("encoding", "name"), [("cp932", "トヨタ自動車"), ("gb18030", "贵州茅台酒股份"), ("cp1252", "Münchener Rück")]
)
def test_an_encoding_is_said_or_its_name_is_in_the_refusal(
    codes: pd.DataFrame, encoding: str, name: str, tmp_path: Path
) -> None:
    named = codes.assign(asset=name + codes["asset"])
    path = tmp_path / "p.csv"
    named.to_csv(path, index=False, encoding=encoding)
    found = check_panel(PanelFile(str(path), encoding=encoding).panel(), DESCRIPTORS, 5)
    assert fingerprint(found) == fingerprint(check_panel(named, DESCRIPTORS, 5))
    with pytest.raises(InputError, match=r"is not UTF-8 at byte \d+: say its encoding \(it looks like \w+\): data"):
        PanelFile(str(path)).panel()
    with pytest.raises(InputError, match=r"is not nonsense: say its encoding"):
        PanelFile(str(path), encoding="nonsense").panel()


@pytest.mark.parametrize("container", ["CSV", "Parquet", "Excel", "SQLite, a table"])
def test_marks_of_unknown_values_are_emptied_and_counted(
    codes: pd.DataFrame, container: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected, marked = codes.copy(), codes.copy()
    for row, (name, mark) in enumerate(
        [("PER", "."), ("PER", " B "), ("PER", "-99.0"), ("ROE", -99), ("ROE", -99.99), ("ret_next", "C")]
    ):
        expected.loc[row, name] = np.nan
        marked[name] = marked[name].astype(object) if isinstance(mark, str) else marked[name]
        marked.loc[row, name] = mark
    for name in ("PER", "ret_next"):
        marked[name] = marked[name].astype(str).replace("nan", None)
    file, write = CONTAINERS[container]
    write(marked, Path(f"{tmp_path}/{file}"))
    with caplog.at_level("INFO"):
        panel = PanelFile(f"{tmp_path}/{file}", unknown=[".", "B", "C", -99, "-99.99"]).panel()
    assert "6 cells hold a text for unknown: 2 in ROE, 3 in PER, 1 in ret_next" in caplog.text
    pd.testing.assert_frame_equal(check_panel(panel, DESCRIPTORS, 5), check_panel(expected, DESCRIPTORS, 5))
    with pytest.raises(InputError, match=r"column PER, .*not a number"):
        check_panel(PanelFile(f"{tmp_path}/{file}").panel(), DESCRIPTORS, 5)


def test_a_database_is_only_read_and_a_query_must_be_given(codes: pd.DataFrame, tmp_path: Path) -> None:
    in_sqlite(codes, tmp_path / "p.db")
    in_duckdb(codes, tmp_path / "p.duckdb")
    for name in ("p.db", "p.duckdb"):
        for query, message in (
            ("", "name a table of it, or a query"),
            ("#stocks", "stocks"),
            ("#DROP TABLE prices", "cannot be read"),
            ("#SELECT 1) ; DROP TABLE prices; --", "cannot be read"),
        ):
            with pytest.raises(InputError, match=message):
                PanelFile(f"{tmp_path}/{name}{query}").panel()
        assert len(PanelFile(f"{tmp_path}/{name}#prices").panel()) == len(codes)
    with pytest.raises(InputError, match="there is no such file"):
        PanelFile(f"{tmp_path}/none.db#prices").panel()


def test_a_sign_in_a_name_is_no_query(codes: pd.DataFrame, tmp_path: Path) -> None:
    codes.to_parquet(tmp_path / "a#b.parquet")
    assert len(PanelFile(str(tmp_path / "a#b.parquet")).panel()) == len(codes)


def test_a_table_is_written_whole_and_smaller(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"date": pd.Timestamp("2020-01-31"), "asset": [f"S{k}" for k in range(4000)]})
    table = table.assign(count=range(4000), value=rng.normal(size=4000))
    table[[f"relevance{k}" for k in range(8)]] = rng.normal(0, 0.01, (4000, 8)).astype(np.float32)
    table.to_parquet(tmp_path / "usual.parquet", index=False)
    write_parquet(table, tmp_path / "small.parquet")
    usual, small = tmp_path / "usual.parquet", tmp_path / "small.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(small), pd.read_parquet(usual))
    assert small.stat().st_size < 0.8 * usual.stat().st_size
    write_parquet(table[["asset"]], tmp_path / "names.parquet")
    write_parquet(table[["value"]], tmp_path / "numbers.parquet")
    write_parquet(table.iloc[:0], tmp_path / "empty.parquet")
    assert len(pd.read_parquet(tmp_path / "empty.parquet")) == 0


@pytest.mark.parametrize("ending", [".zip", ".gz", ".bz2"])
def test_an_archive_that_expands_beyond_proportion_is_refused(tmp_path: Path, ending: str) -> None:
    file, row = tmp_path / f"p.csv{ending}", b"2000-01-31,A,0\n"
    content = b"date,asset,x\n" + row * (80 * 2**20 // len(row))
    packed = {".gz": gzip.compress, ".bz2": bz2.compress}
    if ending == ".zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("p.csv", content)
    else:
        file.write_bytes(packed[ending](content, 1))
    with pytest.raises(InputError, match="expands to more than 100 times its size"):
        read_file("data.path", str(file))


def test_no_name_becomes_a_formula_of_a_spreadsheet(tmp_path: Path) -> None:
    names = ['=HYPERLINK("http://h")', "+1+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "7203.T", "-", "日本"]
    table = pd.DataFrame({"asset": names, "weight": -0.5, "reasons": "+ROE"})
    write_csv(table, tmp_path / "orders.csv")
    cells = pd.read_csv(tmp_path / "orders.csv", dtype=str, keep_default_na=False)
    for column in ("asset", "reasons"):
        assert not cells[column].str.match(r"[=+\-@\t\r]").any()
    assert [cell.removeprefix("'") for cell in cells["asset"]] == [name.replace("\r", " ") for name in names]
    assert (cells["weight"] == "-0.5").all()  # a number stays one
