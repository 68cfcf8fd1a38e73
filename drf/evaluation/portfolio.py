"""Quantile portfolios: what a forecast would have earned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class PortfolioRule:
    """How forecasts become portfolios.

    Attributes
    ----------
    quantiles
        Number of equally weighted groups of stocks each month; long the top one, short the bottom one.
    cost_bps
        Cost of trading, in basis points of the traded value, each side.
    """

    quantiles: int = 5
    cost_bps: float = 10.0


def assign_quantiles(forecasts: pd.DataFrame, quantiles: int) -> pd.Series:
    """Each row's quantile within its month, from 1 (lowest forecast) to ``quantiles``.

    The groups differ by at most one stock; ties keep the order of the assets, so that the result does not depend on the
    order of the rows.

    Parameters
    ----------
    forecasts
        ``date``, ``asset``, ``y_pred``.
    """
    ordered = forecasts.sort_values(["date", "asset"], kind="stable")
    by_month = ordered.groupby("date")["y_pred"]
    rank = by_month.rank(method="first")
    size = by_month.transform("size")
    return (rank * quantiles / size).apply(np.ceil).astype(int).reindex(forecasts.index).rename("quantile")


def quantile_returns(forecasts: pd.DataFrame, rule: PortfolioRule) -> pd.DataFrame:
    """Mean return of each quantile: one row a month, columns 1 to ``rule.quantiles``, decimals a month.

    Parameters
    ----------
    forecasts
        ``date``, ``asset``, ``y_true``, ``y_pred``. Stocks are sorted by their forecasts alone; one without a return is
        left out of its quantile's mean afterwards.
    """
    quantile = assign_quantiles(forecasts, rule.quantiles)
    return forecasts["y_true"].groupby([forecasts["date"], quantile]).mean().unstack()


def long_short(forecasts: pd.DataFrame, rule: PortfolioRule) -> pd.DataFrame:
    """The long-short portfolio month by month.

    Returns
    -------
    One row a month, decimals a month:

    ``gross``: mean return of the top quantile less that of the bottom one. ``turnover``: traded value, buys plus sells
    of both sides, over the value of both sides (2): 0 if nothing is traded, 1 if everything is sold and bought anew.
    Weights drift with returns within the month and are set equal again at its end; the first month pays for setting up.
    ``net``: gross less ``cost_bps`` for all that was traded. A month in which no stock of one side has a return is NaN.
    """
    quantile = assign_quantiles(forecasts, rule.quantiles)
    known, quantile = forecasts[forecasts["y_true"].notna()], quantile[forecasts["y_true"].notna()]
    top, bottom = quantile == rule.quantiles, quantile == 1
    signed = known.assign(weight=(top.astype(float) - bottom.astype(float)))
    signed["weight"] /= signed.groupby(["date", signed["weight"]])["asset"].transform("size")
    weights = signed.pivot_table(index="date", columns="asset", values="weight", fill_value=0.0)
    returns = known.pivot_table(index="date", columns="asset", values="y_true", fill_value=0.0)
    gross = (weights * returns).sum(axis=1)
    one_sided = ~((weights > 0).any(axis=1) & (weights < 0).any(axis=1))
    gross[one_sided] = np.nan  # not a long-short portfolio: no stock of one side has a return
    held = _drifted(weights, returns).shift(1, fill_value=0.0)
    traded = (weights - held).abs().sum(axis=1)
    turnover = traded / 4  # both sides are worth 2; a complete exchange trades each twice
    turnover.iloc[0] = traded.iloc[0] / 2  # setting up only buys
    return pd.DataFrame({"gross": gross, "net": gross - traded * rule.cost_bps / 1e4, "turnover": turnover})


def _drifted(weights: pd.DataFrame, returns: pd.DataFrame) -> pd.DataFrame:
    """Weights at the end of the month, each side rescaled to its own value."""
    grown = weights * (1 + returns)
    drifted = pd.DataFrame(0.0, index=weights.index, columns=weights.columns)
    for side in (grown.clip(lower=0), grown.clip(upper=0)):
        value = side.abs().sum(axis=1)
        drifted += side.div(value.where(value > 0, 1.0), axis=0)
    return drifted
