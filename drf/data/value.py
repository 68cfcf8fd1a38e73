r"""Market value: prices and numbers of shares on one basis.

Vendors adjust closes for later splits or do not, and numbers of shares too. With :math:`S(a, b)` the product of the
splits after month a up to month b, T the newest month, f the month of the fiscal year's end of the statement that is
known in month t: closes as traded are the vendor's times :math:`S(t, T)` if adjusted for splits, and shares in month t
are the statement's times :math:`S(f, t)` if as reported, or over :math:`S(t, T)` if adjusted.
"""

from typing import Literal

import numpy as np
import pandas as pd

from ..errors import InputError, first_few
from .listings import Listings, carried

PricesAdjusted = Literal["none", "splits", "total_return"]
SharesAdjusted = Literal["none", "splits"]


def market_value(
    listings: Listings,
    shares: pd.DataFrame | None,
    fiscal_month: pd.DataFrame,
    prices_adjusted: PricesAdjusted | None,
    shares_adjusted: SharesAdjusted,
    carry_months: int,
) -> tuple[pd.DataFrame, dict[str, int], str]:
    """Return market values at month ends.

    Args:
        shares: Numbers of shares in the statement that is known at each month end; not needed where the prices have a
            market value or a number of shares of their own.
        fiscal_month: The month end of that statement's fiscal year.
        prices_adjusted, shares_adjusted: Adjustment of the closes and of the statements' shares; None: taken as traded,
            with a note about it.
        carry_months: Number of months for which a number of shares in the prices stays valid until the next is given.

    Returns:
        The values, counts of what was treated, and a sentence on what had to be guessed, if anything.

    Raises InputError if the stated adjustment of the closes is impossible, or the data do not give market values.
    """
    there = set(listings.bars)
    if "split" in there and prices_adjusted in ("none", "splits"):
        _require_agreement(listings.bars, prices_adjusted)
    if "shares" in there:
        return _by_own_shares(listings, prices_adjusted, carry_months)
    if prices_adjusted == "total_return":
        raise InputError(
            "data.prices_adjusted=total_return: closes adjusted for dividends give no market value: give the prices "
            "a column market_value, or closes that are adjusted for splits alone"
        )
    assert shares is not None  # shares are read if the prices have none
    if "company" in there and listings.bars.groupby("company")["asset"].nunique().max() > 1:
        raise InputError(
            "data.prices: companies have several classes of shares: give the number of each class in the prices "
            "(shares, or market_value), since the statements hold only the company's total"
        )
    closes = listings.table("close")
    if prices_adjusted == shares_adjusted == "splits":
        return closes * shares, {}, ""
    if prices_adjusted == "splits" and "split" not in there:
        raise InputError(
            "data.prices_adjusted=splits: market values need the splits too, since shares are as reported: add a "
            "column split or market_value, or set data.shares_adjusted=splits if the vendor adjusted the shares"
        )
    if "split" in there:
        if prices_adjusted is None:
            raise InputError(
                "data.prices: has the column split: set data.prices_adjusted=none if close is as traded, or "
                "data.prices_adjusted=splits if close is adjusted for splits"
            )
        splits, guess = _with_those_of_gaps(listings)
    else:
        splits = listings.months("jump").fillna(1.0)
        guess = _guess(listings.bars, prices_adjusted)
    level = splits.cumprod()
    to_the_end = level.iloc[-1] / level
    value = closes * shares
    value *= to_the_end if prices_adjusted == "splits" else 1.0
    value *= 1 / to_the_end if shares_adjusted == "splits" else _growth_since(level, fiscal_month)
    return value, {"months with a split": int((splits != 1.0).to_numpy().sum())}, guess


def _by_own_shares(
    listings: Listings, prices_adjusted: PricesAdjusted | None, carry_months: int
) -> tuple[pd.DataFrame, dict[str, int], str]:
    """Return close times shares of the price table, with later splits applied where closes are as traded."""
    known, closes = listings.months("shares") * listings.months("grown"), listings.table("close")
    shares = carried(known, carry_months).where(listings.there)
    if "valued" not in listings.bars:
        _require_one_basis(listings, carry_months)
    named = "split" in listings.bars
    if prices_adjusted is None:
        as_traded = listings.bars["seen"].sum() > 0 if named else True
    else:
        as_traded = prices_adjusted == "none"
    if not as_traded:
        return closes * listings.table("shares", carry_months), {}, ""
    if named:
        splits, guess = _with_those_of_gaps(listings)
    else:
        splits = listings.months("jump").fillna(1.0)
        guess = _guess(listings.bars, "none")
    level = splits.cumprod()
    return closes * shares * level / level.where(known.notna()).ffill(), {}, guess


