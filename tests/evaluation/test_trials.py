"""To how many independent trials near-twins amount."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drf.evaluation.trials import count_trials, independent_trials


def returns(trials: int, correlation: float, months: int = 2000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = np.sqrt(correlation) * rng.standard_normal((months, 1))
    values = values + np.sqrt(1 - correlation) * rng.standard_normal((months, trials))
    return pd.DataFrame(values, pd.date_range("2000-01-31", periods=months, freq="ME")).rename(columns=str)


@pytest.mark.parametrize(("trials", "correlation", "expected"), [(45, 0.87, 6.72), (10, 0.0, 10.0), (10, 1.0, 1.0)])
def test_the_published_formula(trials: int, correlation: float, expected: float) -> None:
    """Bailey and Lopez de Prado 2014: N = rho + (1 - rho) M."""
    assert independent_trials(returns(trials, correlation)) == pytest.approx(expected, rel=0.03)


def test_by_hand_over_all_pairs() -> None:
    table = returns(4, 0.4, months=30)
    pairs = [table[a].corr(table[b]) for a in "0123" for b in "0123" if a < b]
    assert independent_trials(table) == pytest.approx(np.mean(pairs) + (1 - np.mean(pairs)) * 4)


def test_what_is_not_known_to_be_alike_counts_as_different() -> None:
    table = returns(3, 1.0, months=40)
    assert independent_trials(table) == pytest.approx(1.0)
    apart = table.copy()
    apart.iloc[:20, 0] = np.nan
    apart.iloc[20:, 1] = np.nan
    apart.iloc[15:25, 2] = np.nan  # 15 months in common with each of the others
    assert independent_trials(apart) == pytest.approx(2 / 3 + 1 / 3 * 3)
    few = returns(3, 1.0, months=11)
    assert independent_trials(few) == 3


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(2, 40))
def test_it_lies_between_one_and_the_count(seed: int, trials: int, months: int) -> None:
    rng = np.random.default_rng(seed)
    table = returns(trials, float(rng.uniform(0, 1)), months, seed) * rng.choice([-1, 1], trials)
    found = independent_trials(table.mask(rng.random(table.shape) < 0.1))
    assert min(1, trials) <= found <= trials


def test_searches_are_counted_together_and_others_one_by_one() -> None:
    one, two = returns(5, 0.9, months=36), returns(4, 0.9, months=36, seed=1)
    others = pd.DataFrame({"name": ["x", "y"], "sharpe": [0.1, np.nan], "periods": [12.0, np.nan]})
    found = count_trials([one, two], others)
    assert len(found) == 11
    assert found.independent == pytest.approx(independent_trials(pd.concat([one, two.add_prefix("b")], axis=1)) + 2)
    assert list(found.table["name"][:5]) == list("01234")
    assert found.table["sharpe"][0] == pytest.approx(one["0"].mean() / one["0"].std())
    assert found.table["periods"][0] == 36
    assert len(count_trials([])) == count_trials([]).independent == 0
