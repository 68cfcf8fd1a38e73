"""The linear multi-factor model: least squares on all lags and descriptors, with and without shrinkage."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge
from sklearn.linear_model import LinearRegression, Ridge

from .base import Explanation
from .portable import PortableLinear
from .regression import Regression

# The variance of ranks that are spread evenly over [-1, 1].
_VARIANCE_OF_RANKS = 1 / 3


@dataclass(kw_only=True, eq=False, repr=False)
class Linear(Regression):
    r""":math:`\hat r = \beta_0 + \sum_k \beta_k x_k`. A contribution is :math:`\beta_k x_k`; the account is exact."""

    def regress(self, x: np.ndarray, target: np.ndarray) -> None:
        self.regression_ = LinearRegression().fit(x.astype(np.float64), target)

    def output(self, x: np.ndarray) -> np.ndarray:
        return self.regression_.predict(x)

    def explain(self, x: np.ndarray) -> Explanation:
        coefficients, intercept = self._in_returns()
        nothing = np.zeros(len(x))
        return Explanation(
            relevance=x * coefficients,
            intercept=np.full(len(x), intercept),
            bias=nothing,
            stabiliser=nothing,
            initial_state=nothing,
        )

    def portable(self) -> PortableLinear:
        return PortableLinear(*self._in_returns())

    def _in_returns(self) -> tuple[np.ndarray, float]:
        """Return the coefficients, shape (lags, descriptors), and the intercept, as decimal returns."""
        coefficients = self.multiple_ * self.regression_.coef_.reshape(self.shape_)
        return coefficients, float(self.offset_ + self.multiple_ * self.regression_.intercept_)


@dataclass(kw_only=True, eq=False, repr=False)
class RidgeRegression(Linear):
    """The linear model with its coefficients shrunk towards 0.

    Args:
        shrinkage: scikit-learn's penalty divided by the number of samples times the variance of a rank, so that it
            means the same in windows of any length. At 1 it halves the coefficient of an input that correlates with no
            other.
    """

    shrinkage: Annotated[float, Ge(0)] = 0.3

    def regress(self, x: np.ndarray, target: np.ndarray) -> None:
        penalty = self.shrinkage * len(x) * _VARIANCE_OF_RANKS
        self.regression_ = Ridge(alpha=penalty).fit(x.astype(np.float64), target)
