"""Raw data -> panel: formulas, point in time, and everything that happens to companies."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from drf.data.daily import month_bars
from drf.data.panel import check_panel
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.raw import ITEMS, Conventions, RawData, build_panel
from drf.data.sources import RawTables
from drf.errors import InputError

STOCKS = ["A", "B", "C", "D", "E", "F"]
DAYS = pd.bdate_range("2010-01-01", "2016-12-30")


def daily_prices(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(rng.normal(0.0003, 0.02, (len(DAYS), len(STOCKS))).cumsum(axis=0))
    volume = rng.integers(1_000, 9_000, close.shape).astype(float)
    frames = [
        pd.DataFrame(
            {"date": DAYS, "asset": name, "close": close[:, k], "adj_close": close[:, k], "volume": volume[:, k]}
        )
        for k, name in enumerate(STOCKS)
    ]
    return pd.concat(frames, ignore_index=True)


def statements(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    ends = pd.date_range("2009-03-31", "2016-03-31", freq="12ME")
    table = pd.DataFrame([(name, end) for name in STOCKS for end in ends], columns=["asset", "fiscal_year_end"])
    table["available_from"] = table["fiscal_year_end"] + pd.Timedelta(days=45)
    scale = np.exp(rng.normal(0, 0.3, (len(table), len(ITEMS))))
    return pd.concat([table, pd.DataFrame(1e6 * scale, columns=list(ITEMS))], axis=1)


INDEX = pd.DataFrame(
    {"date": DAYS, "close": 1000 * np.exp(np.random.default_rng(9).normal(0, 0.01, len(DAYS)).cumsum())}
)


def bars_of(prices: pd.DataFrame, folder: Path) -> pd.DataFrame:
    prices.to_parquet(folder / "prices.parquet")
    return month_bars(str(folder / "prices.parquet"))


HOW = Conventions(
    lag_months=3, stale_months=18, carry_months=12, prices_adjusted="none", shares_adjusted="none", most_unmatched=0.2
)
WORDS = asdict(HOW)


def panel_of(
    folder: Path,
    prices: pd.DataFrame | None = None,
    books: pd.DataFrame | None = None,
    delistings: pd.DataFrame | None = None,
    how: Conventions = HOW,
) -> tuple[pd.DataFrame, str]:
    """The panel, and what was said of it."""
    bars = bars_of(daily_prices() if prices is None else prices, folder)
    panel, said = build_panel(RawData(bars, INDEX, statements() if books is None else books, delistings), how)
    return panel, "\n".join(said)


def cell(panel: pd.DataFrame, asset: str, date: str, column: str) -> float:
    found = panel[(panel["asset"] == asset) & (panel["date"] == date)]
    return float(found[column].item())


def test_every_descriptor_agrees_with_its_formula_by_hand(tmp_path: Path) -> None:
    panel, _ = panel_of(tmp_path)
    check_panel(panel, DESCRIPTORS, 5)
    prices, book = daily_prices().query("asset == 'B'"), statements().query("asset == 'B'").set_index("fiscal_year_end")
    month_end = prices.set_index("date")["adj_close"].resample("ME").last()
    returns = month_end.pct_change()
    market = INDEX.set_index("date")["close"].resample("ME").last().pct_change()
    at = pd.Timestamp("2016-04-30")  # the books of March 2016 come out in May
    past = slice(at - pd.offsets.MonthEnd(59), at)
    items = book.loc["2015-03-31"]
    value = month_end[at] * items["shares_outstanding"]
    days = prices[(prices["date"] > "2016-03-31") & (prices["date"] <= "2016-04-30")]
    before = prices[prices["date"] <= "2016-03-31"]["adj_close"].iloc[-1]
    moves = np.abs(np.diff(np.r_[before, days["adj_close"]]) / np.r_[before, days["adj_close"]][:-1])
    expected = {
        "VOL60": returns[past].std(),
        "BETA": stats.linregress(market[past], returns[past]).slope,
        "SKEW": stats.skew(returns[past], bias=False),
        "ROE": items["net_income"] / items["net_assets"],
        "ROA": items["operating_profit"] / items["total_assets"],
        "ACCRUALS": (items["operating_cash_flow"] - items["operating_profit"]) / items["total_assets"],
        "LEVERAGE": 1 - items["net_assets"] / items["total_assets"],
        "MOM12_1": month_end["2016-03-31"] / month_end["2015-04-30"] - 1,
        "MOM1": returns[at],
        "MOM60": month_end[at] / month_end["2011-04-30"] - 1,
        "PSR": items["sales"] / value,
        "PER": items["net_income"] / value,
        "PBR": items["net_assets"] / value,
        "PCFR": items["operating_cash_flow"] / value,
        "CAP": np.log(value),
        "ILLIQ": 1e9 * np.mean(moves / (days["close"] * days["volume"])),
        "ret_next": returns["2016-05-31"],
    }
    assert set(expected) == {*DESCRIPTORS, "ret_next"}
    for name, number in expected.items():
        assert cell(panel, "B", "2016-04-30", name) == pytest.approx(number, rel=1e-9), name


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), month=st.integers(62, 80))
def test_nothing_after_a_date_changes_anything_at_or_before_it(seed: int, month: int, tmp_path: Path) -> None:
    """Prices, index, books and delistings after the date are replaced: no descriptor known by then moves."""
    cut = pd.date_range("2010-01-31", periods=month, freq="ME")[-1]
    rng = np.random.default_rng(seed)
    prices, books = daily_prices(), statements()
    later = prices["date"] > cut
    prices.loc[later, ["close", "adj_close"]] *= np.exp(rng.normal(0, 0.5, (later.sum(), 2)))
    prices.loc[later, "volume"] = rng.integers(0, 100, later.sum()).astype(float)
    prices = prices[~(later & (prices["asset"] == "C"))]
    future = books["available_from"] > cut
    books.loc[future, list(ITEMS)] *= np.exp(rng.normal(0, 1, (future.sum(), len(ITEMS))))
    books.loc[future, "available_from"] += pd.to_timedelta(rng.integers(0, 300, future.sum()), unit="D")
    gone = pd.DataFrame({"asset": ["C"], "date": [cut + pd.offsets.MonthEnd(1)], "delisting_return": [-0.5]})
    before, after = panel_of(tmp_path)[0], panel_of(tmp_path, prices, books, gone)[0]
    columns = ["date", "asset", *DESCRIPTORS]
    known = [table.loc[table["date"] <= cut, columns].reset_index(drop=True) for table in (before, after)]
    assert len(known[0]) and known[0].equals(known[1])
    earlier = [table.loc[table["date"] < cut, "ret_next"].reset_index(drop=True) for table in (before, after)]
    assert earlier[0].equals(earlier[1])


def test_a_statement_counts_from_its_day_or_the_lag_and_not_when_stale(tmp_path: Path) -> None:
    books = statements().query("fiscal_year_end <= '2015-03-31'").copy()
    books.loc[books["asset"] == "B", "available_from"] = pd.NaT
    panel, said = panel_of(tmp_path, books=books)
    first = cell(panel, "A", "2015-04-30", "ROE")
    assert cell(panel, "A", "2015-05-31", "ROE") != first  # 45 days after the end of March
    assert cell(panel, "B", "2015-05-31", "ROE") == cell(panel, "B", "2015-04-30", "ROE")
    assert cell(panel, "B", "2015-06-30", "ROE") != cell(panel, "B", "2015-05-31", "ROE")  # the lag of three months
    assert not np.isnan(cell(panel, "A", "2016-08-31", "ROE"))
    assert np.isnan(cell(panel, "A", "2016-09-30", "ROE"))  # 18 months after its fiscal year
    assert np.isnan(cell(panel, "A", "2016-09-30", "CAP"))
    assert not np.isnan(cell(panel, "A", "2016-09-30", "MOM1"))
    assert "7 statements dated by the lag" in said
    assert f"{6 * 4} stock-months whose statement has gone stale" in said


def test_a_late_restatement_does_not_set_a_stock_back(tmp_path: Path) -> None:
    books = statements()
    old = (books["asset"] == "A") & (books["fiscal_year_end"] == "2014-03-31")
    books.loc[old, "available_from"] = pd.Timestamp("2015-09-15")
    panel, _ = panel_of(tmp_path, books=books)
    assert cell(panel, "A", "2015-09-30", "ROE") == cell(panel, "A", "2015-08-31", "ROE")


def test_a_split_leaves_returns_and_market_value_alone(tmp_path: Path) -> None:
    """Two for one in the middle of the year, in plain closes; the total-return close does not see it."""
    prices = daily_prices()
    later = (prices["asset"] == "A") & (prices["date"] >= "2015-07-15")
    prices.loc[later, "close"] /= 2
    prices.loc[later, "volume"] *= 2
    books = statements()
    books.loc[(books["asset"] == "A") & (books["fiscal_year_end"] >= "2015-07-15"), "shares_outstanding"] *= 2
    (plain, _), (split, said) = panel_of(tmp_path), panel_of(tmp_path, prices, books)
    pd.testing.assert_frame_equal(split, plain, rtol=1e-9)
    assert "1 months with a split" in said
    assert "1 split(s) are guessed" in said and "A 2015-07 (2)" in said


def test_days_without_volume(tmp_path: Path) -> None:
    prices = daily_prices()
    idle = (prices["asset"] == "B") & (prices["date"] == "2015-08-12")
    prices.loc[idle, "volume"] = 0.0
    panel, said = panel_of(tmp_path, prices)
    assert np.isfinite(cell(panel, "B", "2015-08-31", "ILLIQ"))
    assert "1 days without trading" in said


def test_negative_net_assets_and_missing_items(tmp_path: Path) -> None:
    books = statements()
    books.loc[books["asset"] == "A", "net_assets"] = -1e5
    books.loc[books["asset"] == "B", "sales"] = np.nan
    panel, said = panel_of(tmp_path, books=books)
    assert np.isnan(cell(panel, "A", "2015-08-31", "ROE"))
    assert cell(panel, "A", "2015-08-31", "PBR") < 0
    assert cell(panel, "A", "2015-08-31", "LEVERAGE") > 1
    assert np.isnan(cell(panel, "B", "2015-08-31", "PSR"))
    assert np.isfinite(cell(panel, "B", "2015-08-31", "PER"))
    assert re.search(r"\d+ stock-months with net assets not above 0", said)


def test_the_last_return_of_a_delisted_stock_is_kept(tmp_path: Path) -> None:
    """A stops in the middle of August with a loss of 40 % after its last price; B with the month; C without a word."""
    prices = daily_prices()
    ends = {"A": "2015-08-14", "B": "2015-08-31", "C": "2015-08-14"}
    for name, day in ends.items():
        prices = prices[~((prices["asset"] == name) & (prices["date"] > day))]
    dates = [pd.Timestamp("2015-08-14"), pd.Timestamp("2015-09-02")]
    gone = pd.DataFrame({"asset": ["A", "B"], "date": dates, "delisting_return": [-0.4, -0.9]})
    panel, said = panel_of(tmp_path, prices, delistings=gone)
    closes = prices.set_index(["asset", "date"])["adj_close"]
    part = closes["A", "2015-08-14"] / closes["A", "2015-07-31"]
    assert cell(panel, "A", "2015-07-31", "ret_next") == pytest.approx(part * 0.6 - 1)
    assert cell(panel, "B", "2015-08-31", "ret_next") == pytest.approx(-0.9)
    assert cell(panel, "C", "2015-07-31", "ret_next") == pytest.approx(
        closes["C", "2015-08-14"] / closes["C", "2015-07-31"] - 1
    )
    assert "2 delisting returns used" in said
    assert "1 stocks that end before the panel without a delisting" in said
    assert panel[(panel["asset"] == "A") & (panel["date"] == "2015-08-31")].empty  # it was gone by then


def test_the_result_does_not_depend_on_order_or_on_how_many_stocks_are_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = bars_of(daily_prices(), tmp_path)
    monkeypatch.setattr("drf.data.daily.ROWS_AT_ONCE", 1000)
    assert bars_of(daily_prices().sample(frac=1, random_state=0), tmp_path).equals(plain)
    prices = daily_prices()
    prices.to_csv(tmp_path / "prices.csv", index=False)
    pd.testing.assert_frame_equal(month_bars(str(tmp_path / "prices.csv")), plain, rtol=1e-12)


def write(
    folder: Path, prices: pd.DataFrame, books: pd.DataFrame, index: pd.DataFrame = INDEX
) -> dict[str, str | None]:
    prices.to_csv(folder / "prices.csv", index=False)
    books.to_csv(folder / "books.csv", index=False)
    index.to_csv(folder / "index.csv", index=False)
    files = {name: str(folder / f"{file}.csv") for name, file in (("prices", "prices"), ("market_index", "index"))}
    return {**files, "statements": str(folder / "books.csv"), "delistings": None}


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("prices", "close", 0.0, "data.prices={}/prices.csv: column close, 1 row(s), first row 8 (0.0): not a price"),
        ("prices", "close", -3.0, "column close, 1 row(s), first row 8 (-3.0): negative with trading"),
        ("prices", "volume", "many", "column volume, 1 row(s), first row 8"),
        ("prices", "date", "soon", "column date, 1 row(s), first row 8 (soon): not a date"),
        ("prices", "asset", "", "column asset, 1 row(s), first row 8"),
        ("books", "sales", "lots", "data.statements={}/books.csv: column sales, 1 row(s), first row 8 ('lots')"),
        ("books", "fiscal_year_end", "", "column fiscal_year_end, 1 row(s), first row 8"),
        ("books", "available_from", "2001-01-01", "before its fiscal year ended (1 such rows): correct available_from"),
        ("index", "close", "inf", "data.market_index={}/index.csv: column close, 1 row(s), first row 8"),
    ],
)
def test_what_cannot_be_right_is_refused(table: str, column: str, value: object, message: str, tmp_path: Path) -> None:
    tables = {"prices": daily_prices(), "books": statements(), "index": INDEX.copy()}
    tables[table][column] = tables[table][column].astype(object)
    tables[table].loc[7, column] = value
    files = write(tmp_path, *tables.values())
    with pytest.raises(InputError) as refused:
        RawTables(**files, **WORDS).panel()
    assert message.format(tmp_path) in str(refused.value)


def test_other_faults_are_refused_by_name(tmp_path: Path) -> None:
    prices, books = daily_prices(), statements()
    cases = {
        "column adj_close missing": (prices.drop(columns="adj_close"), books),
        "A appears more than once on 2010-01-01": (pd.concat([prices, prices[:1]]), books),
        "has no rows": (prices[:0], books),
        "A, 2009-03-31 00:00:00, 2009-05-15 00:00:00 appears more than once": (prices, pd.concat([books, books[:1]])),
        "no month has all descriptors": (prices[prices["date"] < "2011-01-01"], books),
    }
    for message, tables in cases.items():
        with pytest.raises(InputError, match=message):
            RawTables(**write(tmp_path, *tables), **WORDS).panel()
    with pytest.raises(InputError, match="there is no such file"):
        RawTables(prices="nowhere.parquet", market_index="x", statements="y", delistings=None, **WORDS).panel()


def test_what_was_treated_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        files = write(tmp_path, daily_prices().assign(close=lambda table: 2 * table["close"]), statements())
        RawTables(**files, **{**WORDS, "prices_adjusted": None}).panel()
    assert "no split is seen in the closes" in caplog.text


def test_only_what_the_asked_descriptors_need_is_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    books = statements().drop(columns="operating_cash_flow")
    with pytest.raises(InputError, match="column operating_cash_flow missing"):
        RawTables(**write(tmp_path, daily_prices(), books), **WORDS).panel()
    asked = [name for name in DESCRIPTORS if name not in ("ACCRUALS", "PCFR")]
    source = RawTables(**write(tmp_path, daily_prices(), books), **WORDS)
    panel = source.needing(asked).panel()
    whole = RawTables(**write(tmp_path, daily_prices(), statements()), **WORDS).panel()
    pd.testing.assert_frame_equal(panel, whole.drop(columns=["ACCRUALS", "PCFR"]))
    with caplog.at_level("INFO"):
        longer = RawTables(**write(tmp_path, daily_prices(), books), **WORDS).needing(["MOM1", "ROE"]).panel()
    assert longer["date"].min() < panel["date"].min() and set(longer) == set(panel)
    later = longer[longer["date"] >= panel["date"].min()].reset_index(drop=True)
    pd.testing.assert_frame_equal(later, panel)
    with caplog.at_level("INFO"):
        source.needing(["MOM1", "MOM60"]).panel()
    assert re.search(
        r"\d+ months before 2014-\d\d are left out: MOM60 from 2014-\d\d: without them in data\.descriptors",
        caplog.text,
    )


def test_months_of_prices_that_are_too_few_are_counted(tmp_path: Path) -> None:
    prices = daily_prices()
    with pytest.raises(InputError, match="36 to 60 months of prices, and there are 24"):
        RawTables(**write(tmp_path, prices[prices["date"] < "2012-01-01"], statements()), **WORDS).panel()
