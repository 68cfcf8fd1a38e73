"""Dates: the one reader of date columns for all tables and commands.

Unambiguous dates are read: dates and timestamps of any kind, whole numbers and texts with the year first, and texts
with the month's name. Day and month may come in either order where some row of the column decides it. A date with two
readings is refused, naming both. A number that counts days or seconds from some origin is refused, naming the
convention.
"""

import datetime
import math
import re
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd

from .calendar import DATED_PERIODS, MONTHLY

_FIRST, _LAST = pd.Timestamp("1700-01-01"), pd.Timestamp("2200-01-01")  # nanosecond date range, with some margin

_ENDS_A_DAY = datetime.time(23, 59)

_WRITE = ": write dates as YYYY-MM-DD"


class UnreadableDatesError(ValueError):
    """A column with a cell that is no date, or that has two readings.

    Attributes:
        rows: Positions of the rows that cannot be read; every non-empty row if the whole column is in doubt.
    """

    def __init__(self, why: str, rows: np.ndarray) -> None:
        super().__init__(why)
        self.rows = rows


def read_dates(column: pd.Series, form: str | None = None) -> pd.Series:
    """Return the calendar days of a column: ``datetime64[ns]`` at midnight, without a zone; NaT where a cell is empty.

    A timestamp with a time zone keeps the calendar day of that zone. A timestamp without a time zone, or in UTC, is
    accepted only at midnight: at another time it may be the midnight of another day elsewhere. A month without a day is
    read as its last day.

    ``form``: ``yyyymm`` or ``yyyymmdd``: numbers or texts of that form alone. None: whatever can be read without doubt.
    Raises UnreadableDatesError, saying what is wrong, and in which rows.
    """
    values = _plain(column)
    known = values.notna()
    if values.dtype == object:
        known &= values.map(lambda cell: not isinstance(cell, str) or bool(cell.strip())).astype(bool)
    positions = np.flatnonzero(known.to_numpy())
    if not len(positions):
        return pd.Series(pd.NaT, index=column.index, dtype="datetime64[ns]")
    codes, different = pd.factorize(values.iloc[positions])
    unique = pd.Series(different)
    try:
        found = _reader(unique, form)(unique)
    except UnreadableDatesError as error:
        raise UnreadableDatesError(str(error), positions[np.isin(codes, error.rows)]) from None
    outside = (found.isna() | (found < _FIRST) | (found > _LAST)).to_numpy()
    if outside.any():
        example = unique[outside].iloc[0]
        raise UnreadableDatesError(f"not a date ({example!r}){_WRITE}", positions[outside[codes]])
    days = np.full(len(column), np.datetime64("NaT"), dtype="datetime64[ns]")
    days[positions] = found.to_numpy(dtype="datetime64[ns]")[codes]
    return pd.Series(days, index=column.index, name=column.name)


_YEAR = re.compile(r"(?<!\d)(\d{4})(?=\d{4}(?!\d)|\D|$)")


def is_open_end(cell: object) -> bool:
    """Tell whether a cell holds a day that no market has seen, such as 9999-12-31: databases write it for "not yet"."""
    return any(int(year) >= _LAST.year for year in _YEAR.findall(str(cell)))


def _plain(column: pd.Series) -> pd.Series:
    """Return the column as numbers, timestamps or objects, whatever container type held it."""
    kind = column.dtype
    if isinstance(kind, (pd.CategoricalDtype, pd.ArrowDtype)):
        return column.astype(object)
    if isinstance(kind, pd.PeriodDtype):
        named = str(kind.freq.rule_code) in DATED_PERIODS  # quarters and years are texts, and no dates
        return column.dt.to_timestamp(how="end").dt.normalize() if named else column.astype(str).where(column.notna())
    if pd.api.types.is_datetime64_any_dtype(kind):
        clock = column.dt.tz_localize(None) if isinstance(kind, pd.DatetimeTZDtype) else column
        outside = (clock.astype("datetime64[s]") < _FIRST) | (clock.astype("datetime64[s]") > _LAST)
        if outside.any():  # refused before the conversion to nanoseconds
            raise UnreadableDatesError(f"not a date ({column[outside].iloc[0]}){_WRITE}", np.flatnonzero(outside))
        return column if isinstance(kind, pd.DatetimeTZDtype) else column.astype("datetime64[ns]")
    if pd.api.types.is_bool_dtype(kind):
        return column.astype(object)
    if pd.api.types.is_numeric_dtype(kind):
        return column.astype("float64" if column.isna().any() or pd.api.types.is_float_dtype(kind) else "int64")
    return column.astype(object)


