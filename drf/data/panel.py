"""Panel contract: one row a (date, asset), the content of each column, and refusals.

Columns: ``date`` (calendar month end), ``asset``, the descriptors as known at ``date``, and ``ret_next``: the simple
decimal return over the month after ``date``, empty in the newest month. Optional: ``sector``, a name, empty if unknown.
"""

import hashlib
import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pandera.pandas as pa

from ..errors import InputError, first_few
from .calendar import in_force
from .columns import missing_columns
from .dates import UnreadableDatesError, read_dates
from .names import read_names
from .numbers import read_numbers
from .order import Grid, in_order

KEYS = ("date", "asset")
RETURN = "ret_next"
SECTOR = "sector"  # optional

# Least rank correlation, in any one month, between ret_next and the MOM1 of a month later, which is the same return.
_ALIGNED = 0.5

# An excess return can be below -1 by as much as the month's bill rate.
_BILL = 0.02

log = logging.getLogger(__name__)
PAIRS_TO_JUDGE = 10
_MOST_ALIKE = 0.9


def check_panel(
    frame: pd.DataFrame, descriptors: Sequence[str], least_stocks: int, with_returns: bool = True
) -> pd.DataFrame:
    """Return the panel in contract form (sorted, typed, only the contract's columns), or refuse it.

    Args:
        frame: Table as read from a file or made by a simulator. ``sector`` is kept if it is there; other columns are
            ignored.
        descriptors: The descriptors that must be there.
        least_stocks: Fewest stocks that a month may have: one for each quantile of the portfolio.
        with_returns: True if ``ret_next`` is required; a panel used only for forecasting does not need it.

    Raises:
        InputError: Naming the column, the rows and the remedy. Rows are counted from 1 below the header.
    """
    wanted = [*KEYS, *descriptors, *([RETURN] if with_returns else [])]
    _require_columns(frame, wanted)
    panel = frame[[*wanted, *([SECTOR] if SECTOR in frame else [])]].reset_index(drop=True)
    panel["date"] = _as_dates(panel["date"])
    panel["asset"] = _as_names(panel["asset"])
    if SECTOR in panel:
        panel[SECTOR] = read_names(panel[SECTOR])
    for name in wanted[len(KEYS) :]:
        panel[name] = _as_numbers(panel[name])
    _check_values(panel, descriptors, with_returns)
    panel = in_order(panel)
    _require_months(panel)
    _require_stocks(panel, least_stocks)
    _require_known_descriptors(panel, descriptors)
    if with_returns:
        if lost := int((panel[RETURN] < -1).sum()):
            log.info("panel: %s values of %s lie just below -1: they are taken as excess returns", f"{lost:,}", RETURN)
        _require_returns(panel, least_stocks)
        if "MOM1" in descriptors:
            _require_alignment(panel)
    return panel


def fingerprint(panel: pd.DataFrame) -> str:
    """Return sixteen hexadecimal digits that change with any value of a panel in contract form."""
    rows = pd.util.hash_pandas_object(panel, index=False).to_numpy()
    return hashlib.sha256(rows.tobytes() + ",".join(panel.columns).encode()).hexdigest()[:16]


def _months(dates: pd.Index) -> str:
    return first_few([pd.Timestamp(date).date() for date in dates])


def _rows(index: pd.Index | np.ndarray) -> str:
    """Return the first few rows of a table, counted from 1."""
    return ("row " if len(index) == 1 else f"{len(index)} rows: ") + first_few([int(i) + 1 for i in index])


def _require_columns(frame: pd.DataFrame, wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in frame.columns]
    if not missing:
        if len(frame) == 0:
            raise InputError("the panel has no rows: give one row a (date, asset)")
        return
    if len(frame.columns) <= 1:
        raise InputError(
            f"the file was read as {len(frame.columns)} column(s), so its separator is probably not a comma: "
            "save the panel with commas, or as Parquet"
        )
    others = [name for name in frame.columns if name not in wanted]
    words = missing_columns(missing, others)
    raise InputError(f"column {words} missing from the panel: add it, or rename the column that holds it")


