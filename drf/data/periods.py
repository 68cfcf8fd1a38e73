"""Periods of statements: flows of quarters, running totals and moved fiscal years become flows of the last year.

Let :math:`F(e, m)` be the flow over the m months up to e, as last published by a given day. The flow of the last year
is

* :math:`F(e, 12)` where a statement covers a year;
* :math:`\\sum_k F(e - k m, m)` over 12/m statements where all cover m months;
* :math:`F(e, m) + F(e - m, 12) - F(e - 12, m)` for running totals within the fiscal year;
* :math:`F(e, m) + (12 - m)/12 \\, F(e - m, 12)` for a fiscal year cut to m months, and :math:`12/m \\, F(e, m)` for a
  longer one.

It is missing if any part is missing. A restated part counts from the day of its restatement.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd

from ..errors import InputError, first_few
from .calendar import MONTHLY

Period = Literal["annual", "quarter", "year_to_date", "trailing"]

FLOWS = ("sales", "operating_profit", "net_income", "operating_cash_flow")

MONTHS = "period_months"
"""Optional column of statements: the number of months that a row covers."""

_LEAST_GROWTH = 0.3
"""Least growth of a running total within a fiscal year, as a multiple of its even growth."""

_RESET = 0.6
"""A running total below this share of the one before begins a fiscal year."""

_CLEAR = 1.2
"""Factor by which a flow must differ from the mean of two possible sizes to decide between them."""

_MOST_ODD = 0.05
"""Largest share of rows that may not lie a year apart if their period is not stated."""


def of_last_year(table: pd.DataFrame, period: Period | None) -> tuple[pd.DataFrame, list[str]]:
    """Return statements whose flows are those of the last year, point in time.

    Args:
        table: ``asset``, ``fiscal_year_end``, ``fiscal_month`` (its month end), ``known`` (day from which the row
            counts), items, and perhaps :data:`MONTHS`. One row for each day on which a statement changed.
        period: Period that each row covers; None: found from the table.

    Returns:
        The table, with further rows where a part of a year was restated later, and sentences on the findings and their
        treatment.

    Raises InputError if the period of the rows cannot be found from the table.
    """
    table = table.reset_index(drop=True)
    gaps = _gaps(table)
    _require_kind(table, period, gaps, FLOWS[0])
    period, how = (period, "as data.period says") if period else _found(table, gaps)
    flows = [name for name in FLOWS if name in table]
    months = _months(table, gaps, period, flows)
    notices = [f"data.statements: rows are taken as {period} ({how})"]
    odd = ~months.between(11, 13)
    if period == "trailing" or not odd.any():
        return table.drop(columns=MONTHS, errors="ignore"), notices
    made = _with_parts(table.assign(**{MONTHS: months}), period, flows)
    number, lost = int(odd.sum()), int(made["missing"].sum())
    if period == "annual":
        few = first_few(sorted(table.loc[odd, "asset"].unique()))
        notices.append(f"{number:,} statements do not cover 12 months and were converted to a year ({few})")
    if lost:
        notices.append(f"{lost:,} statements lack a part of their last year, so their flows are unknown")
    return made.drop(columns=[MONTHS, "missing"]), notices


def _gaps(table: pd.DataFrame) -> pd.Series:
    """Return each row's distance in months to the stock's fiscal period before; missing for the first."""
    ends = table[["asset", "fiscal_month"]].drop_duplicates().sort_values(["asset", "fiscal_month"])
    number = 12 * ends["fiscal_month"].dt.year + ends["fiscal_month"].dt.month
    ends["gap"] = number.groupby(ends["asset"]).diff()
    return table[["asset", "fiscal_month"]].merge(ends, how="left", on=["asset", "fiscal_month"])["gap"]


def _found(table: pd.DataFrame, gaps: pd.Series) -> tuple[Period, str]:
    """Return what rows cover, and how that was found."""
    if MONTHS in table:
        months = table[MONTHS]
        if months.isna().any() or not months.between(1, 24).all():
            raise InputError(f"data.statements: column {MONTHS}: must be a number of months, 1 to 24, in every row")
        if months.between(11, 13).mean() >= 0.9:
            return "annual", f"as {MONTHS} says"
        commonest = months.mode().iloc[0]
        is_part = commonest < 8 and (months == commonest).mean() >= 0.9
        return ("quarter" if is_part else "year_to_date"), f"as {MONTHS} says"
    known = gaps.dropna()
    yearly = known.between(11, 13) | ((known + 1) % 12 <= 2)
    if not len(known) or (~yearly).mean() <= _MOST_ODD:
        return "annual", "their year ends lie 12 months apart"
    few = first_few(sorted(table.loc[gaps.index[gaps.notna()][~yearly], "asset"].unique()))
    raise InputError(
        f"data.statements: {(~yearly).mean():.0%} of the rows do not lie 12 months after the previous row, most of "
        f"them {known[~yearly].mode().iloc[0]:.0f} months ({few}): set data.period to quarter, year_to_date, trailing "
        f"or annual, or add a column {MONTHS}"
    )


def _months(table: pd.DataFrame, gaps: pd.Series, period: Period, flows: list[str]) -> pd.Series:
    """Return the number of months that each row covers."""
    if MONTHS in table:
        return table[MONTHS]
    if period == "annual":
        return _of_moved_years(table, gaps, flows)
    usual = gaps.mode().iloc[0] if gaps.notna().any() else 3.0
    if period == "quarter":
        return pd.Series(usual, table.index).where(gaps.isna() | (gaps == usual))  # else the length is in doubt
    if period == "year_to_date":
        return _since_reset(table, gaps, usual, flows[0])
    return pd.Series(12.0, table.index)


def _of_moved_years(table: pd.DataFrame, gaps: pd.Series, flows: list[str]) -> pd.Series:
    """Return the months of annual statements; missing where a moved year's end leaves the length in doubt.

    A row less than 11 months after the row before covers only the months between, or those months and the year before
    them. Its size relative to the row before tells which.
    """
    ends = _first_vintages(table)
    ratio = (ends[flows].abs() / ends[flows].abs().groupby(ends["asset"]).shift()).median(axis=1)
    known = ends[["asset", "fiscal_month"]].assign(ratio=ratio)
    ratio = table[["asset", "fiscal_month"]].merge(known, how="left", on=["asset", "fiscal_month"])["ratio"]
    middle = np.sqrt(gaps * (12 + gaps)) / 12
    short = gaps.where(ratio < middle / _CLEAR, (12 + gaps).where(ratio > middle * _CLEAR))
    months = gaps.where((gaps < 23) & ~gaps.between(11, 13), 12.0)
    return months.where(~(gaps < 11), short)


def _first_vintages(table: pd.DataFrame) -> pd.DataFrame:
    """Return each statement as first published, by stock and time."""
    first = table.sort_values("known", kind="stable").drop_duplicates(["asset", "fiscal_month"])
    return first.sort_values(["asset", "fiscal_month"])


def _since_reset(table: pd.DataFrame, gaps: pd.Series, usual: float, flow: str) -> pd.Series:
    """Return the months that running totals cover: a total below the one before begins a fiscal year.

    Unknown for two years after a row by which a fiscal year's end may have been moved: one that does not lie a multiple
    of the usual distance after the one before, or that has hardly grown without being below it.
    """
    ends = _first_vintages(table.assign(gap=gaps))
    stock, gap = ends["asset"], ends["gap"]
    number = 12 * ends["fiscal_month"].dt.year + ends["fiscal_month"].dt.month
    ratio = ends[flow].abs() / ends[flow].abs().groupby(stock).shift()
    resets = ratio < 1
    years = resets.groupby(stock).cumsum()
    months = gap.groupby([stock, years]).cumsum().where(years > 0)
    first_end = number.groupby([stock, years]).transform("max").where(years == 0)
    months = months.fillna(12 - (first_end - number))
    former = months.groupby(stock).shift()
    odd = (gap % usual != 0) & gap.notna() | ~resets & (ratio < 1 + _LEAST_GROWTH * gap / former)
    moved = number.where(odd).groupby(stock).ffill()
    ends["months"] = months.where(months.between(1, 12) & ~(number - moved < 24))
    keys = ["asset", "fiscal_month"]
    return table[keys].merge(ends[[*keys, "months"]], how="left", on=keys)["months"]


def _require_kind(table: pd.DataFrame, period: Period | None, gaps: pd.Series, flow: str) -> None:
    """Refuse a period that the size of the flows, or the distance of the rows, contradicts."""
    if MONTHS in table or period not in ("annual", "quarter", "year_to_date") or flow not in table:
        return
    if period == "annual" and (gaps < 8).mean() > 0.5:
        raise InputError(
            "data.period=annual: most rows lie less than 8 months apart: set quarter, year_to_date or trailing"
        )
    ends = _first_vintages(table)
    ratio = ends[flow].abs() / ends[flow].abs().groupby(ends["asset"]).shift()
    rows_a_year = 12 / max(gaps.mode().iloc[0], 1)
    falls = rows_a_year * float((ratio < _RESET).sum() / max(ratio.notna().sum(), 1))  # a year and stock
    if period == "quarter" and falls > 0.5:
        raise InputError(
            f"data.period=quarter: {flow} falls by half or more about once a year, as running totals within the fiscal "
            "year do: set data.period=year_to_date"
        )
    if period == "year_to_date" and falls < 0.5:
        raise InputError(
            f"data.period=year_to_date: {flow} hardly ever falls by half, as running totals do once a year: set "
            f"data.period to quarter or trailing, or add a column {MONTHS}"
        )


def _sums(lengths: Iterable[int]) -> list[int]:
    """Return the sums below 12 of parts of these lengths: how far back the parts of a year may lie."""
    sums = {0}
    for _ in range(12):
        sums |= {done + length for done in sums for length in lengths if done + length < 12}
    return sorted(sums - {0})


def _with_parts(table: pd.DataFrame, period: Period, flows: list[str]) -> pd.DataFrame:
    """Return the flows of the last year on each day on which a statement or one of its parts changed."""
    lengths = sorted({int(length) for length in table[MONTHS].dropna()})
    shifts = {"quarter": _sums(lengths), "year_to_date": [*lengths, 12]}.get(period, lengths)
    keys = ["asset", "fiscal_month"]
    vintages = table.sort_values("known", kind="stable")
    first = table.groupby(keys)["known"].min().rename("first").reset_index()
    later = [table[[*keys, "known"]].assign(fiscal_month=MONTHLY.shift(table["fiscal_month"], k)) for k in shifts]
    days = pd.concat([table[[*keys, "known"]], *later]).merge(first, on=keys)
    days = days[days["known"] >= days["first"]].drop(columns="first").drop_duplicates().sort_values("known")
    made = pd.merge_asof(days, vintages, on="known", by=keys)

    def before(months: pd.Series | int) -> pd.DataFrame:
        """Return the statement that ended a number of months before, as known on the day."""
        now = 12 * made["fiscal_month"].dt.year + made["fiscal_month"].dt.month - 1
        back = (now - months).fillna(now)
        end = MONTHLY.end(pd.to_datetime({"year": back // 12, "month": back % 12 + 1, "day": 1}))
        asked = made[["asset", "known"]].assign(fiscal_month=end.astype(made["fiscal_month"].dtype))
        return pd.merge_asof(asked, vintages[[*keys, "known", MONTHS, *flows]], on="known", by=keys)

    def year_before(months: pd.Series) -> pd.DataFrame:
        found = before(months)
        return found[flows].where(found[MONTHS].between(11, 13))

    own, months = made[flows], made[MONTHS]
    if period == "quarter":
        year, covered = own, months
        while (covered < 12).any():  # parts must make up twelve months exactly
            found = before(covered)
            year = year.where(~(covered < 12), year + found[flows])
            covered = covered.where(~(covered < 12), covered + found[MONTHS])
        year = year.where(covered == 12)
    elif period == "year_to_date":
        same = before(12)
        year = own + year_before(months) - same[flows].where(same[MONTHS] == months)
    else:
        shorter = own + year_before(months).mul(1 - months / 12, axis=0)
        year = shorter.where(months < 12, own.mul(12 / months, axis=0))
    year = own.where(months.between(11, 13), year)
    return made.assign(**{name: year[name] for name in flows}, missing=(own.notna() & year.isna()).any(axis=1))
