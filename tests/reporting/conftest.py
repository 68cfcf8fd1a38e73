"""Rows of a small market, walked through by two families."""

from __future__ import annotations

import pytest

from drf.comparison.rows import Judging, Row, make_rows
from drf.data.simulate import SimulatedMarket
from drf.models.family import Family
from drf.models.linear import Linear
from drf.models.lstm import LSTM
from drf.samples.lagged import make_samples
from drf.training.parallel import Compute
from drf.training.walkforward import walk_forward
from tests.making import rule, schedule

FACTORS = {"Value": ["PER", "PBR"], "Size": ["CAP"]}


@pytest.fixture(scope="module")
def judging() -> Judging:
    panel = SimulatedMarket(40, 45, seed=3).panel()
    return Judging(make_samples(panel, ["PER", "PBR", "CAP"], (0, 12)), panel, FACTORS, rule())


@pytest.fixture(scope="module")
def rows(judging: Judging) -> list[Row]:
    families = [
        Family("linear", Linear, {}),
        Family("lstm", LSTM, {"hidden": 3, "epochs": 2, "validation_months": 3}, seeds=2),
    ]
    walks = walk_forward(families, judging.samples, schedule(judging.samples, 12, 16, 8), 0, Compute(jobs=1))
    return make_rows(walks, judging)
