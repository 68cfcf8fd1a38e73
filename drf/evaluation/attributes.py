"""Attributes of stocks that a portfolio rule needs in addition to their forecasts, read from the panel."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

KEYS = ["date", "asset"]

VALUE = "value"
"""Column of market values."""

Cap = Literal["log", "level", "rank"]
"""Unit of CAP: the logarithm of market value in any currency, market value itself, or a rank of it."""

_WIDEST_LOG_RANGE = 30.0  # no market holds stocks whose sizes differ by a factor of exp(30)


@dataclass(frozen=True)
class Attribute:
    """A column that is made from one column of the panel.

    Attributes:
        name, source: Column that is made, and the panel's column that it is made from.
        make: Function that returns the values, aligned with the source; None where the content does not match the
            source's name.
        absence: Why the attribute may be missing, in words.
    """

    name: str
    source: str
    make: Callable[[pd.Series], pd.Series | None]
    absence: str


def with_attributes(forecasts: pd.DataFrame, panel: pd.DataFrame, wanted: Iterable[Attribute]) -> pd.DataFrame:
    """Add the attributes that the panel has, a column each; the others are left out.

    Args:
        forecasts: ``date`` and ``asset``, and any other columns.
        panel: In contract form.
    """
    there = [attribute for attribute in wanted if attribute.source in panel]
    sources = dict.fromkeys(attribute.source for attribute in there)
    joined = forecasts.merge(panel[[*KEYS, *sources]], on=KEYS, how="left")
    made = {attribute.name: attribute.make(joined[attribute.source]) for attribute in there}
    return joined.assign(**{name: values for name, values in made.items() if values is not None})


def _values_of_logarithms(cap: pd.Series) -> pd.Series | None:
    return np.exp(cap - cap.max()) if cap.max() - cap.min() < _WIDEST_LOG_RANGE else None


def _values_of_levels(cap: pd.Series) -> pd.Series | None:
    return cap / cap.max() if not (cap <= 0).any() else None


_MARKET_VALUES = {
    "log": (_values_of_logarithms, "CAP spans more than any logarithms of market values: is it data.cap=level?"),
    "level": (_values_of_levels, "CAP is not above 0 everywhere, so it is no market value (data.cap=level)"),
    "rank": (lambda cap: None, "CAP is a rank, which gives no market values (data.cap=rank)"),
    None: (lambda cap: None, "the unit of CAP is not stated: set data.cap to log, level or rank"),
}


def market_value(cap: Cap | None) -> Attribute:
    """Return the attribute for market values, as multiples of the largest; CAP is their logarithm, level or only a
    rank."""
    make, absence = _MARKET_VALUES[cap]
    return Attribute(VALUE, "CAP", make, absence)


SECTOR = Attribute("sector", "sector", lambda names: names, "the panel has no column sector")
