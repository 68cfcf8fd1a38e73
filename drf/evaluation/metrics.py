"""Metrics of a row of the comparison, from its forecasts alone."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..data.calendar import in_force
from .annual import annualised_ratio
from .drawdowns import underwater
from .hac import LEAST_PERIODS, hac_mean
from .portfolio import PortfolioRule, Quantiles, earned, make_weights

METRICS = (
    "mae",
    "rmse",
    "r2",
    "annual_return",
    "annual_volatility",
    "sharpe",
    "rank_ic",
    "rank_ic_ir",
    "max_drawdown",
    "turnover",
    "sharpe_net",
)
"""Columns of the printed summaries."""

MORE_METRICS = ("ic", "ic_ir", "rank_ic_t", "spread_t", "hit_rate", "breakeven_bps", "promised_return")
"""Further metrics logged on every row."""


def monthly_series(forecasts: pd.DataFrame, rule: PortfolioRule) -> pd.DataFrame:
    """Return all series that have a value each month.

    Args:
        forecasts: ``date``, ``asset``, ``y_true``, ``y_pred``.

    Returns:
        One row a month: ``long_short``, ``long_short_net``, ``turnover``, ``traded`` (see :func:`~.portfolio.earned`),
        ``promised`` (the forecast of ``long_short``), ``tied`` (stocks that share a place in the portfolio, because
        their forecasts are the same), ``rank_ic`` and ``ic`` (Spearman's and Pearson's correlation of forecast and
        return; 0 where the forecast is the same for all stocks), ``mae``, ``rmse``.
    """
    known = forecasts.dropna(subset=["y_true"])
    error = known["y_pred"] - known["y_true"]
    weights = make_weights(forecasts, rule, tradable=forecasts["y_true"].notna())
    portfolio = earned(weights, forecasts["y_true"], rule.cost_bps)
    promised = (weights.table["weight"] * forecasts["y_pred"]).groupby(forecasts["date"]).sum()
    tied = pd.Series(Quantiles.of(forecasts, rule).cut, index=forecasts.index).groupby(forecasts["date"]).sum()
    return pd.DataFrame(
        {
            "long_short": portfolio["gross"],
            "long_short_net": portfolio["net"],
            "turnover": portfolio["turnover"],
            "traded": portfolio["traded"],
            "promised": promised.where(portfolio["gross"].notna()),
            "tied": tied,
            "rank_ic": rank_ic(known),
            "ic": ic(known),
            "mae": error.abs().groupby(known["date"]).mean(),
            "rmse": np.sqrt((error**2).groupby(known["date"]).mean()),
        }
    )


def rank_ic(forecasts: pd.DataFrame) -> pd.Series:
    """Return the Spearman correlation of forecast and return within each month."""
    ranks = forecasts.groupby("date")[["y_pred", "y_true"]].rank()
    by_date = forecasts.groupby("date")["y_pred"]
    flat = by_date.max() - by_date.min() <= 1e-12 * forecasts["y_pred"].abs().max()  # ranks would be rounding noise
    return ic(ranks.assign(date=forecasts["date"])).mask(flat, 0.0)


def ic(forecasts: pd.DataFrame) -> pd.Series:
    """Return the Pearson correlation of forecast and return within each month."""
    values = forecasts[["y_pred", "y_true"]]
    centred = values - values.groupby(forecasts["date"]).transform("mean")
    products = pd.DataFrame(
        {"both": centred["y_pred"] * centred["y_true"], "pred": centred["y_pred"] ** 2, "true": centred["y_true"] ** 2}
    )
    sums = products.groupby(forecasts["date"]).sum()
    spread = (sums["pred"] * sums["true"]) ** 0.5
    flat = sums["pred"] <= 1e-24 * values["y_pred"].abs().max() ** 2  # equal forecasts for all, apart from rounding
    return (sums["both"] / spread.where((spread > 0) & ~flat)).fillna(0.0)


def summarise(forecasts: pd.DataFrame, rule: PortfolioRule) -> dict[str, float]:
    """Return the metrics of :data:`METRICS` and :data:`MORE_METRICS`.

    ``mae`` and ``rmse`` are over all stocks and months. ``r2`` is 1 less the ratio of the sum of squared errors to the
    sum of squared returns. It is below 0 where a forecast of 0 has the smaller error (Gu, Kelly and Xiu 2020). Returns
    are decimals a year: the arithmetic monthly mean times 12. Volatility is the sample standard deviation times the
    root of 12, and Sharpe is their ratio, without a risk-free rate. ``ic_ir`` and ``rank_ic_ir`` are the mean of the
    monthly (rank) IC over its standard deviation, times the root of 12; ``rank_ic_t`` and ``spread_t`` the t-statistics
    of the mean rank IC and the mean long-short return, see :func:`~.hac.hac_mean`. ``max_drawdown`` is the largest loss
    from a peak of the compounded long-short return, as a positive decimal. It is NaN if a month loses everything.
    ``promised_return`` is the forecast of ``annual_return``. ``hit_rate`` is the share of months with a long-short
    return above 0. ``breakeven_bps`` is the cost of trading, in basis points each side, that would take the whole mean
    return. What cannot be estimated, because there are fewer than two months (four for the t-statistics) or no
    variation, is NaN.
    """
    series = monthly_series(forecasts, rule)
    known = forecasts.dropna(subset=["y_true"])
    error = known["y_pred"] - known["y_true"]
    gross = series["long_short"]
    t = hac_mean(series[["rank_ic", "long_short"]])["t"]
    return {
        "mae": float(error.abs().mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r2": out_of_sample_r2(known),
        "annual_return": float(gross.mean() * in_force().periods_a_year),
        "annual_volatility": float(gross.std() * np.sqrt(in_force().periods_a_year)),
        "sharpe": annualised_ratio(gross),
        "rank_ic": mean_ic(series["rank_ic"]),
        "rank_ic_ir": annualised_ratio(series["rank_ic"]),
        "max_drawdown": max_drawdown(gross),
        "turnover": float(series["turnover"].mean()),
        "sharpe_net": annualised_ratio(series["long_short_net"]),
        "ic": mean_ic(series["ic"]),
        "ic_ir": annualised_ratio(series["ic"]),
        "rank_ic_t": float(t["rank_ic"]),
        "spread_t": float(t["long_short"]),
        "hit_rate": float((gross.dropna() > 0).mean()),
        "breakeven_bps": float(1e4 * gross.mean() / series["traded"].mean()) if series["traded"].mean() > 0 else np.nan,
        "promised_return": float(series["promised"].mean() * in_force().periods_a_year),
    }


def mean_ic(by_month: pd.Series) -> float:
    """Return the mean; NaN if forecasts are equal in every month, since their correlation of 0 is not a measurement."""
    return float(by_month.mean()) if by_month.any() else float("nan")


def out_of_sample_r2(forecasts: pd.DataFrame) -> float:
    """Return 1 less the ratio of squared errors to squared returns; NaN if no known return differs from 0."""
    known = forecasts.dropna(subset=["y_true"])
    nothing = float((known["y_true"] ** 2).sum())
    return float(1 - ((known["y_true"] - known["y_pred"]) ** 2).sum() / nothing) if nothing > 0 else float("nan")


def note_on(metrics: Mapping[str, float], series: pd.DataFrame) -> str:
    """Return a sentence on ties, total losses and metrics that cannot be estimated; empty if there are none.

    ``metrics``, ``series``: as :func:`summarise` and :func:`monthly_series` return them.
    """
    parts, periods = [], len(series)
    if tied := int((series["tied"] > 0).sum()):
        parts.append(f"in {tied} of {periods} periods stocks with the same forecast share a place in the portfolio")
    if lost := int((series["long_short"] <= -1).sum()):
        parts.append(f"{lost} of {periods} periods lose more than everything, so nothing compounds")
        metrics = {name: value for name, value in metrics.items() if name != "max_drawdown"}
    rest = why_not(metrics, periods, int(series["long_short"].isna().sum()))
    return "; ".join([*parts, *([rest] if rest else [])])


def why_not(metrics: Mapping[str, float], periods: int, without: int = 0) -> str:
    """Return which metrics of a row cannot be estimated, and why; empty if all can and no period is missing.

    Args:
        metrics: As :func:`summarise` returns them, or some of them.
        periods: Number of periods.
        without: Number of periods in which one side of the portfolio has no return.
    """
    missing = [name for name, value in metrics.items() if np.isnan(value)]
    parts = [f"{without} of {periods} periods have no long-short return"] if without else []
    if missing:
        why = "the returns, or the forecasts, are the same for all stocks or in all periods"
        if periods < LEAST_PERIODS:
            why = f"there are only {periods} periods ({LEAST_PERIODS} needed)"
        parts.append(f"{', '.join(missing)} cannot be estimated, because {why}")
    return "; ".join(parts)


def max_drawdown(returns: pd.Series) -> float:
    """Return the largest drawdown of the compounded returns, as a positive decimal.

    NaN if a period loses everything, or no return is known.
    """
    return float(-underwater(returns).min()) + 0.0 if returns.notna().any() else float("nan")