def _reader(unique: pd.Series, form: str | None) -> Callable[[pd.Series], pd.Series]:
    if pd.api.types.is_datetime64_any_dtype(unique):
        if form is not None:
            raise UnreadableDatesError("dates already, not numbers or texts", np.arange(len(unique)))
        return _stamps
    if pd.api.types.is_numeric_dtype(unique):
        return lambda numbers: _numbers(numbers, form)
    return lambda cells: _cells(cells, form)


def _stamps(stamps: pd.Series) -> pd.Series:
    zone = getattr(stamps.dt, "tz", None)
    clock = stamps.dt.tz_localize(None) if zone is not None else stamps
    doubtful = (clock != clock.dt.normalize()) & (clock.dt.time < _ENDS_A_DAY)
    if doubtful.any() and (zone is None or _is_utc(zone)):
        rows = np.flatnonzero(doubtful.to_numpy())
        raise _doubtful_time(str(stamps.iloc[rows[0]]), zone is not None, rows)
    return clock.dt.normalize()


def _is_utc(zone: object) -> bool:
    """Tell whether a zone is UTC by one of its names; London in winter is not."""
    return str(zone).removeprefix("Etc/") in _UTC


_UTC = ("UTC", "UTC+00:00", "GMT", "GMT0", "GMT+0", "GMT-0", "UCT", "Zulu", "Universal", "Greenwich", "tzutc()")


def _doubtful_time(shown: str, of_utc: bool, rows: np.ndarray) -> UnreadableDatesError:
    return UnreadableDatesError(
        f"{shown} has a time and {'UTC' if of_utc else 'no zone'}, so it may be midnight of another day elsewhere: "
        "give dates, or stamps with their own zone",
        rows,
    )


def _numbers(numbers: pd.Series, form: str | None) -> pd.Series:
    endless = np.flatnonzero(~np.isfinite(numbers))
    if len(endless):
        raise UnreadableDatesError(f"not a date ({numbers.iloc[endless[0]]}){_WRITE}", endless)
    digits = numbers.where(numbers % 1 == 0).abs().fillna(0).map(lambda number: len(str(int(number))))
    for length, name in ((8, "yyyymmdd"), (6, "yyyymm")):
        if (digits == length).all() and form in (None, name):
            return _written(numbers.astype("int64").astype(str), name)
    rows = np.flatnonzero((digits != len(form or "yyyymmdd")).to_numpy())
    example = numbers.iloc[rows[0]] if len(rows) else numbers.iloc[0]
    text = f"{example:.0f}" if example % 1 == 0 else f"{example:g}"
    raise UnreadableDatesError(f"numbers such as {text} are no dates{_meaning(float(example))}", rows)


_COUNTS: tuple[tuple[str, str, Literal["D", "s", "ms", "us", "ns"], float, float], ...] = (
    ("Excel days", "1899-12-30", "D", 20_000, 60_000),
    ("SAS days", "1960-01-01", "D", 3_000, 40_000),
    ("days since 1970", "1970-01-01", "D", 3_000, 40_000),
    ("seconds since 1970", "1970-01-01", "s", 1e8, 1e10),
    ("SAS seconds", "1960-01-01", "s", 1e8, 1e10),
    ("milliseconds since 1970", "1970-01-01", "ms", 1e11, 1e13),
    ("microseconds since 1970", "1970-01-01", "us", 1e14, 1e16),
    ("nanoseconds since 1970", "1970-01-01", "ns", 1e17, 1e19),
)
"""Conventions of dates given as counts: name, origin, unit, and range of numbers in which market dates lie."""


