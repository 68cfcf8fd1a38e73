from __future__ import annotations

import numpy as np

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
    before, now, beta = rng.uniform(-1, 1, (12, 5, 4)), rng.uniform(-1, 1, (12, 5, 4)), rng.normal(size=(5, 4))
    carried = carried_forward(beta * before, before, now, np.full(12, 0.01))
    assert np.allclose(carried, (beta * now).sum((1, 2)) + 0.01)
