"""A registered version and a market that it forecasts, month after month."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from mlflow import MlflowClient

from drf.data.simulate import SimulatedMarket
from drf.live.input_watch import Watch
from drf.live.issuance import Issuance, issue_month
from drf.live.issues import Issue, Issued
from drf.live.scorer import Scorer, load_scorer
from tests.registry.making import NAME, evidence_of, register_small, small_forecaster

TRAINED = 36
"""So many months of the market are the versions' training."""

PROMISE = ["rank_ic", "gross", "net", "turnover", "trials"]

TRAIN_LAST = "1993-10-31"
"""The last of them whose return was known."""


@cache
def whole_market() -> pd.DataFrame:
    return SimulatedMarket(stocks=40, months=48, seed=3, explained=0.3, style=0.0).panel()


def market_to(months: int) -> pd.DataFrame:
    """The market's first months, as they were known at the end of the last."""
    whole = whole_market()
    panel = whole[whole["date"].isin(sorted(whole["date"].unique())[:months])].reset_index(drop=True)
    panel.loc[panel["date"] == panel["date"].max(), "ret_next"] = np.nan
    return panel


def version(client: MlflowClient, recipe: str = "one", seed: int = 0, alias: bool = True) -> str:
    """Register a version; by default it becomes champion."""
    forecaster = small_forecaster(seed)
    evidence = evidence_of(forecaster, market_to(TRAINED))
    number = register_small(client, forecaster, evidence, recipe=recipe, train_last=TRAIN_LAST)
    if alias:
        client.set_registered_model_alias(NAME, "champion", number)
    return number


def champion() -> Scorer:
    return load_scorer(f"models:/{NAME}@champion")


def issue(months: int, scorer: Scorer | None = None, **settings: bool) -> Issuance:
    return issue_month(scorer or champion(), market_to(months), Watch([]), **settings)


def by_hand(month: str, weights: dict[str, float], promise: pd.DataFrame | None = None, **changes: object) -> Issued:
    """An issue of a few stocks, whose forecasts are their weights."""
    about = {"name": NAME, "version": "1", "recipe": "one", "role": "champion", "data": "d", "issued": "i"}
    orders = pd.DataFrame({"date": pd.Timestamp(month), "asset": list(weights), "prediction": list(weights.values())})
    orders = orders.assign(Value=orders["prediction"], bias=0.0, rank=1, weight=orders["prediction"], held=0.0)
    return Issued(
        Issue(**{"month": pd.Timestamp(month), "cost_bps": 10.0, **about, **changes}),  # type: ignore[arg-type]
        orders.assign(trade=orders["weight"]),
        promise
        if promise is not None
        else pd.DataFrame(columns=["rank_ic", "gross", "net", "turnover", "trials"], dtype=float),
    )
