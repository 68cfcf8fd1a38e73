"""The one reader of dates: every form that a month end is written in gives the same day, and doubt is refused."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drf.data.dates import UnreadableDatesError, read_dates

DAYS = pd.date_range("2010-01-31", periods=48, freq="ME")

FORMS: dict[str, Callable[[pd.DatetimeIndex], object]] = {
    "stamps": lambda days: days,
    "stamps of seconds": lambda days: days.astype("datetime64[s]"),
    "stamps of Tokyo": lambda days: days.tz_localize("Asia/Tokyo"),
    "closing times of New York": lambda days: (days + pd.Timedelta(hours=16)).tz_localize("America/New_York"),
    "midnights of London, over both changes of its clocks": lambda days: days.tz_localize("Europe/London"),
    "midnights of UTC": lambda days: days.tz_localize("UTC"),
    "ends of days": lambda days: days + pd.Timedelta("23:59:59.999"),
    "dates": lambda days: list(days.date),
    "stamps as objects": lambda days: pd.Series(list(days), dtype=object),
    "date32": lambda days: pd.Series(days.date, dtype=pd.ArrowDtype(__import__("pyarrow").date32())),
    "months": lambda days: days.to_period("M"),
    "categories": lambda days: pd.Categorical(days.strftime("%Y-%m-%d")),
    "strings": lambda days: pd.Series(days.strftime("%Y-%m-%d"), dtype="string"),
    "ISO": lambda days: days.strftime("%Y-%m-%d"),
    "ISO with midnight": lambda days: days.strftime("%Y-%m-%dT00:00:00"),
    "ISO of Tokyo": lambda days: days.strftime("%Y-%m-%d 00:00:00+09:00"),
    "slashes": lambda days: days.strftime("%Y/%m/%d"),
    "without noughts": lambda days: [f"{day.year}-{day.month}-{day.day}" for day in days],
    "day first": lambda days: days.strftime("%d.%m.%Y"),
    "month first": lambda days: days.strftime("%m/%d/%Y"),
    "names of months": lambda days: days.strftime("%d%b%Y"),
    "names of months, American": lambda days: days.strftime("%B %d, %Y"),
    "name and year alone": lambda days: days.strftime("%b %Y"),
    "year and month alone": lambda days: days.strftime("%Y-%m"),
    "whole numbers": lambda days: days.strftime("%Y%m%d").astype(int),
    "floats": lambda days: days.strftime("%Y%m%d").astype(float),
    "months as numbers": lambda days: days.strftime("%Y%m").astype(int),
    "American midnights": lambda days: days.strftime("%m/%d/%Y 12:00:00 AM"),
    "stamps of SAS": lambda days: days.strftime("%d%b%Y:00:00:00"),
    "Postgres": lambda days: days.strftime("%Y-%m-%d 00:00:00+09"),
    "year, name, day": lambda days: days.strftime("%Y-%b-%d"),
    "statistical offices": lambda days: days.strftime("%YM%m"),
    "Japanese": lambda days: [f"{day.year}年{day.month}月{day.day}日" for day in days],
    "categories of numbers": lambda days: pd.Categorical(days.strftime("%Y%m%d").astype(int)),
    "stamps of Arrow": lambda days: pd.Series(days.tz_localize("Asia/Tokyo")).astype(
        "timestamp[us, Asia/Tokyo][pyarrow]"
    ),
    "compact": lambda days: days.strftime("%Y%m%d"),
    "compact, once floats": lambda days: days.strftime("%Y%m%d.0"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_days_is_read_alike(form: str) -> None:
    column = pd.Series(FORMS[form](DAYS))
    assert read_dates(column).tolist() == list(DAYS)
    shuffled = column.sample(frac=1, random_state=0)
    assert read_dates(shuffled).tolist() == list(DAYS[shuffled.index])
    assert str(read_dates(column).dtype) == "datetime64[ns]"


@pytest.mark.parametrize("form", ["ISO", "day first", "names of months", "floats", "stamps", "dates"])
def test_empty_cells_stay_empty(form: str) -> None:
    column = pd.Series(FORMS[form](DAYS)).astype(object)
    column[5] = None
    found = read_dates(column)
    assert found.isna().tolist() == [k == 5 for k in range(48)]
    assert read_dates(pd.Series([None, ""], dtype=object)).isna().all()


@pytest.mark.parametrize(
    ("cells", "said", "rows"),
    [
        (["05/11/2015", "06/11/2015"], "may be 2015-11-05 or 2015-05-11, and no row tells which", [0, 1]),
        (["2015-01-01", "05/11/2015"], "may be 2015-11-05 or 2015-05-11", [1]),
        (["31/01/2015", "02/28/2015"], "02/28/2015 has the month first, other rows have the day first", [1]),
        (["2015-01-31", "soon"], "not a date ('soon'): write dates as YYYY-MM-DD", [1]),
        (["2015-02-30"], "not a date", [0]),
        (["31.1.15"], "two digits are no year", [0]),
        (["2015Q1"], "not a date", [0]),
        (["1066-10-14"], "not a date", [0]),
        ([True, False], "not a date", [0, 1]),
        (["2015-01-30T15:00:00Z"], "has a time and UTC", [0]),
        (["2015-01-30 15:00"], "has a time and no zone", [0]),
        ([pd.Timestamp("2015-01-30 15:00")], "has a time and no zone", [0]),
        ([pd.Timestamp("2015-01-30 15:00", tz="UTC")], "has a time and UTC", [0]),
        (["2015-01-31", pd.Timestamp("2015-02-27 15:00")], "has a time and no zone", [1]),
        ([42035, 42063], "2015-01-31 as Excel days", [0, 1]),
        ([20119], "2015-01-31 as SAS days", [0]),
        ([1_422_662_400], "2015-01-31 as seconds since 1970", [0]),
        ([1_422_662_400_000], "2015-01-31 as milliseconds since 1970", [0]),
        ([1_422_662_400_000_000_000], "2015-01-31 as nanoseconds since 1970", [0]),
        ([1_738_195_200], "SAS seconds", [0]),
        ([2015, 2016], "no dates, but years", [0, 1]),
        ([20150131, 42035], "numbers such as 42035 are no dates", [1]),
        ([20151301], "not a date", [0]),
        ([20150131.5], "no dates", [0]),
        ([20150131.0, np.inf], "not a date (inf)", [1]),
        (["1990.09", "1990.1"], "not a date ('1990.09')", [0, 1]),
        (["2015-01-31", "01/30/2015 03:00:00 PM"], "has a time and no zone", [1]),
        (pd.Series(["2015-01-31", "9999-12-31"], dtype="datetime64[us]"), "not a date (9999-12-31", [1]),
        (pd.period_range("2015Q1", periods=2, freq="Q"), "not a date ('2015Q1')", [0, 1]),
        (pd.to_datetime(["2015-01-30 15:00"]).tz_localize("UTC").tz_convert("Zulu"), "has a time and UTC", [0]),
    ],
)
def test_doubt_is_refused_with_its_readings_and_rows(cells: list[object], said: str, rows: list[int]) -> None:
    with pytest.raises(UnreadableDatesError) as refused:
        read_dates(pd.Series(cells))
    assert said in str(refused.value)
    assert refused.value.rows.tolist() == rows


def test_a_form_that_was_asked_for_is_the_only_one() -> None:
    assert read_dates(pd.Series([201501, 201502]), "yyyymm").tolist() == [*pd.to_datetime(["2015-01-31", "2015-02-28"])]
    for cells in ([20150131], ["2015-01-31"], [pd.Timestamp("2015-01-31")]):
        with pytest.raises(UnreadableDatesError):
            read_dates(pd.Series(cells), "yyyymm")


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=12), st.dates(),
    st.datetimes(), st.binary(max_size=4), st.from_regex(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", fullmatch=True),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(ANYTHING, min_size=1, max_size=6))
def test_whatever_a_column_holds_is_read_or_refused(cells: list[object]) -> None:
    try:
        found = read_dates(pd.Series(cells, dtype=object))
    except UnreadableDatesError as refused:
        assert len(refused.rows) and "\n" not in str(refused).replace(str(cells), "")
        return
    assert len(found) == len(cells)
    for cell, day in zip(cells, found, strict=True):
        if isinstance(cell, datetime.datetime):
            assert day == pd.Timestamp(cell).normalize()
        elif isinstance(cell, datetime.date):
            assert day == pd.Timestamp(cell)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1)), min_size=1, max_size=20))
def test_day_and_month_are_never_swapped_in_silence(days: list[datetime.date]) -> None:
    """Either way of writing is read as it was meant, or refused."""
    for order in ("%d/%m/%Y", "%m/%d/%Y"):
        try:
            found = read_dates(pd.Series([day.strftime(order) for day in days]))
        except UnreadableDatesError:
            assert all(day.day <= 12 for day in days)
            continue
        assert found.tolist() == [pd.Timestamp(day) for day in days]


def test_each_different_cell_is_read_once() -> None:
    """Ten million rows of three hundred months are three hundred cells."""
    cells = pd.Series(np.tile(DAYS.strftime("%d.%m.%Y"), 20_000))
    assert read_dates(cells).iloc[-1] == DAYS[-1]
