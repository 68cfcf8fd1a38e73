"""Leaks planted into a panel: a column that knows returns before they are earned, each in another place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

Plant = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def _lagged(panel: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A value knows the return that begins three months after its date."""
    known = panel.groupby("asset")["ret_next"].shift(-3)
    return panel.assign(PBR=known.fillna(panel["PBR"]))


def _small(panel: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Only the smallest fifth of the stocks knows the return."""
    small = panel.groupby("date")["CAP"].rank(pct=True) <= 0.2
    return panel.assign(PBR=panel["PBR"].mask(small, panel["ret_next"]))


def _missing(panel: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Values of stocks that are about to lose are missing more often; those that are known know nothing."""
    losers = panel.groupby("date")["ret_next"].rank(pct=True) < 0.3
    return panel.assign(PBR=panel["PBR"].mask(losers & (rng.random(len(panel)) < 0.5)))


def _days(panel: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A fifth of the next month is in the last month's return, as with prices of a few days later."""
    return panel.assign(MOM1=0.8 * panel["MOM1"] + 0.2 * panel["ret_next"].fillna(0.0))


def _backfilled(panel: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A figure of the next annual report moves with the next twelve months' returns."""
    returns = panel.groupby("asset")["ret_next"]
    return panel.assign(ROE=sum(returns.shift(-k).fillna(0.0) for k in range(12)))


def _some_months(panel: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """In 30 of 130 months the column is the return itself."""
    dates = panel["date"].unique()
    months = rng.choice(dates[:-1], 30 * len(dates) // 130, replace=False)
    return panel.assign(PBR=panel["PBR"].mask(panel["date"].isin(months), panel["ret_next"]))


def _leaving(panel: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Stocks in their last year know the return: figures were filled in after the delisting."""
    last = panel.groupby("asset")["date"].transform("max")
    leaving = ((last - panel["date"]).dt.days < 366) & (last < panel["date"].max())
    return panel.assign(PBR=panel["PBR"].mask(leaving, panel["ret_next"]))


def _sector(panel: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One sector of five knows the return."""
    sector = panel["asset"].map({name: f"S{k % 5}" for k, name in enumerate(panel["asset"].unique())})
    return panel.assign(sector=sector, PBR=panel["PBR"].mask(sector == "S2", panel["ret_next"]))


LEAKS: dict[str, Plant] = {
    "lagged": _lagged,
    "small stocks": _small,
    "missing values": _missing,
    "days": _days,
    "backfilled": _backfilled,
    "some months": _some_months,
    "leaving stocks": _leaving,
    "a sector": _sector,
}
