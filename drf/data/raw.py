"""Raw tables to a panel: prices, a market index, statements and delistings become point-in-time descriptors.

A statement counts from the day it was available (or, where that is not known, some months after its fiscal year end),
until a newer one is available or it has gone stale. Cases that needed treatment are counted and printed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import InputError, first_few
from . import descriptors as formulas
from .calendar import MONTHLY
from .daily import LONGEST_BREAK
from .joins import same_names, without_partner
from .listings import Listings, find_listings
from .panel import RETURN
from .periods import Period, of_last_year
from .value import PricesAdjusted, SharesAdjusted, market_value

ITEMS = (
    "total_assets",
    "net_assets",
    "sales",
    "operating_profit",
    "net_income",
    "operating_cash_flow",
    "shares_outstanding",
)
_MONTHLY, _FEWEST_LEVELS = 0.9, 24

SHARES = "shares_outstanding"  # not needed where the prices have a market value


@dataclass(frozen=True)
class RawData:
    """Tables of a vendor.

    Attributes:
        bars: As :func:`drf.data.daily.month_bars` returns.
        market_index: ``date``, ``close``; daily or monthly.
        statements: ``asset``, ``fiscal_year_end``, ``available_from`` (may be empty) and :data:`ITEMS`;
            ``shares_outstanding`` as of the fiscal year end. A restated fiscal year has one row for each day on which a
            version became available.
        delistings: ``asset``, ``date``, ``delisting_return`` (decimal, after the last price), or none.
    """

    bars: pd.DataFrame
    market_index: pd.DataFrame
    statements: pd.DataFrame
    delistings: pd.DataFrame | None = None


@dataclass(frozen=True)
class Conventions:
    """Conventions of the tables: lags, adjustments, tolerances.

    Attributes:
        lag_months: Number of months after its fiscal year end at which a statement without ``available_from`` begins to
            count.
        stale_months: Number of months after its fiscal year end at which a statement stops counting.
        carry_months: Number of months without a price for which a stock keeps its last one.
        prices_adjusted, shares_adjusted: See :func:`drf.data.value.market_value`.
        most_unmatched: Share of the stocks that may be without any statement.
        period: Period that a row of the statements covers, see :func:`drf.data.periods.of_last_year`.
        needed: Descriptors that must be known for some stock in every month of the panel; others are computed if
            possible.
    """

    lag_months: int
    stale_months: int
    carry_months: int
    prices_adjusted: PricesAdjusted | None
    shares_adjusted: SharesAdjusted
    most_unmatched: float
    period: Period | None = None
    needed: tuple[str, ...] = ()


def build_panel(raw: RawData, how: Conventions) -> tuple[pd.DataFrame, list[str]]:
    """Make the panel.

    Returns:
        The panel from the first month in which every descriptor is known for some stock, and sentences on what was
        treated.

    Raises:
        InputError: Naming the table and the remedy.
    """
    bars, newest = _whole_months(raw.bars)
    _require_units(bars)
    if "company" in bars:
        bars["company"] = bars["company"].fillna(bars["asset"])
    _require_one_currency(bars, raw.statements)
    stocks = set(bars["asset"])
    owners = bars.groupby("asset")["company"].last() if "company" in bars else None
    table = raw.statements if owners is None else _of_classes(raw.statements, owners)
    statements, notices = _with_names(table, stocks, "data.statements")
    notices = [*newest, *notices]
    alone = stocks - set(statements["asset"])
    notices += without_partner(alone, len(stocks), "stocks have no row in data.statements", how.most_unmatched)
    delistings = raw.delistings
    if delistings is not None:
        delistings, said_of_them = _with_names(delistings, stocks, "data.delistings", some=False)
        strange = set(delistings["asset"]) - stocks
        notices += said_of_them
        notices += without_partner(
            strange, delistings["asset"].nunique(), "names of data.delistings are no stock here", 1
        )
    listings = find_listings(bars, delistings, how.carry_months)
    known, counts, said_of_periods = _point_in_time(statements, listings, how)
    value, splits, guess = market_value(
        listings,
        known.get(SHARES),
        known.pop("fiscal_month"),
        how.prices_adjusted,
        how.shares_adjusted,
        how.carry_months,
    )
    _require_levels(raw.market_index)
    market, without_index = _market_returns(raw.market_index, listings)
    whole = value if owners is None else _of_company(value, listings, owners)
    inputs = Inputs(listings, _single_months(listings), market, value, whole, known)
    tables = {name: make(inputs) for name, make in FORMULAS.items() if set(_ITEMS_OF.get(name, ())) <= set(known)}

    listed = listings.there.to_numpy()
    row, column = np.nonzero(listed)
    panel = pd.DataFrame({"date": listings.there.index[row], "asset": listings.names.to_numpy()[column]})
    for name, table in {**tables, RETURN: listings.following}.items():
        panel[name] = table.to_numpy()[row, column]
    counts |= listings.counts | splits
    words = "days left out because they are in another unit than the days around them"
    counts[words] = int(bars["spikes"].sum())
    listings.examples[words] = first_few(bars.loc[bars["spikes"] > 0, "asset"])
    counts["days without trading"] = int(bars["idle"].sum())
    counts["prices that are means of bid and ask (negative)"] = int(bars["quoted"].sum())
    counts["months without a market index"] = without_index
    counts["stock-months without a market value"] = int(np.isnan(value.to_numpy()[listed]).sum())
    if "net_assets" in known:
        net_assets = known["net_assets"].to_numpy()[listed]
        counts["stock-months with net assets not above 0"] = int((net_assets <= 0).sum())
        counts["stock-months without net assets"] = int(np.isnan(net_assets).sum())
    such = {words: f" ({examples})" for words, examples in listings.examples.items() if examples}
    treated = [f"{number:,} {words}{such.get(words, '')}" for words, number in counts.items() if number]
    panel, left_out = _from_first_complete_month(panel, [name for name in tables if name in (how.needed or tables)])
    return panel, [*notices, *said_of_periods, *left_out, *treated, *([guess] if guess else [])]


def _with_names(table: pd.DataFrame, stocks: set[str], what: str, some: bool = True) -> tuple[pd.DataFrame, list[str]]:
    names, notices = same_names(table["asset"], stocks, what, some)
    return table.assign(asset=names), notices


def _whole_months(bars: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Drop the newest month if it has not ended: its rows would be mistaken for month-end rows."""
    newest, month = bars["last_day"].max(), bars["date"].max()
    left = (month - newest).days
    if left > LONGEST_BREAK:
        notices = f"{month:%Y-%m} is left out: the prices end on {newest.date()}, {left} days before its end"
        return bars[bars["date"] < month].reset_index(drop=True), [notices]
    return bars, [f"the prices end on {newest.date()}, {left} days before the month does"] if left > 3 else []


