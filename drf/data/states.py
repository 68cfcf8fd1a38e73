"""Macro states: series that are the same for all stocks of a date, standardised by what was known then."""

from collections.abc import Sequence

import pandas as pd

from ..errors import InputError, first_few
from .calendar import MONTHLY
from .macro import by_month

LEAST = 24
"""Fewest months from which a mean and a deviation are taken."""


def add_states(
    panel: pd.DataFrame, levels: pd.DataFrame, lag_months: int, prefix: str, series: Sequence[str]
) -> tuple[pd.DataFrame, int]:
    """Add a column for each series to a panel in contract form, and drop the months before all series are known.

    The value of a month is the series less its mean, divided by its standard deviation, both over the series' months
    up to that one. It is known ``lag_months`` later. A series is taken as its column holds it.

    Args:
        levels: ``date`` and a column a series.
        lag_months: Number of months from a month's end until its value is published.
        prefix: Beginning of the new columns' names.
        series: Names of the series to read.

    Returns:
        The panel, and how many months were left out.

    Raises InputError if the table is not monthly, or no month has all series.
    """
    monthly = by_month(levels)[list(series)]
    monthly = monthly.reindex(MONTHLY.between(monthly.index.min(), max(monthly.index.max(), panel["date"].max())))
    seen = monthly.expanding(LEAST)
    deviation = seen.std(ddof=0)
    scores = ((monthly - seen.mean()) / deviation.where(deviation > 0)).shift(lag_months)
    known = scores.reindex(pd.Index(panel["date"].unique(), name="date"))
    complete = known.index[known.notna().all(axis=1)]
    if not len(complete):
        never = first_few([name for name in series if not known[name].notna().any()] or list(series))
        raise InputError(
            f"data.macro.path: no month has the state of {never}: it needs {LEAST} months of a series that moves"
        )
    first = complete.min()
    panel = panel[panel["date"] >= first].reset_index(drop=True)
    columns = {f"{prefix}{name}": panel["date"].map(scores[name]) for name in series}
    return panel.assign(**columns), int((known.index < first).sum())