def _require_one_basis(listings: Listings, carry_months: int) -> None:
    """Refuse shares that multiply as in a split while the closes do not move: they are not on one basis."""
    shares = listings.table("shares", carry_months)
    step = shares / shares.shift(1)
    times = step.where(step > 1, 1 / step)
    whole = (times > 1.9) & ((times / times.round() - 1).abs() < 0.01)
    moved = listings.months("jump").fillna(1.0) != 1.0
    if "split" in listings.bars:
        moved |= listings.months("split").fillna(1.0) != 1.0
    row, column = np.nonzero((whole & ~moved).to_numpy())
    if len(row):
        such = [
            f"{listings.names[k]} in {shares.index[t]:%Y-%m}"
            for t, k in zip(row.tolist(), column.tolist(), strict=True)
        ]
        raise InputError(
            f"data.prices: shares of {first_few(such)} multiply by a whole number while close does not move: closes "
            "are adjusted for splits and shares are not: put both on one basis, or give market_value"
        )


def _with_those_of_gaps(listings: Listings) -> tuple[pd.DataFrame, str]:
    """Return the splits of the column, with guessed ones where a stock comes back after months without a row."""
    splits, jumps = listings.months("split").fillna(1.0), listings.months("jump").fillna(1.0)
    back = listings.traded & ~listings.traded.shift(1, fill_value=True)
    missed = back & (splits == 1.0) & (jumps != 1.0)
    number = int(missed.to_numpy().sum())
    return splits.mask(missed, jumps), (
        f"{number} split(s) in months without a price are guessed by the closes" if number else ""
    )


def _require_agreement(bars: pd.DataFrame, prices_adjusted: PricesAdjusted) -> None:
    """Refuse large splits that do not show in unadjusted closes, or that do show in adjusted closes."""
    shown = int(bars["seen"].sum())
    notices, other = ("none", "splits") if prices_adjusted == "none" else ("splits", "none")
    if (shown < 0) if prices_adjusted == "none" else (shown > 0):
        words = "do not jump" if prices_adjusted == "none" else "jump"
        raise InputError(
            f"data.prices_adjusted={notices}: on most dates of the column split the closes {words}: "
            f"set {other}, or correct the column"
        )


def _guess(bars: pd.DataFrame, prices_adjusted: PricesAdjusted | None) -> str:
    if (bars["close"] == bars["adj_close"]).all() and prices_adjusted is None:
        raise InputError(
            "data.prices: close and adj_close are the same on every day: set data.prices_adjusted to none (as "
            "traded), splits, or total_return (dividends too)"
        )
    jumps = bars[bars["jump"] != 1.0]
    remedy = "give the prices a column split or market_value, or say data.prices_adjusted and data.shares_adjusted"
    if jumps.empty and prices_adjusted == "none":
        return ""
    if jumps.empty:
        return (
            "no split is seen in the closes: if they were adjusted and the statements' shares were not, market values "
            f"are wrong before each split: {remedy}"
        )
    named = ", ".join(
        f"{asset} {date:%Y-%m} ({jump:.3g})"
        for asset, date, jump in zip(jumps["asset"][:3], jumps["date"][:3], jumps["jump"][:3], strict=True)
    )
    return (
        f"{len(jumps)} split(s) are guessed where close and adj_close part by more than 30 %, such as {named}: smaller "
        f"ones are missed, and dividends as large are taken for one: {remedy}"
    )


def _growth_since(level: pd.DataFrame, since: pd.DataFrame) -> pd.DataFrame:
    """Return the factor by which splits multiplied the number of shares after the month ``since``."""
    position = level.index.get_indexer(pd.DatetimeIndex(since.to_numpy().ravel())).reshape(since.shape)
    column = np.broadcast_to(np.arange(since.shape[1]), since.shape)
    # where the prices begin after that month, splits before them are not known
    before = np.where(position >= 0, level.to_numpy()[position, column], 1.0)
    return pd.DataFrame(level.to_numpy() / before, index=level.index, columns=level.columns)
