"""Random forest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestRegressor


@dataclass(kw_only=True, eq=False, repr=False)
class Forest(BaseEstimator):
    """scikit-learn's RandomForestRegressor on the flattened ranks.

    Parameters
    ----------
    n_estimators, min_samples_leaf, max_features, max_samples
        As in scikit-learn; ``max_samples`` is the share of the samples that each tree sees. Nakagawa et al. 2018 used
        10 unlimited trees, which fit the noise.
    random_state
        Seed.
    """

    n_estimators: Annotated[int, Ge(1)] = 60
    min_samples_leaf: Annotated[int, Ge(1)] = 100
    max_features: Annotated[float, Interval(gt=0, le=1)] = 0.1
    max_samples: Annotated[float, Interval(gt=0, le=1)] = 0.2
    random_state: int = 0

    def fit(self, x: np.ndarray, y: np.ndarray, month: np.ndarray) -> Forest:
        self.forest_ = RandomForestRegressor(**self.get_params(), n_jobs=1).fit(x.reshape(len(x), -1), y)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.forest_.predict(x.reshape(len(x), -1))
