"""Quarters, running totals and moved years: the flow of the last year on every day, against a plain loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drf.data.periods import FLOWS, MONTHS, Period, of_last_year
from drf.errors import InputError
from tests.data.by_hand import build, prices, statements

CALENDAR = pd.date_range("2004-01-31", "2010-12-31", freq="ME")


def covered(kind: str, step: int, end: pd.Timestamp, year_end: int) -> int:
    """Months that a statement to this end covers."""
    since = (end.month - year_end) % 12 or 12
    return since if kind == "year_to_date" else step


def written(
    kind: str, step: int, year_end: int, monthly: pd.Series, lag: int, restated: list[tuple[int, int, float]]
) -> pd.DataFrame:
    """Statements of one company; a restatement (which row, days later, factor) is a further row."""
    ends = [end for end in CALENDAR[12:] if (end.month - year_end) % step == 0]
    rows = []
    for end in ends:
        months = covered(kind, step, end, year_end)
        value = monthly[end - pd.offsets.MonthEnd(months - 1) : end].sum()
        rows.append((end, end + pd.Timedelta(days=lag), value, months))
    for row, days, factor in restated:
        end, known, value, months = rows[row % len(ends)]
        rows.append((end, known + pd.Timedelta(days=days), value * factor, months))
    table = pd.DataFrame(rows, columns=["fiscal_year_end", "known", "sales", "months"])
    return table.drop_duplicates(["fiscal_year_end", "known"])


def last_year(table: pd.DataFrame, kind: str, end: pd.Timestamp, day: pd.Timestamp) -> float:
    """The flow of the last year by the statements known on a day, one by one."""

    def newest(at: pd.Timestamp) -> tuple[float, int]:
        known = table[(table["fiscal_year_end"] == at) & (table["known"] <= day)].sort_values("known")
        return (known["sales"].iloc[-1], known["months"].iloc[-1]) if len(known) else (np.nan, 0)

    def before(months: int) -> pd.Timestamp:
        return end - pd.offsets.MonthEnd(months)

    own, months = newest(end)
    if months == 12:
        return own
    if kind == "quarter":
        return sum(newest(before(k))[0] for k in range(0, 12, months))
    return own + newest(before(months))[0] - newest(before(12))[0]


@settings(max_examples=25)
@given(
    kind=st.sampled_from(["annual", "quarter", "year_to_date"]),
    step=st.sampled_from([3, 6]),
    year_end=st.integers(1, 12),
    lag=st.integers(1, 120),
    restated=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 500), st.floats(0.5, 1.5)), max_size=4),
    named=st.booleans(),
    seed=st.integers(0, 99),
)
def test_flows_of_the_last_year_are_those_of_a_plain_loop(
    kind: Period, step: int, year_end: int, lag: int, restated: list[tuple[int, int, float]], named: bool, seed: int
) -> None:
    step = 12 if kind == "annual" else step
    monthly = pd.Series(np.random.default_rng(seed).uniform(1, 2, len(CALENDAR)), CALENDAR)
    table = written(kind, step, year_end, monthly, lag, restated)
    given_table = table.drop(columns="months").assign(asset="A", fiscal_month=table["fiscal_year_end"])
    if named:
        given_table[MONTHS] = table["months"].astype(float)
    made, _ = of_last_year(given_table, kind)
    assert not made.duplicated(["fiscal_month", "known"]).any()
    days = {(end, day) for end, day in zip(made["fiscal_month"], made["known"], strict=True)}
    assert days >= set(zip(table["fiscal_year_end"], table["known"], strict=True))
    for day in sorted({day for _, day in days}):
        now = made[made["known"] <= day].sort_values(["fiscal_month", "known"]).groupby("fiscal_month").tail(1)
        for end, value in zip(now["fiscal_month"], now["sales"], strict=True):
            expected = last_year(table, kind, end, day)
            assert value == pytest.approx(expected, rel=1e-9, nan_ok=True), (end, day)
    if not restated:
        for end, value in zip(made["fiscal_month"], made["sales"], strict=True):
            true = monthly[end - pd.offsets.MonthEnd(11) : end].sum()
            assert np.isnan(value) or value == pytest.approx(true)


@pytest.mark.parametrize("months", [3, 6, 9, 15, 18, 21])
def test_a_moved_fiscal_year_gives_a_years_flow(tmp_path: Path, months: int) -> None:
    """One company's year is cut to these months, or drawn out to them; its business stays the same."""
    books = statements()
    books[list(FLOWS)] = [80.0, 8.0, 10.0, 6.0]
    plain = build(tmp_path, prices("none"), books, prices_adjusted="none").set_index(["asset", "date"])
    own = books["asset"] == "P1"
    moved = own & (books["fiscal_year_end"] > "2013-04-01")
    shift = months if months < 12 else months - 12
    later = books["fiscal_year_end"][moved] - pd.offsets.MonthEnd(12 - shift)
    books.loc[moved, "available_from"] = later + pd.Timedelta(days=60)
    books.loc[moved, "fiscal_year_end"] = later
    first = books.index[moved][0]
    books.loc[first, list(FLOWS)] = books.loc[first, list(FLOWS)] * months / 12
    if months > 12:
        books = books.drop(books.index[own & (books["fiscal_year_end"] == "2013-03-31")])
    panel = build(tmp_path, prices("none"), books, prices_adjusted="none").set_index(["asset", "date"])
    for name in ("ROE", "ROA", "ACCRUALS"):
        both = pd.concat([plain.loc["P1", name], panel.loc["P1", name]], axis=1).dropna()
        assert len(both) > 8
        np.testing.assert_allclose(both.iloc[:, 0], both.iloc[:, 1], rtol=1e-12)
    pd.testing.assert_series_equal(plain.loc["P2", "ROE"], panel.loc["P2", "ROE"])


