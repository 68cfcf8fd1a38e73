"""Names: the one reader of stock names for all tables and commands."""

import datetime
import math
import re

import numpy as np
import pandas as pd

_ONCE_A_FLOAT = re.compile(r"-?\d+\.0")


def read_names(column: pd.Series) -> pd.Series:
    """Return names as text, dtype object; None where a cell is empty, or holds a date, true or false.

    Codes are text with their own digits: a whole number held as a float loses its point (``10700.0`` is 10700). Leading
    noughts in the table are kept, surrounding blanks are not.
    """
    codes, different = pd.factorize(column.astype(object), use_na_sentinel=True)
    names = [_name(cell) for cell in different]
    return pd.Series([names[code] if code >= 0 else None for code in codes], index=column.index, dtype=object)


def _name(cell: object) -> str | None:
    if isinstance(cell, (bool, np.bool_, datetime.date, np.datetime64)):
        return None  # what a spreadsheet made of MAR1 or TRUE
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", errors="replace")
    text = f"{cell:.0f}" if isinstance(cell, float) and math.isfinite(cell) and cell % 1 == 0 else str(cell).strip()
    return (text.removesuffix(".0") if _ONCE_A_FLOAT.fullmatch(text) else text) or None
