"""How often a panel's dates come, and so how its numbers are put on a year."""

from __future__ import annotations

import numpy as np
import pandas as pd

MONTHS_A_YEAR, WEEKS_A_YEAR = 12, 52


def periods_a_year(dates: pd.Index) -> int:
    """52 for weekly dates, 12 for monthly ones, by the median distance of neighbours.

    Longer distances are months of which some are missing, and a single date counts as a month.

    Raises
    ------
    ValueError
        For any other distance.
    """
    if len(dates) < 2:
        return MONTHS_A_YEAR
    days = float(np.median(np.diff(pd.DatetimeIndex(dates).sort_values()) / np.timedelta64(1, "D")))
    if days >= 27:
        return MONTHS_A_YEAR
    if 6 <= days <= 8:
        return WEEKS_A_YEAR
    raise ValueError(f"dates are {days:g} days apart: neither monthly nor weekly, so nothing can be put on a year")
