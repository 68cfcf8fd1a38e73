"""The linear multi-factor model: ordinary least squares on all lags and descriptors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression

from .base import Explanation
from .portable import PortableLinear


@dataclass(kw_only=True, eq=False, repr=False)
class Linear(BaseEstimator):
    r""":math:`\hat r = \beta_0 + \sum_k \beta_k x_k`. A contribution is :math:`\beta_k x_k`; the account is exact.

    ``random_state`` is accepted, as by every family, and has no effect.
    """

    random_state: int = 0

    def fit(self, x: np.ndarray, y: np.ndarray, month: np.ndarray) -> Linear:
        self.shape_ = x.shape[1:]
        self.regression_ = LinearRegression().fit(x.reshape(len(x), -1).astype(np.float64), y)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.regression_.predict(x.reshape(len(x), -1))

    def explain(self, x: np.ndarray) -> Explanation:
        nothing = np.zeros(len(x))
        return Explanation(
            relevance=x * self.regression_.coef_.reshape(x.shape[1:]),
            intercept=np.full(len(x), self.regression_.intercept_),
            bias=nothing,
            stabiliser=nothing,
            initial_state=nothing,
        )

    def portable(self) -> PortableLinear:
        lags, descriptors = self.shape_
        return PortableLinear(self.regression_.coef_.reshape(lags, descriptors), float(self.regression_.intercept_))
