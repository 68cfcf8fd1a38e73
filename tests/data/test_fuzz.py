"""Malformed tables: refused in one line, or read as what they say; never a traceback, never a silently wrong panel.

A few hundred tables each time; more than ten thousand with ``--hypothesis-profile=fuzz``, as CI runs it.
"""

from __future__ import annotations

import functools
import sqlite3
import tempfile
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drf.data.panel import check_panel
from drf.data.raw import ITEMS
from drf.data.research import map_panel
from drf.data.simulate import SimulatedMarket
from drf.data.sources import PanelFile, RawTables
from drf.errors import InputError

NAMES = ["MOM1", "PBR", "CAP"]
WHOLE = SimulatedMarket(8, 5, seed=0, missing=0.0, start="2000-01").panel()[["date", "asset", *NAMES, "ret_next"]]
WHOLE = WHOLE.assign(date=WHOLE["date"].dt.strftime("%Y-%m-%d"))

# What may stand in a cell: right, nearly right, and not at all.
CELLS = st.one_of(
    st.floats(width=32),
    st.integers(-(10**12), 10**12),
    st.sampled_from(["", " ", "NA", "nan", "inf", "-inf", "1,5", "1e400", "abc", "'", '"', "0001", "1 000", "-", "=1"]),
    st.sampled_from(["2000-02-30", "2000-01-31", "31/01/2000", "200001", "9999-12-31", "0001-01-31", "1e5", "NaT"]),
    st.text(max_size=6),
    st.none(),
    st.booleans(),
)
UNKNOWN = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>")
Mutation = Callable[[pd.DataFrame], pd.DataFrame]


@st.composite
def mutations(draw: st.DrawFn) -> Mutation:
    kind = draw(st.sampled_from(["cell", "column", "drop", "rename", "repeat", "cut", "shuffle", "twice", "type"]))
    column = draw(st.sampled_from(list(WHOLE.columns)))
    row = draw(st.integers(0, len(WHOLE) - 1))
    value = draw(CELLS)
    other = draw(st.sampled_from(list(WHOLE.columns)))

    def mutate(table: pd.DataFrame) -> pd.DataFrame:
        if kind in ("cell", "column") and column in table:
            values = table[column].astype(object).tolist()
            for k in range(len(values)) if kind == "column" else [row % len(values)] if values else []:
                values[k] = value
            return table.assign(**{column: pd.Series(values, index=table.index, dtype=object)})
        if kind == "drop":
            return table.drop(columns=column, errors="ignore")
        if kind == "rename":
            return table.rename(columns={column: f"{column} "})
        if kind == "repeat":
            return pd.concat([table, table[row : row + 1]])
        if kind == "cut":
            return table[:row]
        if kind == "shuffle":
            return table[::-1]
        if kind == "twice" and column in table and other in table:
            return table.assign(**{column: table[other]})
        if kind == "type" and column in table:
            return table.assign(**{column: table[column].astype(str)})
        return table

    return mutate


def cell(value: object) -> object:
    """What a cell of the file says, as far as it can be told without the reader: a number, or that it is unknown."""
    text = str(value)
    if value is None or text in UNKNOWN:
        return np.nan
    return float(text)


def assert_says_what_the_file_says(panel: pd.DataFrame, table: pd.DataFrame) -> None:
    assert len(panel) == len(table)
    assert not panel.duplicated(["date", "asset"]).any()
    assert panel["date"].dt.is_month_end.all()
    for name in (*NAMES, "ret_next"):
        known = np.sort([v for v in (cell(value) for value in table[name]) if not np.isnan(v)])
        np.testing.assert_allclose(np.sort(panel[name].dropna()), known, rtol=1e-6)
        assert np.isfinite(panel[name].dropna()).all()


@pytest.mark.parametrize("kind", ["csv", "parquet", "feather", "db"])
@settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
@given(changes=st.lists(mutations(), min_size=1, max_size=3))
def test_a_malformed_panel_is_refused_in_one_line_or_read_right(kind: str, changes: list[Mutation]) -> None:
    table = WHOLE
    for change in changes:
        table = change(table)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        path = Path(folder) / f"panel.{kind}"
        if not written(table, path):
            return
        try:
            panel = check_panel(PanelFile(f"{path}#panel" if kind == "db" else str(path)).panel(), NAMES, 5)
        except InputError as refused:
            assert 10 < len(str(refused)) < 600
            assert "\n" not in str(refused)
        else:
            assert_says_what_the_file_says(panel, as_written(path))


@settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
@given(changes=st.lists(mutations(), min_size=1, max_size=3), form=st.sampled_from(["date", "yyyymm", "yyyymmdd"]))
def test_a_malformed_research_panel_too(changes: list[Mutation], form: str) -> None:
    table = WHOLE
    for change in changes:
        table = change(table)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panel.csv"
        table.to_csv(path, index=False)
        try:
            mapped, _ = map_panel(
                str(path),
                {"column": "date", "form": form},
                "asset",
                {"PBR": "1/PBR", "CAP": "log CAP", "MOM1": "MOM1"},
                {"column": "ret_next", "path": None},
                None,
            )
            panel = check_panel(mapped, NAMES, 5)
        except InputError as refused:
            assert "\n" not in str(refused)
        else:
            assert len(panel) == len(table)
            assert np.isfinite(panel[NAMES].fillna(0)).all(axis=None)


@settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
@given(
    noise=st.binary(min_size=1, max_size=400), kind=st.sampled_from(["csv", "parquet", "db"]), at=st.integers(0, 3000)
)
def test_bytes_in_the_wrong_place_are_refused_in_one_line(noise: bytes, kind: str, at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"panel.{kind}"
        assert written(WHOLE, path)
        whole = path.read_bytes()
        at = at % len(whole)
        path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
        try:
            check_panel(PanelFile(f"{path}#panel" if kind == "db" else str(path)).panel(), NAMES, 5)
        except InputError as refused:
            assert "\n" not in str(refused)


def as_written(path: Path) -> pd.DataFrame:
    """What stands in the file, by another reader."""
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    if path.suffix == ".db":
        with closing(sqlite3.connect(path)) as database:
            cursor = database.execute("SELECT * FROM panel")
            return pd.DataFrame(cursor.fetchall(), columns=[name for name, *_ in cursor.description], dtype=object)
    if path.suffix == ".feather":
        return pd.DataFrame(pyarrow.feather.read_table(path).to_pydict(), dtype=object)
    return pd.DataFrame(pyarrow.parquet.read_table(path).to_pydict(), dtype=object)


def written(table: pd.DataFrame, path: Path) -> bool:
    """Whether the table could be written at all: Parquet refuses columns of mixed kinds."""
    try:
        if path.suffix == ".db":
            with closing(sqlite3.connect(path)) as database:
                table.to_sql("panel", database, index=False)
        elif path.suffix == ".feather":
            table.to_feather(path)
        else:
            table.to_csv(path, index=False) if path.suffix == ".csv" else table.to_parquet(path, index=False)
    except Exception:
        return False
    return True


@functools.cache
def raw_tables() -> dict[str, pd.DataFrame]:
    """Six stocks over 70 months with a price a month, and their statements."""
    months = pd.date_range("2010-01-31", periods=70, freq="ME")
    names = list("ABCDEF")
    rng = np.random.default_rng(0)
    closes = np.round(100 * np.exp(rng.normal(0, 0.08, (70, 6)).cumsum(axis=0)), 2)
    prices = pd.DataFrame({"date": np.repeat(months, 6), "asset": names * 70, "close": closes.ravel()})
    prices = prices.assign(adj_close=prices["close"], volume=1000.0)
    ends = pd.date_range("2009-03-31", "2015-03-31", freq="12ME")
    books = pd.DataFrame({"asset": np.repeat(names, len(ends)), "fiscal_year_end": np.tile(ends, 6)})
    books["available_from"] = books["fiscal_year_end"] + pd.Timedelta(days=60)
    books[list(ITEMS)] = np.round(np.exp(rng.normal(10, 1, (len(books), len(ITEMS)))))
    index = pd.DataFrame({"date": months, "close": np.linspace(100, 150, 70)})
    return {"prices": prices, "statements": books, "market_index": index}


def raw_panel(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        for name, table in tables.items():
            table.to_csv(f"{folder}/{name}.csv", index=False)
        files = {name: f"{folder}/{name}.csv" for name in tables}
        source = RawTables(
            **files, delistings=None, lag_months=3, stale_months=18, prices_adjusted="none", most_unmatched=0.5
        )
        return source.panel().sort_values(["asset", "date"], ignore_index=True)


plain_panel = functools.cache(lambda: raw_panel(raw_tables()))


@settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True, max_examples=60)
@given(
    which=st.sampled_from(["prices", "statements"]),
    kind=st.sampled_from(["cell", "drop rows", "repeat", "other name"]),
    row=st.integers(0, 41),
    column=st.integers(0, 8),
    value=CELLS,
)
def test_a_fault_in_one_stocks_raw_data_is_refused_or_stays_its_own(
    which: str, kind: str, row: int, column: int, value: object
) -> None:
    """What is said of stock A is refused in one line, or changes nothing of any other stock."""
    tables = dict(raw_tables())
    table = tables[which].astype(object)
    rows = np.flatnonzero(table["asset"] == "A")
    at, name = rows[row % len(rows)], table.columns[column % table.shape[1]]
    if kind == "cell" and name not in ("date", "asset"):
        table.loc[at, name] = value
    elif kind == "drop rows":
        table = table.drop(index=rows[row % len(rows) :])
    elif kind == "repeat":
        table = pd.concat([table, table[at : at + 1]])
    else:
        table.loc[at, "asset"] = "A2"
    try:
        panel = raw_panel({**tables, which: table})
    except InputError as refused:
        assert 10 < len(str(refused)) < 600 and "\n" not in str(refused)
        return
    others = [found[found["asset"].isin(list("BCDEF"))].reset_index(drop=True) for found in (panel, plain_panel())]
    pd.testing.assert_frame_equal(*others)
    assert np.isfinite(panel.drop(columns=["date", "asset"]).fillna(0)).all(axis=None)