def _meaning(number: float) -> str:
    """Return text on the units that a number may count, without guessing one."""
    if 1800 <= number < 2200 and number % 1 == 0:
        return f", but years{_WRITE}"
    readings = [
        f"{(pd.Timestamp(origin) + pd.Timedelta(number, unit=unit)).date()} as {name}"
        for name, origin, unit, low, high in _COUNTS
        if low <= number < high
    ]
    return f" ({', '.join(readings)}){_WRITE}" if readings else _WRITE


def _written(texts: pd.Series, form: str) -> pd.Series:
    dates = pd.to_datetime(texts, format="%Y%m%d" if form == "yyyymmdd" else "%Y%m", errors="coerce")
    return dates if form == "yyyymmdd" else MONTHLY.end(dates)


_TIME = (
    r"(?:[T ](?P<time>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)\s*(?P<half>[AaPp][Mm])?\s*"
    r"(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?"
)
_YEAR_FIRST = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})" + _TIME)
_YEAR_LAST = re.compile(r"(?P<one>\d{1,2})[-/.](?P<two>\d{1,2})[-/.](?P<year>\d{4})" + _TIME)
_COMPACT = re.compile(r"(\d{8}|\d{6})(?:\.0+)?")
# With a point, 1990.1 may be January, or October that has lost its nought.
_MONTH_ONLY = re.compile(r"(?P<year>\d{4})[-/Mm](?P<month>\d{1,2})")
_JAPANESE = re.compile(r"(?P<year>\d{4})年(?P<month>\d{1,2})月(?P<day>\d{1,2})日" + _TIME)
_NAMED = (
    re.compile(r"(?P<day>\d{1,2})[-. ]?(?P<name>[A-Za-z]{3,9})[-., ]*(?P<year>\d{4})(?::00:00:00(?:\.0+)?)?"),
    re.compile(r"(?P<year>\d{4})[- ](?P<name>[A-Za-z]{3,9})[- ](?P<day>\d{1,2})"),
    re.compile(r"(?P<name>[A-Za-z]{3,9})[. ]+(?P<day>\d{1,2}),? +(?P<year>\d{4})"),
    re.compile(r"(?P<name>[A-Za-z]{3,9})[-. ]+(?P<year>\d{4})"),
)
_SHORT_YEAR = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2}")
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july", "aug august",
         "sep sept september", "oct october", "nov november", "dec december"),
        start=1,
    )
    for name in names.split()
}  # fmt: skip


def _cells(cells: pd.Series, form: str | None) -> pd.Series:
    """Read texts, dates and timestamps one by one; the order of day and month follows the column as a whole."""
    either: dict[int, tuple[int, int, int]] = {}
    days: list[Any] = []
    for k, cell in enumerate(cells):
        found = _one(cell, form, k)
        if isinstance(found, tuple):
            either[k] = found
            found = None
        days.append(found)
    for k, day in _ordered(either, cells).items():
        days[k] = day
    bad = [k for k, day in enumerate(days) if day is None]
    if bad:
        example = str(cells.iloc[bad[0]])
        hint = ": two digits are no year" if _SHORT_YEAR.fullmatch(example.strip()) else ""
        raise UnreadableDatesError(f"not a date ({cells.iloc[bad[0]]!r}){hint}{_WRITE}", np.array(bad))
    return pd.Series(pd.to_datetime(days, errors="coerce"), index=cells.index)


