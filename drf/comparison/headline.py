"""Headline row of a report in detail: quantiles, exposures, earnings of its factors, newest holdings."""

from dataclasses import dataclass

import pandas as pd

from ..data.calendar import in_force
from ..evaluation.attribution import realised
from ..evaluation.contributions import KEYS
from ..evaluation.portfolio import exposures, make_weights, quantile_returns
from ..samples.lagged import newest_ranks
from .rows import Judging, Row


@dataclass(frozen=True)
class Portrait:
    """Tables of one row, in decimals per month.

    Attributes:
        row: Its name.
        quantiles: Mean return of each quantile, one row a month.
        exposures: Mean rank of the long side less that of the short side: one row a month, one column a descriptor.
        holdings: The newest month: ``asset``, ``forecast``, ``weight``, ``change`` of the weight since the month
            before.
        month: Date of that portfolio.
        promised, earned: Contributions of the factors to the forecast of the long-short portfolio, and what they
            earned, see :func:`drf.evaluation.attribution.realised`; one row a month. None, like the attributes below,
            if the row has no contributions.
        cells: The newest month's contributions by descriptor and lag, aligned with ``holdings``.
        history: ``date``, ``asset``, ``forecast``, ``earned`` and a column a factor, the newest month included.
        by_lag: See :meth:`drf.evaluation.contributions.Contributions.mean_absolute_by_lag`.
    """

    row: str
    quantiles: pd.DataFrame
    exposures: pd.DataFrame
    month: pd.Timestamp
    holdings: pd.DataFrame
    promised: pd.DataFrame | None = None
    earned: pd.DataFrame | None = None
    cells: pd.DataFrame | None = None
    history: pd.DataFrame | None = None
    by_lag: pd.DataFrame | None = None


def portray(row: Row, judging: Judging) -> Portrait:
    """Return the tables of a row in detail."""
    month, holdings = _holdings(row, judging)
    seen = Portrait(
        row=row.name,
        quantiles=quantile_returns(row.judged, judging.rule),
        exposures=exposures(row.weights, newest_ranks(judging.samples, row.predictions)),
        month=month,
        holdings=holdings,
    )
    if row.contributions is None or row.risk is None:
        return seen
    # as in the row's own series: the weight of a stock without a return goes to the others on its side
    tradable = make_weights(row.judged, judging.rule, tradable=row.judged["y_true"].notna())
    every = [(row.contributions, row.predictions)]
    if row.newest_contributions is not None:
        every.append((row.newest_contributions, row.forecast))
    by_factor = [
        pd.concat([table[KEYS], found.by_factor(judging.factors, table.index)], axis=1) for found, table in every
    ]
    spread = row.risk[(row.risk["portfolio"] == "spread") & (row.risk["level"] == "factor")]
    forecasts = pd.concat([row.predictions, row.forecast], ignore_index=True)
    found, table = every[-1]
    newest = found.relevance(table, month).drop(columns="date")
    cells = holdings[["asset"]].merge(newest, on="asset", how="left")
    return Portrait(
        **vars(seen)
        | {
            "promised": spread.pivot_table(index="date", columns="name", values="signed", sort=False),
            "earned": realised(by_factor[0], row.judged["y_true"], tradable),
            "cells": cells.drop(columns="asset"),
            "history": pd.concat(by_factor, ignore_index=True).merge(
                forecasts.rename(columns={"y_pred": "forecast", "y_true": "earned"}), on=KEYS
            ),
            "by_lag": row.contributions.mean_absolute_by_lag(),
        }
    )


def _holdings(row: Row, judging: Judging) -> tuple[pd.Timestamp, pd.DataFrame]:
    """Return the month and the portfolio of the newest forecasts, with the change since the month before."""
    tested = row.judged.assign(weight=row.weights.table["weight"])
    both = [tested]
    if len(row.forecast):
        newest = judging.equip(row.forecast)
        both.append(newest.assign(weight=make_weights(newest, judging.rule).table["weight"]))
    table = pd.concat([part[[*KEYS, "y_pred", "weight"]] for part in both], ignore_index=True)
    month = table["date"].max()
    before = table[table["date"] == in_force().shift(month, -1)].set_index("asset")["weight"]
    now = table[table["date"] == month].sort_values("y_pred", ascending=False, kind="stable").reset_index(drop=True)
    held = now["asset"].map(before).fillna(0.0)
    return month, pd.DataFrame(
        {"asset": now["asset"], "forecast": now["y_pred"], "weight": now["weight"], "change": now["weight"] - held}
    )
