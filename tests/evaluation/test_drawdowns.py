"""Losses from a peak, against a search through all pairs of months."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drf.evaluation.drawdowns import drawdown_periods, underwater

RETURNS = st.lists(st.floats(-0.5, 0.5).map(lambda value: round(value, 3)), min_size=1, max_size=30)


def series(values: list[float]) -> pd.Series:
    return pd.Series(values, pd.date_range("2000-01-31", periods=len(values), freq="ME"), dtype=float)


@given(RETURNS)
def test_losses_are_from_the_highest_value_before(values: list[float]) -> None:
    wealth = np.cumprod(np.r_[1.0, 1 + np.array(values)])
    slow = [wealth[k] / max(wealth[: k + 1]) - 1 for k in range(1, len(wealth))]
    assert underwater(series(values)).to_numpy() == pytest.approx(slow)


@given(RETURNS)
def test_periods_hold_every_month_below_the_peak_once(values: list[float]) -> None:
    returns = series(values)
    loss, periods = underwater(returns), drawdown_periods(returns, most=99)
    below = {month for part in periods.itertuples() for month in pd.date_range(part.first, part.last, freq="ME")}
    assert below == set(loss.index[loss < 0])
    assert periods["months"].sum() == len(below)
    assert periods["loss"].is_monotonic_decreasing
    for part in periods.itertuples():
        assert loss[part.bottom] == pytest.approx(-part.loss)
        assert part.recovered == (part.last != returns.index[-1])


def test_an_unknown_month_changes_nothing_and_a_total_loss_ends_all() -> None:
    assert underwater(series([0.1, np.nan, -0.1])).tolist() == pytest.approx([0.0, 0.0, -0.1])
    assert underwater(series([0.1, -1.0, 0.1])).isna().all()
    assert drawdown_periods(series([0.1, -1.0, 0.1])).empty
    assert drawdown_periods(series([0.1, 0.2])).empty
