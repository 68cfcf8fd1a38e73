"""Random forest."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval
from sklearn.ensemble import RandomForestRegressor

from ..samples.inputs import Inputs
from .portable import PortableRegression
from .regression import Regression, flat


@dataclass(kw_only=True, eq=False, repr=False)
class Forest(Regression):
    """scikit-learn's RandomForestRegressor on the flattened ranks.

    Args:
        n_estimators, min_samples_leaf, max_features, max_samples: As in scikit-learn; ``max_samples`` is the share of
            the samples that each tree sees. Nakagawa et al. 2018 used 10 unlimited trees, which fit the noise.
    """

    n_estimators: Annotated[int, Ge(1)] = 60
    min_samples_leaf: Annotated[int, Ge(1)] = 100
    max_features: Annotated[float, Interval(gt=0, le=1)] = 0.1
    max_samples: Annotated[float, Interval(gt=0, le=1)] = 0.2

    def regress(self, x: Inputs, target: np.ndarray) -> None:
        settings = {name: value for name, value in self.get_params().items() if name != "label"}
        self.forest_ = RandomForestRegressor(**settings, n_jobs=1).fit(flat(x[:]), target)

    def output(self, x: np.ndarray) -> np.ndarray:
        return self.forest_.predict(x)

    def portable(self) -> PortableRegression:
        return PortableRegression(self.forest_, self.multiple_, self.offset_)
