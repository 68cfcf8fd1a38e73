"""Results of rows in parts of their months."""

from collections.abc import Mapping, Sequence

import pandas as pd

from .annual import annualised_ratio
from .metrics import mean_ic, monthly_series, out_of_sample_r2, why_not
from .portfolio import PortfolioRule


def by_period(
    forecasts: Mapping[str, pd.DataFrame], rule: PortfolioRule, beginnings: Sequence[str] | None = None
) -> pd.DataFrame:
    """Judge every row in parts of its months.

    Args:
        forecasts: Row -> ``date``, ``asset``, ``y_true``, ``y_pred`` and the columns of ``rule.attributes``.
        beginnings: Dates at which parts begin; None: at each calendar year.

    Returns:
        One line for each row and part: ``row``, ``first`` and ``last`` date of forecast, ``periods``, ``sharpe``,
        ``sharpe_net``, ``rank_ic``, ``r2``, and ``note`` on what cannot be estimated, and why.
    """
    lines = []
    for row, table in forecasts.items():
        series = monthly_series(table, rule)
        for _, months in series.groupby(_part(series.index, beginnings)):
            inside = table[table["date"].isin(months.index)]
            measured = {
                "sharpe": annualised_ratio(months["long_short"]),
                "sharpe_net": annualised_ratio(months["long_short_net"]),
                "rank_ic": mean_ic(months["rank_ic"]),
                "r2": out_of_sample_r2(inside),
            }
            line = {"row": row, "first": months.index[0], "last": months.index[-1], "periods": len(months)}
            lines.append({**line, **measured, "note": why_not(measured, len(months))})
    return pd.DataFrame(lines)


def _part(dates: pd.Index, beginnings: Sequence[str] | None) -> pd.Index:
    """Return the part that each date belongs to."""
    if beginnings is None:
        return pd.DatetimeIndex(dates).year
    edges = pd.DatetimeIndex(sorted(pd.Timestamp(text) for text in beginnings))
    return pd.Index(edges.searchsorted(pd.DatetimeIndex(dates), side="right"))
