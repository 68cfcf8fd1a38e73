"""Monthly numbers put on a year."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..data.calendar import MONTHLY


def annualised_ratio(monthly: pd.Series) -> float:
    """Mean over standard deviation times the root of 12; NaN with fewer than two months, or without variation."""
    deviation = monthly.std()
    if monthly.count() < 2 or not deviation > 1e-12:
        return float("nan")
    return float(monthly.mean() / deviation * np.sqrt(MONTHLY.periods_a_year))


def rolling_ratio(monthly: pd.Series, months: int = MONTHLY.periods_a_year) -> pd.Series:
    """:func:`annualised_ratio` of the months up to each; NaN for those that have too few before them."""
    window = monthly.rolling(months)
    deviation = window.std()
    return window.mean() / deviation.where(deviation > 1e-12) * np.sqrt(MONTHLY.periods_a_year)
