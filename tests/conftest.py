"""Fixtures that several test modules share."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from drf.data.factors import DESCRIPTORS
from drf.data.simulate import Market, simulate_market
from drf.windows.samples import Samples, make_samples

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def market() -> Market:
    return simulate_market(stocks=40, months=45, seed=3)


@pytest.fixture
def panel(market: Market) -> pd.DataFrame:
    return market.panel.copy()


@pytest.fixture(scope="session")
def samples(market: Market) -> Samples:
    return make_samples(market.panel, DESCRIPTORS, (0, 3, 6, 9, 12))
