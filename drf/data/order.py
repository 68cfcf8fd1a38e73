"""Order of a panel's rows: by date and, within a date, by asset; and where a stock's other rows are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .calendar import in_force


def in_order(panel: pd.DataFrame) -> pd.DataFrame:
    """Return the panel with its rows in order, numbered from 0; one that is in order is not copied."""
    panel = panel.reset_index(drop=True)
    order = panel[["date", "asset"]].sort_values(["date", "asset"], kind="stable").index
    return panel if order.is_monotonic_increasing else panel.take(order.to_numpy()).reset_index(drop=True)


@dataclass(frozen=True)
class Grid:
    """Rows of a panel by date and stock.

    Attributes:
        dates: Every period end from the first date to the last.
        date, stock: Position of each row's date in ``dates`` and of its stock in ``stocks``, shape (rows,).
        stocks: Names of the stocks.
        rows: Number of the row of each date and stock, shape (dates, stocks); -1 where there is none.
    """

    dates: pd.DatetimeIndex
    date: np.ndarray
    stock: np.ndarray
    stocks: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, panel: pd.DataFrame) -> Grid:
        """Return the grid of a panel whose rows are in order and differ in ``date`` or ``asset``."""
        dates = in_force().between(panel["date"].iloc[0], panel["date"].iloc[-1])
        date = dates.get_indexer(pd.DatetimeIndex(panel["date"]))
        stock, stocks = pd.factorize(panel["asset"].to_numpy(dtype=object))
        rows = np.full((len(dates), len(stocks)), -1, dtype=np.int32)
        rows[date, stock] = np.arange(len(panel))
        return cls(dates, date, stock, stocks, rows)

    def rows_before(self, periods: int) -> np.ndarray:
        """Return for each row the row of the same stock some periods before (after, if negative); -1 for none."""
        then = self.date - periods
        inside = (then >= 0) & (then < len(self.dates))
        return np.where(inside, self.rows[np.where(inside, then, 0), self.stock], -1)
