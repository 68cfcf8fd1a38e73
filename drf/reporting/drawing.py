"""Choice of the figures for a comparison and for each of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from ..comparison.rows import Factors, Row, top_contributions
from ..data.calendar import MONTHLY
from ..evaluation import contributions as parts
from ..evaluation.portfolio import PortfolioRule, quantile_returns
from . import figures


def comparison_figures(
    rows: Sequence[Row], table: pd.DataFrame, intervals: pd.DataFrame, factors: Factors, rule: PortfolioRule
) -> dict[str, Figure]:
    """Draw the figures of the whole comparison, by name.

    Parameters
    ----------
    table
        See :func:`drf.comparison.rows.comparison_table`.
    intervals
        As :func:`drf.evaluation.intervals.sharpe_intervals` gives.
    """
    quantiles = pd.DataFrame(
        {row.name: quantile_returns(row.judged, rule).mean() * MONTHLY.periods_a_year for row in rows}
    )
    series = {row.name: row.series for row in rows}
    figures_by_name = {
        "sharpe_intervals": figures.sharpe_intervals(intervals),
        "cumulative_long_short": figures.cumulative_long_short(_of_all(series, "long_short")),
        "sharpe": figures.sharpe_bars(table),
        "quantile_means": figures.quantile_means(quantiles),
        "rank_ic": figures.rank_ic_over_time(_of_all(series, "rank_ic")),
    }
    # The papers' figure sets these side by side.
    explained = {
        row.name: parts.percentages(top_contributions(row, factors)) for row in rows if row.relevance is not None
    }
    if explained:
        date = max(percentages.index[-1] for percentages in explained.values())
        newest = pd.DataFrame({name: percentages.loc[date] for name, percentages in explained.items()}).T
        figures_by_name["top_quantile_contributions"] = figures.top_quantile_contributions(newest, date)
    return figures_by_name


def _of_all(series: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Return one monthly series with a column for each row of the comparison."""
    return pd.DataFrame({row: monthly[name] for row, monthly in series.items()})


def row_figures(row: Row, factors: Factors) -> dict[str, Figure]:
    """Draw the figures of a row that has contributions, by name."""
    if row.relevance is None or row.risk is None:
        return {}
    return {
        "contributions_over_time": figures.contributions_over_time(top_contributions(row, factors), row.name),
        "change_since_last_month": figures.change_since_last_month(row.risk, row.name),
        "relevance_heatmap": figures.relevance_heatmap(parts.mean_absolute_by_lag(row.relevance), row.name),
    }
