"""The calendar: how long a period is, where it ends, and how many make a year.

Every other file asks the calendar, so that a frequency is defined only here. The calendar in force is that of the data
a command works on; it is set when the command's settings are read. This file ships with every registered version, so it
may depend only on pandas.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

Frequency = Literal["monthly", "weekly"]


@dataclass(frozen=True)
class Calendar:
    """Consecutive periods, each known by its last day.

    Attributes:
        offset: Pandas' offset from one period's end to the next.
        periods_a_year: Number of periods in a year.
        name, unit: Words for the frequency and for one period.
        last_day: Words for the last day of a period.
        form, title: Forms in which a period is named: in tables and keys, and in titles.
        closure: Days from a table's date to the end of its period: fewer than the first number in three of four
            periods, and fewer than the second in all.
    """

    offset: pd.offsets.BaseOffset
    periods_a_year: int
    name: Frequency
    unit: str
    last_day: str
    form: str
    title: str
    closure: tuple[int, int]

    def end(self, dates: Any) -> Any:
        """Return the end of the period that each date (or the one date) lies in."""
        return dates + 0 * self.offset

    def shift(self, ends: Any, periods: int) -> Any:
        """Return the period ends that lie ``periods`` later, or earlier if the number is negative."""
        return ends + periods * self.offset

    def between(self, first: Any, last: Any) -> pd.DatetimeIndex:
        """Return every period end from ``first`` to ``last``, both included."""
        return pd.date_range(first, last, freq=self.offset)

    def starting(self, first: Any, periods: int) -> pd.DatetimeIndex:
        """Return some period ends; the first is the first on or after ``first``."""
        return pd.date_range(first, periods=periods, freq=self.offset)

    @property
    def column(self) -> str:
        """Format of a table's column of period ends."""
        return f"{{:{self.form}}}"

    def count(self, earlier: pd.Timestamp, later: pd.Timestamp) -> int:
        """Return the number of periods from one period end to another; negative if the second is earlier."""
        if later < earlier:
            return -self.count(later, earlier)
        return len(self.between(earlier, later)) - 1

    def last_ended(self, day: pd.Timestamp) -> pd.Timestamp:
        """Return the newest period end on or before a day."""
        return self.offset.rollback(day)

    def other_frequency(self, dates: pd.Series) -> str | None:
        """Return the name of a table's frequency if it is another one, else None.

        ``dates``: dates as written in the table, before they are moved to the end of a period.
        """
        days = dates.drop_duplicates().sort_values().diff().dt.days
        usual = days.median()
        if len(days) <= _FEW or np.isnan(usual):
            return None
        found = "daily" if usual < _WITHIN_A_WEEK else "weekly" if usual < _WITHIN_A_MONTH else MONTHLY.name
        return None if found == self.name else found


_WITHIN_A_WEEK, _WITHIN_A_MONTH, _FEW = 5, 20, 5
"""Limits: gaps in days below which a table is daily or weekly, and the number of dates that is too small to judge."""

MONTHLY = Calendar(
    offset=pd.offsets.MonthEnd(),
    periods_a_year=12,
    name="monthly",
    unit="month",
    last_day="the last calendar day of the month",
    form="%Y-%m",
    title="%B %Y",
    closure=(7, 14),
)
WEEKLY = Calendar(
    offset=pd.offsets.Week(weekday=4),
    periods_a_year=52,
    name="weekly",
    unit="week",
    last_day="the Friday of the week",
    form="%Y-%m-%d",
    title="%d %B %Y",
    closure=(3, 4),
)
"""Weeks that end on Friday."""

CALENDARS = {calendar.name: calendar for calendar in (MONTHLY, WEEKLY)}

_in_force: ContextVar[Calendar] = ContextVar("calendar in force", default=MONTHLY)


def in_force() -> Calendar:
    """Return the calendar of the data that are worked on."""
    return _in_force.get()


def named(end: Any) -> str:
    """Return the name of the period that ends at a date, in the calendar in force."""
    return f"{pd.Timestamp(end):{in_force().form}}"


def in_words(text: str) -> str:
    """Return a text with "month" replaced by the unit of the calendar in force, such as "week"."""
    unit = in_force().unit
    return text if unit == MONTHLY.unit else _MONTH.sub(lambda found: _as_unit(found, unit), text)


_MONTH = re.compile(r"(?<![\w/`'=.-])([Mm])onth(s|ly)?(?![\w/`=-])")


def _as_unit(found: re.Match[str], unit: str) -> str:
    return (unit.capitalize() if found[1] == "M" else unit) + (found[2] or "")


def use(frequency: Frequency) -> None:
    """Put the calendar of a frequency in force, for this thread and what follows in it."""
    _in_force.set(CALENDARS[frequency])


@contextmanager
def using(frequency: Frequency) -> Iterator[None]:
    """Put the calendar of a frequency in force for a context."""
    token = _in_force.set(CALENDARS[frequency])
    try:
        yield
    finally:
        _in_force.reset(token)


DATED_PERIODS = ("D", "B", "M", "ME")
"""Frequencies of pandas' periods that are read as dates: days and months. Quarters and years are not."""
