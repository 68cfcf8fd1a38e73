"""Transforms: how the values of a date become inputs of a model.

A descriptor's values become ranks among the stocks of the date, scores, or stay as they are. A state is the same for
all stocks of a date and always stays as it is; its name begins with ``STATE_``. A product, such as ``PER*STATE_TBL``,
multiplies a transformed descriptor by a state.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

STATE, TIMES = "STATE_", "*"

Transform = Literal["rank", "zscore", "none"]
TRANSFORMS = get_args(Transform)


def columns_of(inputs: Sequence[str]) -> list[str]:
    """Return the panel columns among the names of inputs: all but the products, whose parts are inputs themselves."""
    return [name for name in inputs if TIMES not in name]


def ranks_of_date(values: pd.DataFrame) -> pd.DataFrame:
    """Return the ranks of one date's values in each column, scaled to [-1, 1], as float32.

    The smallest of the ``n`` known values becomes -1, the largest +1, ties share their mean rank; a single known value
    becomes 0. Missing stays missing.
    """
    position = values.rank(method="average").to_numpy() - 1.0
    last = (~np.isnan(position)).sum(axis=0) - 1.0
    scaled = 2.0 * position / np.where(last > 0, last, np.inf) - (last > 0)
    return pd.DataFrame(scaled.astype(np.float32), values.index, values.columns)


def scores_of_date(values: pd.DataFrame) -> pd.DataFrame:
    """Return one date's values less their mean and divided by their standard deviation, as float32.

    Values that are the same for all stocks become 0. Missing stays missing.
    """
    values = values.astype(np.float64)
    centred = values - values.mean()
    deviation = np.sqrt((centred**2).mean())
    return (centred / deviation.where(deviation > 1e-12 * values.abs().max(), np.inf)).astype(np.float32)


def values_of_date(values: pd.DataFrame) -> pd.DataFrame:
    """Return one date's values as they are, as float32."""
    return values.astype(np.float32)


_OF_DATE = {"rank": ranks_of_date, "zscore": scores_of_date, "none": values_of_date}


def fill_inputs(
    panel: pd.DataFrame, inputs: Sequence[str], transforms: Mapping[str, Transform], table: np.ndarray
) -> np.ndarray:
    """Fill ``table`` with the inputs of every row; unknown values become the neutral 0.

    A row's inputs are made from rows of its own ``date`` alone.

    Args:
        panel: Rows with a ``date`` column and the columns of ``inputs``, in any units.
        inputs: Names of descriptors, states and products.
        transforms: Descriptor -> its transform; ``rank`` for those that are not named.
        table: Array of float32 to be filled, shape (rows, inputs).

    Returns:
        Number of unknown values in each row, shape (rows,).
    """
    columns = columns_of(inputs)
    place = {name: inputs.index(name) for name in columns}
    alike: dict[str, list[str]] = {}
    for name in columns:
        alike.setdefault("none" if name.startswith(STATE) else transforms.get(name, "rank"), []).append(name)
    unknown = np.zeros(len(panel), dtype=np.int32)
    for rows in panel.groupby("date", sort=False).indices.values():
        chosen = np.asarray(rows)
        values = panel.take(chosen)
        for transform, names in alike.items():
            own = _OF_DATE[transform](values[names]).to_numpy()
            unknown[chosen] += np.isnan(own).sum(axis=1)
            table[chosen[:, None], [place[name] for name in names]] = np.nan_to_num(own)
        for position, name in enumerate(inputs):
            if TIMES in name:
                descriptor, state = name.split(TIMES)
                table[chosen, position] = table[chosen, place[descriptor]] * table[chosen, place[state]]
    return unknown
