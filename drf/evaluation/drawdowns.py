"""Drawdowns: depth, length and recovery."""

import numpy as np
import pandas as pd


def underwater(returns: pd.Series) -> pd.Series:
    """Return the drawdown of the compounded returns, 0 or below, one a month.

    A month without a return changes nothing. All months are NaN if one of them loses everything, since the returns then
    do not compound.
    """
    if (returns <= -1).any():
        return pd.Series(np.nan, index=returns.index)
    wealth = (1 + returns.fillna(0.0)).cumprod()
    return wealth / wealth.cummax().clip(lower=1.0) - 1


def drawdown_periods(returns: pd.Series, most: int = 5) -> pd.DataFrame:
    """Return the deepest drawdowns, deepest first.

    Returns:
        ``first``: the first month below the peak. ``bottom``: the month at whose end the loss is largest. ``last``: the
        last month below the peak. ``loss``: a positive decimal. ``months``: months below the peak. ``recovered``:
        whether the peak was reached again. No rows if the returns do not compound.
    """
    loss = underwater(returns)
    below = loss < 0
    spell = (below != below.shift(fill_value=False)).cumsum()[below]
    periods = [
        {
            "first": part.index[0],
            "bottom": part.idxmin(),
            "last": part.index[-1],
            "loss": -part.min(),
            "months": len(part),
            "recovered": part.index[-1] != loss.index[-1],
        }
        for _, part in loss[below].groupby(spell)
    ]
    columns = ["first", "bottom", "last", "loss", "months", "recovered"]
    table = pd.DataFrame(periods, columns=columns)
    return table.sort_values("loss", ascending=False, kind="stable").head(most).reset_index(drop=True)
