"""Names of stocks from whatever a column holds: the one reader of all tables and commands."""

from __future__ import annotations

import re

import pandas as pd

_ONCE_A_FLOAT = re.compile(r"-?\d+\.0")


def read_names(column: pd.Series) -> pd.Series:
    """Names as text, dtype object; None where a cell is empty.

    Codes are text with the digits that they have: a whole number that a table holds as a float loses its point
    (``10700.0`` is 10700), noughts in front are kept where the table has them, blanks around are not.
    """
    codes, different = pd.factorize(column.astype(object), use_na_sentinel=True)
    names = [_name(cell) for cell in different]
    return pd.Series([names[code] if code >= 0 else None for code in codes], index=column.index, dtype=object)


def _name(cell: object) -> str | None:
    text = f"{cell:.0f}" if isinstance(cell, float) and cell % 1 == 0 else str(cell).strip()
    return (text.removesuffix(".0") if _ONCE_A_FLOAT.fullmatch(text) else text) or None
