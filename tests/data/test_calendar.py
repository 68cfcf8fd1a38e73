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
from drf.data.calendar import MONTHLY
from drf.data.panel import check_panel
from drf.data.research import map_panel
from drf.errors import InputError

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
