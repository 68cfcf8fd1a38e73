"""Rows of the comparison: forecasts of all families with metrics, monthly series and contributions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..data.calendar import in_force
from ..evaluation.contributions import Contributions, risk_table
from ..evaluation.metrics import METRICS, MORE_METRICS, monthly_series, note_on, out_of_sample_r2, summarise
from ..evaluation.portfolio import PortfolioRule, Weights, make_weights
from ..evaluation.scale import newest_scale, scales
from ..models.catalogue import ModelRow, rows_of
from ..models.combine import shrunk
from ..samples.lagged import Samples
from ..training.forecasts import Forecasts, WalkForward, forecast_table

RAW_METRICS = ("r2_raw", "promised_return_raw")
"""Measures of the models' own forecasts, before they are scaled."""

PAPERS_TABLE = ("mae", "rmse", "annual_return", "annual_volatility", "sharpe")

Factors = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Row:
    """A row of the comparison.

    Attributes:
        model: Kind of the row.
        predictions: ``date``, ``asset``, ``y_true``, ``y_pred`` of the test months, with the spread of the forecasts
            scaled by a factor learned from earlier months.
        raw: Models' own ``y_pred``, before scaling, shape (n,).
        scale, newest_scale: Month -> the factor from raw to scaled forecasts, see :mod:`drf.evaluation.scale`; and the
            corresponding factor for the newest months.
        judged: Predictions with the extra columns that the portfolio rule needs.
        weights: Weights by the portfolio rule over all stocks, aligned with the predictions.
        forecast: ``date``, ``asset``, ``y_true``, ``y_pred`` of the newest months, whose returns are not known yet.
        contributions, newest_contributions: Contributions to ``predictions`` and to ``forecast``, where the row has
            them.
        risk: Risk factors of the long-short portfolio, where the row has contributions: see
            :func:`drf.evaluation.contributions.risk_table`.
        carried: Forecasts made from last month's per-stock factor returns, where the row has contributions and more
            than one month.
        by_seed: ``y_pred`` of every seed on its own, in the order of ``predictions``: shape (seeds, n).
        metrics, series: See :mod:`drf.evaluation.metrics`.
    """

    model: ModelRow
    predictions: pd.DataFrame
    raw: np.ndarray
    scale: pd.Series
    newest_scale: float
    judged: pd.DataFrame
    weights: Weights
    forecast: pd.DataFrame
    contributions: Contributions | None
    newest_contributions: Contributions | None
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
        """Sentence on metrics that cannot be estimated, with the reason; empty if all can."""
        return note_on(self.metrics, self.series)


