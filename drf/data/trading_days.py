"""Trading days: the days on which a market is open, and the test whether a month's last one has passed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import InputError
from .files import read_table

WEEKDAYS = "Mon Tue Wed Thu Fri"
"""Days of the week on which most markets trade."""


def check_weekmask(weekmask: str) -> None:
    """Refuse text that does not name days of the week; raises InputError."""
    try:
        np.busdaycalendar(weekmask)
    except ValueError as error:
        raise InputError(f"data.weekmask={weekmask}: must name days of the week, such as {WEEKDAYS}") from error


@dataclass(frozen=True)
class TradingDays:
    """Days on which a market trades.

    Attributes:
        weekmask: Days of the week.
        holidays: Further days without trading.
    """

    weekmask: str = WEEKDAYS
    holidays: tuple[pd.Timestamp, ...] = ()

    def has_ended(self, month: pd.Timestamp, day: pd.Timestamp) -> bool:
        """Return True if no trading day is left between a day and the end of a month."""
        first, last = ((date + pd.Timedelta(days=1)).date() for date in (day, month))
        off = [holiday.date() for holiday in self.holidays]
        return bool(np.busday_count(first, last, weekmask=self.weekmask, holidays=off) <= 0)


def trading_days(weekmask: str, holidays: str | None) -> TradingDays:
    """Return the trading days that ``data.weekmask`` and ``data.holidays`` name; raises as :func:`read_table`."""
    if holidays is None:
        return TradingDays(weekmask)
    days = read_table("data.holidays", holidays, dates=("date",), numbers=())["date"]
    return TradingDays(weekmask, tuple(days))
