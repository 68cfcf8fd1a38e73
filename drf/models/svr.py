"""Support vector regression with a Gaussian kernel."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt
from sklearn.svm import SVR as KernelSVR

from ..samples.inputs import Inputs
from .portable import PortableRegression
from .regression import Regression, flat


@dataclass(kw_only=True, eq=False, repr=False)
class SVR(Regression):
    """scikit-learn's SVR on the flattened ranks.

    Args:
        C, epsilon, gamma: As in scikit-learn, for targets as decimal returns. The epsilon of 0.1 of Nakagawa et al.
            2018 is as wide as a month's return.
        max_samples: Largest number of training samples, evenly spaced over months and stocks: the cost grows with its
            square.
    """

    CALIBRATED_ON: ClassVar[int | None] = 3000  # a forecast's cost grows with the number of support vectors

    C: Annotated[float, Gt(0)] = 0.1
    epsilon: Annotated[float, Ge(0)] = 0.03
    gamma: Annotated[float, Gt(0)] = 0.005
    max_samples: Annotated[int, Ge(1)] = 3000

    def regress(self, x: Inputs, target: np.ndarray) -> None:
        kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), self.max_samples)).round().astype(int))
        self.svr_ = KernelSVR(kernel="rbf", C=self.C, epsilon=self.epsilon, gamma=self.gamma)
        self.svr_.fit(flat(x[kept]), target[kept])

    def output(self, x: np.ndarray) -> np.ndarray:
        return self.svr_.predict(x)

    def portable(self) -> PortableRegression:
        return PortableRegression(self.svr_, self.multiple_, self.offset_)
