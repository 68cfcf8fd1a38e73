"""Files as vendors and spreadsheets write them are read, or refused with the cause."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drf.data.changes import changes
from drf.data.daily import month_bars
from drf.data.files import Reading, read_file
from drf.data.leavers import check_rule, treat_leavers
from drf.data.macro import add_sensitivities
from drf.data.panel import check_panel
from drf.data.raw import _require_levels
from drf.data.research import map_panel
from drf.errors import InputError
from tests.data.by_hand import MONTHS, NEWEST, build, delisted, prices, statements

DAILY = prices("none")[["date", "asset", "close", "adj_close", "volume"]]


@settings(max_examples=40)
@given(
    separator=st.sampled_from([",", ";", "\t", "|"]),
    comma=st.booleans(),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    named=st.booleans(),
    tail=st.sampled_from(["", "\x1a", "   ", "{end}", "   {end}"]),
    quoted=st.booleans(),
    mark=st.booleans(),
)
def test_a_csv_gives_the_same_numbers_whatever_its_layout(
    tmp_path_factory: pytest.TempPathFactory, separator: str, comma: bool, end: str, named: bool, tail: str,
    quoted: bool, mark: bool,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("csv")
    decimal = "," if comma and separator != "," else "."
    text = DAILY.to_csv(index=False, sep=separator, decimal=decimal, lineterminator=end, quoting=1 if quoted else 0)
    text = (f"sep={separator}{end}" if named else "") + text + tail.format(end=end)
    (folder / "prices.csv").write_bytes(text.encode("utf-8-sig" if mark else "utf-8"))
    DAILY.to_parquet(folder / "prices.parquet")
    bars = [month_bars(str(folder / f"prices.{kind}")) for kind in ("csv", "parquet")]
    pd.testing.assert_frame_equal(*bars)
    table = read_file("data.path", str(folder / "prices.csv"))
    np.testing.assert_allclose(table["close"].astype(float), DAILY["close"])


def test_a_layout_that_the_file_does_not_tell_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("date;asset;close\n2020-01-31;A;1\n2020-02-29;A;2\n")
    frame = read_file("x", str(tmp_path / "p.csv"), reading=Reading(separator=";", decimal=","))
    assert frame["close"].tolist() == [1, 2]
    (tmp_path / "p.csv").write_text("date;asset;close\n2020-01-31;A;1,5\n2020-02-29;A;2.5\n")
    assert read_file("x", str(tmp_path / "p.csv"))["close"].tolist() == ["1,5", "2.5"]  # in doubt: refused as text


@pytest.mark.parametrize("never", ["9999-12-31", "99991231", 99991231, "31/12/9999", "2299-12-31", "2262-04-11"])
def test_a_day_that_no_market_has_seen_means_not_yet(tmp_path: Path, never: object) -> None:
    plain = build(tmp_path, prices("none"), prices_adjusted="none")
    gone = delisted(("P1", MONTHS[NEWEST], 0.0))
    gone["date"] = gone["date"].dt.strftime("%Y%m%d" if "-" not in str(never) and "/" not in str(never) else "%Y-%m-%d")
    if "/" in str(never):
        gone["date"] = pd.to_datetime(gone["date"]).dt.strftime("%d/%m/%Y")
    if isinstance(never, int):
        gone["date"] = gone["date"].astype(int)
    gone.loc[gone["asset"] == "P1", "date"] = never
    pd.testing.assert_frame_equal(build(tmp_path, prices("none"), delistings=gone, prices_adjusted="none"), plain)
    books = statements().astype({"available_from": str})
    unknown = books.assign(available_from=books["available_from"].mask(books["asset"] == "P1", "9999-12-31"))
    without = build(tmp_path, prices("none"), unknown, prices_adjusted="none").set_index(["asset", "date"])
    assert without.loc["P1", "ROE"].isna().all() and without.loc["P2", "ROE"].notna().any()


def test_no_split_may_be_written_as_nought(tmp_path: Path) -> None:
    table = prices("none")
    noughts = table.assign(split=table["split"].where(table["split"] != 1, 0.0))
    made = [build(tmp_path, one, prices_adjusted="none") for one in (table, noughts)]
    pd.testing.assert_frame_equal(*made)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("adj_close", -0.5, "negative where close is not: dividends were subtracted"),
        ("adj_close", np.nan, "close is there: fill it"),
        ("adj_close", 0.0, "close is there: fill it"),
        ("close", 0.0, "leave out days without one"),
    ],
)
def test_a_price_that_cannot_be_says_what_it_may_come_from(
    tmp_path: Path, column: str, value: float, words: str
) -> None:
    table = prices("none")
    table.loc[3, column] = value
    with pytest.raises(InputError, match=words):
        build(tmp_path, table)


def test_no_number_of_shares_is_not_below_nought(tmp_path: Path) -> None:
    books = statements()
    books.loc[5, "shares_outstanding"] = 0
    table = prices("none").drop(columns="market_value")
    with pytest.raises(InputError, match=r"first row 6 \(0\): not above 0: correct it, or leave it empty"):
        build(tmp_path, table, books, prices_adjusted="none")


def test_last_trading_days_before_a_long_closure_are_month_ends(panel: pd.DataFrame) -> None:
    closed = {pd.Timestamp("1992-01-31"): pd.Timestamp("1992-01-23")}
    dated = panel.assign(date=panel["date"].replace(closed))
    descriptors = [name for name in panel if name not in ("date", "asset", "ret_next", "sector")]
    pd.testing.assert_frame_equal(check_panel(dated, descriptors, 5), check_panel(panel, descriptors, 5))
    with pytest.raises(InputError, match="is not a month end"):
        check_panel(panel.assign(date=panel["date"] - pd.Timedelta(days=9)), descriptors, 5)


def test_an_excess_return_may_be_below_minus_one_by_the_bill_rate(
    panel: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    first = panel.index[panel["ret_next"].notna()][0]
    with caplog.at_level("INFO"):
        check_panel(panel.assign(ret_next=panel["ret_next"].mask(panel.index == first, -1.0041)), ["PER"], 5)
    assert "1 values of ret_next lie just below -1" in caplog.text
    with pytest.raises(InputError, match="below -1"):
        check_panel(panel.assign(ret_next=panel["ret_next"].mask(panel.index == first, -1.3)), ["PER"], 5)


@pytest.mark.parametrize("kind", [bool, int, float, object])
@pytest.mark.parametrize("wanted", [1, True, 1.0])
def test_a_screen_may_be_written_as_true_or_as_one(tmp_path: Path, kind: type, wanted: object) -> None:
    frame = pd.DataFrame({"eom": pd.Timestamp("2020-01-31"), "id": ["A", "B"], "x": [1.0, 2.0], "r": [0.1, 0.2]})
    frame["common"] = pd.Series([True, False], dtype=kind)
    frame.to_parquet(tmp_path / "p.parquet")
    panel, _ = map_panel(
        str(tmp_path / "p.parquet"), {"column": "eom"}, "id", {"PER": "x"}, {"column": "r"}, {"common": wanted}
    )
    assert panel["asset"].tolist() == ["A"]


@given(noise=st.floats(-5e-13, 5e-13), factor=st.floats(0.9, 1.1))
def test_a_change_within_rounding_is_no_change(noise: float, factor: float) -> None:
    before = pd.DataFrame({"date": pd.Timestamp("2020-01-31"), "asset": list("ABC"), "PER": [1.0, np.nan, -3.0]})
    assert changes(before, before.assign(PER=before["PER"] * (1 + noise))) == []
    found = changes(before, before.assign(PER=before["PER"] * factor))
    assert bool(found) == (abs(factor - 1) > 1e-12)


def test_a_quarterly_macro_series_is_refused_by_that_name(tmp_path: Path, panel: pd.DataFrame) -> None:
    levels = pd.DataFrame({"date": pd.date_range("1985-03-31", periods=60, freq="QE"), "GDP": 100.0})
    with pytest.raises(InputError, match="are not monthly: give a value for each month"):
        add_sensitivities(panel, levels, {"GDP": "log"}, 1, ["GDP"])


@settings(max_examples=20)
@given(
    factor=st.sampled_from([100.0, 0.01, 1000.0, 0.001, 1e4]),
    days=st.sampled_from([12, 30, 10_000]),
    move=st.floats(-0.1, 0.1),
    both=st.booleans(),
)
def test_a_change_of_unit_is_named_by_stock_and_day(
    tmp_path_factory: pytest.TempPathFactory, factor: float, days: int, move: float, both: bool
) -> None:
    table = prices("none")
    rows = table.index[table["asset"] == "P2"][100:][:days]
    columns = ["close", "adj_close"] if both else ["adj_close"]
    table.loc[rows, columns] *= factor * (1 + move)
    day = table.loc[rows[0], "date"].date()
    with pytest.raises(InputError, match=rf"adj_close of P2 on {day}.* moves by a factor of 100 or more"):
        build(tmp_path_factory.mktemp("unit"), table, prices_adjusted="none")


@pytest.mark.parametrize("factor", [100.0, 0.01, 1e4])
def test_a_few_days_in_another_unit_are_left_out_and_counted(
    tmp_path: Path, factor: float, caplog: pytest.LogCaptureFixture
) -> None:
    table = prices("none")
    odd = (table["asset"] == "P2") & (table["date"].between(MONTHS[50], MONTHS[51]))
    spoilt = table.assign(
        **{name: table[name] * odd.map({True: factor, False: 1.0}) for name in ("close", "adj_close")}
    )
    with caplog.at_level("INFO"):
        made = build(tmp_path, spoilt, prices_adjusted="none")
    assert f"{odd.sum()} days left out because they are in another unit than the days around them (P2)" in caplog.text
    pd.testing.assert_frame_equal(made, build(tmp_path, table[~odd], prices_adjusted="none"))


@pytest.mark.parametrize("times", [2.0, 10.0, 0.1])
def test_shares_that_split_while_closes_do_not_are_refused(tmp_path: Path, times: float) -> None:
    table = prices("splits").drop(columns=["market_value", "split"])
    shares = table["date"].map(lambda day: 1e8 * (times if day >= MONTHS[40] else 1.0))
    with pytest.raises(InputError, match=r"shares of .* in 2013-05 .*multiply by a whole number while close does not"):
        build(tmp_path, table.assign(shares=shares), prices_adjusted="splits")
    grown = table["date"].map(lambda day: 1e8 * (1.3 if day >= MONTHS[40] else 1.0))  # issued, and so it counts
    build(tmp_path, table.assign(shares=grown), prices_adjusted="splits")


def test_monthly_prices_and_an_index_of_returns_are_refused_by_that_name(tmp_path: Path) -> None:
    table = prices("none")
    with pytest.raises(InputError, match="one price a month: ILLIQ needs daily prices"):
        build(tmp_path, table[table["date"].dt.is_month_end], prices_adjusted="none")
    noise = pd.DataFrame({"date": MONTHS, "close": np.random.default_rng(0).normal(1, 0.03, len(MONTHS))})
    with pytest.raises(InputError, match="give index levels, not returns"):
        _require_levels(noise)


def test_returns_of_another_kind_are_refused(panel: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"looks like 1 \+ return"):
        check_panel(panel.assign(ret_next=1 + panel["ret_next"]), ["PER"], 5)
    last = panel.loc[panel["ret_next"].notna(), "date"].max()
    filled = panel.assign(ret_next=panel["ret_next"].mask(panel["date"] == last, 0.0))
    with pytest.raises(InputError, match="is 0 for nearly all stocks in 1 month"):
        check_panel(filled, ["PER"], 5)


@pytest.mark.parametrize(("rule", "value"), [("drop", np.nan), ("zero", 0.0), ("delist=-0.3", -0.3)])
def test_stocks_that_leave_without_a_return_are_counted_and_treated(
    panel: pd.DataFrame, rule: str, value: float
) -> None:
    gone = panel["asset"].isin(["S0003", "S0005"]) & (panel["date"] >= sorted(panel["date"].unique())[20])
    there = panel[~gone].reset_index(drop=True)
    last = there["asset"].isin(["S0003", "S0005"]) & (there["date"] == there.groupby("asset")["date"].transform("max"))
    lost = there.assign(ret_next=there["ret_next"].mask(last))
    made, said = treat_leavers(lost, rule)
    assert said[0].startswith("2 of ") and "S0003, S0005" in said[0]
    np.testing.assert_array_equal(made.loc[last, "ret_next"], value)
    pd.testing.assert_frame_equal(made[~last], there[~last])
    assert treat_leavers(there, rule) == (there, [])
    for odd in ("", "delist=", "delist=-3", "none", "delist=x"):
        with pytest.raises(InputError, match="must be drop"):
            check_rule(odd)
