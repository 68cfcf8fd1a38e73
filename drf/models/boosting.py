"""Boosted trees (LightGBM), with exact contributions by TreeSHAP."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Interval

from ..samples.inputs import BLOCK, Inputs
from .base import Explanation
from .portable import PortableTrees
from .regression import Regression, flat

VALUES = 20_000_000
"""Values of all inputs from which bins are made; at most those of 200,000 samples, as in LightGBM."""


@dataclass(kw_only=True, eq=False, repr=False)
class Boosting(Regression):
    """LightGBM's regression on the flattened ranks: many small trees, each grown on part of the inputs and samples.

    A contribution is the Shapley value of an input under the trees' own distribution (Lundberg et al. 2020). The
    contributions and the trees' expected value sum to the forecast.

    Args:
        n_estimators, learning_rate, num_leaves, reg_lambda: As in LightGBM.
        min_child_share: The least share of the samples in a leaf.
        feature_share, sample_share: Shares of the inputs and of the samples that each tree sees.
    """

    n_estimators: Annotated[int, Ge(1)] = 200
    learning_rate: Annotated[float, Interval(gt=0, le=1)] = 0.03
    num_leaves: Annotated[int, Ge(2)] = 6
    min_child_share: Annotated[float, Interval(gt=0, lt=0.5)] = 0.01
    feature_share: Annotated[float, Interval(gt=0, le=1)] = 0.3
    sample_share: Annotated[float, Interval(gt=0, le=1)] = 0.5
    reg_lambda: Annotated[float, Ge(0)] = 10.0

    def regress(self, x: Inputs, target: np.ndarray) -> None:
        import lightgbm  # LightGBM's threading library is loaded only where it is used

        settings = {
            "objective": "regression",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": max(1, round(self.min_child_share * len(x))),
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.sample_share,
            "bagging_freq": 1,
            "lambda_l2": self.reg_lambda,
            "seed": self.random_state,
            "deterministic": True,
            "force_row_wise": True,
            "bin_construct_sample_cnt": min(200_000, VALUES // (x.size // len(x))),
            "num_threads": 1,
            "verbosity": -1,
        }
        # Targets are scaled to about 1: LightGBM sums in single precision, which would lose small returns.
        self.centre_, self.unit_ = float(target.mean(dtype=np.float64)), float(target.std(dtype=np.float64)) or 1.0
        inputs = flat(x[:]).astype(np.float64) if 4 * x.size <= BLOCK else _in_turn(x)
        data = lightgbm.Dataset(inputs, (target - self.centre_) / self.unit_)
        self.trees_ = lightgbm.train(settings, data, num_boost_round=self.n_estimators).model_to_string()

    def output(self, x: np.ndarray) -> np.ndarray:
        return self._in_label().predict(x)

    def explain(self, x: np.ndarray) -> Explanation:
        account, nothing = self.portable().account(x), np.zeros(len(x))
        return Explanation(account["relevance"], account["intercept"], nothing, nothing, nothing)

    def portable(self) -> PortableTrees:
        return PortableTrees(
            self.trees_, self.multiple_ * self.unit_, self.offset_ + self.multiple_ * self.centre_, self.shape_
        )

    def _in_label(self) -> PortableTrees:
        return PortableTrees(self.trees_, self.unit_, self.centre_, self.shape_)


def _in_turn(x: Inputs) -> Any:
    """Return the inputs as LightGBM reads them, a few thousand samples at a time.

    It then also keeps inputs that no tree can split, so trees that draw a share of the inputs draw others.
    """
    import lightgbm

    class InTurn(lightgbm.Sequence):
        batch_size = 4096

        def __getitem__(self, samples: Any) -> np.ndarray:
            one = isinstance(samples, (int, np.integer))
            return (x[samples].ravel() if one else flat(x[samples])).astype(np.float64)

        def __len__(self) -> int:
            return len(x)

    return InTurn()
