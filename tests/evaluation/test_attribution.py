"""Realised attribution: exact sums, against statsmodels and on a market whose factors are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from drf.evaluation.attribution import SPECIFIC, realised
from drf.evaluation.portfolio import Weights, long_short, make_weights
from tests.making import rule

FACTORS = ["Value", "Size", "Risk"]


def market(
    seed: int, stocks: int = 40, months: int = 3, noise: float = 0.05
) -> tuple[pd.DataFrame, pd.Series, Weights]:
    """Contributions of three factors, of which Value keeps its word, Size earns the opposite and Risk nothing."""
    rng = np.random.default_rng(seed)
    dates = np.repeat(pd.date_range("2000-01-31", periods=months, freq="ME"), stocks)
    names = np.tile([f"S{k:02d}" for k in range(stocks)], months)
    values = pd.DataFrame(rng.normal(0, 0.01, (len(names), 3)), columns=FACTORS)
    returns = 0.02 + values["Value"] - values["Size"] + rng.normal(0, noise, len(names))
    table = pd.DataFrame({"date": dates, "asset": names}).join(values)
    weights = make_weights(table.assign(y_pred=values.sum(axis=1)), rule())
    return table, returns, weights


@settings(deadline=None)
@given(st.integers(0, 50))
def test_the_parts_sum_to_what_the_portfolio_earned(seed: int) -> None:
    table, returns, weights = market(seed)
    earned = (weights.table["weight"] * returns).groupby(table["date"]).sum()
    assert realised(table, returns, weights).sum(axis=1).to_numpy() == pytest.approx(earned.to_numpy())


def test_slopes_are_those_of_a_regression_in_each_month() -> None:
    table, returns, weights = market(1)
    found = realised(table, returns, weights)
    for date, month in table.groupby("date"):
        fitted = sm.OLS(returns[month.index], sm.add_constant(month[FACTORS])).fit()
        weight = weights.table["weight"][month.index]
        expected = fitted.params[FACTORS] * month[FACTORS].mul(weight, axis=0).sum()
        assert found.loc[date, FACTORS].to_numpy(dtype=float) == pytest.approx(expected.to_numpy())
        assert found.loc[date, SPECIFIC] == pytest.approx(float((weight * fitted.resid).sum()))


def test_what_keeps_its_word_earns_what_was_forecast() -> None:
    table, returns, weights = market(2, noise=0.0)
    promised = table[FACTORS].mul(weights.table["weight"], axis=0).groupby(table["date"]).sum()
    found = realised(table, returns, weights)
    assert found["Value"].to_numpy() == pytest.approx(promised["Value"].to_numpy())
    assert found["Size"].to_numpy() == pytest.approx(-promised["Size"].to_numpy())
    assert found[["Risk", SPECIFIC]].to_numpy() == pytest.approx(0.0, abs=1e-12)


def test_unknown_returns_dead_factors_and_empty_sides() -> None:
    table, returns, weights = market(3)
    table["Risk"] = 0.0
    returns[::7] = np.nan
    made = table.assign(y_pred=table[FACTORS].sum(axis=1), y_true=returns)
    weights = make_weights(made, rule(), tradable=returns.notna())
    found = realised(table, returns, weights)
    assert (found["Risk"] == 0).all() and found.notna().all(axis=None)
    assert found.sum(axis=1).to_numpy() == pytest.approx(long_short(made, rule())["gross"].to_numpy())
    nothing = Weights(weights.table.assign(weight=0.0))
    assert realised(table, returns, nothing).empty


def test_a_factor_a_million_times_smaller_is_not_lost() -> None:
    table, returns, weights = market(4)
    small = table.assign(Value=table["Value"] * 1e-9)
    pd.testing.assert_frame_equal(realised(small, returns, weights), realised(table, returns, weights))
