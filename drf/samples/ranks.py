"""Cross-sectional ranks: a stock's place among the others of the same month."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def cross_sectional_ranks(panel: pd.DataFrame, descriptors: Sequence[str]) -> pd.DataFrame:
    """Rank every descriptor within its month and scale the ranks to [-1, 1].

    The smallest of the ``n`` known values of a month becomes -1, the largest +1, ties share their mean rank; a single
    known value becomes 0. Only rows of the same ``date`` enter, so no rank depends on another month.

    Args:
        panel: Rows with a ``date`` column and the descriptors, in any units.
        descriptors: Columns to rank.

    Returns:
        DataFrame of float32, same index as ``panel``, one column a descriptor; missing stays missing.
    """
    grouped = panel.groupby("date", sort=False)[list(descriptors)]
    position = grouped.rank(method="average") - 1.0
    last = grouped.transform("count") - 1.0
    scaled = 2.0 * position / last.where(last > 0) - 1.0
    return scaled.mask(position.notna() & (last == 0), 0.0).astype(np.float32)
