"""The linear multi-factor model: least squares on all lags and descriptors, with and without shrinkage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval
from sklearn.base import BaseEstimator
from sklearn.linear_model import ElasticNet

from ..samples.inputs import Inputs
from ..samples.label import Label
from .base import Explanation
from .cross_products import CrossProducts, cross_products
from .portable import PortableLinear

# The variance of ranks that are spread evenly over [-1, 1].
_VARIANCE_OF_RANKS = 1 / 3


@dataclass(kw_only=True, eq=False, repr=False)
class Linear(BaseEstimator):
    r""":math:`\hat r = \beta_0 + \sum_k \beta_k x_k`. A contribution is :math:`\beta_k x_k`; the account is exact.

    Args:
        label: Training target: ``return``, or ``rank`` for the return's rank in its month. Forecasts are returns in
            either case, see :mod:`drf.samples.label`.
        random_state: Not used: nothing is drawn.
    """

    label: Label = "return"
    random_state: int = 0

    def fit(self, x: Inputs | np.ndarray, y: np.ndarray, month: np.ndarray) -> Linear:
        inputs = Inputs.of(x)
        products = cross_products(inputs, y, month)
        coefficients = self.solve(products)
        if self.label == "rank":  # in returns: the slope of the excess return on the forecast rank
            moved = coefficients @ products.scatter() @ coefficients
            coefficients = coefficients * (coefficients @ products.with_target("excess") / (moved or 1.0))
        self.coefficients_ = coefficients.reshape(inputs.shape[1:])
        self.intercept_ = products.mean_return - float(coefficients @ products.means)
        return self

    def solve(self, products: CrossProducts) -> np.ndarray:
        """Return the coefficients on the label, shape (inputs,)."""
        return products.solve(self.label)

    def predict(self, x: Inputs | np.ndarray) -> np.ndarray:
        blocks = (block.reshape(len(block), -1) for block in Inputs.of(x).blocks())
        return self.intercept_ + np.concatenate([block @ self.coefficients_.ravel() for block in blocks])

    def explain(self, x: np.ndarray) -> Explanation:
        nothing = np.zeros(len(x))
        return Explanation(
            relevance=x * self.coefficients_,
            intercept=np.full(len(x), self.intercept_),
            bias=nothing,
            stabiliser=nothing,
            initial_state=nothing,
        )

    def portable(self) -> PortableLinear:
        return PortableLinear(self.coefficients_, self.intercept_)


@dataclass(kw_only=True, eq=False, repr=False)
class RidgeRegression(Linear):
    """The linear model with its coefficients shrunk towards 0.

    Args:
        shrinkage: scikit-learn's penalty divided by the number of samples times the variance of a rank, so that it
            means the same in windows of any length. At 1 it halves the coefficient of an input that correlates with no
            other.
    """

    shrinkage: Annotated[float, Ge(0)] = 0.3

    def solve(self, products: CrossProducts) -> np.ndarray:
        return products.solve(self.label, self.shrinkage * products.count * _VARIANCE_OF_RANKS)


@dataclass(kw_only=True, eq=False, repr=False)
class ElasticNetRegression(Linear):
    """The linear model with weak coefficients set to 0 and the others shrunk, by scikit-learn's elastic net.

    Args:
        threshold: The least correlation with the label at which an input that correlates with no other gets a
            coefficient. It means the same for either label and in windows of any length.
        shrinkage: As in :class:`RidgeRegression`, for the coefficients that are left.
    """

    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.01
    shrinkage: Annotated[float, Ge(0)] = 0.3

    def solve(self, products: CrossProducts) -> np.ndarray:
        squared = self.shrinkage * _VARIANCE_OF_RANKS
        if not self.threshold:
            return products.solve(self.label, squared * products.count)
        absolute = self.threshold * products.deviation(self.label) * math.sqrt(_VARIANCE_OF_RANKS)
        penalty = absolute + squared
        inputs, target = products.as_samples(self.label)
        if not penalty or not target.any():
            return np.zeros(len(target))
        net = ElasticNet(alpha=penalty, l1_ratio=absolute / penalty, fit_intercept=False, max_iter=100_000, tol=1e-8)
        return net.fit(inputs, target).coef_
