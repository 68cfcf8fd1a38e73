from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from drf.data.panel import check_panel
from drf.data.paper_descriptors import DESCRIPTORS, FACTORS
from drf.data.simulate import MEMORY_DATES, Market, SimulatedMarket, memory, shapley_values, simulate


@pytest.fixture(scope="module")
def large() -> Market:
    return simulate(SimulatedMarket(stocks=300, months=80, seed=1))


def wide(market: Market, name: str) -> pd.DataFrame:
    return market.panel.pivot(index="date", columns="asset", values=name)


def test_it_obeys_the_contract(large: Market) -> None:
    check_panel(large.panel, DESCRIPTORS, 5)


def test_the_seed_alone_decides(large: Market) -> None:
    again = simulate(SimulatedMarket(stocks=300, months=80, seed=1))
    pd.testing.assert_frame_equal(again.panel, large.panel)
    assert not SimulatedMarket(stocks=300, months=80, seed=2).panel()["ROE"].equals(large.panel["ROE"])


def test_descriptors_are_persistent_correlated_within_a_factor_and_partly_missing(large: Market) -> None:
    persistent = [name for name in DESCRIPTORS if name not in FACTORS["Momentum"]]
    for name in persistent:
        values = wide(large, name)
        assert values.shift(1).corrwith(values, method="spearman").median() > 0.6
    ranks = large.panel.groupby("date")[list(DESCRIPTORS)].rank(pct=True)
    assert ranks["PBR"].corr(ranks["PER"]) > 0.3
    assert abs(ranks["PBR"].corr(ranks["ROE"])) < 0.15
    missing = large.panel[persistent].drop(columns="CAP").isna().mean()
    assert missing.between(0.02, 0.04).all()
    assert 0.99 < len(large.panel) / (300 * 80) < 1.0


def test_contributions_are_shapley_values_that_sum_to_the_expected_return(large: Market) -> None:
    known = large.contributions
    assert np.allclose(known[list(FACTORS)].sum(axis=1), known["expected"], atol=1e-12)
    assert (known["Size"] == 0).all()
    assert known[list(FACTORS)].drop(columns="Size").abs().mean().min() > 1e-4


def test_shapley_values_of_a_function_without_interactions_are_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (50, 5, len(DESCRIPTORS)))
    beta, cap = DESCRIPTORS.index("BETA"), DESCRIPTORS.index("CAP")
    monkeypatch.setattr("drf.data.simulate.memory", lambda path: path[:, 0, beta] ** 3 - 2 * path[:, 1, cap])
    values = shapley_values(x)
    assert np.allclose(values["Risk"], x[:, 0, beta] ** 3)
    assert np.allclose(values["Size"], -2 * x[:, 1, cap])
    assert np.allclose(values["Value"], 0)


def test_expected_returns_are_what_the_simulator_says_they_are(large: Market) -> None:
    """The returns' projection on the declared expectation has slope 1 and explains the declared share."""
    both = large.panel.merge(large.contributions, on=["date", "asset"]).dropna(subset=["ret_next"])
    centred = both[["ret_next", "expected"]] - both.groupby("date")[["ret_next", "expected"]].transform("mean")
    slope = centred["ret_next"].cov(centred["expected"]) / centred["expected"].var()
    assert 0.8 < slope < 1.2
    assert 0.02 < centred["expected"].var() / (centred["expected"].var() + 0.09**2) < 0.04
    residual = centred["ret_next"] - centred["expected"]
    assert residual.kurtosis() > 1  # fat tails


def test_the_market_moves_all_stocks_and_more_those_with_high_beta(large: Market) -> None:
    returns, beta = wide(large, "ret_next").iloc[:-1], wide(large, "BETA").iloc[:-1]
    market = returns.mean(axis=1)
    assert market.std() > 0.03
    high, low = (returns.where(side).mean(axis=1) for side in (beta > 1.2, beta < 0.8))
    assert np.polyfit(market, high, 1)[0] > np.polyfit(market, low, 1)[0]


def test_the_signal_depends_on_the_path_and_has_interactions() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (4000, len(MEMORY_DATES), len(DESCRIPTORS)))
    past_changed = x.copy()
    past_changed[:, :-1] = rng.uniform(-1, 1, past_changed[:, :-1].shape)
    assert np.corrcoef(memory(x), memory(past_changed))[0, 1] < 0.9
    flat = x.reshape(len(x), -1)
    fitted = flat @ np.linalg.lstsq(flat, memory(x), rcond=None)[0]
    assert np.var(memory(x) - fitted) > 0.15 * np.var(memory(x))
    assert memory(np.zeros((1, 5, 16))) == 0


def test_noise_is_the_same_market_without_signal() -> None:
    noise = simulate(SimulatedMarket(stocks=50, months=20, seed=0, explained=0.0))
    assert (noise.contributions["expected"] == 0).all()
    check_panel(noise.panel, DESCRIPTORS, 5)


def test_a_signal_that_dies_leaves_the_months_before_as_they_were() -> None:
    alive = SimulatedMarket(stocks=50, months=24, seed=0, explained=0.1)
    dead = replace(alive, dies=13)
    before, after = alive.panel(), dead.panel()
    dates = sorted(before["date"].unique())
    early = before["date"] < dates[12]
    pd.testing.assert_frame_equal(before[early], after[early])  # returns over the month after the twelfth included
    truth = dead.truth().set_index("date")
    numbers = truth.drop(columns="asset")
    assert (numbers.loc[dates[12] :] == 0).all().all()
    assert (numbers.loc[: dates[11], "expected"] != 0).all()
    pd.testing.assert_frame_equal(replace(alive, dies=100).panel(), before)
