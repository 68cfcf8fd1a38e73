"""Horizon: the return over several months after a date, which models may learn in place of the next month's."""

import logging

import numpy as np
import pandas as pd

from ..data.order import Grid, in_order
from .lagged import LABEL, OUTCOME

log = logging.getLogger(__name__)


def with_label(market: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Return a market with the column :data:`~.lagged.LABEL`, or as it is if the horizon is one month.

    The label is the compounded return over the horizon divided by its number of months. It is known once the panel has
    the last of these months. If a stock leaves before then, its money earns nothing after its last return.

    Args:
        market: Panel in contract form, all its stocks: one that leaves the universe has not left the market.
        horizon: Number of months.
    """
    if horizon == 1:
        return market
    market = in_order(market)
    grid = Grid.of(market)
    returns = np.append(market[OUTCOME].to_numpy(dtype=np.float64), np.nan)  # the last: of a row that is not there
    known = np.flatnonzero(~np.isnan(returns))
    last = int(grid.date[known].max()) if len(known) else -1
    wealth, left = 1 + returns[:-1], np.zeros(len(market), dtype=bool)
    for later in range(1, horizon):
        then = returns[grid.rows_before(-later)]
        left |= np.isnan(then) & (grid.date + later <= last)
        wealth *= np.where(left, 1.0, 1 + then)
    wealth[grid.date + horizon - 1 > last] = np.nan
    if cut := int((left & ~np.isnan(wealth)).sum()):
        log.info("panel: %s labels end within the %d months, as the stock has no return then", f"{cut:,}", horizon)
    return market.assign(**{LABEL: (wealth - 1) / horizon})
