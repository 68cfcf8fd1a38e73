"""As-of date: the months that are complete on that day, and whether the panel is stale."""

import logging
import re
from datetime import timedelta

import numpy as np
import pandas as pd

from ..data.calendar import in_force
from ..data.panel import RETURN
from ..data.trading_days import TradingDays
from ..errors import InputError
from .input_statistics import Finding

log = logging.getLogger(__name__)


def day_of(text: str | None, key: str = "as_of") -> pd.Timestamp:
    """Return the day that a setting names; today if it is None.

    Raises InputError if it is not a date.
    """
    if text is None:
        return pd.Timestamp.now().normalize()
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return pd.Timestamp(text)
    except ValueError:
        pass
    raise InputError(f"{key}={text}: must be a date, such as 2026-10-31")


def up_to(
    panel: pd.DataFrame,
    as_of: str | None,
    trading: TradingDays = TradingDays(),  # noqa: B008 - it cannot be changed
) -> tuple[pd.DataFrame, bool]:
    """Return the months of a panel that had ended on a given day, and whether the panel knows later returns.

    Months that have not ended are left out, which is logged. Without ``as_of`` such a month is still going on, and the
    newest month's returns, if any, cover only part of it. With ``as_of`` the panel contains later returns. A panel
    without later months also knows what came afterwards if its newest month's returns are known.

    Raises InputError if the day lies before the panel.
    """
    day = day_of(as_of)
    ended = {date: trading.has_ended(pd.Timestamp(date), day) for date in panel["date"].unique()}
    known = panel[panel["date"].map(ended)].reset_index(drop=True)
    if known.empty:
        raise InputError(f"as_of={day.date()}: the panel begins with {panel['date'].min().date()}")
    left_out = len(ended) - sum(ended.values())
    if left_out:
        log.info("note: %d month(s) of the panel have not ended by %s, and are left out", left_out, day.date())
    newest = known["date"] == known["date"].max()
    afterwards = as_of is not None
    if not left_out:
        afterwards = RETURN in known and bool(known.loc[newest, RETURN].notna().any())
    if RETURN in known:
        known.loc[newest, RETURN] = np.nan
    return known, afterwards


def is_half_over(month: pd.Timestamp) -> bool:
    """Tell whether half of the weekdays of the period after a month end have passed by the clock, despite ``as_of``.

    What is issued later is no evidence of live performance, because most of its return could be known.
    """
    begins, ends, today = (day.date() + timedelta(days=1) for day in (month, in_force().shift(month, 1), day_of(None)))
    passed = np.busday_count(begins, max(begins, today - timedelta(days=1)))
    return bool(passed >= np.busday_count(begins, ends) / 2)


def out_of_date(newest: pd.Timestamp, day: pd.Timestamp) -> list[Finding]:
    """Return a finding if a panel's newest month is older than the last one that has ended.

    Args:
        newest: Newest month end among the months that have ended, see :func:`up_to`.
        day: Day of the check.
    """
    behind = in_force().count(newest, in_force().last_ended(day))
    return [Finding("the newest month", "behind", float(behind), 0.0, 0.0)] if behind > 0 else []
