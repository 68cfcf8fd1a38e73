"""History: changes of a panel since a version was trained on it, and whether it is still the same market.

Vendors restate: a value is corrected, a stock renamed, a listing filled in. Earlier forecasts are kept as evidence of
what the version forecast before the restatement. Changes are counted by month and reported. A month counts unless it is
plainly of another market: most of its stocks, or most of its returns, differ from those at the training.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..data.calendar import named
from ..data.panel import RETURN
from ..errors import first_few

# Values count as the same if they differ only by single-precision rounding, or by little relative to the month's
# spread.
_RELATIVE, _OF_SPREAD = 1e-5, 1e-3

SAME_MARKET = 0.5
"""Smallest share of a month's stocks that must remain, and of returns that must be unchanged, for the month to
count."""


@dataclass(frozen=True)
class Restatement:
    """Changes of a market's history since a training.

    Attributes:
        months: One row for each month of the old panel: ``stocks`` then, ``dropped``, ``added``, ``renamed``, ``cells``
            compared, ``changed_cells``, ``returns`` compared, ``changed_returns``, ``stands`` (whether it is still
            the same market).
        columns: Column -> changed cells.
        renamed: Stocks that now have another name: old name -> new name.
    """

    months: pd.DataFrame
    columns: Mapping[str, int]
    renamed: Mapping[str, str]

    @property
    def standing(self) -> pd.DatetimeIndex:
        """The months that are still of the same market."""
        return pd.DatetimeIndex(self.months.index[self.months["stands"]])

    def in_words(self) -> str:
        """Return what has changed, where, and what to do; empty if nothing has."""
        table = self.months
        parts = [
            *self._cells(),
            *self._count("changed_returns", "return(s) of other values"),
            *([f"{len(self.renamed)} stock(s) renamed ({_arrows(self.renamed)})"] if self.renamed else []),
            *self._count("dropped", "row(s) of stocks gone"),
            *self._count("added", "row(s) of stocks new"),
        ]
        if not parts:
            return ""
        gone = table.index[~table["stands"]]
        what = f"since it was trained the history has changed: {'; '.join(parts)}"
        if len(gone) == 0:
            return f"{what}; all {len(table)} months stand"
        return (
            f"{what}; {len(gone)} of {len(table)} months ({_span(gone)}) are gone or of another market and do not "
            "count: give the data that it was trained on (data=...), or train it again on these"
        )

    def _cells(self) -> list[str]:
        if not self.columns:
            return []
        where = self.months.index[self.months["changed_cells"] > 0]
        return [f"{sum(self.columns.values()):,} value(s) of {first_few(self.columns)} in {_span(where)}"]

    def _count(self, column: str, what: str) -> list[str]:
        where = self.months.index[self.months[column] > 0]
        return [f"{self.months[column].sum():,} {what} in {_span(where)}"] if len(where) else []


def _span(months: pd.Index) -> str:
    names = [named(month) for month in months]
    return first_few(names) if len(names) <= 3 else f"{len(names)} months from {names[0]} to {names[-1]}"


def _arrows(renamed: Mapping[str, str]) -> str:
    return first_few([f"{old} to {new}" for old, new in renamed.items()])


def compare(then: pd.DataFrame, now: pd.DataFrame) -> Restatement:
    """Compare a panel as it was with the panel as it is now, over the months of the old one.

    Args:
        then: ``date``, ``asset``, the columns to compare, ``ret_next``; see :attr:`.evidence.Evidence.history`.
        now: A panel in contract form. A column that it lacks counts as changed in every cell.
    """
    columns = [str(name) for name in then if name not in ("date", "asset")]
    now = now[now["date"].isin(then["date"].unique())].reindex(columns=["date", "asset", *columns])
    renamed = renamings(then, now, columns)
    then = then.assign(asset=then["asset"].replace(renamed))
    both = then.merge(now, on=["date", "asset"], how="outer", suffixes=("_then", "_now"), indicator="side")
    months = both["date"]
    there = both["side"] == "both"
    changed = {name: there & ~_same(both[f"{name}_then"], both[f"{name}_now"], months) for name in columns}
    known = there & both[f"{RETURN}_then"].notna()
    cells = pd.DataFrame({name: changed[name] for name in columns if name != RETURN})
    count = pd.DataFrame(
        {
            "stocks": both["side"] != "right_only",
            "dropped": both["side"] == "left_only",
            "added": both["side"] == "right_only",
            "renamed": there & both["asset"].isin(set(renamed.values())),
            "cells": there.astype(int) * cells.shape[1],
            "changed_cells": cells.sum(axis=1),
            "returns": known,
            "changed_returns": known & changed[RETURN],
        }
    )
    table = count.astype(int).groupby(months).sum()
    kept = table["stocks"] - table["dropped"] >= SAME_MARKET * table["stocks"]
    agree = table["returns"] - table["changed_returns"] >= SAME_MARKET * table["returns"]
    totals = {str(name): int(total) for name, total in cells.sum().items() if total}
    return Restatement(table.assign(stands=kept & agree), totals, renamed)


def share_kept(then: pd.DataFrame, now: pd.DataFrame, months: pd.Series, restated: Restatement) -> float:
    """Return the share of the absolute returns of given months that a panel still has; NaN if there were none.

    A return counts up to the 95th percentile of its month's sizes, so that one wild value decides nothing. It is lost
    if its row is gone or its value empty, or if its month is no longer of the same market; a corrected value is kept.

    Args:
        then, now: See :func:`compare`; ``now`` with all stocks, whatever universe is evaluated.
        restated: Their comparison.
    """
    known = then.loc[then["date"].isin(months) & then[RETURN].notna(), ["date", "asset", RETURN]]
    sizes = known[RETURN].abs()
    sizes = sizes.clip(upper=sizes.groupby(known["date"]).transform("quantile", 0.95))
    there = now.loc[now[RETURN].notna() & now["date"].isin(restated.standing), ["date", "asset"]]
    names = known["asset"].replace(dict(restated.renamed))
    held = pd.MultiIndex.from_arrays([known["date"], names]).isin(pd.MultiIndex.from_frame(there))
    return float(sizes[held].sum() / sizes.sum()) if sizes.sum() > 0 else float("nan")


def _same(then: pd.Series, now: pd.Series, months: pd.Series) -> pd.Series:
    quartiles = then.groupby(months).quantile(np.array([0.25, 0.75])).unstack()
    spread = months.map(quartiles[0.75] - quartiles[0.25])
    tolerance = _RELATIVE * then.abs() + _OF_SPREAD * spread.fillna(0.0)
    return ((then - now).abs() <= tolerance) | (then.isna() & now.isna())


def renamings(then: pd.DataFrame, now: pd.DataFrame, columns: list[str]) -> dict[str, str]:
    """Return, for each vanished stock, the new stock that has the same values in the former's last month."""
    gone = then[~then["asset"].isin(set(now["asset"]))]
    new = now[~now["asset"].isin(set(then["asset"]))]
    found: dict[str, str] = {}
    last = gone.groupby("asset")["date"].max()
    for month, names in last.groupby(last).groups.items():
        old = gone[(gone["date"] == month) & gone["asset"].isin(names)]
        candidates = new[(new["date"] == month) & ~new["asset"].isin(found.values())]
        found |= _pairs(old, candidates, columns)
    return found


def _pairs(old: pd.DataFrame, candidates: pd.DataFrame, columns: list[str]) -> dict[str, str]:
    """Pair stocks that share most of their values in one month, unless a stock has several matches."""
    equal = np.zeros((len(old), len(candidates)), dtype=int)
    for name in columns:
        a, b = old[name].to_numpy()[:, None], candidates[name].to_numpy()[None]
        with np.errstate(invalid="ignore"):
            equal += np.abs(a - b) <= _RELATIVE * np.abs(a) + 1e-12
    same = equal > len(columns) / 2  # some values may have been restated since
    alone = same & (same.sum(axis=1, keepdims=True) == 1) & (same.sum(axis=0, keepdims=True) == 1)
    rows, places = np.nonzero(alone)
    return dict(zip(old["asset"].to_numpy()[rows], candidates["asset"].to_numpy()[places], strict=True))
