"""The calendar: how long a period is, where it ends, and how many make a year.

Every other file asks the calendar, so that a frequency is defined only here. It ships with every registered version, so
it may depend only on pandas.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Calendar:
    """Consecutive periods, each known by its last day.

    Attributes:
        offset: Pandas' offset from one period's end to the next.
        periods_a_year: Number of periods in a year.
        name: Word for the frequency.
    """

    offset: pd.offsets.BaseOffset
    periods_a_year: int
    name: str

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
        """Return ``count`` period ends, starting with the first one on or after ``first``."""
        return pd.date_range(first, periods=periods, freq=self.offset)

    def last_ended(self, day: pd.Timestamp) -> pd.Timestamp:
        """Return the newest period end on or before a day."""
        return self.offset.rollback(day)

    def other_frequency(self, dates: pd.Series) -> str | None:
        """Return the name of the frequency if a table's dates are too close together, else None.

        ``dates``: dates as written in the table, before they are moved to the end of a period.
        """
        days = dates.drop_duplicates().sort_values().diff().dt.days
        usual = days.median()
        if len(days) <= _FEW or not usual < _WITHIN_A_MONTH:
            return None
        return "daily" if usual < _WITHIN_A_WEEK else "weekly"


_WITHIN_A_WEEK, _WITHIN_A_MONTH, _FEW = 5, 20, 5
"""Limits: gaps in days below which a table is daily or weekly, and the number of dates that is too small to judge."""

MONTHLY = Calendar(pd.offsets.MonthEnd(), 12, "monthly")

DATED_PERIODS = ("D", "B", "M", "ME")
"""Frequencies of pandas' periods that are read as dates: days and months. Quarters and years are not."""
