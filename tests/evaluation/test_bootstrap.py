from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import StationaryBootstrap

from drf.evaluation.bootstrap import block_length, confidence_set, monotonicity, superior_ability


def table(values: np.ndarray, columns: str) -> pd.DataFrame:
    return pd.DataFrame(values, pd.date_range("2000-01-31", periods=len(values), freq="ME"), list(columns))


@pytest.fixture
def returns() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return table(rng.normal([0.0, 0.3, 0.32], 1, (120, 3)) + rng.normal(0, 1, (120, 1)), "abc") / 100


def test_twelve_periods_are_enough_and_eleven_are_not() -> None:
    quantiles = pd.DataFrame(np.random.default_rng(0).normal(0, 1, (12, 3)), columns=[1, 2, 3])
    assert not np.isnan(monotonicity(quantiles)["p"].item())
    assert monotonicity(quantiles[:11])["note"].item() == "cannot be estimated, because there are only 11 periods"


def test_blocks_grow_with_the_memory_of_the_series() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((400, 2))
    slow = pd.DataFrame(noise).ewm(alpha=0.1).mean().to_numpy()
    assert block_length(table(slow, "ab")) > 2 * block_length(table(noise, "ab"))


def test_the_confidence_set_keeps_the_best_and_drops_the_clearly_worse() -> None:
    rng = np.random.default_rng(0)
    losses = table(rng.normal([0.0, 0.02, 1.0], 0.5, (120, 3)), "abc")
    kept = confidence_set(losses.assign(d=losses["c"])).set_index("row")
    assert kept["included"].to_dict() == {"a": True, "b": True, "c": False, "d": False}
    assert kept["p"]["c"] == kept["p"]["d"]


def test_superior_ability_is_found_where_it_is() -> None:
    rng = np.random.default_rng(0)
    losses = table(rng.normal([0.5, 0.0, 0.5], 0.5, (120, 3)), "abc")
    assert superior_ability(losses, "a")["p"].item() < 0.01
    assert superior_ability(losses, "b")["p"].item() > 0.5


def test_monotonicity_agrees_with_resampling_by_hand() -> None:
    rng = np.random.default_rng(0)
    quantiles = table(rng.normal([0, 0.1, 0.15, 0.3, 0.5], 0.5, (100, 5)), "12345")
    steps = quantiles.diff(axis=1).iloc[:, 1:].to_numpy()
    bootstrap = StationaryBootstrap(block_length(quantiles.diff(axis=1).iloc[:, 1:]), steps, seed=0)
    drawn = np.array([data[0][0].mean(axis=0) for data in bootstrap.bootstrap(1000)]) - steps.mean(axis=0)
    expected = np.mean(drawn.min(axis=1) > steps.mean(axis=0).min())
    assert monotonicity(quantiles)["p"].item() == pytest.approx(expected)
    assert monotonicity(quantiles[list("54321")])["p"].item() > 0.5


def test_what_cannot_be_estimated_says_why(returns: pd.DataFrame) -> None:
    for made in (confidence_set(returns[:11]), superior_ability(returns[:11], "a")):
        assert made["note"].str.contains("cannot be estimated, because there are only 11").all()
    assert "nothing to compare" in confidence_set(returns[["a"]])["note"].item()


def test_a_rival_that_is_the_benchmark_itself_is_no_rival(returns: pd.DataFrame) -> None:
    twins = pd.DataFrame({"a": returns["a"], "b": returns["a"]})
    assert "no row differs from it" in superior_ability(twins, "a")["note"].item()