def _require_units(bars: pd.DataFrame) -> None:
    """Refuse prices that change their unit, and prices that are monthly."""
    broken = bars[bars["rebased"].notna()]
    if len(broken):
        such = [f"{name} on {day.date()}" for name, day in zip(broken["asset"], broken["rebased"], strict=True)]
        raise InputError(
            f"data.prices: adj_close of {first_few(such)} moves by a factor of 100 or more in a day: another currency "
            "unit (pence and pounds), a redenomination, or a split that adj_close lacks: put all days on one unit"
        )
    if (bars["first_day"] == bars["last_day"]).mean() > _MONTHLY:
        raise InputError(
            "data.prices: most stocks have one price a month: ILLIQ needs daily prices: give these, or make the "
            "descriptors yourself (data=panel)"
        )


def _require_one_currency(bars: pd.DataFrame, statements: pd.DataFrame) -> None:
    """Refuse prices that mix currencies within a stock, and statements in another currency than the prices."""
    if "currency" not in bars:
        return
    several = bars.groupby("asset").agg(most=("currencys", "max"), different=("currency", "nunique")).max(axis=1)
    if (several > 1).any():
        raise InputError(
            f"data.prices: {first_few(several.index[several > 1])} are in more than one currency: give each stock's "
            "prices in one currency; prices are not converted"
        )
    if "currency" in statements:
        own = statements["asset"].map(bars.groupby(bars.get("company", bars["asset"]))["currency"].first())
        other = own.notna() & (statements["currency"] != own)
        if other.any():
            raise InputError(
                f"data.statements: {first_few(sorted(statements.loc[other, 'asset'].unique()))} are in another "
                "currency than their prices: give both in one currency; amounts are not converted"
            )


def _of_classes(statements: pd.DataFrame, owners: pd.Series) -> pd.DataFrame:
    """Return a company's statements once for each of its classes of shares."""
    classes = owners.rename("company").rename_axis("class").reset_index()
    return statements.merge(classes, left_on="asset", right_on="company").assign(asset=lambda table: table["class"])


