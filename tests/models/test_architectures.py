"""Properties of every architecture: a new row of the catalogue is tested by being there."""

from __future__ import annotations

import numpy as np
import pytest

from drf.models.catalogue import ROWS
from drf.models.network import Network
from drf.samples.lagged import Samples

KINDS = sorted({row.model for row in ROWS if issubclass(row.model, Network)}, key=lambda kind: kind.__name__)
CLOSED = 2e-6  # single precision, returns in decimals


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def network(request: pytest.FixtureRequest, samples: Samples) -> Network:
    rows = samples.sample_slice(range(12, 30))
    kind: type[Network] = request.param
    return kind(epochs=3, validation_months=3).fit(samples.x[rows], samples.y[rows], samples.month[rows])


def test_a_neutral_stock_is_forecast_nothing(network: Network, samples: Samples) -> None:
    neutral = np.zeros_like(samples.x[:3])
    explanation = network.explain(neutral)
    assert np.abs(explanation.relevance).max() == 0
    assert network.predict(neutral) == pytest.approx(np.asarray(explanation.intercept), abs=CLOSED)


def test_contributions_sum_to_the_forecast(network: Network, samples: Samples) -> None:
    x = samples.x[samples.sample_slice(range(30, 33))]
    explanation = network.explain(x)
    assert explanation.relevance.shape == x.shape
    assert np.ptp(network.predict(x)) > 0
    assert explanation.total == pytest.approx(network.predict(x), abs=CLOSED)


def test_a_stock_that_is_not_neutral_has_relevance(network: Network, samples: Samples) -> None:
    x = samples.x[samples.sample_slice(range(30, 33))]
    assert np.abs(network.explain(x).relevance).sum(axis=(1, 2)).min() > 0
