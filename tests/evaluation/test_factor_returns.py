from __future__ import annotations

import numpy as np
import pandas as pd

from drf.evaluation.factor_returns import carried_forward, factor_returns


def test_factor_returns_times_exposures_are_the_contributions() -> None:
    rng = np.random.default_rng(0)
    exposures = rng.uniform(-1, 1, (20, 5, 4))
    exposures[0, 0, 0] = 0
    exposures[1, 0, 0] = 1e-30
    relevance = exposures * rng.normal(size=exposures.shape)
    returns = factor_returns(relevance, exposures)
    assert np.allclose(returns * exposures, relevance)
    assert returns[0, 0, 0] == 0
    assert np.abs(returns).max() < 10  # a tiny exposure does no harm


def test_a_linear_model_is_carried_forward_to_itself() -> None:
    """One return for all stocks and months: yesterday's factor returns are today's."""
    rng = np.random.default_rng(0)
    keys = pd.DataFrame(
        {"date": np.repeat(pd.date_range("2000-01-31", periods=3, freq="ME"), 4), "asset": list("abcd") * 3}
    )
    exposures, beta = rng.uniform(-1, 1, (12, 5, 4)), rng.normal(size=(5, 4))
    forecast = (beta * exposures).sum((1, 2)) + 0.01
    carried = carried_forward(keys, beta * exposures, exposures, np.full(12, 0.01))
    assert np.isnan(carried[:4]).all()
    assert np.allclose(carried[4:], forecast[4:])


def test_a_stock_that_was_away_has_no_forecast() -> None:
    dates = pd.to_datetime(["2000-01-31", "2000-03-31"])
    keys = pd.DataFrame({"date": dates, "asset": ["a", "a"]})
    assert np.isnan(carried_forward(keys, np.ones((2, 3)), np.ones((2, 3)), np.zeros(2))).all()
