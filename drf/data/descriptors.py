r"""Descriptors: the papers' sixteen, from monthly prices and statements, one function each.

Formulas: Nakagawa et al. 2018, table 1. Arguments are tables of one row a month end and one column a stock, and so are
results. Prices and returns are total returns (dividends and splits included); statement items are those known at the
month end; ``value`` is the market value. A rolling descriptor is missing unless enough months are known: 36 of 60 for
risk, 58 of 60 for the long return.
"""

import numpy as np
import pandas as pd

LONG, LEAST_OF_LONG, LEAST_OF_RISK = 60, 58, 36


def vol60(returns: pd.DataFrame) -> pd.DataFrame:
    """Return the standard deviation of the past 60 monthly returns."""
    return returns.rolling(LONG, min_periods=LEAST_OF_RISK).std()


def beta(returns: pd.DataFrame, factor: pd.Series, months: int = LONG, least: int = LEAST_OF_RISK) -> pd.DataFrame:
    """Return the slope of past returns on a factor, over the months in which both are known.

    For BETA the factor is the market's return over the past 60 months (their number is our choice).
    """
    both = returns.notna() & factor.notna().to_numpy()[:, None]
    y = returns.where(both)
    x = pd.DataFrame(np.where(both, factor.to_numpy()[:, None], np.nan), index=returns.index, columns=returns.columns)
    mean = {name: part.rolling(months, min_periods=least).mean() for name, part in (("xy", x * y), ("x", x), ("y", y))}
    variance = x.rolling(months, min_periods=least).var(ddof=0)
    return (mean["xy"] - mean["x"] * mean["y"]) / variance.where(variance > 1e-12)


def skew(returns: pd.DataFrame) -> pd.DataFrame:
    """Return the skewness of the past 60 monthly returns."""
    return returns.rolling(LONG, min_periods=LEAST_OF_RISK).skew()


def roe(net_income: pd.DataFrame, net_assets: pd.DataFrame) -> pd.DataFrame:
    """Return net income / net assets; missing unless net assets are above 0, since a loss would look like a profit."""
    return net_income / net_assets.where(net_assets > 0)


def roa(operating_profit: pd.DataFrame, total_assets: pd.DataFrame) -> pd.DataFrame:
    """Return operating profit / total assets."""
    return operating_profit / total_assets.where(total_assets > 0)


def accruals(
    operating_cash_flow: pd.DataFrame, operating_profit: pd.DataFrame, total_assets: pd.DataFrame
) -> pd.DataFrame:
    """Return (operating cash flow - operating profit) / total assets; the division is this project's choice."""
    return (operating_cash_flow - operating_profit) / total_assets.where(total_assets > 0)


def leverage(total_assets: pd.DataFrame, net_assets: pd.DataFrame) -> pd.DataFrame:
    """Return total liabilities / total assets; above 1 where net assets are negative."""
    return (total_assets - net_assets) / total_assets.where(total_assets > 0)


def mom12_1(prices: pd.DataFrame) -> pd.DataFrame:
    """Return the return over the past 12 months except the past month."""
    return prices.shift(1) / prices.shift(12) - 1


def mom1(prices: pd.DataFrame) -> pd.DataFrame:
    """Return the return in the past month."""
    return prices / prices.shift(1) - 1


def mom60(prices: pd.DataFrame) -> pd.DataFrame:
    """Return the return over 60 months, or from the oldest price where up to two months are missing."""
    oldest = prices.shift(LONG)
    for months in range(LONG - 1, LEAST_OF_LONG - 1, -1):
        oldest = oldest.fillna(prices.shift(months))
    return prices / oldest - 1


def psr(sales: pd.DataFrame, value: pd.DataFrame) -> pd.DataFrame:
    """Return sales / market value: the yield, the inverse of what the name says."""
    return sales / value


def per(net_income: pd.DataFrame, value: pd.DataFrame) -> pd.DataFrame:
    """Return net income / market value."""
    return net_income / value


def pbr(net_assets: pd.DataFrame, value: pd.DataFrame) -> pd.DataFrame:
    """Return net assets / market value; negative where net assets are."""
    return net_assets / value


def pcfr(operating_cash_flow: pd.DataFrame, value: pd.DataFrame) -> pd.DataFrame:
    """Return operating cash flow / market value."""
    return operating_cash_flow / value


def cap(value: pd.DataFrame) -> pd.DataFrame:
    """Return the logarithm of the market value."""
    return value.where(value > 0).apply(np.log)


def illiq(daily: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over the month's trading days of |return| / traded value (Amihud 2002), in units of 1e-9."""
    return 1e9 * daily
