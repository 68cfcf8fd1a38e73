"""The metrics of a row of the comparison, from its forecasts alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .portfolio import PortfolioRule, long_short

MONTHS_A_YEAR = 12

METRICS = (
    "mae",
    "rmse",
    "annual_return",
    "annual_volatility",
    "sharpe",
    "rank_ic",
    "rank_ic_ir",
    "max_drawdown",
    "turnover",
    "sharpe_net",
)


def monthly_series(forecasts: pd.DataFrame, rule: PortfolioRule) -> pd.DataFrame:
    """Everything that has a value each month.

    Parameters
    ----------
    forecasts
        ``date``, ``asset``, ``y_true``, ``y_pred``.

    Returns
    -------
    One row a month: ``long_short``, ``long_short_net``, ``turnover`` (see :func:`~.portfolio.long_short`), ``rank_ic``
    (Spearman correlation of forecast and return; 0 where the forecast is the same for all stocks), ``mae``, ``rmse``.
    """
    known = forecasts.dropna(subset=["y_true"])
    error = known["y_pred"] - known["y_true"]
    portfolio = long_short(forecasts, rule)
    return pd.DataFrame(
        {
            "long_short": portfolio["gross"],
            "long_short_net": portfolio["net"],
            "turnover": portfolio["turnover"],
            "rank_ic": rank_ic(known),
            "mae": error.abs().groupby(known["date"]).mean(),
            "rmse": np.sqrt((error**2).groupby(known["date"]).mean()),
        }
    )


def rank_ic(forecasts: pd.DataFrame) -> pd.Series:
    """Spearman correlation of forecast and return within each month."""
    ranks = forecasts.groupby("date")[["y_pred", "y_true"]].rank()
    centred = ranks - ranks.groupby(forecasts["date"]).transform("mean")
    products = pd.DataFrame(
        {
            "both": centred["y_pred"] * centred["y_true"],
            "pred": centred["y_pred"] ** 2,
            "true": centred["y_true"] ** 2,
        }
    )
    sums = products.groupby(forecasts["date"]).sum()
    spread = (sums["pred"] * sums["true"]) ** 0.5
    return (sums["both"] / spread.where(spread > 0)).fillna(0.0)


def summarise(forecasts: pd.DataFrame, rule: PortfolioRule) -> dict[str, float]:
    """The metrics of :data:`METRICS`.

    ``mae`` and ``rmse`` are over all stocks and months. Returns are decimals a year: the arithmetic mean month times
    12; volatility is the sample standard deviation times the root of 12; Sharpe their ratio, without a risk-free rate.
    ``rank_ic_ir`` is the mean of the monthly rank IC over its standard deviation, times the root of 12.
    ``max_drawdown`` is the largest loss from a peak of the compounded long-short return, as a positive decimal.
    What cannot be estimated, because there are fewer than two months or no variation, is NaN.
    """
    series = monthly_series(forecasts, rule)
    known = forecasts.dropna(subset=["y_true"])
    error = known["y_pred"] - known["y_true"]
    gross = series["long_short"]
    return {
        "mae": float(error.abs().mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "annual_return": float(gross.mean() * MONTHS_A_YEAR),
        "annual_volatility": float(gross.std() * np.sqrt(MONTHS_A_YEAR)),
        "sharpe": annualised_ratio(gross),
        "rank_ic": float(series["rank_ic"].mean()),
        "rank_ic_ir": annualised_ratio(series["rank_ic"]),
        "max_drawdown": max_drawdown(gross),
        "turnover": float(series["turnover"].mean()),
        "sharpe_net": annualised_ratio(series["long_short_net"]),
    }


def annualised_ratio(monthly: pd.Series) -> float:
    """Mean over standard deviation of a monthly series, times the root of 12; NaN where it cannot be estimated."""
    deviation = monthly.std()
    if monthly.count() < 2 or not deviation > 1e-12:
        return float("nan")
    return float(monthly.mean() / deviation * np.sqrt(MONTHS_A_YEAR))


def max_drawdown(monthly: pd.Series) -> float:
    """Largest loss from a peak of the compounded returns, as a positive decimal."""
    wealth = np.concatenate([[1.0], (1 + monthly.fillna(0.0)).cumprod()])
    return float((1 - wealth / np.maximum.accumulate(wealth)).max())