@dataclass(frozen=True)
class Judging:
    """Samples, panel, factors and portfolio rule by which rows are judged.

    Attributes:
        samples, panel: Forecast samples, and the panel in contract form.
        factors: The descriptors of each factor.
        rule: Portfolios.
        shrink: True if forecasts are scaled by a factor learned from earlier months; False leaves the models' own
            forecasts.
    """

    samples: Samples
    panel: pd.DataFrame
    factors: Factors
    rule: PortfolioRule
    shrink: bool = True

    def scales(self, forecasts: pd.DataFrame) -> tuple[pd.Series, float]:
        """Return the scaling factor of every month and of the newest months."""
        if self.shrink:
            return scales(forecasts), newest_scale(forecasts)
        months = pd.Index(np.sort(forecasts["date"].unique()), name="date")
        return pd.Series(1.0, months), 1.0

    def equip(self, forecasts: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with the columns that the portfolio rule needs."""
        return self.rule.equip(forecasts, self.panel)


def make_rows(walks: Mapping[str, WalkForward], judging: Judging) -> list[Row]:
    """Return the rows that the families' forecasts yield, in the comparison's order."""
    return [_make_row(model, walks[model.family], judging) for model in rows_of(walks)]


def _make_row(model: ModelRow, walk: WalkForward, judging: Judging) -> Row:
    samples, rule, tested = judging.samples, judging.rule, walk.tested
    forecasts = _said(model, tested, samples)
    scale, newest = judging.scales(forecasts)
    factor = forecasts["date"].map(scale).to_numpy()
    predictions = _spread(forecasts, factor)
    judged = judging.equip(predictions)
    weights = make_weights(judged, rule)
    untested = _said(model, walk.newest, samples)
    contributions = newest_contributions = risk = carried = None
    if model.explained and tested.contributions:
        contributions = _in_units(tested.contributions, forecasts, factor)
        risk = risk_table(contributions, weights, judging.factors)
        carried = _carried(samples, tested.samples_slice, contributions.ahead)
        if walk.newest.contributions and len(untested):
            newest_contributions = _in_units(walk.newest.contributions, untested, np.full(len(untested), newest))
    series = monthly_series(judged, rule)
    return Row(
        model=model,
        predictions=predictions,
        raw=forecasts["y_pred"].to_numpy(),
        scale=scale,
        newest_scale=newest,
        judged=judged,
        weights=weights,
        forecast=_spread(untested, newest),
        contributions=contributions,
        newest_contributions=newest_contributions,
        risk=risk,
        carried=carried,
        by_seed=np.array([_spread(forecasts.assign(y_pred=own), factor)["y_pred"] for own in _by_seed(model, tested)]),
        metrics={**summarise(judged, rule), **_raw(forecasts, series, scale)},
        series=series.assign(scale=scale),
    )


def _raw(forecasts: pd.DataFrame, series: pd.DataFrame, scale: pd.Series) -> dict[str, float]:
    """Return the unshrunk values of the metrics that shrinking changes; rank-based metrics stay the same."""
    promised = float((series["promised"] / scale).mean() * in_force().periods_a_year)
    return {"r2_raw": out_of_sample_r2(forecasts), "promised_return_raw": promised}


def _spread(forecasts: pd.DataFrame, scale: np.ndarray | float) -> pd.DataFrame:
    """Return the forecasts with distances from their month's mean multiplied by a factor."""
    forecast = forecasts["y_pred"].to_numpy()
    multiple, offset = shrunk(forecast, forecasts["date"].to_numpy(), scale)
    return forecasts.assign(y_pred=multiple * forecast + offset)


def _in_units(contributions: Contributions, forecasts: pd.DataFrame, scale: np.ndarray) -> Contributions:
    """Return the contributions to the forecasts as scaled by :func:`_spread`."""
    return contributions.times(*shrunk(forecasts["y_pred"].to_numpy(), forecasts["date"].to_numpy(), scale))


def _said(model: ModelRow, part: Forecasts, samples: Samples) -> pd.DataFrame:
    """Return the row's forecasts: the models' own, or the sums of their contributions."""
    linearised = model.linearised and part.contributions is not None
    prediction = part.contributions.linearised if linearised and part.contributions else part.prediction
    return forecast_table(samples, part.samples_slice, prediction)


def _by_seed(model: ModelRow, tested: Forecasts) -> np.ndarray:
    linearised = tested.linearised_by_seed if model.linearised else None
    return tested.by_seed if linearised is None else linearised


def _carried(samples: Samples, where: slice, ahead: np.ndarray) -> pd.DataFrame | None:
    """Return the forecasts that were made a month ahead by per-stock factor returns, in the order of the samples."""
    after = samples.after[where] - where.start
    inside = (after >= 0) & (after < len(after))
    forecasts = np.full(len(after), np.nan)
    forecasts[after[inside]] = ahead[inside]
    table = forecast_table(samples, where, forecasts).dropna(subset=["y_pred"]).reset_index(drop=True)
    return table if len(table) else None  # the first month has no month before it


def comparison_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Return one line a row: ``row``, the papers' table, the other metrics, and a ``note`` on missing ones."""
    every = (*METRICS, *MORE_METRICS, *RAW_METRICS)
    order = [*PAPERS_TABLE, *(name for name in every if name not in PAPERS_TABLE)]
    return pd.DataFrame(
        [{"row": row.name, **{name: row.metrics[name] for name in order}, "note": row.note} for row in rows]
    )


def drivers(rows: Sequence[Row], headline: str) -> tuple[str, pd.Series] | None:
    """Return the factor contributions of row ``headline``; if it has none, use the best row that has some.

    Returns name of the row, and its mean contributions by factor to the forecast of the long side less the short side,
    in decimals per month. None if no row has contributions.
    """
    explained = [row for row in rows if row.risk is not None]
    if not explained:
        return None
    chosen = [row for row in explained if row.name == headline] or explained
    row = max(chosen, key=lambda row: np.nan_to_num(row.metrics["sharpe_net"], nan=-np.inf))
    table = row.risk
    assert table is not None
    spread = table[(table["portfolio"] == "spread") & (table["level"] == "factor")]
    return row.name, spread.groupby("name", sort=False)["signed"].mean()


def top_contributions(row: Row, factors: Factors) -> pd.DataFrame:
    """Return the mean factor contributions over the stocks of the long side, one row a month."""
    assert row.contributions is not None
    return row.weights.mean(row.contributions.by_factor(factors, row.predictions.index), +1)
