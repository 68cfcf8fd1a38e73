"""Settings that tests share: the project's usual ones, but for what a test says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from drf.evaluation.contributions import Contributions
from drf.evaluation.portfolio import PortfolioRule
from drf.models.base import Explanation
from drf.samples.lagged import Samples, in_memory
from drf.samples.windows import Schedule, WindowRule, make_schedule

LAGS = (0, 3, 6, 9, 12)


def rule(**changes: Any) -> PortfolioRule:
    return PortfolioRule(**{"quantiles": 5, "cost_bps": 10.0, **changes})


def window_rule(train_months: int, test_months: int | None = None, refit_every: int = 1, **changes: Any) -> WindowRule:
    settings = {"lags": LAGS, "target": "raw", "train_months": train_months, "test_months": test_months}
    return WindowRule(**{**settings, "refit_every": refit_every, **changes})  # type: ignore[arg-type]


def schedule(samples: Samples, train_months: int, test_months: int | None, refit_every: int) -> Schedule:
    return make_schedule(samples, window_rule(train_months, test_months, refit_every))


def account(cells: np.ndarray) -> Explanation:
    """An account whose only contributions are those of the inputs."""
    nothing = np.zeros(len(cells))
    return Explanation(cells, nothing, nothing, nothing, nothing)


def summed(cells: np.ndarray, descriptors: Sequence[str], lags: Sequence[int]) -> Contributions:
    """Contributions with all cells, of shape (n, lags, descriptors), kept."""
    count = len(cells)
    made = Contributions.empty(descriptors, lags, count, np.arange(count), in_memory)
    made.fill(slice(0, count), account(cells), np.zeros(count))
    return made
