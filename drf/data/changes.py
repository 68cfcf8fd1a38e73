"""Two states of a panel: which months, stocks and values are new, gone or others."""

from __future__ import annotations

import pandas as pd

from ..errors import first_few
from .panel import KEYS, RETURN


def changes(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """What has changed from one state to the next, in sentences.

    A return that was not known before is no change but news.
    """
    keys = list(KEYS)
    old, new = before.set_index(keys), after.set_index(keys)
    both = old.index.intersection(new.index)
    lines = [
        _months("new", new.index.difference(old.index)),
        _months("gone", old.index.difference(new.index)),
    ]
    for name in [name for name in new if name in old]:
        was, now = old[name].loc[both], new[name].loc[both]
        learnt = was.isna() & now.notna() & (name == RETURN)
        other = (was != now) & ~(was.isna() & now.isna()) & ~learnt
        lines += [
            _months(f"{name} is known now for", both[learnt.to_numpy()]),
            _months(f"{name} has changed for", both[other.to_numpy()]),
        ]
    lines += [f"column {name} is {'new' if name in new else 'gone'}" for name in sorted(map(str, set(old) ^ set(new)))]
    return [line for line in lines if line]


def _months(words: str, rows: pd.Index) -> str:
    """How many rows, in which months, such as; nothing if there are none."""
    if rows.empty:
        return ""
    months = rows.get_level_values("date").unique().sort_values()
    return f"{words} {len(rows):,} row(s) in {len(months)} month(s): {first_few(f'{month:%Y-%m}' for month in months)}"
