"""What must come out of the market made by hand (:mod:`tests.data.by_hand`), worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drf.data.panel import check_panel, fingerprint
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.sources import RawTables
from drf.errors import InputError
from tests.data.by_hand import (
    CLOSED,
    DELISTINGS,
    MONTHS,
    NEWEST,
    ODD,
    PLAIN,
    SHARES,
    VALUED,
    build,
    delisted,
    path_of,
    prices,
    series,
    statements,
)  # fmt: skip


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return build(tmp_path_factory.mktemp("known"), prices("none"), prices_adjusted="none").set_index(["asset", "date"])


def test_what_a_suspended_stock_loses_is_in_the_record(panel: pd.DataFrame) -> None:
    following = series(panel, "GAP", "ret_next")
    assert following[[68, 69, 70, 71]].tolist() == [0, 0, 0, 0]
    assert following[72] == pytest.approx(-0.6)  # it comes back in month 73
    assert series(panel, "GAP", "MOM1")[[70, 71, 72, 73]].tolist() == pytest.approx([0, 0, 0, -0.6])
    # Risk is that of single months: none of the gap, nor the one that ends it; nor those of the closed market.
    returns = pd.Series(path_of("GAP")).pct_change()[14:74].drop([CLOSED, CLOSED + 1, 70, 71, 72, 73])
    assert series(panel, "GAP", "VOL60")[73] == pytest.approx(returns.std())
    assert series(panel, "GAP", "CAP")[72] == pytest.approx(np.log(100 * SHARES))
    assert series(panel, "GAP", "CAP")[73] == pytest.approx(np.log(40 * SHARES))


def test_a_closed_market_costs_no_month(panel: pd.DataFrame) -> None:
    months = panel.index.get_level_values("date").unique()
    assert list(pd.date_range(months.min(), months.max(), freq="ME")) == list(months.sort_values())
    worth = path_of("P1")
    following = series(panel, "P1", "ret_next")
    assert following[CLOSED - 1] == 0
    assert following[CLOSED] == pytest.approx(worth[CLOSED + 1] / worth[CLOSED - 1] - 1)
    assert series(panel, "P1", "ILLIQ")[CLOSED] == series(panel, "P1", "ILLIQ")[CLOSED - 1]
    check_panel(panel.reset_index(), DESCRIPTORS, 5)


@pytest.mark.parametrize(
    ("convention", "settings"),
    [
        ("none", {"prices_adjusted": "none"}),
        ("splits", {"prices_adjusted": "splits"}),
        ("splits", {"prices_adjusted": "splits", "shares_adjusted": "splits"}),
        ("none", {"prices_adjusted": "none", "shares_adjusted": "splits"}),
        ("total_return", {"prices_adjusted": "total_return", "with": "market_value"}),
        ("splits", {"with": "shares"}),
    ],
)
def test_every_convention_gives_the_same_panel(
    convention: str, settings: dict[str, str], panel: pd.DataFrame, tmp_path: Path
) -> None:
    """ILLIQ aside, whose traded value needs prices as traded."""
    own = settings.pop("with", None) if "with" in settings else None
    table = prices(convention)
    if own == "shares":
        table["shares"] = table["market_value"] / table["close"]
    if own is None or own == "shares":
        table = table.drop(columns="market_value")
    if settings.get("shares_adjusted") and convention == "splits":
        table = table.drop(columns="split")
    books = statements(adjusted=settings.get("shares_adjusted") == "splits")
    found = build(tmp_path, table, books, **settings).set_index(["asset", "date"])
    columns = [name for name in panel if name != "ILLIQ"]
    if own:  # known on the day, and not only with the newest statement
        columns = [name for name in columns if name not in VALUED]
    pd.testing.assert_frame_equal(found[columns], panel[columns], rtol=1e-9)


def test_splits_bonus_issues_and_special_dividends_leave_market_values_right(panel: pd.DataFrame) -> None:
    for name, after in (("SPLIT", 100.0), ("BONUS", 100.0), ("SPECIAL", 50.0)):
        values = series(panel, name, "CAP")
        assert values[69] == pytest.approx(np.log(100 * SHARES)), name
        assert values[70] == pytest.approx(np.log(after * SHARES)), name
        assert values[74] == pytest.approx(np.log(after * SHARES)), name  # the next books have come
        assert series(panel, name, "ret_next")[69] == pytest.approx(0.0), name  # the dividend is part of the return
        assert series(panel, name, "PBR")[70] == pytest.approx(50.0 / (after * SHARES)), name


def test_without_the_splits_they_are_guessed_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The guess: 10:1 is found, 5:4 is missed, and the special dividend is taken for a split."""
    with caplog.at_level("INFO"):
        found = build(tmp_path, prices("none").drop(columns=["split", "market_value"])).set_index(["asset", "date"])
    assert "2 split(s) are guessed" in caplog.text
    assert "SPECIAL 2015-11 (2), SPLIT 2015-11 (10)" in caplog.text
    assert series(found, "SPLIT", "CAP")[70] == pytest.approx(np.log(100 * SHARES))
    assert series(found, "BONUS", "CAP")[70] == pytest.approx(np.log(80 * SHARES))
    assert series(found, "SPECIAL", "CAP")[70] == pytest.approx(np.log(100 * SHARES))


