"""Columns under a vendor's own names, signs and units give the same panel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drf.data.columns import changed, term
from drf.data.panel import check_panel
from drf.data.sources import PanelFile, RawTables
from drf.errors import InputError
from drf.experiment.config import read
from drf.experiment.market import load_market
from drf.experiment.schema import TrainConfig
from tests.data.by_hand import build, prices, statements
from tests.experiment.composing import composed


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_panel_under_other_names_is_the_same(panel: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    own = panel.assign(asset=panel["asset"].str[1:], Cap=np.exp(panel["CAP"]), minus=-panel["PER"], CAP=0.0)
    own = own.drop(columns="PER").rename(columns={"date": "Date", "asset": "Ticker", "ret_next": "next return"})
    own.to_parquet(tmp_path / "p.parquet") if kind == "parquet" else own.to_csv(tmp_path / "p.csv", index=False)
    names = {"date": "Date", "asset": "Ticker", "CAP": "log Cap", "PER": "-minus", "ret_next": "next return"}
    words = ",".join(f"{name}: {column}" for name, column in names.items())
    config = read(composed("data=panel", f"data.path={tmp_path}/p.{kind}", f"data.columns={{{words}}}"), TrainConfig)
    found = load_market(config.data, ["PER", "CAP", "ROE"], 5)
    true = check_panel(panel.assign(asset=panel["asset"].str[1:]), ["PER", "CAP", "ROE"], 5)
    pd.testing.assert_frame_equal(found, true)
    assert found["asset"].iloc[0].startswith("0")


def test_raw_tables_under_other_names_are_the_same(tmp_path: Path) -> None:
    table, books = prices("none"), statements()
    names = {"date": "Date", "asset": "Code", "close": "Last", "net_income": "Profit", "fiscal_year_end": "FYE"}
    plain = build(tmp_path, table, books, prices_adjusted="none")
    files = {name: tmp_path / f"{name}.parquet" for name in ("prices", "statements", "delistings", "market_index")}
    for file in files.values():
        pd.read_parquet(file).rename(columns=names).to_parquet(file)
    paths = {name: str(file) for name, file in files.items()}
    source = RawTables(**paths, lag_months=3, stale_months=18, prices_adjusted="none", names=names)
    pd.testing.assert_frame_equal(source.panel(), plain)


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ({"date": "Date"}, r"date \(is it Date\?\) \(then set 'data.columns=\{date: Date\}'\)"),
        ({"asset": "ticker"}, r"asset \(is it ticker\?"),
        ({"asset": "SYMBOL"}, r"asset \(is it SYMBOL\?"),
        ({"PER": "per"}, r"PER \(is it per\?"),
        ({"VOL60": "vol_60"}, r"VOL60 \(is it vol_60\?"),
    ],
)
def test_a_column_under_another_name_is_guessed(
    panel: pd.DataFrame, tmp_path: Path, theirs: dict[str, str], words: str
) -> None:
    panel.rename(columns=theirs).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(InputError, match=words):
        check_panel(PanelFile(str(tmp_path / "p.parquet")).panel(), ["PER", "VOL60"], 5)


def test_a_change_is_a_sign_an_inverse_or_a_logarithm() -> None:
    values = pd.Series([-2.0, 0.0, 4.0])
    np.testing.assert_array_equal(changed(values, "-"), [2, 0, -4])
    np.testing.assert_array_equal(changed(values, "1/"), [-0.5, np.nan, 0.25])
    np.testing.assert_array_equal(changed(values, "log"), [np.nan, np.nan, np.log(4)])
    assert [term("x", text) for text in ("a", "-a", "1/a", "log a")] == [
        ("", "a"),
        ("-", "a"),
        ("1/", "a"),
        ("log", "a"),
    ]