def _as_dates(column: pd.Series) -> pd.Series:
    try:
        dates = read_dates(column)
    except UnreadableDatesError as error:
        raise InputError(f"column date, {_rows(error.rows)}: {error}") from None
    empty = dates.isna().to_numpy().nonzero()[0]
    if len(empty):
        raise InputError(f"column date, {_rows(empty)}: not a date (empty): write dates as YYYY-MM-DD")
    require_frequency("column date", dates)
    off = (dates != in_force().end(dates)).to_numpy()
    unit = in_force().unit
    if off.any() and _are_last_days(dates):
        log.info(
            "panel: %s rows are dated at a %s's last trading day, and were moved to its end", f"{off.sum():,}", unit
        )
        return in_force().end(dates)
    if off.any():
        rows = off.nonzero()[0]
        raise InputError(
            f"column date, {_rows(rows)}: {dates.iloc[rows[0]].date()} is not a {unit} end: "
            f"use {in_force().last_day}, or the {unit}'s last trading day throughout"
        )
    return dates


def require_frequency(where: str, dates: pd.Series) -> None:
    """Refuse a table of another frequency, and name that frequency.

    Raises InputError if the dates lie days or weeks apart.
    """
    if other := in_force().other_frequency(dates):
        raise InputError(f"{where}: the table is {other}, but a panel must be {in_force().name}: {_OTHER[other]}")


_OTHER = {
    "daily": f"keep the last row of each (month, asset), with {RETURN} over the month after it",
    "weekly": f"set data.frequency=weekly, or keep the last row of each (month, asset), with {RETURN} over the month "
    "after it",
    "monthly": "set data.frequency=monthly",
}


def _are_last_days(dates: pd.Series) -> bool:
    """Tell whether each period has one date, near its end unless the market was closed for longer."""
    usual, longest = in_force().closure
    days = dates.drop_duplicates()
    ends = in_force().end(days)
    left = (ends - days).dt.days
    return bool(not ends.duplicated().any() and (left < usual).mean() >= 0.75 and left.max() < longest)


def _as_names(column: pd.Series) -> pd.Series:
    names = read_names(column)
    bad = names.isna().to_numpy().nonzero()[0]
    if len(bad):
        raise InputError(
            f"column asset, {_rows(bad)}: empty, or a date, true or false: give every row the name of its stock"
        )
    return names


def _as_numbers(column: pd.Series) -> pd.Series:
    numbers = read_numbers(column)
    bad = (numbers.isna() & column.notna()).to_numpy().nonzero()[0]
    if len(bad):
        raise InputError(
            f"column {column.name}, {_rows(bad)}: not a number ({column.iloc[bad[0]]!r}): "
            "write decimals with a point, and leave unknown values empty"
        )
    return numbers


def _check_values(panel: pd.DataFrame, descriptors: Sequence[str], with_returns: bool) -> None:
    finite = pa.Check(lambda column: ~np.isinf(column), name="infinite: correct it, or leave it empty if unknown")
    no_worse_than_all = pa.Check(
        lambda column: column >= -1 - _BILL,
        name="below -1: returns are decimals (-0.05 for a loss of 5 %), none can lose more than all",
    )
    for name in [*descriptors, *([RETURN] if with_returns else [])]:
        checks = [finite, *([no_worse_than_all] if name == RETURN else [])]
        try:
            pa.SeriesSchema(float, checks, nullable=True).validate(panel[name], lazy=True)
        except pa.errors.SchemaErrors as refused:
            failed = refused.failure_cases
            first = failed.iloc[0]
            rows = failed[failed["check"] == first["check"]]["index"].to_numpy(dtype=int)
            raise InputError(f"column {name}, {_rows(rows)}: {first['failure_case']:g} is {first['check']}") from None
    twice = panel.duplicated(list(KEYS), keep=False).to_numpy().nonzero()[0]
    if len(twice):
        row = panel.iloc[twice[0]]
        raise InputError(
            f"columns date and asset, {_rows(twice)}: {row['date'].date()} {row['asset']} appears more than once: "
            "keep one row a (date, asset)"
        )


