"""The comparison: forecasts of all families -> rows with metrics, monthly series and contributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..evaluation import contributions as parts
from ..evaluation.attributes import equipped
from ..evaluation.factor_returns import carried_forward
from ..evaluation.metrics import METRICS, MORE_METRICS, monthly_series, summarise, why_not
from ..evaluation.portfolio import PortfolioRule, Weights, make_weights
from ..models.rows import ModelRow, rows_of
from ..samples.lagged import Samples
from ..training.forecasts import Forecasts, WalkForward, forecast_table, relevance_table

PAPERS_TABLE = ("mae", "rmse", "annual_return", "annual_volatility", "sharpe")

Factors = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Row:
    """One row of the comparison.

    Attributes
    ----------
    model
        Which row it is.
    predictions
        ``date``, ``asset``, ``y_true``, ``y_pred`` of the test months.
    judged
        The same with the columns that the portfolio rule needs beside.
    weights
        The portfolio rule's, over all stocks; aligned with the predictions.
    forecast
        ``date``, ``asset``, ``y_true``, ``y_pred`` of the newest months, whose returns are not known yet.
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
    """

    model: ModelRow
    predictions: pd.DataFrame
    judged: pd.DataFrame
    weights: Weights
    forecast: pd.DataFrame
    relevance: pd.DataFrame | None
    risk: pd.DataFrame | None
    carried: pd.DataFrame | None
    by_seed: np.ndarray
    metrics: Mapping[str, float]
    series: pd.DataFrame

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def note(self) -> str:
        """What of the metrics cannot be estimated, and why; empty if all can."""
        return why_not(self.metrics, len(self.series), int(self.series["long_short"].isna().sum()))


@dataclass(frozen=True)
class Judging:
    """What rows are judged by.

    Attributes
    ----------
    samples, panel
        That were forecast; the panel in contract form.
    factors
        The descriptors of each factor.
    rule
        Portfolios.
    """

    samples: Samples
    panel: pd.DataFrame
    factors: Factors
    rule: PortfolioRule

    def equip(self, forecasts: pd.DataFrame) -> pd.DataFrame:
        """Forecasts with the columns that the portfolio rule needs."""
        return equipped(forecasts, self.panel, self.rule)


def make_rows(walks: Mapping[str, WalkForward], judging: Judging) -> list[Row]:
    """The rows that the families' forecasts yield, in the comparison's order."""
    return [_make_row(model, walks[model.family], judging) for model in rows_of(walks)]


def _make_row(model: ModelRow, walk: WalkForward, judging: Judging) -> Row:
    samples, rule, tested = judging.samples, judging.rule, walk.tested
    predictions, forecast = (_said(model, part, samples) for part in (tested, walk.newest))
    judged = judging.equip(predictions)
    weights = make_weights(judged, rule)
    relevance = risk = None
    if model.explained and tested.explanation:
        relevance = relevance_table(samples, tested.samples_slice, tested.explanation)
        risk = parts.risk_table(relevance, weights, judging.factors)
    return Row(
        model=model,
        predictions=predictions,
        judged=judged,
        weights=weights,
        forecast=forecast,
        relevance=relevance,
        risk=risk,
        carried=_carried(samples, tested) if model.explained else None,
        by_seed=_by_seed(model, tested),
        metrics=summarise(judged, rule),
        series=monthly_series(judged, rule),
    )


def _said(model: ModelRow, part: Forecasts, samples: Samples) -> pd.DataFrame:
    """The row's forecasts: what the models say, or the sum of their contributions."""
    linearised = model.linearised and part.explanation is not None
    prediction = part.explanation.linearised if linearised and part.explanation else part.prediction
    return forecast_table(samples, part.samples_slice, prediction)


def _by_seed(model: ModelRow, tested: Forecasts) -> np.ndarray:
    linearised = tested.linearised_by_seed if model.linearised else None
    return tested.by_seed if linearised is None else linearised


def _carried(samples: Samples, tested: Forecasts) -> pd.DataFrame | None:
    assert tested.explanation is not None
    explanation, x = tested.explanation, samples.x[tested.samples_slice]
    table = forecast_table(samples, tested.samples_slice, explanation.linearised)
    forecasts = carried_forward(table, explanation.relevance, x, explanation.intercept)
    table = table.assign(y_pred=forecasts).dropna(subset=["y_pred"]).reset_index(drop=True)
    return table if len(table) else None  # the first month has none before it


def comparison_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One line a row: ``row``, the papers' table, the other metrics, and a ``note`` on what cannot be estimated."""
    order = [*PAPERS_TABLE, *(name for name in (*METRICS, *MORE_METRICS) if name not in PAPERS_TABLE)]
    return pd.DataFrame(
        [{"row": row.name, **{name: row.metrics[name] for name in order}, "note": row.note} for row in rows]
    )


def drivers(rows: Sequence[Row]) -> tuple[str, pd.Series] | None:
    """What drives the forecasts of the comparison's best explained row.

    That is the linearised row with the best Sharpe ratio after costs; without one, any that has contributions.

    Returns
    -------
    The row's name, and its mean contributions to the forecast of the long side less that of the short side, by factor,
    in decimals a month. None if no row has contributions.
    """
    explained = [row for row in rows if row.risk is not None]
    linearised = [row for row in explained if row.model.linearised] or explained
    if not linearised:
        return None
    row = max(linearised, key=lambda row: np.nan_to_num(row.metrics["sharpe_net"], nan=-np.inf))
    table = row.risk
    assert table is not None
    spread = table[(table["portfolio"] == "spread") & (table["level"] == "factor")]
    return row.name, spread.groupby("name", sort=False)["signed"].mean()


def top_contributions(row: Row, factors: Factors) -> pd.DataFrame:
    """Mean factor contributions over the stocks of the long side, one row a month."""
    assert row.relevance is not None
    return parts.of_side(parts.by_factor(row.relevance, factors), row.weights, +1)