def _of_company(value: pd.DataFrame, listings: Listings, owners: pd.Series) -> pd.DataFrame:
    """Return the market value of all listed classes of each column's company; unknown if any is unknown."""
    company = pd.Series(listings.names, value.columns).map(owners)
    lacking = (value.isna() & listings.there).T.groupby(company.to_numpy()).transform("any").T
    return value.fillna(0.0).T.groupby(company.to_numpy()).transform("sum").T.mask(lacking | ~listings.there)


def _require_levels(market_index: pd.DataFrame) -> None:
    """Refuse an index given as returns, which, unlike levels, do not stay near the previous value."""
    close = market_index["close"].to_numpy()
    if len(close) >= _FEWEST_LEVELS and np.ptp(close) > 0 and np.corrcoef(close[1:], close[:-1])[0, 1] < 0.5:
        raise InputError("data.market_index: close does not move like a level: give index levels, not returns")


@dataclass(frozen=True)
class Inputs:
    """Tables from which descriptors are made, one row a month end and one column a listing.

    ``single`` holds the returns of single months, ``market`` those of the index, ``value`` the market values, ``whole``
    those of all classes of the company, ``items`` those of the statement known at the month's end.
    """

    listings: Listings
    single: pd.DataFrame
    market: pd.Series
    value: pd.DataFrame
    whole: pd.DataFrame
    items: Mapping[str, pd.DataFrame]

    @property
    def prices(self) -> pd.DataFrame:
        return self.listings.table("adj_close")


FORMULAS: dict[str, Callable[[Inputs], pd.DataFrame]] = {
    "VOL60": lambda of: formulas.vol60(of.single),
    "BETA": lambda of: formulas.beta(of.single, of.market),
    "SKEW": lambda of: formulas.skew(of.single),
    "ROE": lambda of: formulas.roe(of.items["net_income"], of.items["net_assets"]),
    "ROA": lambda of: formulas.roa(of.items["operating_profit"], of.items["total_assets"]),
    "ACCRUALS": lambda of: formulas.accruals(*(of.items[name] for name in _ITEMS_OF["ACCRUALS"])),
    "LEVERAGE": lambda of: formulas.leverage(of.items["total_assets"], of.items["net_assets"]),
    "MOM12_1": lambda of: formulas.mom12_1(of.prices),
    "MOM1": lambda of: of.listings.returns,
    "MOM60": lambda of: formulas.mom60(of.prices),
    "PSR": lambda of: formulas.psr(of.items["sales"], of.whole),
    "PER": lambda of: formulas.per(of.items["net_income"], of.whole),
    "PBR": lambda of: formulas.pbr(of.items["net_assets"], of.whole),
    "PCFR": lambda of: formulas.pcfr(of.items["operating_cash_flow"], of.whole),
    "CAP": lambda of: formulas.cap(of.value),
    "ILLIQ": lambda of: formulas.illiq(of.listings.table("illiq")),
}
"""Descriptors, each with the function for it."""

_ITEMS_OF: dict[str, tuple[str, ...]] = {
    "ROE": ("net_income", "net_assets"),
    "ROA": ("operating_profit", "total_assets"),
    "ACCRUALS": ("operating_cash_flow", "operating_profit", "total_assets"),
    "LEVERAGE": ("total_assets", "net_assets"),
    "PSR": ("sales",),
    "PER": ("net_income",),
    "PBR": ("net_assets",),
    "PCFR": ("operating_cash_flow",),
}


def needed_items(descriptors: Iterable[str]) -> list[str]:
    """Return the items of statements that some descriptors need, except shares."""
    needed = {item for name in descriptors for item in _ITEMS_OF.get(name, ())}
    return [item for item in ITEMS if item in needed]


def _single_months(listings: Listings) -> pd.DataFrame:
    """Return the returns; months without trading and the month after a gap are left out, since they show no risk."""
    return listings.returns.where(listings.traded & listings.traded.shift(1, fill_value=False))