def _one(cell: object, form: str | None, k: int) -> datetime.date | tuple[int, int, int] | None:
    """Return a cell's day, its year with day and month in unknown order, or None if it is no date."""
    if isinstance(cell, (bool, np.bool_)):
        return None
    if isinstance(cell, pd.Period):
        return cell.to_timestamp(how="end").date()
    if isinstance(cell, (datetime.date, np.datetime64)):
        return _of_stamp(pd.Timestamp(cell), k)
    if isinstance(cell, (int, float, np.number)):
        cell = f"{cell:.0f}" if math.isfinite(cell) and float(cell) % 1 == 0 else str(cell)
    text = str(cell).strip()
    if match := _COMPACT.fullmatch(text):
        digits = match[1]
        if form not in (None, "yyyymm" if len(digits) == 6 else "yyyymmdd"):
            return None
        return _day(int(digits[:4]), int(digits[4:6]), int(digits[6:]) if len(digits) == 8 else None)
    if form is not None:
        return None
    if match := _YEAR_FIRST.fullmatch(text) or _JAPANESE.fullmatch(text):
        _refuse_time(match, text, k)
        return _day(int(match["year"]), int(match["month"]), int(match["day"]))
    if match := _YEAR_LAST.fullmatch(text):
        _refuse_time(match, text, k)
        return int(match["one"]), int(match["two"]), int(match["year"])
    if match := _MONTH_ONLY.fullmatch(text):
        return _day(int(match["year"]), int(match["month"]), None)
    for pattern in _NAMED:
        match = pattern.fullmatch(text)
        if match and (month := _MONTHS.get(match["name"].lower())):
            return _day(int(match["year"]), month, int(match["day"]) if "day" in match.groupdict() else None)
    return None


def _of_stamp(stamp: pd.Timestamp, k: int) -> datetime.date:
    local = stamp.tz_localize(None) if stamp.tzinfo else stamp
    elsewhere = stamp.tzinfo is not None and not _is_utc(stamp.tzinfo)
    if not elsewhere and local != local.normalize() and local.time() < _ENDS_A_DAY:
        raise _doubtful_time(str(stamp), stamp.tzinfo is not None, np.array([k]))
    return local.date()


def _refuse_time(match: re.Match[str], text: str, k: int) -> None:
    """Refuse a time without a zone, or in UTC, that neither begins nor ends a day."""
    time, zone = match["time"], match["zone"]
    if time is None or (zone is not None and zone not in ("Z", "UTC", "GMT") and int(re.sub(r"\D", "", zone)) != 0):
        return
    hour, minute, *seconds = (float(part) for part in time.split(":"))
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].lower() == "pm" else 0)
    midnight = not any((hour, minute, *seconds))
    if not midnight and (hour, minute) != (23, 59):
        raise _doubtful_time(text, zone is not None, np.array([k]))


def _day(year: int, month: int, day: int | None) -> datetime.date | None:
    try:
        if day is None:
            return MONTHLY.end(pd.Timestamp(year, month, 1)).date()
        return datetime.date(year, month, day)
    except ValueError:
        return None


def _ordered(either: dict[int, tuple[int, int, int]], cells: pd.Series) -> dict[int, datetime.date | None]:
    """Return the days of cells whose day-month order is unknown, in the order that makes all of them dates."""
    if not either:
        return {}
    day_first = {k: _day(year, two, one) for k, (one, two, year) in either.items()}
    month_first = {k: _day(year, one, two) for k, (one, two, year) in either.items()}
    fits = [None not in way.values() for way in (day_first, month_first)]
    if all(fits):
        for k in either:
            if day_first[k] != month_first[k]:
                raise UnreadableDatesError(
                    f"{cells.iloc[k]} may be {day_first[k]} or {month_first[k]}, and no row tells which{_WRITE}",
                    np.array(list(either)),
                )
    if fits == [False, False]:
        one_way = [k for k in either if day_first[k] is None and month_first[k] is not None]
        if one_way and any(month_first[k] is None and day_first[k] is not None for k in either):
            raise UnreadableDatesError(
                f"{cells.iloc[one_way[0]]} has the month first, other rows have the day first{_WRITE}",
                np.array(one_way),
            )
    return day_first if fits[0] else month_first
