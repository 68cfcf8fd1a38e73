"""Periods of statements: flows of quarters, running totals and moved fiscal years become flows of the last year.

With :math:`F(e, m)` a flow over the m months to the end e, as last published by a day, the flow of the last year is

* :math:`F(e, 12)` where a statement covers a year;
* :math:`\\sum_k F(e - k m, m)` over 12/m statements where all cover m months;
* :math:`F(e, m) + F(e - m, 12) - F(e - 12, m)` for running totals within the fiscal year;
* :math:`F(e, m) + (12 - m)/12 \\, F(e - m, 12)` for a fiscal year cut to m months, and :math:`12/m \\, F(e, m)` for a
  longer one.

It is missing if any part is missing. A restated part counts from the day of its restatement.
"""

from typing import Literal

import numpy as np
import pandas as pd

from ..errors import InputError, first_few
from .calendar import MONTHLY

Period = Literal["annual", "quarter", "year_to_date", "trailing"]

FLOWS = ("sales", "operating_profit", "net_income", "operating_cash_flow")

MONTHS = "period_months"
"""Optional column of statements: the number of months that a row covers."""

_CLEAR = 1.2
"""Factor by which a flow must differ from the mean of two possible sizes to decide between them."""

_MOST_ODD = 0.05
"""Largest share of rows that may lie at other distances than a year if nobody says what they cover."""


def of_last_year(table: pd.DataFrame, period: Period | None) -> tuple[pd.DataFrame, list[str]]:
    """Return statements whose flows are those of the last year, point in time.

    Parameters
    ----------
    table
        ``asset``, ``fiscal_year_end``, ``fiscal_month`` (its month end), ``known`` (day from which the row counts),
        items, and perhaps :data:`MONTHS`. One row for each day on which a statement changed.
    period
        What each row covers; None: found from the table.

    Returns
    -------
    The table, with further rows where a part of a year was restated later, and sentences on what was found and treated.

    Raises
    ------
    InputError
        If the table does not tell what its rows cover.
    """
    table = table.reset_index(drop=True)
    gaps = _gaps(table)
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
        notices.append(f"{number:,} statements cover other than 12 months and were set to a year ({few})")
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
        return ("quarter" if (months == months.iloc[0]).all() else "year_to_date"), f"as {MONTHS} says"
    known = gaps.dropna()
    yearly = known.between(11, 13) | ((known + 1) % 12 <= 2)
    if not len(known) or (~yearly).mean() <= _MOST_ODD:
        return "annual", "their year ends lie 12 months apart"
    few = first_few(sorted(table.loc[gaps.index[gaps.notna()][~yearly], "asset"].unique()))
    raise InputError(
        f"data.statements: {(~yearly).mean():.0%} of the rows lie other than 12 months after the one before, most of "
        f"them {known[~yearly].mode().iloc[0]:.0f} months ({few}): set data.period to quarter, year_to_date, trailing "
        f"or annual, or add a column {MONTHS}"
    )


def _months(table: pd.DataFrame, gaps: pd.Series, period: Period, flows: list[str]) -> pd.Series:
    """Return the number of months that each row covers."""
    if MONTHS in table:
        return table[MONTHS]
    if period == "annual":
        return _of_moved_years(table, gaps, flows)
    if period == "quarter":
        usual = gaps.mode()
        return pd.Series(usual.iloc[0] if len(usual) else 3.0, table.index)
    if period == "year_to_date":
        return _since_year_end(table, flows[0])
    return pd.Series(12.0, table.index)


def _of_moved_years(table: pd.DataFrame, gaps: pd.Series, flows: list[str]) -> pd.Series:
    """Return the months of annual statements; missing where a moved year's end leaves the length in doubt.

    A row less than 11 months after the row before covers only the months between, or those months and the year before
    them. Its size relative to the row before tells which.
    """
    ends = table.sort_values("known", kind="stable").drop_duplicates(["asset", "fiscal_month"])
    ends = ends.sort_values(["asset", "fiscal_month"])
    ratio = (ends[flows].abs() / ends[flows].abs().groupby(ends["asset"]).shift()).median(axis=1)
    known = ends[["asset", "fiscal_month"]].assign(ratio=ratio)
    ratio = table[["asset", "fiscal_month"]].merge(known, how="left", on=["asset", "fiscal_month"])["ratio"]
    middle = np.sqrt(gaps * (12 + gaps)) / 12
    short = gaps.where(ratio < middle / _CLEAR, (12 + gaps).where(ratio > middle * _CLEAR))
    months = gaps.where((gaps < 23) & ~gaps.between(11, 13), 12.0)
    return months.where(~(gaps < 11), short)


def _since_year_end(table: pd.DataFrame, flow: str) -> pd.Series:
    """Return the months since each stock's fiscal year began: running totals are largest at the year's end."""
    month = table["fiscal_month"].dt.month
    size = table[flow].abs().groupby([table["asset"], month]).median()
    peak = size.groupby(level=0).idxmax().map(lambda key: key[1] if isinstance(key, tuple) else np.nan)
    since = (month - table["asset"].map(peak)) % 12
    months = since.where(since > 0, 12).astype(float)
    first, whole = (table[flow].abs()[months == length].median() for length in (months.min(), 12.0))
    if not first < 0.75 * whole:
        raise InputError(
            f"data.statements: {flow} does not grow within the fiscal year, so these are no running totals: set "
            f"data.period to quarter or trailing, or add a column {MONTHS}"
        )
    return months


def _with_parts(table: pd.DataFrame, period: Period, flows: list[str]) -> pd.DataFrame:
    """Return the flows of the last year on each day on which a statement or one of its parts changed."""
    lengths = sorted({int(length) for length in table[MONTHS].dropna()})
    shifts = {"quarter": range(lengths[0], 12, lengths[0]), "year_to_date": [*lengths, 12]}.get(period, lengths)
    keys = ["asset", "fiscal_month"]
    vintages = table.sort_values("known", kind="stable")
    first = table.groupby(keys)["known"].min().rename("first").reset_index()
    later = [table[[*keys, "known"]].assign(fiscal_month=MONTHLY.shift(table["fiscal_month"], k)) for k in shifts]
    days = pd.concat([table[[*keys, "known"]], *later]).merge(first, on=keys)
    days = days[days["known"] >= days["first"]].drop(columns="first").drop_duplicates().sort_values("known")
    made = pd.merge_asof(days, vintages, on="known", by=keys)

    def part(months: pd.Series | int, length: int | None = None) -> pd.DataFrame:
        """Return the flows of the statement that ended a number of months before, as known on the day."""
        back = 12 * made["fiscal_month"].dt.year + made["fiscal_month"].dt.month - 1 - months
        end = MONTHLY.end(pd.to_datetime({"year": back // 12, "month": back % 12 + 1, "day": 1}))
        asked = made[["asset", "known"]].assign(fiscal_month=end.astype(made["fiscal_month"].dtype))
        found = pd.merge_asof(asked, vintages[[*keys, "known", MONTHS, *flows]], on="known", by=keys)
        return found[flows].where(found[MONTHS].between((length or 1) - 1, (length or 24) + 1))

    own, months = made[flows], made[MONTHS]
    if period == "quarter":
        year = sum((part(back) for back in shifts), start=own)
    elif period == "year_to_date":
        year = own + part(months, 12) - part(12)
    else:
        shorter = own + part(months, 12).mul(1 - months / 12, axis=0)
        year = shorter.where(months < 12, own.mul(12 / months, axis=0))
    year = own.where(months.between(11, 13), year)
    return made.assign(**{name: year[name] for name in flows}, missing=(own.notna() & year.isna()).any(axis=1))
