"""Dates and numbers from whatever a file holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

_FIRST, _LAST = pd.Timestamp("1700-01-01"), pd.Timestamp("2200-01-01")  # what nanoseconds can hold, with room


def as_dates(column: pd.Series, form: str | None = None) -> pd.Series:
    """The dates of a column, ``datetime64[ns]`` without a time zone; NaT for what is none, or a date of no market.

    Parameters
    ----------
    form
        As :func:`pandas.to_datetime` takes it; without one, dates as ISO 8601 writes them, and numbers are no dates.
    """
    if form is None and (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)):
        return pd.Series(pd.NaT, index=column.index, dtype="datetime64[ns]")
    try:
        texts = not pd.api.types.is_datetime64_any_dtype(column)
        dates = pd.to_datetime(column, errors="coerce", format=form or ("mixed" if texts else None))
    except (ValueError, TypeError, OverflowError):  # one value of another kind spoils the whole column
        dates = pd.to_datetime(column.map(lambda value: _one(value, form)))
    if getattr(dates.dt, "tz", None) is not None:
        dates = dates.dt.tz_localize(None)
    inside = (dates > _FIRST) & (dates < _LAST)
    return dates.where(inside).astype("datetime64[ns]")


def _one(value: object, form: str | None) -> Any:
    try:
        date = pd.to_datetime(str(value), format=form)
    except (ValueError, TypeError, OverflowError):
        return pd.NaT
    return date if date.tzinfo is None and _FIRST < date < _LAST else pd.NaT


def as_numbers(column: pd.Series) -> pd.Series:
    """The numbers of a column as floats; NaN for what is none: texts that hold no number, dates, true and false."""
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_bool_dtype(column):
        return pd.Series(float("nan"), index=column.index)
    if column.dtype == object:
        column = column.mask(column.map(lambda value: isinstance(value, (bool, np.bool_))))
    return pd.to_numeric(column, errors="coerce").astype(np.float64)
