"""Contributions of factors, descriptors and lags to the forecasts of a portfolio, from a row's relevance table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

KEYS = ["date", "asset"]


def _parts(column: str) -> tuple[str, int]:
    descriptor, lag = column.rsplit("_lag", 1)
    return descriptor, int(lag)


def by_descriptor(relevance: pd.DataFrame) -> pd.DataFrame:
    """Sum a relevance table (``date``, ``asset``, ``<descriptor>_lag<months>`` ...) over lags."""
    values = relevance.drop(columns=KEYS)
    summed = values.T.groupby([_parts(name)[0] for name in values.columns], sort=False).sum().T
    return pd.concat([relevance[KEYS], summed], axis=1)


def by_factor(relevance: pd.DataFrame, factors: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Sum a relevance table over lags and over the descriptors of each factor."""
    descriptors = by_descriptor(relevance)
    summed = {factor: descriptors[list(names)].sum(axis=1) for factor, names in factors.items()}
    return pd.concat([relevance[KEYS], pd.DataFrame(summed)], axis=1)


def of_portfolio(contributions: pd.DataFrame, members: pd.Series) -> pd.DataFrame:
    """Mean contribution over the stocks of an equally weighted portfolio: one row a month.

    Parameters
    ----------
    contributions
        ``date``, ``asset`` and columns of contributions.
    members
        Boolean, aligned with ``contributions``.
    """
    return contributions[members].drop(columns="asset").groupby("date").mean()


def percentages(contributions: pd.DataFrame) -> pd.DataFrame:
    """Each month's contributions as percentages of the sum of their absolute values, with their signs."""
    total = contributions.abs().sum(axis=1)
    return 100 * contributions.div(total.where(total > 0), axis=0)


def mean_absolute_by_lag(relevance: pd.DataFrame) -> pd.DataFrame:
    """Mean absolute relevance: one row a descriptor, one column a lag (largest first)."""
    size = relevance.drop(columns=KEYS).abs().mean()
    size.index = pd.MultiIndex.from_tuples([_parts(name) for name in size.index], names=["descriptor", "lag"])
    order = list(dict.fromkeys(size.index.get_level_values("descriptor")))
    return size.unstack("lag").reindex(order).sort_index(axis=1, ascending=False).astype(np.float64)
