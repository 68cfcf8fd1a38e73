"""Macro sensitivities: a factor made of each stock's sensitivity to changes of macro series.

The sensitivity to a series is the slope of the stock's past monthly returns on the series' changes in the same months.
It uses the 60 newest months whose change is published at the date; at least 24 of them must be known.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ..errors import InputError, first_few, nearest
from .calendar import MONTHLY
from .descriptors import beta
from .panel import RETURN

PREFIX = "BETA_"
CHANGES = ("log", "difference", "none")
MONTHS, LEAST = 60, 24


def sensitivities(returns: pd.DataFrame, changes: pd.DataFrame, lag_months: int) -> dict[str, pd.DataFrame]:
    """Return rolling sensitivities of returns to changes.

    Args:
        returns: Decimal returns over the months that end at the index: one line for each of the consecutive month ends,
            one column a stock.
        changes: Changes over the same months, one column a series; missing where unknown.
        lag_months: Number of months from a month's end until its change is published; the newest month used is older by
            this number.

    Returns:
        ``BETA_<series>`` -> sensitivities known at the index, shape of ``returns``.
    """
    known = changes.reindex(returns.index)
    return {f"{PREFIX}{name}": beta(returns, known[name], MONTHS, LEAST).shift(lag_months) for name in known.columns}


def add_sensitivities(
    panel: pd.DataFrame, levels: pd.DataFrame, changes: Mapping[str, str], lag_months: int, series: Sequence[str]
) -> tuple[pd.DataFrame, int]:
    """Add the sensitivities to a panel in contract form, and drop the first months, in which no stock has one.

    Args:
        levels: ``date`` and a column a series.
        changes: Series -> how its changes are taken, one of :data:`CHANGES`.
        series: Names of the series to read.

    Returns:
        The panel, and how many months were left out.

    Raises InputError if a series or the way to take its changes is missing, or no month has all sensitivities.
    """
    levels = by_month(levels)
    returns = panel.pivot(index="date", columns="asset", values=RETURN)
    calendar = MONTHLY.between(returns.index[0], returns.index[-1])
    past = returns.reindex(calendar).shift(1)  # over the month that ends at the date
    moved = pd.DataFrame({name: _changes(levels[name], changes, name) for name in series})
    tables = sensitivities(past, moved, lag_months)
    row, column = (
        calendar.get_indexer(pd.DatetimeIndex(panel["date"])),
        returns.columns.get_indexer(pd.Index(panel["asset"])),
    )
    for name, table in tables.items():
        panel = panel.assign(**{name: table.to_numpy()[row, column]})
    known = panel.groupby("date")[list(tables)].count()
    complete = known.index[(known > 0).all(axis=1)]
    if not len(complete):
        never = first_few([name for name in tables if not known[name].any()]) or first_few(tables)
        raise InputError(
            f"data.macro.path: no month has {never}: a sensitivity needs {LEAST} months of returns and of the series"
        )
    return panel[panel["date"] >= complete[0]].reset_index(drop=True), int((known.index < complete[0]).sum())


def by_month(levels: pd.DataFrame) -> pd.DataFrame:
    """Return a table of macro series by month end.

    Raises InputError if most months are missing, or one appears more than once.
    """
    month = MONTHLY.end(levels["date"])
    if len(levels) > 1 and len(levels) < len(MONTHLY.between(month.min(), month.max())) / 2:
        raise InputError(
            f"data.macro.path: {len(levels)} rows from {month.min():%Y-%m} to {month.max():%Y-%m} are not monthly: "
            "give a value for each month; for a quarterly series, the last published value"
        )
    if month.duplicated().any():
        twice = month[month.duplicated()].iloc[0]
        raise InputError(f"data.macro.path: the month of {twice.date()} appears more than once: keep one row a month")
    return levels.set_index(month)


def _changes(values: pd.Series, ways: Mapping[str, str], name: str) -> pd.Series:
    """Return the changes of a monthly series over the months that end at its dates."""
    way = ways.get(name)
    if way not in CHANGES:
        raise InputError(f"data.macro.changes.{name}={way}: must be one of {', '.join(CHANGES)}{nearest(name, ways)}")
    if way == "none":
        return values
    every = values.reindex(MONTHLY.between(values.index.min(), values.index.max()))
    if way == "difference":
        return every.diff()
    if (every <= 0).any():
        at = every.index[every <= 0][0].date()
        raise InputError(
            f"data.macro.changes.{name}=log: the series is {every[every <= 0].iloc[0]:g} at {at}: a logarithm needs "
            "values above 0"
        )
    return pd.Series(np.log(every), index=every.index).diff()
