"""Intervals of Sharpe ratios: the formula, its coverage, and that nothing but a row's own months matters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from drf.evaluation.intervals import sharpe_intervals


def table(values: np.ndarray, columns: str) -> pd.DataFrame:
    return pd.DataFrame(values, pd.date_range("2000-01-31", periods=len(values), freq="ME"), list(columns))


@pytest.fixture
def returns() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return table(rng.normal([0.0, 0.3, 0.32], 1, (120, 3)) + rng.normal(0, 1, (120, 1)), "abc") / 100


def test_errors_agree_with_their_large_sample_formula() -> None:
    """For independent normal returns the Sharpe ratio's standard error is sqrt((1 + S^2 / 2) / n) (Lo 2002)."""
    noise = np.random.default_rng(5).normal(0.3, 1, (5000, 8))
    lines = sharpe_intervals(table(noise, "abcdefgh"))
    monthly = lines["sharpe"] / np.sqrt(12)
    width = 2 * 1.96 * np.sqrt((1 + monthly**2 / 2) / 5000 * 12)
    assert (lines["high"] - lines["low"]).mean() == pytest.approx(width.mean(), rel=0.03)


def test_the_formula_step_by_step(returns: pd.DataFrame) -> None:
    """The ratio's derivative taken numerically, and the autoregression fitted by hand."""
    line = sharpe_intervals(returns).set_index("row").loc["b"]
    x = returns["b"].to_numpy()
    n = len(x)

    def ratio_with(weights: np.ndarray) -> float:
        mean = np.average(x, weights=weights)
        return float(mean / np.sqrt(np.average((x - mean) ** 2, weights=weights)))

    step = 1e-6
    influence = np.array([(ratio_with(1 + step * n * np.eye(n)[t]) - ratio_with(np.ones(n))) / step for t in range(n)])
    influence -= influence.mean()
    slope = np.sum(influence[1:] * influence[:-1]) / np.sum(influence**2)
    slope = n / (n + 10) * (slope + (1 + 3 * slope) / n)
    error = np.sqrt(influence.var() / (n - 1) * (1 + slope) / (1 - slope))
    ratio, t = x.mean() / x.std(ddof=1), stats.t.ppf(0.975, n - 1)
    assert line["low"] == pytest.approx((ratio - t * error) * np.sqrt(12), abs=1e-3)
    assert line["high"] == pytest.approx((ratio + t * error) * np.sqrt(12), abs=1e-3)


@pytest.mark.parametrize("correlation", [-0.3, 0.0, 0.3])
@pytest.mark.parametrize("months", [36, 120])
def test_intervals_hold_the_truth_about_as_often_as_they_say(correlation: float, months: int) -> None:
    rng, records = np.random.default_rng(0), 400
    noise = rng.standard_t(5, (months + 50, records))
    for t in range(1, len(noise)):
        noise[t] += correlation * noise[t - 1]
    lines = [sharpe_intervals(pd.DataFrame({"x": column})).iloc[0] for column in noise[50:].T]
    low, high = (np.array([line[name] for line in lines]) for name in ("low", "high"))
    assert 0.905 <= np.mean((low <= 0) & (high >= 0)) <= 0.985
    assert np.mean(low > 0) <= 0.05


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(24, 80), st.integers(0, 5))
def test_a_rows_interval_does_not_depend_on_who_stands_beside_it(seed: int, months: int, others: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.1, 1, (months, 2 + others)) * rng.uniform(0.1, 10, 2 + others)
    beside = pd.DataFrame(values).rename(columns=str)
    beside = beside.mask(rng.random(beside.shape) < 0.1 * (beside.columns.astype(int) > 1))
    alone = sharpe_intervals(beside[["0", "1"]], "1").set_index("row").loc["0"]
    crowded = sharpe_intervals(beside, "1").set_index("row").loc["0"]
    pd.testing.assert_series_equal(alone, crowded)


def test_what_rows_share_cancels_in_their_difference(returns: pd.DataFrame) -> None:
    twin = returns.assign(c=returns["b"] + 0.0005 + np.random.default_rng(1).normal(0, 0.0005, len(returns)))
    line = sharpe_intervals(twin, "b").set_index("row").loc["c"]
    assert line["difference_low"] > 0 > line["low"] - line["high"]
    assert line["difference_high"] - line["difference_low"] < (line["high"] - line["low"]) / 3
    assert line["better"] > 0.999
    same = sharpe_intervals(returns.assign(c=returns["b"]), "b").set_index("row").loc["c"]
    assert (same["difference"], same["difference_low"], same["difference_high"], same["better"]) == (0, 0, 0, 0.5)


def test_better_is_the_probability_that_the_difference_is_above_zero(returns: pd.DataFrame) -> None:
    line = sharpe_intervals(returns, "a").set_index("row").loc["b"]
    reach = (line["difference_high"] - line["difference_low"]) / 2 / stats.t.ppf(0.975, 119)
    assert line["better"] == pytest.approx(stats.t.cdf(line["difference"] / reach, 119))


def test_each_row_counts_its_own_months(returns: pd.DataFrame) -> None:
    holes = returns.copy()
    holes.iloc[:20, 1] = np.nan
    lines = sharpe_intervals(holes, "a").set_index("row")
    assert lines["periods"].to_dict() == {"a": 120, "b": 100, "c": 120}
    pair = sharpe_intervals(returns[20:], "a").set_index("row")
    assert lines["difference"]["b"] == pytest.approx(pair["difference"]["b"])
    known = returns["b"][20:]
    assert lines["sharpe"]["b"] == pytest.approx(known.mean() / known.std() * np.sqrt(12))


def test_what_cannot_be_estimated_says_why(returns: pd.DataFrame) -> None:
    few = sharpe_intervals(returns[:23], "a")
    assert (
        few["note"]
        .str.contains("cannot be estimated, because there are only 23 periods (24 needed)", regex=False)
        .all()
    )
    assert few[["low", "better"]].isna().all(axis=None)
    flat = sharpe_intervals(returns.assign(a=0.0)).set_index("row")
    assert flat["note"]["a"] == "cannot be estimated, because the returns do not vary"
    assert np.isnan(flat["low"]["a"])
