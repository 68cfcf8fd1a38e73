"""Listings from monthly bars: one company under one name, from its first price to its last or its delisting.

A stock that is not traded for some months keeps its last price: it is still held, at the price that it had. Its gain or
loss in the meantime is the return over the month in which it is traded again. A name that comes back after more than
``carry_months`` without a price, or after a delisting, is another company's.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import InputError, first_few
from .calendar import MONTHLY
from .descriptors import mom1

# A delisting may be dated this long before the last price.
_TOLERANCE = pd.Timedelta(days=7)


@dataclass(frozen=True)
class Listings:
    """Tables of one row a month end and one column a listing.

    Attributes:
        names: Each column's stock; a name appears more than once if it was another company's before.
        after: Month end up to which each column's name belonged to another company; NaT if it never did.
        traded: True if there was a price in the month.
        there: True if the stock was listed at the month's end: it has a price, or keeps one.
        returns: Total return over the month. The return over a gap falls in the month that ends it; the gap's months
            have 0.
        following: Total return over the next month, including any delisting return.
        bars: The bars, with their positions in the tables: ``row`` and ``listing``.
        counts, examples: Special cases: description -> number, and description -> a few examples.
    """

    names: pd.Index
    after: pd.DatetimeIndex
    traded: pd.DataFrame
    there: pd.DataFrame
    returns: pd.DataFrame
    following: pd.DataFrame
    bars: pd.DataFrame
    counts: dict[str, int]
    examples: dict[str, str]

    def table(self, column: str, months: int | None = None) -> pd.DataFrame:
        """Return a column of the bars as last known at each month end, while the stock was listed.

        With ``months``, a known value is carried forward for at most that many months.
        """
        return carried(_pivot(self.bars, column, self.there), months).where(self.there)

    def months(self, column: str) -> pd.DataFrame:
        """Return a column of the bars in its own month; missing in months without a price."""
        return _pivot(self.bars, column, self.there)


def find_listings(bars: pd.DataFrame, delistings: pd.DataFrame | None, carry_months: int) -> Listings:
    """Separate the listings.

    Args:
        bars: As :func:`drf.data.daily.month_bars` returns.
        delistings: ``asset``, ``date``, ``delisting_return`` (decimal, after the last price; missing if unknown), or
            none.
        carry_months: Number of months without a price for which a stock keeps its last one.
    """
    month_ends = MONTHLY.between(bars["date"].min(), bars["date"].max())
    bars = bars.sort_values(["asset", "date"], ignore_index=True)
    bars["row"] = month_ends.get_indexer(pd.DatetimeIndex(bars["date"]))
    ends, unused = _used_delistings(bars, delistings, month_ends, carry_months)
    bars["listing"] = _number_of_listing(bars, ends, carry_months)
    begins = bars["listing"].ne(bars["listing"].shift())
    bars.loc[begins, "jump"] = 1.0  # a jump from another company's price
    if "seen" in bars:
        bars.loc[begins, "seen"] = 0
    by_listing = bars.groupby("listing")
    names, first, last = by_listing["asset"].first(), by_listing["row"].first(), by_listing["row"].last()
    ends = ends.assign(listing=_listing_before(bars, ends)).set_index("listing")
    final = ends["delisting_return"].reindex(names.index)
    gone = ends["row"].reindex(names.index)

    rows = np.arange(len(month_ends))[:, None]
    listed = (rows >= first.to_numpy()) & ((rows <= last.to_numpy()) | (rows < gone.to_numpy()))
    there = pd.DataFrame(listed & ~(rows >= gone.to_numpy()), index=month_ends, columns=names.index)
    own = _pivot(bars, "adj_close", there)
    prices = own.ffill().where(listed | (rows <= gone.to_numpy()))
    returns = mom1(prices)
    following = (_with_final(returns, gone, final)).shift(-1).where(there)
    gaps = bars["row"].diff().where(bars["listing"].eq(bars["listing"].shift())) > 1
    counts = {
        "stock-months without a price, held at the last one": int((there & own.isna()).to_numpy().sum()),
        "returns over such a gap": int(gaps.sum()),
        "names taken as another company's after a gap or a delisting": int(names.duplicated().sum()),
        "delisting returns used": int(final.notna().sum()),
        "delistings without a return": int((gone.notna() & final.isna()).sum()),
        "stocks that end before the panel without a delisting": int((gone.isna() & (last < len(month_ends) - 1)).sum()),
        **{words: len(stocks) for words, stocks in unused.items()},
    }
    examples = {
        "returns over such a gap": first_few(_largest(bars[gaps], returns)),
        "names taken as another company's after a gap or a delisting": first_few(
            f"{names[k]} from {month_ends[first[k]]:%Y-%m}" for k in names.index[names.duplicated()]
        ),
        **{words: first_few(stocks) for words, stocks in unused.items()},
    }
    before = pd.Series(np.where(gone.notna(), gone, last), index=names.index).groupby(names.to_numpy()).shift()
    after = pd.DatetimeIndex([pd.NaT if pd.isna(row) else month_ends[int(row)] for row in before])
    return Listings(
        pd.Index(names), after, own.notna(), there, returns.where(there), following, bars, counts,
        {words: shown for words, shown in examples.items() if shown},
    )  # fmt: skip


def _used_delistings(
    bars: pd.DataFrame, delistings: pd.DataFrame | None, month_ends: pd.DatetimeIndex, carry_months: int
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return ``asset``, ``row`` of the delisting's month, ``last`` (row of the last price) and ``delisting_return``."""
    columns = ["asset", "row", "last", "delisting_return"]
    if delistings is None or delistings.empty:
        return pd.DataFrame(columns=columns).astype({"row": int, "last": int, "delisting_return": float}), {}
    table = delistings[["asset", "date", "delisting_return"]].astype({"asset": object, "date": "datetime64[ns]"})
    start = month_ends[0]
    table["row"] = 12 * (table["date"].dt.year - start.year) + table["date"].dt.month - start.month
    prices = bars[["asset", "first_day", "last_day", "row"]].rename(columns={"row": "last"}).astype({"asset": object})
    table = pd.merge_asof(
        table.sort_values(["date", "asset"], kind="stable"), prices.sort_values("first_day"),
        left_on="date", right_on="first_day", by="asset",
    )  # fmt: skip
    table = _moved_to_the_last_price(table, bars)
    _require_end(table)
    later = table["row"] >= len(month_ends)
    without = ~later & ~(table["row"] - table["last"] <= carry_months + 1)
    used = table[~later & ~without]
    # Of several delistings after one last price, use the first with a known return.
    chosen = used.assign(unknown=used["delisting_return"].isna()).sort_values("unknown", kind="stable")
    again = chosen.duplicated(["asset", "last"])
    unused = {
        "delistings after the newest month, not used": table[later],
        "delistings without a price in the months before, not used": table[without],
        "delistings of a stock that is delisted already, not used": chosen[again],
    }
    notices = {
        words: [f"{asset} of {date:%Y-%m}" for asset, date in zip(rows["asset"], rows["date"], strict=True)]
        for words, rows in unused.items()
    }
    used = chosen.loc[~again, columns].astype({"row": int, "last": int}).reset_index(drop=True)
    return used, {words: stocks for words, stocks in notices.items() if stocks}


