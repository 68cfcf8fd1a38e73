"""Columns: translation of a file's own names, signs and units into those of the contract."""

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from ..errors import InputError, first_few, nearest
from .numbers import read_numbers

# A column unchanged, with its sign reversed, inverted, or as a logarithm.
_TERM = re.compile(r"(?P<change>-|1/|log )?(?P<column>\S.*)")

_OTHER_NAMES = {
    "asset": ("ticker", "symbol", "permno", "code", "isin", "gvkey", "id", "stock", "ric"),
    "date": ("eom", "month", "yyyymm", "time", "day", "datadate"),
}
"""Names that other vendors usually give to these columns."""


def term(where: str, text: str) -> tuple[str, str]:
    """Return the change (``-``, ``1/``, ``log`` or none) and the column of a text such as ``log market_cap``.

    Raises InputError for any other text.
    """
    found = _TERM.fullmatch(str(text).strip())
    if found is None:
        raise InputError(f"{where}={text!r}: must be a column, -column, 1/column or log column")
    return (found["change"] or "").strip(), found["column"]


def changed(values: pd.Series, change: str) -> pd.Series:
    """Return numbers with the sign reversed, inverted, or as logarithms; missing where undefined."""
    if change == "-":
        return -values
    if change == "1/":
        return 1 / values.where(values != 0)
    if change == "log":
        return np.log(values.where(values > 0))
    return values


def sources_of(names: Mapping[str, str], ours: Iterable[str]) -> list[str]:
    """Return the file's columns that stand for some of the contract's names."""
    return [term(f"data.columns.{name}", names[name])[1] for name in ours if name in names]


def with_names(frame: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return a table with its columns renamed to the contract's names.

    ``names``: contract's name -> the file's column, with ``-``, ``1/`` or ``log`` before it for a change.
    """
    made = {}
    for name, text in names.items():
        change, column = term(f"data.columns.{name}", text)
        if column in frame:
            made[name] = changed(read_numbers(frame[column]), change) if change else frame[column]
    gone = [column for column in sources_of(names, names) if column in frame and column not in made]
    return frame.drop(columns=gone).assign(**made) if made else frame


def missing_columns(missing: Iterable[str], there: Iterable[object]) -> str:
    """Name the columns that a table lacks, the probable match for each, and the setting that maps them."""
    others = [str(name) for name in there]
    words: list[str] = []
    guesses: dict[str, str] = {}
    for name in missing:
        synonym = next((other for other in others if other.lower() in _OTHER_NAMES.get(name, ())), "")
        guess = synonym or nearest(name, others).removeprefix(" (did you mean ").removesuffix("?)")
        words.append(f"{name} (is it {guess}?)" if guess else name)
        guesses |= {name: guess} if guess else {}
    said = ", ".join(f"{name}: {guess}" for name, guess in guesses.items())
    return first_few(words, 4) + (f" (then set 'data.columns={{{said}}}')" if said else "")
