"""Lookup tables of a report: newest forecast and history of every stock and factor, as small integers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..data.calendar import named

UNIT = 1e-6
"""Unit of forecasts, contributions, returns and weights: for a return, a hundredth of a basis point."""

MOST_VALUES = 250_000
"""Largest number of values in the history; beyond it older months are left out, so that the page stays small."""


MOST_CELLS = 450_000
"""Largest number of cells of the newest forecasts; beyond it they are shown by descriptor, without lags."""


def stocks_asked(
    holdings: pd.DataFrame,
    cells: pd.DataFrame,
    levels: Mapping[str, Sequence[str]],
    history: pd.DataFrame,
    factors: Sequence[str],
    month: pd.Timestamp,
    changed: str = "change since the month before",
) -> dict[str, Any]:
    """Return everything that a reader can look up about a stock, ready for JSON.

    Args:
        holdings: ``asset``, ``forecast``, ``weight``, ``change``, of the newest month; decimals.
        cells: Parts that make up the forecasts, one column each, aligned with ``holdings``; any remainder of the
            forecast is shown as the rest.
        levels: Level (such as ``factor``) -> the group, at that level, of each column of ``cells``.
        history: ``date``, ``asset``, ``forecast``, ``earned`` and one column per factor.
        factors: Contribution columns.
        month: The newest.
        changed: Description of a weight's change.

    Returns:
        Data of the newest month: ``names``, ``forecast``, ``weight``, ``change``, ``cells`` (one list per stock) and
        ``groups`` (for each level, the names of its groups and the group of each cell). Also ``months`` and ``history``
        (for each column, one list per month in the order of the names, null where nothing is known).
    """
    rest = holdings["forecast"].to_numpy() - cells.sum(axis=1).to_numpy()
    names = holdings["asset"].tolist()
    columns = ["forecast", "earned", *factors]
    months = sorted(history["date"].unique())
    kept = months[-max(1, MOST_VALUES // max(1, len(names) * len(columns))) :]
    known = history[history["date"].isin(kept) & history["asset"].isin(names)]
    wide = {name: known.pivot(index="date", columns="asset", values=name).reindex(columns=names) for name in columns}
    return {
        "month": named(month),
        "unit": UNIT,
        "names": [str(name) for name in names],
        "forecast": _whole(holdings["forecast"]),
        "weight": _whole(holdings["weight"]),
        "change": _whole(holdings["change"]),
        "changed": changed,
        "rest": _whole(rest),
        "cells": [_whole(line) for line in cells.to_numpy()],
        "groups": {level: _groups(of_column) for level, of_column in levels.items()},
        "months": [named(pd.Timestamp(date)) for date in kept],
        "months_left_out": len(months) - len(kept),
        "factors": list(factors),
        "history": {name: [_whole(line) for line in table.to_numpy()] for name, table in wide.items()},
    }


def factors_asked(promised: pd.DataFrame, earned: pd.DataFrame) -> dict[str, Any]:
    """Return forecasts and earnings of each factor; see :class:`drf.comparison.headline.Portrait`."""
    names = [str(name) for name in promised]
    return {
        "names": names,
        "months": [named(date) for date in promised.index],
        "promised": {name: _digits(promised[name]) for name in names},
        "earned": {name: _digits(earned[name].reindex(promised.index)) for name in names},
    }


def _digits(values: pd.Series) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]


def _groups(of_column: Sequence[str]) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(of_column))
    return {"names": names, "of": [names.index(group) for group in of_column]}


def _whole(values: Any) -> list[int | None]:
    numbers = np.asarray(values, dtype=float) / UNIT
    return [round(number) if np.isfinite(number) else None for number in numbers]
