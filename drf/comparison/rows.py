"""The comparison: forecasts of all families -> rows with metrics, monthly series, contributions and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..evaluation import contributions as parts
from ..evaluation.factor_returns import carried_forward
from ..evaluation.metrics import METRICS, MORE_METRICS, monthly_series, summarise, why_not
from ..evaluation.periods import MONTHS_A_YEAR
from ..evaluation.portfolio import PortfolioRule, assign_quantiles, quantile_returns
from ..models.family import ROWS
from ..report import figures
from ..training.walkforward import Forecasts, forecast_table, relevance_table
from ..samples.lagged import Samples

PAPERS_TABLE = ("mae", "rmse", "annual_return", "annual_volatility", "sharpe")

# The papers' figure sets these side by side.
SIDE_BY_SIDE = ("linear", "dnn_lrp", "lstm_lrp")


@dataclass(frozen=True)
class Row:
    """One row of the comparison.

    Attributes
    ----------
    name, family
        A row name, and the family whose models made it.
    predictions
        ``date``, ``asset``, ``y_true``, ``y_pred`` of the test months.
    forecast
        The same for the newest months, whose returns are not known yet.
    relevance
        Contributions by descriptor and lag, where the row has them.
    risk
        What drives the long-short portfolio, where the row has contributions:
        see :func:`drf.evaluation.contributions.risk_table`.
    carried
        Forecasts by last month's per-stock factor returns, where the row has contributions and more than one month.
    by_seed
        ``y_pred`` of every seed on its own, in the order of ``predictions``: shape (seeds, n).
    metrics, series
        See :mod:`drf.evaluation.metrics`.
    note
        What of the metrics cannot be estimated, and why; empty if all can.
    """

    name: str
    family: str
    predictions: pd.DataFrame
    forecast: pd.DataFrame
    relevance: pd.DataFrame | None
    risk: pd.DataFrame | None
    carried: pd.DataFrame | None
    by_seed: np.ndarray
    metrics: Mapping[str, float]
    series: pd.DataFrame

    @property
    def note(self) -> str:
        return why_not(self.metrics, len(self.series), int(self.series["long_short"].isna().sum()))


def make_rows(
    forecasts: Mapping[str, tuple[Forecasts, Forecasts]],
    samples: Samples,
    factors: Mapping[str, Sequence[str]],
    rule: PortfolioRule,
) -> list[Row]:
    """The rows that the families' forecasts yield, in the comparison's order."""
    return [
        _make_row(name, family, *forecasts[family], samples, factors, rule)
        for family, names in ROWS.items()
        if family in forecasts
        for name in names
    ]


def _make_row(
    name: str,
    family: str,
    tested: Forecasts,
    newest: Forecasts,
    samples: Samples,
    factors: Mapping[str, Sequence[str]],
    rule: PortfolioRule,
) -> Row:
    linearised = name.endswith("_lrp")
    explains = linearised or (tested.explanation is not None and len(ROWS[family]) == 1)
    predictions, forecast = (
        forecast_table(
            samples, part.rows, part.explanation.linearised if linearised and part.explanation else part.prediction
        )
        for part in (tested, newest)
    )
    relevance = risk = None
    if explains and tested.explanation:
        relevance = relevance_table(samples, tested.rows, tested.explanation)
        risk = parts.risk_table(relevance, assign_quantiles(predictions, rule), rule.quantiles, factors)
    return Row(
        name=name,
        family=family,
        predictions=predictions,
        forecast=forecast,
        relevance=relevance,
        risk=risk,
        carried=_carried(samples, tested) if explains else None,
        by_seed=tested.linearised_by_seed if linearised and tested.linearised_by_seed is not None else tested.by_seed,
        metrics=summarise(predictions, rule),
        series=monthly_series(predictions, rule),
    )


def _carried(samples: Samples, tested: Forecasts) -> pd.DataFrame | None:
    assert tested.explanation is not None
    explanation, x = tested.explanation, samples.x[tested.rows]
    table = forecast_table(samples, tested.rows, explanation.linearised)
    forecasts = carried_forward(table, explanation.relevance, x, explanation.intercept)
    table = table.assign(y_pred=forecasts).dropna(subset=["y_pred"]).reset_index(drop=True)
    return table if len(table) else None  # the first month has none before it


def comparison_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One line a row: ``row``, the papers' table, the other metrics, and a ``note`` on what cannot be estimated."""
    order = [*PAPERS_TABLE, *(name for name in (*METRICS, *MORE_METRICS) if name not in PAPERS_TABLE)]
    return pd.DataFrame(
        [{"row": row.name, **{name: row.metrics[name] for name in order}, "note": row.note} for row in rows]
    )


def comparison_figures(
    rows: Sequence[Row],
    table: pd.DataFrame,
    intervals: pd.DataFrame,
    factors: Mapping[str, Sequence[str]],
    rule: PortfolioRule,
) -> dict[str, Figure]:
    """The figures of the whole comparison; ``intervals`` as :func:`drf.evaluation.bootstrap.sharpe_intervals` gives."""
    quantiles = pd.DataFrame({row.name: quantile_returns(row.predictions, rule).mean() * MONTHS_A_YEAR for row in rows})
    made = figures.of_comparison({row.name: row.series for row in rows}, table, quantiles)
    explained = {
        row.name: parts.percentages(top_contributions(row, factors, rule)) for row in rows if row.name in SIDE_BY_SIDE
    }
    if explained:
        date = max(percentages.index[-1] for percentages in explained.values())
        newest = pd.DataFrame({name: percentages.loc[date] for name, percentages in explained.items()}).T
        made["top_quantile_contributions"] = figures.top_quantile_contributions(newest, date)
    return {"sharpe_intervals": figures.sharpe_intervals(intervals), **made}


def drivers(rows: Sequence[Row]) -> tuple[str, pd.Series] | None:
    """The linearised row with the best Sharpe ratio after costs (without one, any that has contributions), and its mean
    contributions to the forecast of the long side less that of the short side, by factor, in decimals a month."""
    explained = [row for row in rows if row.risk is not None]
    linearised = [row for row in explained if row.name.endswith("_lrp")] or explained
    if not linearised:
        return None
    row = max(linearised, key=lambda row: np.nan_to_num(row.metrics["sharpe_net"], nan=-np.inf))
    table = row.risk
    assert table is not None
    spread = table[(table["portfolio"] == "spread") & (table["level"] == "factor")]
    return row.name, spread.groupby("name", sort=False)["signed"].mean()


def row_figures(row: Row, factors: Mapping[str, Sequence[str]], rule: PortfolioRule) -> dict[str, Figure]:
    """The figures of one row that has contributions."""
    if row.relevance is None or row.risk is None:
        return {}
    return {
        "contributions_over_time": figures.contributions_over_time(top_contributions(row, factors, rule), row.name),
        "change_since_last_month": figures.change_since_last_month(row.risk, row.name),
        "relevance_heatmap": figures.relevance_heatmap(parts.mean_absolute_by_lag(row.relevance), row.name),
    }


def top_contributions(row: Row, factors: Mapping[str, Sequence[str]], rule: PortfolioRule) -> pd.DataFrame:
    """Mean factor contributions over the stocks of the top quantile, one row a month."""
    assert row.relevance is not None
    top = assign_quantiles(row.predictions, rule) == rule.quantiles
    return parts.of_portfolio(parts.by_factor(row.relevance, factors), top)
