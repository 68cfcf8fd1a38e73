from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import StationaryBootstrap

from drf.evaluation.bootstrap import block_length, confidence_set, monotonicity, sharpe_intervals, superior_ability
from drf.evaluation.hac import hac_mean


def table(values: np.ndarray, columns: str) -> pd.DataFrame:
    return pd.DataFrame(values, pd.date_range("2000-01-31", periods=len(values), freq="ME"), list(columns))


@pytest.fixture
def returns() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return table(rng.normal([0.0, 0.3, 0.32], 1, (120, 3)) + rng.normal(0, 1, (120, 1)), "abc") / 100


def test_errors_agree_with_their_large_sample_formula() -> None:
    """For independent normal returns the Sharpe ratio's standard error is sqrt((1 + S^2 / 2) / n) (Lo 2002)."""
    noise = np.random.default_rng(5).normal(0.3, 1, (1200, 8))
    lines = sharpe_intervals(table(noise, "abcdefgh"), resamples=300)
    monthly = lines["sharpe"] / np.sqrt(12)
    width = 2 * 1.96 * np.sqrt((1 + monthly**2 / 2) / 1200 * 12)
    assert (lines["high"] - lines["low"]).mean() == pytest.approx(width.mean(), rel=0.1)


def test_studentised_intervals_agree_with_resampling_by_hand(returns: pd.DataFrame) -> None:
    """Every resample divided by its own standard error, one column and one resample at a time."""

    def sharpe_and_error(values: np.ndarray) -> tuple[float, float]:
        ratio = values.mean() / values.std(ddof=1)
        z = (values - values.mean()) / values.std()
        influence = pd.DataFrame({"x": z - ratio / 2 * (z**2 - 1)})
        return ratio, hac_mean(influence)["se"]["x"]

    bootstrap = StationaryBootstrap(block_length(returns), returns.to_numpy(), seed=0)
    drawn = [data[0][0] for data in bootstrap.bootstrap(200)]
    ours = sharpe_intervals(returns, seed=0, resamples=200)
    for k, name in enumerate(returns):
        ratio, error = sharpe_and_error(returns[name].to_numpy())
        t = [(other - ratio) / spread for other, spread in (sharpe_and_error(values[:, k]) for values in drawn)]
        high, low = ratio - np.percentile(t, [2.5, 97.5]) * error
        assert ours["low"][k] == pytest.approx(low * np.sqrt(12))
        assert ours["high"][k] == pytest.approx(high * np.sqrt(12))


@pytest.mark.parametrize("correlation", [-0.4, 0.0, 0.3])
def test_intervals_hold_the_truth_about_as_often_as_they_say(correlation: float) -> None:
    rng, held, above = np.random.default_rng(0), [], []
    for _ in range(100):
        noise = rng.standard_t(5, 110)
        for t in range(1, 110):
            noise[t] += correlation * noise[t - 1]
        line = sharpe_intervals(table(noise[-60:, None], "x"), resamples=200).iloc[0]
        held.append(line["low"] <= 0 <= line["high"])
        above.append(line["low"] > 0)
    assert np.mean(held) >= 0.86
    assert np.mean(above) <= 0.08


def test_what_rows_share_cancels_in_their_difference(returns: pd.DataFrame) -> None:
    twin = returns.assign(c=returns["b"] + 0.0005 + np.random.default_rng(1).normal(0, 0.0005, len(returns)))
    line = sharpe_intervals(twin, "b").set_index("row").loc["c"]
    assert line["difference_low"] > 0 > line["low"] - line["high"]
    assert line["difference_high"] - line["difference_low"] < (line["high"] - line["low"]) / 3
    assert line["better"] == 1
    same = sharpe_intervals(returns.assign(c=returns["b"]), "b").set_index("row").loc["c"]
    assert (same["difference"], same["difference_low"], same["difference_high"], same["better"]) == (0, 0, 0, 0)


def test_the_same_months_count_for_all(returns: pd.DataFrame) -> None:
    holes = returns.copy()
    holes.iloc[:20, 1] = np.nan
    assert (sharpe_intervals(holes)["periods"] == 100).all()
    assert sharpe_intervals(holes)["sharpe"][0] == pytest.approx(sharpe_intervals(returns[20:])["sharpe"][0])


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
    for made in (sharpe_intervals(returns[:11]), confidence_set(returns[:11]), superior_ability(returns[:11], "a")):
        assert made["note"].str.contains("cannot be estimated, because there are only 11").all()
    flat = sharpe_intervals(returns.assign(a=0.0)).set_index("row")
    assert flat["note"]["a"] == "cannot be estimated, because the returns do not vary"
    assert np.isnan(flat["low"]["a"])
    assert "nothing to compare" in confidence_set(returns[["a"]])["note"].item()


def test_a_rival_that_is_the_benchmark_itself_is_no_rival(returns: pd.DataFrame) -> None:
    twins = pd.DataFrame({"a": returns["a"], "b": returns["a"]})
    assert "no row differs from it" in superior_ability(twins, "a")["note"].item()


def test_months_without_returns_do_not_change_the_year(returns: pd.DataFrame) -> None:
    quarter = returns.index.month % 3 == 0
    known = returns["b"][quarter]
    holes = returns[quarter].reindex(returns.index)
    assert sharpe_intervals(holes)["sharpe"][1] == pytest.approx(known.mean() / known.std() * np.sqrt(12))
