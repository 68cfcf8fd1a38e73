"""Differences between two states of a panel: new, missing and changed months, stocks and values."""

import numpy as np
import pandas as pd

from ..errors import first_few
from .calendar import named
from .panel import KEYS, RETURN

_ROUNDING = 1e-12


def changes(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """Return sentences on the differences between two states of a panel.

    A return that was not known before counts as new, not as changed.
    """
    keys = list(KEYS)
    old, new = pd.MultiIndex.from_frame(before[keys]), pd.MultiIndex.from_frame(after[keys])
    at = old.get_indexer(new)
    same, stayed = at >= 0, np.zeros(len(old), dtype=bool)
    stayed[at[same]] = True
    lines = [_months("new", after["date"][~same]), _months("gone", before["date"][~stayed])]
    dates = after["date"][same]
    for name in [name for name in after if name in before and name not in keys]:
        was, now = before[name].to_numpy()[at[same]], after[name].to_numpy()[same]
        known, known_now = ~pd.isna(was), ~pd.isna(now)
        learnt = ~known & known_now & (name == RETURN)
        other = ~_same(was, now) & (known | known_now) & ~learnt
        lines += [_months(f"{name} is known now for", dates[learnt]), _months(f"{name} has changed for", dates[other])]
    odd = sorted(map(str, set(before) ^ set(after)))
    lines += [f"column {name} is {'new' if name in after else 'gone'}" for name in odd]
    return [line for line in lines if line]


def _same(was: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Tell which values are the same within rounding, as after prices were rescaled."""
    if was.dtype.kind != "f" or now.dtype.kind != "f":
        return np.asarray(was == now)
    return np.isclose(was, now, rtol=_ROUNDING, atol=0.0)


def _months(words: str, dates: pd.Series) -> str:
    """Return the number of rows in each affected month, in words; empty if there are none."""
    if dates.empty:
        return ""
    months = dates.drop_duplicates().sort_values()
    return f"{words} {len(dates):,} row(s) in {len(months)} month(s): {first_few(named(month) for month in months)}"
