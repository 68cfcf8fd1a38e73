"""What a portfolio rule needs of a stock beside its forecast: its market value, its sector."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import InputError
from .portfolio import PortfolioRule

KEYS = ["date", "asset"]

# Logarithms of market values are above 0, hardly skewed, and no market holds stocks as far apart in size as exp(30).
_WIDEST_LOG_RANGE, _MOST_SKEWED_LOG = 30.0, 2.0

WHY_NOT = {
    "value": "there is no CAP that looks like the logarithm of a market value",
    "sector": "the panel has no column sector",
}
"""Attribute -> why it may be missing, in words."""


def with_attributes(forecasts: pd.DataFrame, panel: pd.DataFrame) -> pd.DataFrame:
    """Add ``value``, the market value that CAP is the logarithm of, and ``sector``, where the panel has them."""
    wanted = [*KEYS, *(name for name in ("CAP", "sector") if name in panel)]
    joined = forecasts.merge(panel[wanted], on=KEYS, how="left")
    if "CAP" in joined and _is_logarithm(joined["CAP"]):
        joined["value"] = np.exp(joined["CAP"] - joined["CAP"].max())
    return joined


def _is_logarithm(cap: pd.Series) -> bool:
    values = cap.dropna().to_numpy()
    apart = np.ptp(values) if len(values) else np.inf
    return bool(apart < _WIDEST_LOG_RANGE and values.min() > 0 and abs(stats.skew(values)) < _MOST_SKEWED_LOG)


def equipped(forecasts: pd.DataFrame, panel: pd.DataFrame, rule: PortfolioRule) -> pd.DataFrame:
    """The forecasts with the columns that the rule needs, as they are if it needs none.

    Raises
    ------
    InputError
        If the panel cannot give one.
    """
    if not rule.attributes:
        return forecasts
    joined = with_attributes(forecasts, panel)
    for name in rule.attributes:
        if name not in joined:
            setting = "weighting=value" if name == "value" else "sector_neutral=true"
            raise InputError(f"portfolio.{setting}: {WHY_NOT[name]}: choose another rule, or complete the panel")
    return joined[[*forecasts.columns, *rule.attributes]].set_axis(forecasts.index)
