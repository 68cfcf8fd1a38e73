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
    weighting
        ``equal``, or ``value``: in proportion to a column ``value``, the stocks' market values.
    sector_neutral
        Sort within each ``sector``, a column of names, instead of over all stocks.
    """

    quantiles: int = 5
    cost_bps: float = 10.0
    weighting: str = "equal"
    sector_neutral: bool = False

    @property
    def groups(self) -> list[str]:
        """Within what stocks are sorted."""
        return ["date", "sector"] if self.sector_neutral else ["date"]


def assign_quantiles(forecasts: pd.DataFrame, rule: PortfolioRule) -> pd.Series:
    """Each row's quantile within its month (and sector), from 1 (lowest forecast) to ``rule.quantiles``.

    The groups differ by at most one stock; ties keep the order of the assets, so that the result does not depend on the
    order of the rows. Stocks of a sector with fewer stocks than quantiles, or of no known sector, are in none: 0.

    Parameters
    ----------
    forecasts
        ``date``, ``asset``, ``y_pred``, and ``sector`` if the rule asks for it.
    """
    ordered = forecasts.sort_values(["date", "asset"], kind="stable")
    by_group = ordered.groupby(rule.groups)["y_pred"]
    rank = by_group.rank(method="first")
    size = by_group.transform("size")
    quantile = (rank * rule.quantiles / size).apply(np.ceil)
    if rule.sector_neutral:
        quantile = quantile.where(size >= rule.quantiles, 0)
    return quantile.astype(int).reindex(forecasts.index).rename("quantile")


def quantile_returns(forecasts: pd.DataFrame, rule: PortfolioRule) -> pd.DataFrame:
    """Mean return of each quantile: one row a month, columns 1 to ``rule.quantiles``, decimals a month.

    Parameters
    ----------
    forecasts
        ``date``, ``asset``, ``y_true``, ``y_pred``. Stocks are sorted by their forecasts alone; one without a return is
        left out of its quantile's mean afterwards.
    """
    quantile = assign_quantiles(forecasts, rule)
    return forecasts["y_true"].groupby([forecasts["date"], quantile]).mean().unstack()


def long_short(forecasts: pd.DataFrame, rule: PortfolioRule) -> pd.DataFrame:
    """The long-short portfolio month by month.

    Returns
    -------
    One row a month, decimals a month:

    ``gross``: mean return of the top quantile less that of the bottom one. ``traded``: buys plus sells of both sides,
    as a share of the value of one side. ``turnover``: the same over all that can be traded: 0 if nothing is, 1 if
    everything is sold and bought anew. Weights drift with returns within the month and are set anew at its end; the
    first month pays for setting up. ``net``: gross less ``cost_bps`` for all that was traded. A month in which no stock
    of one side has a return is NaN.
    """
    quantile = assign_quantiles(forecasts, rule)
    held = forecasts["y_true"].notna() & quantile.isin([1, rule.quantiles])
    if rule.weighting == "value":
        held &= forecasts["value"] > 0
    known = forecasts[held]
    side = (quantile[held] == rule.quantiles).map({True: 1.0, False: -1.0})
    value = known["value"] if rule.weighting == "value" else pd.Series(1.0, index=known.index)
    weight = side * value / value.groupby([known["date"], side]).transform("sum")
    signed = known.assign(weight=weight)
    # months in which nothing is held keep their place
    dates = pd.Index(np.sort(forecasts["date"].unique()), name="date")
    weights = signed.pivot_table(index="date", columns="asset", values="weight", fill_value=0.0)
    weights = weights.reindex(dates, fill_value=0.0)
    returns = signed.pivot_table(index="date", columns="asset", values="y_true", fill_value=0.0)
    returns = returns.reindex(dates, fill_value=0.0)
    gross = (weights * returns).sum(axis=1)
    one_sided = ~((weights > 0).any(axis=1) & (weights < 0).any(axis=1))
    gross[one_sided] = np.nan  # not a long-short portfolio: no stock of one side has a return
    before = _drifted(weights, returns).shift(1, fill_value=0.0)
    traded = (weights - before).abs().sum(axis=1)
    turnover = traded / 4  # both sides are worth 2; a complete exchange trades each twice
    turnover.iloc[0] = traded.iloc[0] / 2  # setting up only buys
    net = gross - traded * rule.cost_bps / 1e4
    return pd.DataFrame({"gross": gross, "net": net, "turnover": turnover, "traded": traded})


def _drifted(weights: pd.DataFrame, returns: pd.DataFrame) -> pd.DataFrame:
    """Weights at the end of the month, each side rescaled to its own value."""
    grown = weights * (1 + returns)
    drifted = pd.DataFrame(0.0, index=weights.index, columns=weights.columns)
    for side in (grown.clip(lower=0), grown.clip(upper=0)):
        value = side.abs().sum(axis=1)
        drifted += side.div(value.where(value > 0, 1.0), axis=0)
    return drifted


def exposures(forecasts: pd.DataFrame, ranks: pd.DataFrame, quantile: pd.Series, top: int) -> pd.DataFrame:
    """What the long-short portfolio is exposed to: mean rank of its long side less that of its short side.

    Parameters
    ----------
    forecasts
        ``date``, ``asset`` ...
    ranks
        Ranks in [-1, 1] at the date of the forecast, one column a descriptor, aligned with ``forecasts``.
    quantile
        Aligned with ``forecasts``.
    top
        The quantile that is held long; 1 is held short.

    Returns
    -------
    One row a month, one column a descriptor, in [-2, 2].
    """
    long, short = (ranks[quantile == side].groupby(forecasts["date"]).mean() for side in (top, 1))
    return long - short
