"""Cross-sectional ranks: a stock's place among the others of the same date."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def ranks_of_date(values: pd.DataFrame) -> pd.DataFrame:
    """Return the ranks of one date's values in each column, scaled to [-1, 1], as float32.

    The smallest of the ``n`` known values becomes -1, the largest +1, ties share their mean rank; a single known value
    becomes 0. Missing stays missing.
    """
    position = values.rank(method="average").to_numpy() - 1.0
    last = (~np.isnan(position)).sum(axis=0) - 1.0
    scaled = 2.0 * position / np.where(last > 0, last, np.inf) - (last > 0)
    return pd.DataFrame(scaled.astype(np.float32), values.index, values.columns)


def cross_sectional_ranks(panel: pd.DataFrame, descriptors: Sequence[str], ranks: np.ndarray) -> np.ndarray:
    """Fill ``ranks`` with the ranks of the descriptors, see :func:`ranks_of_date`; unknown values get the neutral 0.

    Only rows of the same ``date`` enter, so no rank depends on another date.

    Args:
        panel: Rows with a ``date`` column and the descriptors, in any units.
        descriptors: Columns to rank.
        ranks: Array of float32 to be filled, shape (rows, descriptors).

    Returns:
        Number of unknown values in each row, shape (rows,).
    """
    unknown = np.zeros(len(panel), dtype=np.int32)
    for rows in panel.groupby("date", sort=False).indices.values():
        chosen = np.asarray(rows)
        own = ranks_of_date(panel.take(chosen)[list(descriptors)]).to_numpy()
        unknown[chosen] = np.isnan(own).sum(axis=1)
        ranks[chosen] = np.nan_to_num(own)
    return unknown
