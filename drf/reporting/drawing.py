"""Figures for a comparison and for each of its rows; their names are file names in MLflow's runs."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ..comparison.rows import Factors, Row, top_contributions
from ..data.calendar import in_force
from ..evaluation.contributions import percentages
from ..evaluation.portfolio import PortfolioRule, quantile_returns
from . import charts
from .document import Chart


def comparison_figures(
    rows: Sequence[Row], table: pd.DataFrame, intervals: pd.DataFrame, factors: Factors, rule: PortfolioRule
) -> dict[str, Chart]:
    """Return the figures of the whole comparison, by name.

    Args:
        table: See :func:`drf.comparison.rows.comparison_table`.
        intervals: As :func:`drf.evaluation.intervals.sharpe_intervals` gives.
    """
    year = in_force().periods_a_year
    quantiles = pd.DataFrame({row.name: quantile_returns(row.judged, rule).mean() * year for row in rows})
    series = {row.name: row.series for row in rows}
    figures = {
        "sharpe_intervals": charts.sharpe_intervals(intervals),
        "cumulative_long_short": charts.cumulative_long_short(_of_all(series, "long_short")),
        "sharpe": charts.sharpe_bars(table),
        "quantile_means": charts.quantile_means(quantiles),
        "rank_ic": charts.cumulated_rank_ic(_of_all(series, "rank_ic")),
    }
    # The figure in the papers shows these side by side.
    explained = {
        row.name: percentages(top_contributions(row, factors)) for row in rows if row.contributions is not None
    }
    if explained:
        date = max(shares.index[-1] for shares in explained.values())
        newest = pd.DataFrame({name: shares.loc[date] for name, shares in explained.items()}).T
        figures["top_quantile_contributions"] = charts.top_quantile_contributions(newest, date)
    return figures


def _of_all(series: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Return one monthly series with a column for each row of the comparison."""
    return pd.DataFrame({row: monthly[name] for row, monthly in series.items()})


def row_figures(row: Row, factors: Factors) -> dict[str, Chart]:
    """Return the figures of a row that has contributions, by name."""
    if row.contributions is None or row.risk is None:
        return {}
    over_time = charts.contributions(
        top_contributions(row, factors), row.name, "contributions to the forecast of the top quantile, a month"
    )
    return {
        "contributions_over_time": over_time,
        "change_since_last_month": charts.change_since_last_month(row.risk, row.name),
        "relevance_heatmap": charts.relevance(row.contributions.mean_absolute_by_lag(), row.name),
    }