def _moved_to_the_last_price(delistings: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame:
    """Move a delisting dated a few days before the last price to the month of that price."""
    bar = bars[["asset", "row", "last_day"]].astype({"asset": object}).assign(last=bars["row"] - 1)
    bar = bar.rename(columns={"row": "next", "last_day": "next_day"})
    joined = delistings.merge(bar, on=["asset", "last"], how="left")
    moved = joined["next_day"] <= joined["date"] + _TOLERANCE
    for name in ("row", "last"):
        joined[name] = joined[name].mask(moved, joined["next"])
    joined["last_day"] = joined["last_day"].mask(moved, joined["next_day"])
    return joined.drop(columns=["next", "next_day"])


def _require_end(delistings: pd.DataFrame) -> None:
    """Refuse prices that go on after a delisting: they may be another company's, or the date is wrong."""
    on = delistings[delistings["last_day"] > delistings["date"] + _TOLERANCE]
    if len(on):
        first = on.iloc[0]
        raise InputError(
            f"data.delistings: {first['asset']} is delisted on {first['date'].date()}, but its prices continue to "
            f"{first['last_day'].date()} ({len(on)} such cases): correct the date, or rename the later company"
        )


def _number_of_listing(bars: pd.DataFrame, ends: pd.DataFrame, carry_months: int) -> pd.Series:
    """Give each stock's listings numbers, in bars sorted by stock and month; a new company gets a new number."""
    other = bars["asset"].ne(bars["asset"].shift())
    long_gap = bars["row"].diff() > carry_months + 1
    delisted = pd.MultiIndex.from_frame(bars[["asset", "row"]]).isin(pd.MultiIndex.from_frame(ends[["asset", "last"]]))
    return (other | long_gap | pd.Series(delisted, index=bars.index).shift(fill_value=False)).cumsum() - 1


def _listing_before(bars: pd.DataFrame, ends: pd.DataFrame) -> np.ndarray:
    known = bars.set_index(["asset", "row"])["listing"]
    return known.reindex(pd.MultiIndex.from_frame(ends[["asset", "last"]])).to_numpy()


def carried(table: pd.DataFrame, months: int | None) -> pd.DataFrame:
    """Carry the last known value forward for a number of months; None: without limit."""
    return table if months == 0 else table.ffill(limit=months)


def _with_final(returns: pd.DataFrame, gone: pd.Series, final: pd.Series) -> pd.DataFrame:
    """Compound the return after the last price into the month of the delisting."""
    result = returns.to_numpy().copy()
    columns = np.flatnonzero(gone.notna())
    rows = gone.to_numpy()[columns].astype(int)
    result[rows, columns] = (1 + result[rows, columns]) * (1 + final.fillna(0.0).to_numpy()[columns]) - 1
    return pd.DataFrame(result, index=returns.index, columns=returns.columns)


def _pivot(bars: pd.DataFrame, column: str, like: pd.DataFrame) -> pd.DataFrame:
    result = np.full(like.shape, np.nan)
    result[bars["row"].to_numpy(), bars["listing"].to_numpy()] = bars[column].to_numpy(dtype=float)
    return pd.DataFrame(result, index=like.index, columns=like.columns)


def _largest(back: pd.DataFrame, returns: pd.DataFrame) -> list[str]:
    """Return the stocks that came back, with the largest moves first."""
    moved = returns.to_numpy()[back["row"].to_numpy(), back["listing"].to_numpy()]
    order = np.argsort(-np.abs(moved))
    return [f"{back['asset'].iloc[k]} {back['date'].iloc[k]:%Y-%m} {moved[k]:+.0%}" for k in order]
