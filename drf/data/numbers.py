"""Numbers: the one reader of number columns for all tables and commands but daily prices."""

import numpy as np
import pandas as pd


def read_numbers(column: pd.Series) -> pd.Series:
    """Return the numbers of a column as floats; NaN for texts without a number, dates, true and false."""
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_bool_dtype(column):
        return pd.Series(float("nan"), index=column.index)
    if column.dtype == object:
        column = column.mask(column.map(lambda value: isinstance(value, (bool, np.bool_))))
    return pd.to_numeric(column, errors="coerce").astype(np.float64)
