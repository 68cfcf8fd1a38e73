"""Relations of a panel's columns with later returns: by lag, by group of stocks, and by what is missing.

Each relation is a rank correlation (IC) within a month and a group of stocks. A column that contains much of a later
return has a larger IC than any real descriptor: on two real markets no mean IC over all stocks exceeds 0.06. The leak
may show only in small stocks, in stocks that enter or leave, months after the value's date, in a few months, or in
which values are missing. Groups with fewer than ten stocks a month are not judged.
"""

from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from .calendar import in_force, named
from .order import Grid, in_order
from .panel import RETURN, SECTOR

MOST_IC, MOST_SUDDEN, MOST_IN_A_MONTH = 0.2, 0.1, 0.99
"""Largest credible sizes of a mean IC, of its sudden part, and of the IC of one month.

The sudden part is gone when the value is a period older. It is judged over all stocks only, because the reversals of
small stocks may exceed its limit. A month is judged if it has at least 30 stocks.
"""

_FEWEST_PAIRS, _FEWEST_MONTHS, _PAIRS_IN_A_MONTH = 10, 24, 30
_MOST_ROWS = 100_000  # of a larger panel, stocks drawn at random are looked at
_FLIPS, _LEVEL = 499, 0.05
_FEW_VALUES = 10  # a column with no more values than these is a mark, such as that of an announced delisting
_MISSING = "missing "
_ALL, _ENDS = "all stocks", ("other stocks", "entering stocks", "leaving stocks")


def relations_of(panel: pd.DataFrame, columns: Sequence[str], lags: Sequence[int]) -> pd.DataFrame:
    """Relate each column at each lag, and whether it is missing, to the next return, in groups of stocks.

    Groups are all stocks, fifths by ``CAP``, sectors, and stocks in their first or last year, as far as the panel has
    them. In the latter, missing values and marks are not related: what is missing in a new stock, or marked in one that
    is delisted, is known in advance. Lower bounds hold for all relations together with a probability of 95 %: their
    width in standard errors is the 95th percentile of the largest t-statistic when each month's deviations from the
    means change sign at random.

    Args:
        panel: In contract form, with ``ret_next``.
        lags: Periods from a value's date to the date at which the return begins.

    Returns:
        One row a relation: ``column``, ``lag``, ``group``, ``months``; ``ic`` and the lower bound of its size ``low``;
        ``sudden``, the part that is gone when the value is a period older, and ``sudden_low``; ``largest``, the size of
        the largest month's IC, and ``month``. NaN where months or stocks are too few.
    """
    panel = in_order(_some_stocks(panel))
    grid = Grid.of(panel)
    labels: list[tuple[str, int, str]] = []
    ics, older, pairs = [], [], []
    for groups, members in _groupings(panel, grid):
        cells = grid.date * len(members) + groups
        values = _ranks(panel, columns, cells)
        if members == list(_ENDS):
            values = values[[name for name in columns if panel[name].nunique() > _FEW_VALUES]]
        returns = _ranked(panel[[RETURN]], cells).to_numpy()
        size = len(grid.dates), len(members)
        at = {
            k: _ic(values.to_numpy(), returns, grid.rows_before(k), cells, size)
            for k in {*lags, *(k + 1 for k in lags)}
        }
        for lag in lags:
            labels += [(column, lag, member) for member, column in product(members, map(str, values))]
            ics.append(at[lag][0])
            pairs.append(at[lag][1])
            older.append(at[lag + 1][0])
    table = pd.DataFrame(labels, columns=["column", "lag", "group"])
    return _measured(table, np.hstack(ics), np.hstack(older), np.hstack(pairs), grid.dates)


def doubts(relations: pd.DataFrame) -> list[str]:
    """Return a sentence on each doubtful column, about its strongest relation; the worst column first."""
    beyond = relations.assign(excess=excess(relations)).query("excess > 0").sort_values("excess", ascending=False)
    worst = beyond.assign(about=beyond["column"].str.removeprefix(_MISSING)).drop_duplicates("about")
    return [_in_words(line) for line in worst.to_dict("records")]


def excess(relations: pd.DataFrame) -> pd.Series:
    """Return each relation's largest excess of a size over its limit; negative if every size is credible."""
    sudden = (relations["sudden_low"] - MOST_SUDDEN).where(relations["group"] == _ALL)
    return pd.concat([relations["low"] - MOST_IC, sudden, relations["largest"] - MOST_IN_A_MONTH], axis=1).max(axis=1)


def _in_words(line: Mapping[Hashable, Any]) -> str:
    column, missing = str(line["about"]), str(line["column"]).startswith(_MISSING)
    what = f"whether {column} is missing" if missing else column
    when = f" {line['lag']} month(s) before" if line["lag"] else ""
    ic, group, month = line["ic"], line["group"], named(line["month"])
    sizes = {"": line["low"] - MOST_IC, f" in {month}": line["largest"] - MOST_IN_A_MONTH}
    if group == _ALL:
        sizes[f", and {ic - line['sudden']:.2f} a month later"] = line["sudden_low"] - MOST_SUDDEN
    detail = max(sizes, key=lambda name: sizes[name])
    size = line["largest"] if detail == f" in {month}" else ic
    return f"{what}{when} has a rank IC of {size:.2f} with the next return in {group}{detail}: it must have known it"


def _some_stocks(panel: pd.DataFrame) -> pd.DataFrame:
    if len(panel) <= _MOST_ROWS:
        return panel
    names = np.sort(panel["asset"].unique())
    chosen = np.random.default_rng(0).choice(names, int(len(names) * _MOST_ROWS / len(panel)), replace=False)
    return panel[panel["asset"].isin(chosen)]