def test_a_length_in_doubt_gives_no_flow() -> None:
    ends = pd.to_datetime(["2010-12-31", "2011-12-31", "2012-03-31", "2013-03-31"])
    table = pd.DataFrame({"asset": "A", "fiscal_year_end": ends, "fiscal_month": ends, "known": ends})
    table["sales"] = [100.0, 100.0, 56.0, 100.0]  # 3 months of much, or 15 of little
    made, said = of_last_year(table, "annual")
    assert made.sort_values("known")["sales"].isna().tolist() == [False, False, True, False]
    assert "1 statements lack a part of their last year" in said[-1]


def test_rows_that_do_not_tell_what_they_cover_are_refused(tmp_path: Path) -> None:
    books = statements()
    days = ("fiscal_year_end", "available_from")
    quarters = pd.concat(
        [books.assign(**{day: books[day] + pd.DateOffset(months=k) for day in days}) for k in (0, 3, 6, 9)]
    )
    with pytest.raises(InputError, match=r"most of them 3 months .* set data.period to quarter"):
        build(tmp_path, prices("none"), quarters, prices_adjusted="none")
    with pytest.raises(InputError, match="hardly ever falls by half, as running totals do"):
        build(tmp_path, prices("none"), quarters, prices_adjusted="none", period="year_to_date")
    with pytest.raises(InputError, match=f"column {MONTHS}"):
        build(tmp_path, prices("none"), books.assign(**{MONTHS: 0}), prices_adjusted="none")
    made = build(tmp_path, prices("none"), quarters, prices_adjusted="none", period="quarter")
    plain = build(tmp_path, prices("none"), prices_adjusted="none", period="annual")
    last = made["date"].max()
    ratio = (
        made[made["date"] == last].set_index("asset")["ROA"] / plain[plain["date"] == last].set_index("asset")["ROA"]
    )
    np.testing.assert_allclose(ratio.dropna(), 4.0)


def stub(months: int, kind: str) -> pd.DataFrame:
    """One company with 10 a month whose year's end is moved after 2008, in quarters or running totals."""
    ends = list(pd.date_range("2004-03-31", "2008-12-31", freq="QE"))
    moved = ends[-1] + pd.offsets.MonthEnd(months)
    ends += [moved, *(moved + pd.offsets.MonthEnd(3 * k) for k in range(1, 16))]
    starts = [pd.Timestamp("2003-12-31"), *ends[:-1]]
    if kind == "year_to_date":
        last = [pd.Timestamp(year, 12, 31) for year in range(2003, 2009)]
        last += [moved + pd.offsets.MonthEnd(12 * k) for k in range(4)]
        starts = [max(day for day in last if day < end) for end in ends]
    length = [12 * (end.year - start.year) + end.month - start.month for start, end in zip(starts, ends, strict=True)]
    table = pd.DataFrame({"asset": "A", "fiscal_year_end": ends, "fiscal_month": ends, "sales": length})
    return table.assign(known=table["fiscal_month"] + pd.Timedelta(days=45), sales=10.0 * table["sales"])


@pytest.mark.parametrize("kind", ["quarter", "year_to_date"])
@pytest.mark.parametrize("months", range(1, 11))
@pytest.mark.parametrize("named", [False, True])
def test_a_moved_year_within_parts_gives_a_years_flow_or_none(kind: Period, months: int, named: bool) -> None:
    table = stub(months, kind)
    if named:
        table[MONTHS] = table["sales"] / 10
    made, said = of_last_year(table, None if named and kind == "quarter" else kind)
    known = made.groupby("fiscal_month")["sales"].last().dropna()
    assert known.between(119.9, 120.1).all() and len(known) >= 18
    assert known.index.min() <= pd.Timestamp("2004-12-31") and known.index.max() == table["fiscal_month"].max()
    assert "lack a part of their last year" in said[-1]


def test_the_wrong_period_is_refused() -> None:
    totals, quarters = stub(3, "year_to_date"), stub(3, "quarter")
    for table, period in ((totals, "quarter"), (quarters, "year_to_date"), (quarters, "annual"), (totals, "annual")):
        with pytest.raises(InputError, match=f"data.period={period}: "):
            of_last_year(table, period)  # type: ignore[arg-type]
