"""Attributes of stocks that a portfolio rule needs in addition to their forecasts, read from the panel."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

KEYS = ["date", "asset"]

# Logarithms of market values are above 0 and hardly skewed. No market holds stocks whose sizes differ by a factor of
# exp(30).
_WIDEST_LOG_RANGE, _MOST_SKEWED_LOG = 30.0, 2.0


@dataclass(frozen=True)
class Attribute:
    """A column that is made from one column of the panel.

    Attributes
    ----------
    name, source
        Column that is made, and the panel's column that it is made from.
    make
        Function that returns the values, aligned with the source; None where the content does not match the source's
        name.
    absence
        Why the attribute may be missing, in words.
    """

    name: str
    source: str
    make: Callable[[pd.Series], pd.Series | None]
    absence: str


def with_attributes(forecasts: pd.DataFrame, panel: pd.DataFrame, wanted: Iterable[Attribute]) -> pd.DataFrame:
    """Add the attributes that the panel has, a column each; the others are left out.

    Parameters
    ----------
    forecasts
        ``date`` and ``asset``, and any other columns.
    panel
        In contract form.
    """
    there = [attribute for attribute in wanted if attribute.source in panel]
    sources = dict.fromkeys(attribute.source for attribute in there)
    joined = forecasts.merge(panel[[*KEYS, *sources]], on=KEYS, how="left")
    made = {attribute.name: attribute.make(joined[attribute.source]) for attribute in there}
    return joined.assign(**{name: values for name, values in made.items() if values is not None})


def _market_value(cap: pd.Series) -> pd.Series | None:
    values = cap.dropna().to_numpy()
    apart = np.ptp(values) if len(values) else np.inf
    is_logarithm = apart < _WIDEST_LOG_RANGE and values.min() > 0 and abs(stats.skew(values)) < _MOST_SKEWED_LOG
    return np.exp(cap - cap.max()) if is_logarithm else None


MARKET_VALUE = Attribute(
    "value", "CAP", _market_value, "there is no CAP that looks like the logarithm of a market value"
)
"""Market value, of which CAP is the logarithm, as a multiple of the largest."""

SECTOR = Attribute("sector", "sector", lambda names: names, "the panel has no column sector")
