"""The day on which one stands: what a panel knows of it, and whether it is out of date."""

from __future__ import annotations

import re

import pandas as pd

from ..data.panel import RETURN
from ..errors import InputError
from .inputs import Finding

_CLOSES_EARLY = 4  # days before a month's end at which its last trading day may be


def day_of(text: str | None) -> pd.Timestamp:
    """The day that ``as_of`` names; today if it names none.

    Raises
    ------
    InputError
        If it is no date.
    """
    if text is None:
        return pd.Timestamp.now().normalize()
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return pd.Timestamp(text)
    except ValueError:
        pass
    raise InputError(f"as_of={text}: must be a date, such as 2026-10-31")


def up_to(panel: pd.DataFrame, as_of: str | None) -> tuple[pd.DataFrame, bool]:
    """The panel as it was on a day, and whether it goes on after it; all of it if no day is given.

    Raises
    ------
    InputError
        If the day lies before the panel.
    """
    if as_of is None:
        return panel, False
    known = panel[panel["date"] <= day_of(as_of) + pd.Timedelta(days=_CLOSES_EARLY)].reset_index(drop=True)
    if known.empty:
        raise InputError(f"as_of={as_of}: the panel begins with {panel['date'].min().date()}")
    afterwards = len(known) < len(panel)
    if afterwards and RETURN in known:
        known.loc[known["date"] == known["date"].max(), RETURN] = float("nan")
    return known, afterwards


def out_of_date(newest: pd.Timestamp, today: pd.Timestamp) -> list[Finding]:
    """Whether a panel's newest month is not the last one that has ended; a market may close some days before it does.

    Parameters
    ----------
    newest, today
        Month end, and the day on which it is looked at.
    """
    ended = pd.offsets.MonthEnd().rollback(today)
    behind = 12 * (ended.year - newest.year) + ended.month - newest.month
    if behind == 0 or (behind == -1 and (newest - today).days <= _CLOSES_EARLY):
        return []
    return [Finding("the newest month", "behind", float(behind), 0.0, 0.0)]