def _require_known_descriptors(panel: pd.DataFrame, descriptors: Sequence[str]) -> None:
    months = panel.groupby("date")
    for name in descriptors:
        known = months[name].count()
        empty = known.index[known == 0]
        if len(empty):
            raise InputError(
                f"column {name} is empty in {len(empty)} month(s): {_months(empty)}: fill it, or leave out those months"
            )


def _require_months(panel: pd.DataFrame) -> None:
    dates = panel["date"].drop_duplicates()
    span = len(in_force().between(dates.iloc[0], dates.iloc[-1]))
    steps = np.diff(in_force().between(dates.iloc[0], dates.iloc[-1]).get_indexer(pd.DatetimeIndex(dates)))
    if len(dates) < span / 2 or (len(steps) and np.median(steps) > 1):
        raise InputError(
            f"column date: only {len(dates)} of the {span} months from {dates.iloc[0].date()} to "
            f"{dates.iloc[-1].date()} are there: give a row a {in_force().unit}, a panel of another frequency "
            "cannot be used"
        )


def _require_stocks(panel: pd.DataFrame, least: int) -> None:
    stocks = panel.groupby("date").size()
    few = stocks.index[stocks < least]
    if len(few):
        raise InputError(
            f"column asset: {len(few)} month(s) have fewer than {least} stocks, one for each quantile: "
            f"{_months(few)} ({stocks[few[0]]} stocks): add stocks, leave out those months or lower "
            "portfolio.quantiles"
        )


def _require_returns(panel: pd.DataFrame, least: int) -> None:
    known = panel.groupby("date")[RETURN].count()
    few = known.index[(known > 0) & (known < least)]
    if len(few):
        raise InputError(
            f"column {RETURN} is known for fewer than {least} stocks, one for each quantile, in {len(few)} month(s): "
            f"{_months(few)}: complete it, or empty it there"
        )
    _require_decimals(panel)
    if known.sum() == 0:
        raise InputError(
            f"column {RETURN} is empty: nothing can be learned: fill in the return over the month after date"
        )


def _require_decimals(panel: pd.DataFrame) -> None:
    """Refuse returns given as 1 + r, or with one value for nearly all stocks of a month, as after zeros were filled
    in."""
    returns = panel[RETURN].dropna()
    if len(returns) and returns.min() >= 0 and 0.8 < returns.median() < 1.2:
        raise InputError(f"column {RETURN}: its median is {returns.median():.2f}: it looks like 1 + return: subtract 1")
    months = returns.groupby(panel["date"].loc[returns.index])
    value = months.median()  # what most stocks have is the median too
    alike = returns.eq(months.transform("median")).groupby(panel["date"].loc[returns.index]).mean()
    closed = (value == 0) & (value.index != value.index[-1]) if len(value) else value  # the market may have been closed
    same = alike.index[(alike > _MOST_ALIKE) & (months.size() >= PAIRS_TO_JUDGE) & ~closed.astype(bool)]
    if len(same):
        raise InputError(
            f"column {RETURN} is {value[same[0]]:g} for nearly all stocks in {len(same)} month(s): {_months(same)}: "
            "leave unknown returns empty"
        )


def _require_alignment(panel: pd.DataFrame) -> None:
    later = Grid.of(panel).rows_before(-1)
    returns, momentum = panel[RETURN].to_numpy(), panel["MOM1"].to_numpy()
    agreement: dict[pd.Timestamp, float] = {}
    for date, rows in panel.groupby("date").indices.items():
        own = rows[later[rows] >= 0]
        pairs = pd.DataFrame({RETURN: returns[own], "MOM1": momentum[later[own]]}).dropna()
        if len(pairs) >= PAIRS_TO_JUDGE and pairs.nunique().min() > 1:
            agreement[pd.Timestamp(str(date))] = float(pairs[RETURN].corr(pairs["MOM1"], method="spearman"))
    off = pd.Index([date for date, value in agreement.items() if value < _ALIGNED])
    if len(off):
        raise InputError(
            f"column {RETURN} does not line up with the next month's MOM1 in {len(off)} month(s): {_months(off)} "
            f"(rank correlation {agreement[off[0]]:.2f}, should be near 1): {RETURN} at a date is the return over the "
            "month after it; shift it"
        )
