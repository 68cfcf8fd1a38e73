"""The calendar: period ends, and tables of another frequency refused by its name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import drf
from drf.data.calendar import MONTHLY, WEEKLY, in_force, in_words, named, using
from drf.data.inspection import leavers_a_year
from drf.data.panel import check_panel
from drf.data.research import map_panel
from drf.errors import InputError
from drf.evaluation.annual import annualised_ratio
from drf.training.parallel import Compute, run_tasks

DAYS = st.dates(pd.Timestamp("1970-01-01").date(), pd.Timestamp("2060-12-31").date()).map(pd.Timestamp)


@given(DAYS, st.integers(-200, 200))
def test_period_ends_are_counted_and_found(day: pd.Timestamp, periods: int) -> None:
    end = MONTHLY.end(day)
    assert end.is_month_end
    assert (end.year, end.month) == (day.year, day.month)
    assert MONTHLY.shift(MONTHLY.shift(end, periods), -periods) == end
    first, last = sorted([end, MONTHLY.shift(end, periods)])
    assert len(MONTHLY.between(first, last)) == abs(periods) + 1
    assert MONTHLY.last_ended(day) <= day < MONTHLY.shift(MONTHLY.last_ended(day), 1)


@given(DAYS, st.integers(-200, 200))
def test_weeks_end_on_friday(day: pd.Timestamp, periods: int) -> None:
    end = WEEKLY.end(day)
    assert end.day_name() == "Friday" and 0 <= (end - day).days < 7
    assert (WEEKLY.shift(end, periods) - end).days == 7 * periods
    assert WEEKLY.count(end, WEEKLY.shift(end, periods)) == periods
    assert WEEKLY.last_ended(day) <= day < WEEKLY.shift(WEEKLY.last_ended(day), 1)
    assert MONTHLY.count(MONTHLY.end(day), MONTHLY.shift(MONTHLY.end(day), periods)) == periods
    series = pd.Series([day, day + pd.Timedelta(days=3)])
    assert list(WEEKLY.end(series)) == [WEEKLY.end(one) for one in series]


def test_the_calendar_in_force_ends_with_its_context_and_names_periods() -> None:
    friday = pd.Timestamp("2020-01-31")
    assert in_force() is MONTHLY and named(friday) == "2020-01"
    with using("weekly"):
        assert in_force() is WEEKLY and named(friday) == "2020-01-31"
        told = "Months: 3 month(s), a month, monthly; see month-end/2020.html, window.test_months and `month`"
        assert (
            in_words(told)
            == "Weeks: 3 week(s), a week, weekly; see month-end/2020.html, window.test_months and `month`"
        )
    assert in_force() is MONTHLY and in_words(told) == told


def test_workers_use_the_calendar_of_the_task() -> None:
    with using("weekly"):
        found = dict(run_tasks(_frequency, None, [(0,), (1,)], Compute(jobs=2)))
    assert found == {0: "weekly", 1: "weekly"}


def _frequency(shared: None, number: int) -> str:
    return in_force().name


@given(first=DAYS, frequency=st.sampled_from(["W-FRI", "W-THU", "W-WED", "W-MON", "ME", "B"]))
def test_a_weekly_panel_is_moved_to_fridays_or_refused(first: pd.Timestamp, frequency: str) -> None:
    table = _table(frequency, first)
    with using("weekly"):
        if frequency in ("W-FRI", "W-THU", "W-WED"):  # a Thursday is the week's last trading day before Good Friday
            panel = check_panel(table, ["CAP"], 1)
            assert set(panel["date"].dt.day_name()) == {"Friday"}
            assert panel["date"].nunique() == 60
        else:
            with pytest.raises(InputError, match=r"monthly|daily|not a week end: use the Friday of the week"):
                check_panel(table, ["CAP"], 1)


@pytest.mark.parametrize("days", [1, 2, 3])
def test_a_newest_week_dated_after_its_friday_is_refused(days: int) -> None:
    """A Saturday would be moved to the Friday of the week after."""
    table = _table("W-FRI", pd.Timestamp("1993-01-01"))
    last = table["date"].max()
    table["date"] = table["date"].where(table["date"] < last, last + pd.Timedelta(days=days))
    with using("weekly"), pytest.raises(InputError, match="not a week end: use the Friday of the week"):
        check_panel(table, ["CAP"], 1)


@pytest.mark.parametrize(("frequency", "every"), [("weekly", "2W-FRI"), ("monthly", "2ME"), ("monthly", "3ME")])
def test_a_panel_of_every_second_period_is_refused(frequency: str, every: str) -> None:
    with using(frequency), pytest.raises(InputError, match=r"a panel of another frequency cannot be used"):  # type: ignore[arg-type]
        check_panel(_table(every, pd.Timestamp("1993-01-01")), ["CAP"], 1)


def test_leavers_are_counted_a_year_by_the_calendar() -> None:
    weeks = pd.date_range("1993-01-01", periods=520, freq="W-FRI")
    rows = [(date, f"S{k}") for k in range(100) for date in weeks[: 260 if k < 20 else 520]]
    panel = pd.DataFrame(rows, columns=["date", "asset"])
    with using("weekly"):
        assert leavers_a_year(panel) == pytest.approx(0.02, rel=0.05)  # 20 of 100 in ten years


def test_ratios_are_annualised_by_the_calendar() -> None:
    returns = pd.Series([0.01, -0.02, 0.03, 0.01])
    monthly = annualised_ratio(returns)
    with using("weekly"):
        assert annualised_ratio(returns) == pytest.approx(monthly * np.sqrt(52 / 12))


def _table(freq: str, first: pd.Timestamp) -> pd.DataFrame:
    dates = pd.date_range(first, periods=60, freq=freq)
    rows = pd.MultiIndex.from_product([dates, ["A", "B", "C"]], names=["date", "asset"]).to_frame(index=False)
    return rows.assign(CAP=np.arange(len(rows)) + 1.0, ret_next=0.01)


@pytest.mark.parametrize("mapped", [False, True])
@given(frequency=st.sampled_from(["W-FRI", "W-MON", "7D", "B", "D"]), first=DAYS)
def test_weekly_and_daily_tables_are_refused_by_name(
    mapped: bool, frequency: str, first: pd.Timestamp, tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = _table(frequency, first)
    name = "daily" if frequency in ("B", "D") else "weekly"
    with pytest.raises(InputError, match=f"date: the table is {name}, but a panel must be monthly"):
        if mapped:
            file = tmp_path_factory.mktemp("weekly") / "panel.parquet"
            table.to_parquet(file)
            map_panel(
                str(file), {"column": "date"}, "asset", {"CAP": "CAP"}, {"path": None, "column": "ret_next"}, None
            )
        else:
            check_panel(table, ["CAP"], 1)


def test_a_frequency_is_written_in_one_file_alone() -> None:
    """Another frequency must be a change of one file."""
    package = Path(drf.__file__).parent
    written = re.compile(r"offsets\.MonthEnd|[\"']ME[\"']|MONTHS_A_YEAR|sqrt\(12\)|\* 12\b")
    files = [str(file.relative_to(package)) for file in package.rglob("*.py") if written.search(file.read_text())]
    assert files == ["data/calendar.py"]