@pytest.mark.parametrize(
    ("convention", "drop", "settings", "message"),
    [
        ("none", ["market_value"], {}, "has the column split: set data.prices_adjusted=none"),
        ("splits", ["market_value"], {"prices_adjusted": "none"}, "the closes do not jump: set splits"),
        ("none", ["market_value"], {"prices_adjusted": "splits"}, "the closes jump: set none"),
        ("splits", ["market_value", "split"], {"prices_adjusted": "splits"}, "market values need the splits too"),
        ("total_return", ["market_value"], {"prices_adjusted": "total_return"}, "give no market value"),
        ("total_return", ["market_value", "split"], {}, "close and adj_close are the same on every day"),
    ],
)
def test_what_cannot_be_is_refused(
    convention: str, drop: list[str], settings: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        build(tmp_path, prices(convention).drop(columns=drop), **settings)


def test_delistings_count_in_their_own_month(panel: pd.DataFrame) -> None:
    dead, lost = series(panel, "DEAD", "ret_next"), series(panel, "LOST", "ret_next")
    assert dead.index[-1] == NEWEST - 1
    assert dead[NEWEST - 1] == pytest.approx(-0.5)
    # suspended from month 70 on, gone in the middle of month 72
    assert lost.index[-1] == 71
    assert lost[[69, 70, 71]].tolist() == [0, 0, -1]


def test_a_name_that_comes_back_late_is_another_company(panel: pd.DataFrame) -> None:
    """Its past is not the other's: no return over the gap, no momentum from before it, no books of the other."""
    momentum = series(panel, "REUSED", "MOM1")
    assert np.isnan(momentum[58])
    assert momentum[59] == pytest.approx(path_of("REUSED")[59] / path_of("REUSED")[58] - 1)
    assert series(panel, "REUSED", "MOM12_1").first_valid_index() == 58 + 12
    assert series(panel, "REUSED", "VOL60").isna().all()  # 36 months are needed


def test_books_count_from_their_day_on(panel: pd.DataFrame) -> None:
    """Net income is the year, so that what is known can be read off."""
    late, twice = (50 * series(panel, name, "ROE") for name in ("LATE", "TWICE"))
    month = {str(end.date()): number for number, end in enumerate(MONTHS)}
    # without the books of 2013 those of 2012 count until they are stale, and 2014's from the end of May
    assert late[month["2015-03-31"]] == pytest.approx(14)
    assert late[month["2014-12-31"]] == pytest.approx(14)  # those of 2013 came too late to count
    assert twice[month["2014-12-31"]] == pytest.approx(99)
    assert twice[month["2015-04-30"]] == pytest.approx(99)
    assert twice[month["2015-05-31"]] == pytest.approx(15)


def test_each_vintage_counts_until_the_next(tmp_path: Path) -> None:
    books = statements()
    again = books[(books["asset"] == "P1") & (books["fiscal_year_end"] == "2015-03-31")].copy()
    again["available_from"], again["net_income"] = pd.Timestamp("2015-09-20"), 77.0
    table = prices("none")
    found = build(tmp_path, table, pd.concat([books, again]), prices_adjusted="none").set_index(["asset", "date"])
    known = 50 * series(found, "P1", "ROE")
    at = {f"{end:%Y-%m}": number for number, end in enumerate(MONTHS)}
    assert known[[at["2015-05"], at["2015-08"], at["2015-09"]]].tolist() == pytest.approx([15, 15, 77])
    undated = again.assign(available_from=pd.NaT, sales=1.0)  # counts from June, three months after its year's end
    with pytest.raises(InputError, match=r"the statement of P1 for 2015-03-31 appears more than once as of 2015-06-30"):
        june = undated.assign(available_from=pd.Timestamp("2015-06-30"))
        build(tmp_path, table, pd.concat([books, undated, june]), prices_adjusted="none")


def test_crsp_writes_means_of_bid_and_ask_as_negative_prices(panel: pd.DataFrame, tmp_path: Path) -> None:
    table = prices("none").drop(columns="market_value")
    quoted = (table["asset"] == "P2") & (table["date"] == MONTHS[70])
    table.loc[quoted, ["close", "adj_close"]] *= -1
    table.loc[quoted, "volume"] = np.nan
    found = build(tmp_path, table, prices_adjusted="none").set_index(["asset", "date"])
    columns = [name for name in panel if name != "ILLIQ"]
    pd.testing.assert_frame_equal(found[columns], panel[columns])


def test_codes_match_but_for_noughts_and_half_failed_joins_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    codes = {name: f"{number:06d}" for number, name in enumerate([*PLAIN, *ODD], 10)}
    table, books = prices("none"), statements()
    for frame in (table, books):
        frame["asset"] = frame["asset"].map(codes)
    plain = build(tmp_path, table, books, prices_adjusted="none")
    books["asset"] = books["asset"].str.lstrip("0").astype(int)
    with caplog.at_level("INFO"):
        assert fingerprint(build(tmp_path, table, books, prices_adjusted="none")) == fingerprint(plain)
    assert "13 names of data.statements are a stock's but for noughts in front (10 = 000010" in caplog.text
    half = books["asset"].astype(str).where(books["asset"] < 17, "X" + books["asset"].astype(str))
    with pytest.raises(InputError, match=r"6 of 13 stocks have no row in data.statements \(46%\), such as 000017"):
        build(tmp_path, table, books.assign(asset=half), prices_adjusted="none")
    found = build(tmp_path, table, books.assign(asset=half), prices_adjusted="none", most_unmatched=0.5)
    assert found.loc[found["asset"] == "000018", "ROE"].isna().all()
    with pytest.raises(InputError, match=r"none of its names matches"):
        build(tmp_path, table, books.assign(asset="Y" + half), prices_adjusted="none")


def test_another_company_in_the_month_of_the_delisting(tmp_path: Path) -> None:
    """P1 is suspended in month 68, delisted on the 5th of month 70; from the 10th on another has its name, at 500."""
    table = prices("none").drop(columns="market_value")
    table = table[~((table["asset"] == "P1") & table["date"].between(MONTHS[67] + pd.Timedelta(days=1), MONTHS[69]))]
    table.loc[(table["asset"] == "P1") & (table["date"] > MONTHS[69]), ["close", "adj_close"]] = 500.0
    gone = delisted(("P1", MONTHS[70].replace(day=5), -0.9))
    found = build(tmp_path, table, prices_adjusted="none", delistings=gone).set_index(["asset", "date"])
    following = series(found, "P1", "ret_next")
    assert following[[67, 68, 69]].tolist() == pytest.approx([0, 0, -0.9])
    assert following[[70, 71]].tolist() == [0, 0]
    early = delisted(("P2", MONTHS[70].replace(day=12), -0.9))
    with pytest.raises(InputError, match=r"P2 is delisted on 2015-11-12, but .* to 2015-11-30 \(1 such cases\)"):
        build(tmp_path, prices("none"), prices_adjusted="none", delistings=early)


def test_of_several_delistings_the_first_known_return_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = prices("none")
    table = table[~((table["asset"] == "P1") & (table["date"] > MONTHS[70]))]
    twice = delisted(("P1", MONTHS[72].replace(day=5), np.nan), ("P1", MONTHS[71].replace(day=5), -0.8))
    with caplog.at_level("INFO"):
        found = build(tmp_path, table, prices_adjusted="none", delistings=twice).set_index(["asset", "date"])
    assert series(found, "P1", "ret_next")[70] == pytest.approx(-0.8)
    assert "1 delistings of a stock that is delisted already, not used (P1 of 2016-01)" in caplog.text


def test_a_month_that_has_not_ended_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = prices("none")
    with caplog.at_level("INFO"):
        found = build(tmp_path, table[table["date"] <= MONTHS[74].replace(day=10)], prices_adjusted="none")
    assert "2016-03 is left out: the prices end on 2016-03-10, 21 days before its end" in caplog.text
    assert found["date"].max() == MONTHS[73]
    assert found.loc[found["date"] == MONTHS[73], "ret_next"].isna().all()


def test_shares_that_are_given_now_and_then_count_until_the_next(
    panel: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once a year, before the splits: the price is the month's own, and splits since are reckoned in."""
    table = prices("none").drop(columns="market_value")
    table["shares"] = np.where(table["date"].isin(MONTHS[[46, 58, 69]]), SHARES, np.nan)
    table.loc[table["asset"] == "P2", "shares"] = np.nan
    with caplog.at_level("INFO"):
        found = build(tmp_path, table).set_index(["asset", "date"])
    for name in ("P1", "SPLIT", "BONUS", "SPECIAL", "GAP"):
        expected = np.log(path_of(name)[60:75] * SHARES)
        assert series(found, name, "CAP")[range(60, 75)].tolist() == pytest.approx(expected.tolist()), name
    assert series(found, "P2", "CAP").isna().all()
    assert "stock-months without a market value" in caplog.text


def test_a_split_while_suspended_is_seen_by_the_closes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """GAP comes back at a tenth, after a split that no row could name."""
    table = prices("none").drop(columns="market_value")
    back = (table["asset"] == "GAP") & (table["date"] > MONTHS[72])
    table.loc[back, "close"] /= 10
    with caplog.at_level("INFO"):
        found = build(tmp_path, table, prices_adjusted="none").set_index(["asset", "date"])
    assert series(found, "GAP", "CAP")[73] == pytest.approx(np.log(40 * SHARES))
    assert "1 split(s) in months without a price are guessed" in caplog.text


def test_an_index_that_stands_twice_is_refused(tmp_path: Path) -> None:
    build(tmp_path, prices("none"), prices_adjusted="none")
    index = pd.read_parquet(tmp_path / "market_index.parquet")
    source = RawTables(
        **{name: str(tmp_path / f"{name}.parquet") for name in ("prices", "statements", "market_index")},
        delistings=None,
        lag_months=3,
        stale_months=18,
        prices_adjusted="none",
    )
    pd.concat([index, index.assign(close=9000.0)]).to_parquet(tmp_path / "market_index.parquet")
    with pytest.raises(InputError, match=r"data.market_index=.* appears more than once: keep one row a \(date\)"):
        source.panel()


@pytest.mark.parametrize(
    ("named", "settings"), [(True, {"prices_adjusted": "none"}), (False, {"prices_adjusted": "none"}), (False, {})]
)
def test_shares_grow_with_splits_until_they_are_given_again(
    named: bool, settings: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Given before the split: months before, or on the 10th of the month at whose end another split comes."""
    table = prices("none").drop(columns="market_value")
    table.loc[(table["asset"] == "SPECIAL") & (table["date"] < MONTHS[70].replace(day=10)), "adj_close"] *= 2
    last = (table["asset"] == "P1") & (table["date"] == MONTHS[72])
    later = (table["asset"] == "P1") & (table["date"] > MONTHS[72])
    table.loc[last | later, "close"] /= 2
    table.loc[last, "split"] = 2.0
    table["shares"] = np.where(table["date"].isin([MONTHS[69], MONTHS[72].replace(day=10)]), SHARES, np.nan)
    table.loc[(table["asset"] == "SPLIT") & (table["date"] > MONTHS[70]), "shares"] = np.nan
    with caplog.at_level("INFO"):
        found = build(tmp_path, table if named else table.drop(columns="split"), **settings).set_index(
            ["asset", "date"]
        )
    assert series(found, "SPLIT", "CAP")[[69, 70, 74]].tolist() == pytest.approx([np.log(100 * SHARES)] * 3)
    expected = np.log(path_of("P1")[[71, 72, 73]] * SHARES)
    assert series(found, "P1", "CAP")[[71, 72, 73]].tolist() == pytest.approx(expected.tolist())
    assert ("split(s) are guessed" in caplog.text) != named


def test_no_split_is_guessed_from_another_companys_price(tmp_path: Path) -> None:
    """P1 is delisted in month 59; from month 65 on another has its name, whose closes differ by another dividend."""
    table = prices("none").drop(columns="market_value")
    table = table[~((table["asset"] == "P1") & table["date"].between(MONTHS[59].replace(day=11), MONTHS[64]))]
    table.loc[(table["asset"] == "P1") & (table["date"] < MONTHS[60]), "adj_close"] /= 2
    gone = delisted(("P1", MONTHS[59].replace(day=10), -0.1))
    for some in (table, table.drop(columns="split")):
        found = build(tmp_path, some, prices_adjusted="none", delistings=gone).set_index(["asset", "date"])
        months = [65, 68, 72]
        expected = np.log(path_of("P1")[months] * SHARES)
        assert series(found, "P1", "CAP")[months].tolist() == pytest.approx(expected.tolist())


def test_a_delisting_a_few_days_before_the_last_price_belongs_to_its_month(tmp_path: Path) -> None:
    table = prices("none")
    table = table[~((table["asset"] == "P1") & (table["date"] > MONTHS[70]))]
    after = table[(table["asset"] == "P1") & (table["date"] == MONTHS[70])].assign(
        date=MONTHS[70] + pd.Timedelta(days=2)
    )
    after[["close", "adj_close"]] /= 2
    gone = delisted(("P1", MONTHS[70] - pd.Timedelta(days=1), -0.2))
    found = build(tmp_path, pd.concat([table, after]), prices_adjusted="none", delistings=gone)
    following = series(found.set_index(["asset", "date"]), "P1", "ret_next")
    assert following.index[-1] == 70
    assert following[70] == pytest.approx(0.5 * 0.8 - 1)


@pytest.mark.parametrize("carry", [0, 2, 3, 24])
def test_for_how_long_a_price_is_kept_is_the_users(carry: int, tmp_path: Path) -> None:
    found = build(tmp_path, prices("none"), prices_adjusted="none", carry_months=carry).set_index(["asset", "date"])
    months = series(found, "GAP", "ret_next").index
    assert (71 in months) == (carry >= 3)
    first = series(found, "REUSED", "MOM12_1").first_valid_index()
    # with 0 the closed market ends every listing
    assert first == {0: None, 24: 58}.get(carry, 70)


@pytest.mark.parametrize(
    ("name", "column", "value", "message"),
    [
        ("market_index", "close", 0.0, r"market_index.*column close, 1 row\(s\), first row 1 \(0\): not above 0"),
        (
            "statements",
            "shares_outstanding",
            -5.0,
            r"column shares_outstanding, 1 row\(s\), first row 1 \(-5\): not above 0",
        ),
        (
            "delistings",
            "delisting_return",
            -50.0,
            r"column delisting_return, 1 row\(s\), first row 1 \(-50\): below -1",
        ),
    ],
)
def test_numbers_that_cannot_be_are_refused_where_they_stand(
    name: str, column: str, value: float, message: str, tmp_path: Path
) -> None:
    build(tmp_path, prices("none").drop(columns="market_value"), prices_adjusted="none")
    table = pd.read_parquet(tmp_path / f"{name}.parquet")
    table.loc[table.index[0], column] = value
    table.to_parquet(tmp_path / f"{name}.parquet")
    files = {key: str(tmp_path / f"{key}.parquet") for key in ("prices", "statements", "market_index", "delistings")}
    with pytest.raises(InputError, match=message):
        RawTables(**files, lag_months=3, stale_months=18, prices_adjusted="none").panel()


def test_raw_prices_in_any_encoding_and_with_marks(panel: pd.DataFrame, tmp_path: Path) -> None:
    table = prices("none").drop(columns="market_value")
    table["asset"] = "株" + table["asset"]
    table["split"] = table["split"].astype(object).mask(table["split"] == 1, ".")
    books, gone = (
        statements().assign(asset=lambda t: "株" + t["asset"]),
        DELISTINGS.assign(asset="株" + DELISTINGS["asset"]),
    )
    build(tmp_path, prices("none"), prices_adjusted="none")
    table.to_csv(tmp_path / "prices.csv", index=False, encoding="cp932")
    books.to_csv(tmp_path / "statements.csv", index=False, encoding="cp932")
    gone.to_csv(tmp_path / "delistings.csv", index=False, encoding="cp932")
    files = {key: str(tmp_path / f"{key}.csv") for key in ("prices", "statements", "delistings")}
    files["market_index"] = str(tmp_path / "market_index.parquet")
    how = {"lag_months": 3, "stale_months": 18, "prices_adjusted": "none"}
    found = RawTables(**files, **how, encoding="cp932", unknown=["."]).panel()  # type: ignore[arg-type]
    plain = build(tmp_path, prices("none").drop(columns="market_value"), prices_adjusted="none")
    pd.testing.assert_frame_equal(found.assign(asset=found["asset"].str[1:]), plain, rtol=1e-12)
    with pytest.raises(InputError, match=r"prices.csv: is not UTF-8 at byte \d+: say its encoding"):
        RawTables(**files, **how).panel()  # type: ignore[arg-type]
