"""Annualisation of periodic numbers."""

import numpy as np
import pandas as pd

from ..data.calendar import in_force


def annualised_ratio(monthly: pd.Series) -> float:
    """Return mean over standard deviation, annualised; NaN with fewer than two periods, or without variation."""
    deviation = monthly.std()
    if monthly.count() < 2 or not deviation > 1e-12:
        return float("nan")
    return float(monthly.mean() / deviation * np.sqrt(in_force().periods_a_year))


def rolling_ratio(monthly: pd.Series) -> pd.Series:
    """Return a rolling :func:`annualised_ratio` over the year up to each date; NaN where there are too few periods."""
    window = monthly.rolling(in_force().periods_a_year)
    deviation = window.std()
    return window.mean() / deviation.where(deviation > 1e-12) * np.sqrt(in_force().periods_a_year)