def _point_in_time(
    statements: pd.DataFrame, listings: Listings, how: Conventions
) -> tuple[dict[str, pd.DataFrame], dict[str, int], list[str]]:
    """Return every item as known at each month end, and ``fiscal_month``, the month end of its fiscal year."""
    month_ends, names = listings.there.index, listings.names
    items = [name for name in ITEMS if name in statements]
    table = statements[statements["asset"].isin(names)].astype({"asset": object})
    fiscal = table["fiscal_year_end"]
    unknown = table["available_from"].isna()
    table["known"] = table["available_from"].fillna(fiscal + pd.DateOffset(months=how.lag_months))
    table["fiscal_month"] = MONTHLY.end(fiscal)
    early = table["known"] < fiscal
    if early.any():
        line = table[early].iloc[0]
        raise InputError(
            f"data.statements: the statement of {line['asset']} for {line['fiscal_year_end'].date()} is available from "
            f"{line['known'].date()}, before its fiscal year ended ({int(early.sum())} such rows): correct "
            "available_from"
        )
    _require_one_a_day(table)
    table, notices = of_last_year(table, how.period)
    # Of the statements known at a date, the latest fiscal year counts: a late restatement of an older year does not
    # replace it.
    table = table.sort_values(["known", "fiscal_year_end"], kind="stable")
    table = table[table["fiscal_year_end"] == table.groupby("asset")["fiscal_year_end"].cummax()]
    keys = pd.DataFrame({"date": np.repeat(month_ends, len(names)), "asset": np.tile(names, len(month_ends))})
    # merge_asof wants the very same types on both sides
    keys, table = keys.astype({"asset": object, "date": "datetime64[ns]"}), table.astype({"known": "datetime64[ns]"})
    joined = pd.merge_asof(keys, table, left_on="date", right_on="known", by="asset")
    age = 12 * (joined["date"].dt.year - joined["fiscal_month"].dt.year)
    stale = age + joined["date"].dt.month - joined["fiscal_month"].dt.month >= how.stale_months
    after = np.tile(listings.after, len(month_ends))
    of_another = (joined["known"] <= after) | (joined["fiscal_month"] <= after)
    shape = (len(month_ends), len(names))
    known = {
        name: pd.DataFrame(
            joined[name].mask(stale | of_another).to_numpy().reshape(shape),
            index=month_ends,
            columns=listings.there.columns,
        )
        for name in (*items, "fiscal_month")
    }
    counts = {
        "statements dated by the lag": int(unknown.sum()),
        "stock-months whose statement has gone stale": int(
            (stale.to_numpy().reshape(shape) & listings.there).to_numpy().sum()
        ),
    }
    return known, counts, notices


def _require_one_a_day(table: pd.DataFrame) -> None:
    """Refuse two vintages of a fiscal year that count from the same day."""
    twice = table.duplicated(["asset", "fiscal_year_end", "known"])
    if twice.any():
        line = table[twice].iloc[0]
        raise InputError(
            f"data.statements: the statement of {line['asset']} for {line['fiscal_year_end'].date()} appears more than "
            f"once as of {line['known'].date()} ({int(twice.sum())} such rows): keep one, or give each "
            "the day from which it was available (available_from)"
        )


def _market_returns(market_index: pd.DataFrame, listings: Listings) -> tuple[pd.Series, int]:
    """Return the index return over each month, and how many months lack it. A closed market keeps its last close."""
    month = MONTHLY.end(market_index["date"])
    closes = market_index.set_index("date")["close"].groupby(month.to_numpy()).last().reindex(listings.there.index)
    without = closes.isna()
    closed = ~listings.traded.any(axis=1)
    closes = closes.where(~closed, closes.ffill())
    return closes / closes.shift(1) - 1, int((without & ~closed).sum())


def _from_first_complete_month(panel: pd.DataFrame, names: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Start the panel at the first month by which every descriptor has been known for some stock; say what is left
    out."""
    known = panel.groupby("date")[names].count() > 0
    complete = known.index[known.all(axis=1)]
    if not len(complete):
        never = [name for name in names if not known[name].any()]
        raise InputError(
            f"no month has all descriptors: {first_few(never, 4) if never else 'they do not overlap in time'}: the "
            f"rolling ones need 36 to 60 months of prices, and there are {len(known)}: give more, or leave them out "
            "(data.descriptors)"
        )
    without = known[known.index < complete[0]]
    usable = without.index[without.any(axis=1)]
    late = (
        [f"{name} from {known[name].idxmax():%Y-%m}" for name in names if not without[name].any()]
        if len(usable)
        else []
    )
    notices = [
        f"{len(usable)} months before {complete[0]:%Y-%m} are left out: {first_few(late, 4)}: without them in "
        "data.descriptors, the panel begins earlier"
    ]
    return panel[panel["date"] >= complete[0]].reset_index(drop=True), notices if late else []
