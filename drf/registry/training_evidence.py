"""Training evidence stored with a version: out-of-sample forecasts, and the panel they were made on.

The evidence is stored among the version's own files, so the manifest binds it to the weights, and it outlives the
training's runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.files import write_parquet
from ..data.panel import KEYS, RETURN
from ..tracking.searches import MARKET

FOLDER, TAGS_FILE = "evidence", "tags.json"

LONG = ("config", MARKET)
"""Tags that are too long to read in MLflow's table and are kept only in the file."""

_TABLES = ("predictions", "newest", "history")

# Older months keep this many of the 52 mantissa bits: the relative error is below 1e-5, at half the size.
_KEPT_BITS = 16


@dataclass(frozen=True)
class Evidence:
    """Evidence of a training.

    Attributes:
        predictions: Walk-forward forecasts of the test months, each by a model that had not seen the month: ``date``,
            ``asset``, ``y_true`` as it was then, ``y_pred``, and ``benchmark``. The benchmark is the forecast of the
            row ``linear``, empty if the training had no such row.
        newest: The version's own forecasts of the training's newest month: ``date``, ``asset``, ``prediction``.
        history: The training's panel: ``date``, ``asset``, the columns that the version uses, and ``ret_next``. The
            months that the newest forecasts need are exact, the others rounded to a relative error below 1e-5.
        tags: Tags of the version at its registration.
    """

    predictions: pd.DataFrame
    newest: pd.DataFrame
    history: pd.DataFrame
    tags: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write a Parquet file for each table, and the tags as JSON, into a new folder."""
        folder.mkdir()
        (folder / TAGS_FILE).write_text(json.dumps(dict(self.tags), indent=1), encoding="utf-8")
        for name in _TABLES:
            write_parquet(getattr(self, name), folder / f"{name}.parquet")

    @classmethod
    def read(cls, folder: Path) -> Evidence:
        """Read what :meth:`write` wrote."""
        tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _TABLES}
        tags = json.loads((folder / TAGS_FILE).read_text(encoding="utf-8"))
        return cls(**{name: table.astype({"date": "datetime64[ns]"}) for name, table in tables.items()}, tags=tags)


def remember(panel: pd.DataFrame, columns: Sequence[str], exact_from: pd.Timestamp) -> pd.DataFrame:
    """Return the history of a panel for :class:`Evidence`; months from ``exact_from`` on stay exact."""
    history = panel[[*KEYS, *columns, RETURN]].reset_index(drop=True)
    old = (history["date"] < exact_from).to_numpy()
    for name in (*columns, RETURN):
        values = history[name].to_numpy(dtype=float, copy=True)
        values[old] = _rounded(values[old])
        history[name] = values
    return history


def _rounded(values: np.ndarray) -> np.ndarray:
    dropped = 52 - _KEPT_BITS
    bits = np.ascontiguousarray(values).view(np.uint64) + np.uint64(1 << (dropped - 1))
    rounded = (bits >> np.uint64(dropped) << np.uint64(dropped)).view(np.float64)
    return np.where(np.isfinite(values), rounded, values)
