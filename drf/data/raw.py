"""Raw data -> panel: daily prices, a market index, statements and delistings become descriptors, point in time.

A statement counts from the day it was available (or, where that is not known, some months after its fiscal year end),
until a newer one is available or it has gone stale. What had to be treated is counted and printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import InputError, first_few
from . import descriptors as formulas
from .panel import RETURN

ITEMS = (
    "total_assets",
    "net_assets",
    "sales",
    "operating_profit",
    "net_income",
    "operating_cash_flow",
    "shares_outstanding",
)


@dataclass(frozen=True)
class RawData:
    """What a vendor delivers.

    Attributes
    ----------
    bars
        As :func:`drf.data.daily.month_bars` returns.
    market_index
        ``date``, ``close``; daily or monthly.
    statements
        ``asset``, ``fiscal_year_end``, ``available_from`` (may be empty) and :data:`ITEMS`; ``shares_outstanding`` as
        of the fiscal year end.
    delistings
        ``asset``, ``date``, ``delisting_return`` (decimal, after the last price), or none.
    """

    bars: pd.DataFrame
    market_index: pd.DataFrame
    statements: pd.DataFrame
    delistings: pd.DataFrame | None = None


def build_panel(raw: RawData, lag_months: int, stale_months: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Make the panel.

    Parameters
    ----------
    lag_months
        Months after its fiscal year end from which a statement without ``available_from`` counts.
    stale_months
        Months after its fiscal year end from which a statement counts no more.

    Returns
    -------
    The panel from the first month in which every descriptor is known for some stock, and what was treated: name ->
    number.
    """
    bars = raw.bars
    month_ends = pd.date_range(bars["date"].min(), bars["date"].max(), freq="ME")
    prices, closes, splits, daily = (
        bars.pivot(index="date", columns="asset", values=name).reindex(month_ends)
        for name in ("adj_close", "close", "split", "illiq")
    )
    known, counts = _point_in_time(raw.statements, month_ends, prices.columns, lag_months, stale_months)
    value = closes * known.pop("shares_outstanding") * _growth_since(splits, known.pop("fiscal_month"))
    tables = _descriptors(prices, value, daily, known, _month_returns(raw.market_index, month_ends))
    following, ends = _next_returns(tables["MOM1"], bars, raw.delistings)

    listed = prices.notna().to_numpy()
    row, column = np.nonzero(listed)
    panel = pd.DataFrame({"date": month_ends[row], "asset": prices.columns.to_numpy()[column]})
    for name, table in {**tables, RETURN: following}.items():
        panel[name] = table.to_numpy()[row, column]
    counts |= ends
    net_assets = known["net_assets"].to_numpy()[listed]
    counts["months with a split"] = int((splits.fillna(1.0) != 1.0).to_numpy().sum())
    counts["days without trading"] = int(bars["idle"].sum())
    counts["stock-months with net assets not above 0"] = int((net_assets <= 0).sum())
    counts["stock-months without net assets"] = int(np.isnan(net_assets).sum())
    return _from_first_complete_month(panel, list(tables)), counts


def _descriptors(
    prices: pd.DataFrame, value: pd.DataFrame, daily: pd.DataFrame, known: Mapping[str, pd.DataFrame], market: pd.Series
) -> dict[str, pd.DataFrame]:
    returns = formulas.mom1(prices)
    return {
        "VOL60": formulas.vol60(returns),
        "BETA": formulas.beta(returns, market),
        "SKEW": formulas.skew(returns),
        "ROE": formulas.roe(known["net_income"], known["net_assets"]),
        "ROA": formulas.roa(known["operating_profit"], known["total_assets"]),
        "ACCRUALS": formulas.accruals(known["operating_cash_flow"], known["operating_profit"], known["total_assets"]),
        "LEVERAGE": formulas.leverage(known["total_assets"], known["net_assets"]),
        "MOM12_1": formulas.mom12_1(prices),
        "MOM1": returns,
        "MOM60": formulas.mom60(prices),
        "PSR": formulas.psr(known["sales"], value),
        "PER": formulas.per(known["net_income"], value),
        "PBR": formulas.pbr(known["net_assets"], value),
        "PCFR": formulas.pcfr(known["operating_cash_flow"], value),
        "CAP": formulas.cap(value),
        "ILLIQ": formulas.illiq(daily),
    }