def _groupings(panel: pd.DataFrame, grid: Grid) -> list[tuple[np.ndarray, list[str]]]:
    """Return the ways to group stocks: the group of each row, from 0, and the groups' names."""
    one_year = in_force().periods_a_year
    ends = [panel.groupby("asset")["date"].transform(end) for end in ("min", "max")]
    first, last = (grid.dates.get_indexer(pd.DatetimeIndex(end)) for end in ends)
    entering = (grid.date - first < one_year) & (first > 0)
    leaving = (last - grid.date < one_year) & (last < len(grid.dates) - 1)
    found = [(np.zeros(len(panel), dtype=int), [_ALL]), (np.where(leaving, 2, np.where(entering, 1, 0)), list(_ENDS))]
    if "CAP" in panel:
        share = panel.groupby("date")["CAP"].rank(pct=True)
        fifths = np.ceil(5 * share).fillna(0).astype(int).to_numpy()
        found.append((fifths, ["stocks without CAP", *(f"fifth {k} of 5 by CAP" for k in range(1, 6))]))
    if SECTOR in panel:
        codes, names = pd.factorize(panel[SECTOR].fillna("unknown"), sort=True)
        found.append((codes, [f"sector {name}" for name in names]))
    return found


def _ranks(panel: pd.DataFrame, columns: Sequence[str], cells: np.ndarray) -> pd.DataFrame:
    """Return ranks of each column, and indicators of missing values where only some are missing."""
    unknown = panel[list(columns)].isna()
    some = [name for name in columns if 0 < unknown[name].mean() < 1]
    return pd.concat([_ranked(panel[list(columns)], cells), unknown[some].add_prefix(_MISSING).astype(float)], axis=1)


def _ranked(values: pd.DataFrame, cells: np.ndarray) -> pd.DataFrame:
    """Return ranks within cells, in shares of the cell."""
    return values.groupby(cells).rank(pct=True)


def _ic(
    ranks: np.ndarray, returns: np.ndarray, rows: np.ndarray, cells: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Correlate the ranks in given rows with returns, cell by cell.

    Args:
        ranks, returns: Shapes (rows, columns) and (rows, 1).
        rows: Row of the earlier value for each row, -1 for none.
        cells: Month and group of each row; ``size``: numbers of months and of groups.

    Returns:
        Correlations and numbers of pairs, shape (months, groups * columns); NaN below ten pairs, or without variation.
    """
    x = np.where((rows >= 0)[:, None], ranks[rows], np.nan)
    known = ~np.isnan(x) & ~np.isnan(returns)
    x, y = np.where(known, x - 0.5, 0.0), np.where(known, returns - 0.5, 0.0)

    def total(values: np.ndarray) -> np.ndarray:
        sums = pd.DataFrame(values).groupby(cells).sum()
        return sums.reindex(range(size[0] * size[1]), fill_value=0.0).to_numpy()

    n = total(known.astype(float))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x, mean_y = total(x) / n, total(y) / n
        var_x, var_y = total(x * x) / n - mean_x**2, total(y * y) / n - mean_y**2
        ic = (total(x * y) / n - mean_x * mean_y) / np.sqrt(var_x * var_y)
    ic[(n < _FEWEST_PAIRS) | ~(np.minimum(var_x, var_y) > 1e-9)] = np.nan
    return ic.reshape(size[0], -1), n.reshape(size[0], -1)


def _measured(
    table: pd.DataFrame, ic: np.ndarray, older: np.ndarray, pairs: np.ndarray, dates: pd.DatetimeIndex
) -> pd.DataFrame:
    """Add to each relation its sizes, see :func:`relations_of`; ``ic``, ``older``, ``pairs``: months × relations."""
    enough = (~np.isnan(ic)).sum(axis=0) >= _FEWEST_MONTHS
    table, ic, sudden, pairs = (
        table[enough].reset_index(drop=True),
        ic[:, enough],
        (ic - older)[:, enough],
        pairs[:, enough],
    )
    width = _width(np.hstack([ic, sudden]))
    for name, low, series in (("ic", "low", ic), ("sudden", "sudden_low", sudden)):
        table[name], error = _mean(series)
        table[low] = table[name].abs() - width * error
    table["months"] = (~np.isnan(ic)).sum(axis=0)
    large = np.where(pairs >= _PAIRS_IN_A_MONTH, np.abs(ic), -1.0)
    large = np.nan_to_num(large, nan=-1.0)
    table["largest"], table["month"] = large.max(axis=0), dates[large.argmax(axis=0)]
    return table


def _mean(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and their standard errors over the months that are known, NaN below 24 months."""
    n = (~np.isnan(series)).sum(axis=0)
    few = n < _FEWEST_MONTHS
    filled = np.where(np.isnan(series), 0.0, series)
    mean = filled.sum(axis=0) / np.maximum(n, 1)
    square = np.where(np.isnan(series), 0.0, (series - mean) ** 2).sum(axis=0)
    error = np.sqrt(square / (np.maximum(n - 1, 1) * np.maximum(n, 1)))
    return np.where(few, np.nan, mean), np.where(few, np.nan, error)


def _width(series: np.ndarray) -> float:
    """Return the 95th percentile of the largest t-statistic of all columns under random signs of the months."""
    n = (~np.isnan(series)).sum(axis=0)
    series = series[:, n >= _FEWEST_MONTHS]
    mean, _ = _mean(series)
    deviations = np.where(np.isnan(series), 0.0, series - mean)
    n, square = (~np.isnan(series)).sum(axis=0), (deviations**2).sum(axis=0)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (_FLIPS, len(series)))
    sums = signs @ deviations
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.abs(sums) / np.sqrt((square - sums**2 / n) * n / (n - 1))
    return float(np.nanquantile(np.nanmax(t, axis=1), 1 - _LEVEL)) if t.size else float("nan")
