"""Contributions of factors, descriptors and lags to the forecasts of a portfolio, from a row's relevance table."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from .portfolio import Weights

KEYS = ["date", "asset"]


def _parts(column: str) -> tuple[str, int]:
    descriptor, lag = column.rsplit("_lag", 1)
    return descriptor, int(lag)


STEP = 2.0**-24
"""Rounding step of a stored relevance table: 0.0006 basis points, below a network's arithmetic error."""


def rounded(relevance: pd.DataFrame) -> pd.DataFrame:
    """Round a relevance table to steps of :data:`STEP`, so that it takes two thirds of the space.

    The rounding error of one value is carried to the next, so a value is off by at most a step. The same holds for the
    sum of all values of a stock and month.
    """
    values = relevance.drop(columns=KEYS)
    sums = np.round(values.to_numpy(dtype=np.float64).cumsum(axis=1) / STEP)
    steps = np.diff(sums, axis=1, prepend=0.0) * STEP
    return pd.concat([relevance[KEYS], pd.DataFrame(steps.astype(np.float32), values.index, values.columns)], axis=1)


def by_descriptor(relevance: pd.DataFrame) -> pd.DataFrame:
    """Sum a relevance table (``date``, ``asset``, ``<descriptor>_lag<months>`` ...) over lags."""
    return _summed(relevance, lambda column: _parts(column)[0])


def _summed(relevance: pd.DataFrame, name_of: Callable[[str], str]) -> pd.DataFrame:
    """Sum the columns of a relevance table that have the same name, in the order in which names appear."""
    columns = relevance.columns.drop(KEYS)
    names = np.array([name_of(column) for column in columns])
    values = relevance[columns].to_numpy()
    sums = {name: values[:, names == name].sum(axis=1, dtype=np.float64) for name in dict.fromkeys(names)}
    return pd.concat([relevance[KEYS], pd.DataFrame(sums, relevance.index).astype(values.dtype)], axis=1)


def by_factor(relevance: pd.DataFrame, factors: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Sum a relevance table over lags and over the descriptors of each factor."""
    return _by_factor(by_descriptor(relevance), factors)


def _by_factor(descriptors: pd.DataFrame, factors: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    summed = {factor: descriptors[list(names)].sum(axis=1) for factor, names in factors.items()}
    return pd.concat([descriptors[KEYS], pd.DataFrame(summed)], axis=1)


def of_side(contributions: pd.DataFrame, weights: Weights, sign: int) -> pd.DataFrame:
    """Return the weighted mean contribution over the stocks of one side (+1 long, -1 short): one row a month.

    ``contributions``: ``date``, ``asset`` and columns of contributions, aligned with the weights.
    """
    return weights.mean(contributions.drop(columns=KEYS), sign)


def percentages(contributions: pd.DataFrame) -> pd.DataFrame:
    """Return each month's contributions as signed percentages of the sum of their absolute values."""
    total = contributions.abs().sum(axis=1)
    return 100 * contributions.div(total.where(total > 0), axis=0)


def mean_absolute_by_lag(relevance: pd.DataFrame) -> pd.DataFrame:
    """Return the mean absolute relevance: one row a descriptor, one column a lag (largest first)."""
    size = pd.Series({name: relevance[name].abs().mean() for name in relevance.columns.drop(KEYS)})
    size.index = pd.MultiIndex.from_tuples([_parts(name) for name in size.index], names=["descriptor", "lag"])
    order = list(dict.fromkeys(size.index.get_level_values("descriptor")))
    return size.unstack("lag").reindex(order).sort_index(axis=1, ascending=False).astype(np.float64)


def agreement_with_truth(contributions: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """Return the mean monthly correlation over stocks of each factor's contributions with the true ones.

    ``contributions``, ``truth``: ``date``, ``asset`` and a column for each factor. A factor is left out if its true
    effect is zero or unknown.
    """
    both = contributions.merge(truth, on=KEYS, suffixes=("", " truly"))
    factors = [
        name for name in truth.columns if name in contributions and name not in KEYS and both[f"{name} truly"].any()
    ]
    months = [month for _, month in both.groupby("date")]
    return {
        factor: float(np.nanmean([month[factor].corr(month[f"{factor} truly"]) for month in months]))
        for factor in factors
    }


def risk_table(relevance: pd.DataFrame, weights: Weights, factors: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the risk table of the long-short portfolio: contributions of each side, and their change.

    Args:
        relevance: ``date``, ``asset``, ``<descriptor>_lag<months>`` ...
        weights: Aligned with ``relevance``.
        factors: Descriptors of each factor.

    Returns:
        One line for each month, portfolio (``long``, ``short``, ``spread``), level (``factor``, ``descriptor``,
        ``lag``) and name. ``signed``: weighted mean contribution over the stocks. ``absolute``: weighted mean absolute
        contribution (for the spread: of both sides together). ``change``: change of ``signed`` since the month before.
        Decimals a month.
    """
    descriptors = by_descriptor(relevance)
    levels = {
        "factor": _by_factor(descriptors, factors),
        "descriptor": descriptors,
        "lag": _summed(relevance, lambda column: str(_parts(column)[1])),
    }
    parts = []
    for level, table in levels.items():
        size = table.drop(columns=KEYS).abs()
        sizes = pd.concat([table[KEYS], size], axis=1)
        sides = {"long": +1, "short": -1}
        signed = {side: of_side(table, weights, sign) for side, sign in sides.items()}
        absolute = {side: of_side(sizes, weights, sign) for side, sign in sides.items()}
        signed["spread"] = signed["long"] - signed["short"]
        absolute["spread"] = absolute["long"] + absolute["short"]
        for portfolio, contributions in signed.items():
            columns = {"signed": contributions, "absolute": absolute[portfolio], "change": contributions.diff()}
            long = pd.concat({name: frame.stack() for name, frame in columns.items()}, axis=1)
            long = long.rename_axis(index=["date", "name"]).reset_index()
            parts.append(long.assign(portfolio=portfolio, level=level))
    return pd.concat(parts, ignore_index=True)[["date", "portfolio", "level", "name", "signed", "absolute", "change"]]