def _point_in_time(
    statements: pd.DataFrame, month_ends: pd.DatetimeIndex, assets: pd.Index, lag_months: int, stale_months: int
) -> tuple[dict[str, pd.DataFrame], dict[str, int]]:
    """Every item as it was known at each month end, and ``fiscal_month``, the month end of its fiscal year."""
    table = statements[statements["asset"].isin(assets)].astype({"asset": object})
    fiscal = table["fiscal_year_end"]
    unknown = table["available_from"].isna()
    table["known"] = table["available_from"].fillna(fiscal + pd.DateOffset(months=lag_months))
    table["fiscal_month"] = fiscal + pd.offsets.MonthEnd(0)
    early = table["known"] < fiscal
    if early.any():
        line = table[early].iloc[0]
        raise InputError(
            f"data.statements: {line['asset']}'s of {line['fiscal_year_end'].date()} is available from "
            f"{line['known'].date()}, before its fiscal year ended ({int(early.sum())} such rows): correct "
            "available_from"
        )
    # Of those known at a date the latest fiscal year counts: a late restatement does not set a stock back.
    table = table.sort_values(["known", "fiscal_year_end"], kind="stable")
    table = table[table["fiscal_year_end"] == table.groupby("asset")["fiscal_year_end"].cummax()]
    keys = pd.MultiIndex.from_product([month_ends, assets], names=["date", "asset"]).to_frame(index=False)
    # merge_asof wants the very same types on both sides
    keys, table = keys.astype({"asset": object, "date": "datetime64[ns]"}), table.astype({"known": "datetime64[ns]"})
    joined = pd.merge_asof(keys, table, left_on="date", right_on="known", by="asset")
    age = 12 * (joined["date"].dt.year - joined["fiscal_month"].dt.year)
    stale = age + joined["date"].dt.month - joined["fiscal_month"].dt.month >= stale_months
    shape = (len(month_ends), len(assets))
    known = {
        name: pd.DataFrame(joined[name].mask(stale).to_numpy().reshape(shape), index=month_ends, columns=assets)
        for name in (*ITEMS, "fiscal_month")
    }
    counts = {
        "statements dated by the lag": int(unknown.sum()),
        "stock-months whose statement has gone stale": int(stale.sum()),
    }
    return known, counts


def _growth_since(splits: pd.DataFrame, since: pd.DataFrame) -> pd.DataFrame:
    """By what the number of shares grew through splits after the month ``since``."""
    level = splits.fillna(1.0).cumprod()
    position = level.index.get_indexer(pd.DatetimeIndex(since.to_numpy().ravel())).reshape(since.shape)
    column = np.broadcast_to(np.arange(since.shape[1]), since.shape)
    # where the prices begin after that month, splits before them are not known
    before = np.where(position >= 0, level.to_numpy()[position, column], 1.0)
    return pd.DataFrame(level.to_numpy() / before, index=level.index, columns=level.columns)


def _month_returns(market_index: pd.DataFrame, month_ends: pd.DatetimeIndex) -> pd.Series:
    month = market_index["date"] + pd.offsets.MonthEnd(0)
    closes = market_index.set_index("date")["close"].groupby(month.to_numpy()).last().reindex(month_ends)
    return closes / closes.shift(1) - 1


def _next_returns(
    returns: pd.DataFrame, bars: pd.DataFrame, delistings: pd.DataFrame | None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return over the next month. A delisted stock's last one ends with its last price and its delisting return."""
    following = returns.shift(-1)
    last = bars.groupby("asset")["date"].max()
    ended = last[last < returns.index[-1]]
    known = pd.DataFrame(columns=["date", "delisting_return"]) if delistings is None else delistings.set_index("asset")
    known = known.dropna()
    known = known[known.index.isin(ended.index)]
    for asset, date, final in zip(known.index, known["date"], known["delisting_return"], strict=True):
        row, column = (
            following.index.get_indexer(pd.Index([ended[asset]]))[0],
            following.columns.get_indexer(pd.Index([asset]))[0],
        )
        if date + pd.offsets.MonthEnd(0) > ended[asset]:
            following.iloc[row, column] = final  # the last price was a month's last: the rest falls into the next
        elif row > 0:
            following.iloc[row - 1, column] = (1 + following.iloc[row - 1, column]) * (1 + final) - 1
    return following, {
        "delisting returns used": len(known),
        "stocks that end before the panel without one": len(ended) - len(known),
    }


def _from_first_complete_month(panel: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Leave out the months before every descriptor is known for at least one stock."""
    known = panel.groupby("date")[names].count()
    complete = known.index[(known > 0).all(axis=1)]
    if not len(complete):
        never = [name for name in names if not known[name].any()]
        raise InputError(
            f"no month has all descriptors: {first_few(never, 4) if never else 'they do not overlap in time'}: the "
            "rolling ones need 36 to 60 months of prices"
        )
    return panel[panel["date"] >= complete[0]].reset_index(drop=True)
