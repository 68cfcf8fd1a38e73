from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats.mstats import winsorize

from drf.evaluation.metrics import summarise
from drf.evaluation.variants import variants, winsorised
from tests.making import rule


@pytest.fixture
def forecasts() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    dates = np.repeat(pd.date_range("2000-01-31", periods=24, freq="ME"), 60)
    prediction = rng.normal(0, 0.02, len(dates))
    asset = np.tile([f"A{k:02d}" for k in range(60)], 24)
    truth = prediction + rng.normal(0, 0.1, len(dates))
    return pd.DataFrame({"date": dates, "asset": asset, "y_true": truth, "y_pred": prediction})


@pytest.fixture
def panel(forecasts: pd.DataFrame) -> pd.DataFrame:
    size = np.random.default_rng(1).normal(24, 2, len(forecasts))
    number = forecasts["asset"].str[1:].astype(int)
    return forecasts[["date", "asset"]].assign(CAP=size, sector=np.where(number < 30, "x", "y"))


def test_returns_are_winsorised_like_scipy_does(forecasts: pd.DataFrame) -> None:
    month = forecasts[forecasts["date"] == forecasts["date"].iloc[0]][:41]
    assert np.allclose(winsorised(month, 0.025)["y_true"], winsorize(month["y_true"].to_numpy(), limits=0.025))


def test_every_variant_is_there_or_says_why_not(forecasts: pd.DataFrame, panel: pd.DataFrame) -> None:
    table = variants({"linear": forecasts}, panel, rule(cap="log")).set_index("variant")
    assert (table["note"] == "").all()
    assert table["sharpe"].nunique() == 4
    without = variants(
        {"linear": forecasts}, panel.drop(columns="sector").assign(CAP=10.0 ** panel["CAP"]), rule(cap="log")
    )
    notes = without.set_index("variant")["note"]
    assert "spans more than any logarithms" in notes["value-weighted"]
    assert notes["sector-neutral"] == "cannot be estimated, because the panel has no column sector"


def test_the_sector_neutral_ic_ignores_forecasts_of_sectors(forecasts: pd.DataFrame, panel: pd.DataFrame) -> None:
    sectors = forecasts.assign(y_pred=np.where(panel["sector"] == "x", 1.0, 0.0))
    sectors["y_true"] += 0.1 * sectors["y_pred"]
    table = variants({"r": sectors}, panel, rule()).set_index("variant")
    assert table["rank_ic"]["as reported"] > 0.2
    assert np.isnan(table["rank_ic"]["sector-neutral"])  # within sectors all forecasts are the same


def test_market_values_in_other_units_are_not_taken_for_logarithms(
    forecasts: pd.DataFrame, panel: pd.DataFrame
) -> None:
    rank = panel.groupby("date")["CAP"].rank(pct=True)
    for other in (np.exp(panel["CAP"] - 30), 2 * rank - 1, pd.Series(np.nan, panel.index)):
        table = variants({"r": forecasts}, panel.assign(CAP=other), rule()).set_index("variant")
        assert table["note"]["value-weighted"]


def test_stocks_of_no_known_sector_play_no_part_in_the_sector_neutral_variant(forecasts: pd.DataFrame) -> None:
    panel = forecasts[["date", "asset"]].assign(sector="x")
    panel.loc[panel["asset"].isin(sorted(panel["asset"].unique())[:20]), "sector"] = None
    known = forecasts[~forecasts["asset"].isin(sorted(panel["asset"].unique())[:20])]
    neutral = variants({"r": forecasts}, panel, rule()).set_index("variant").loc["sector-neutral"]
    alone = summarise(known, rule())
    assert neutral["rank_ic"] == pytest.approx(alone["rank_ic"])
    assert neutral["sharpe"] == pytest.approx(alone["sharpe"])
