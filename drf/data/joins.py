"""Joins of two tables by the names of stocks, with a count of the stocks that have no partner."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from ..errors import InputError, first_few


def same_names(column: pd.Series, known: Iterable[str], what: str, some: bool = True) -> tuple[pd.Series, list[str]]:
    """Match the names of one table to the names of another.

    Codes that differ only by noughts in front are matched, unless that would merge two names of one table.

    Args:
        column: Names of the table that is joined.
        known: Names in the other table.
        what: Name of the joined table in messages.
        some: True if at least one name must be the same in both.

    Returns:
        The names as written in the other table, and sentences on what was treated.

    Raises InputError if a common name is required but missing.
    """
    theirs, ours = set(column.dropna().unique()), set(known)
    padded = _without_noughts(theirs - ours, ours - theirs)
    if some and theirs and not theirs & ours and not padded:
        raise InputError(
            f"{what}: none of its names matches: it has {first_few(sorted(theirs))}, the other table has "
            f"{first_few(sorted(ours))}: write the names in the same way"
        )
    if not padded:
        return column, []
    examples = first_few(f"{old} = {new}" for old, new in sorted(padded.items()))
    return column.replace(padded), [
        f"{len(padded):,} names of {what} are a stock's but for noughts in front ({examples})"
    ]


def without_partner(alone: Iterable[str], every: int, words: str, most: float) -> list[str]:
    """Count the stocks without a partner, with examples, or refuse the join.

    Args:
        every: Number of names that could have had a partner.
        words: Words for the names and what they lack, such as "stocks have no row in data.statements".
        most: Share that may lack a partner.
    """
    names = sorted(alone)
    if not names:
        return []
    notices = f"{len(names):,} of {every:,} {words} ({len(names) / every:.0%}), such as {first_few(names)}"
    if len(names) > most * every:
        raise InputError(f"{notices}: write names alike in both, or raise data.most_unmatched={most:g}")
    return [notices]


def _without_noughts(theirs: set[str], ours: set[str]) -> dict[str, str]:
    """Return a map from names in one table to names in the other that stand for the same number, where the match is
    unique."""
    plain = [_by_number(names) for names in (theirs, ours)]
    return {plain[0][number]: plain[1][number] for number in plain[0].keys() & plain[1].keys()}


def _by_number(names: set[str]) -> dict[str, str]:
    """Return a map from number to name for all-digit names, without names that share a number with another."""
    codes = [name for name in sorted(names) if name.isascii() and name.isdigit() and name.strip("0")]
    times = Counter(name.lstrip("0") for name in codes)
    return {name.lstrip("0"): name for name in codes if times[name.lstrip("0")] == 1}
