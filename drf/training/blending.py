"""Blend the walks of several families into one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..evaluation.contributions import Contributions
from ..models.combine import blended
from ..samples.lagged import Samples
from .forecasts import Forecasts, WalkForward


def blended_walk(parts: Sequence[WalkForward], samples: Samples) -> WalkForward:
    """Return the walk of the blend of several families. Nothing is trained, and the blend has no model of its own."""
    return WalkForward(
        tested=_blended([part.tested for part in parts], samples),
        newest=_blended([part.newest for part in parts], samples),
        members=(),
    )


def _blended(parts: Sequence[Forecasts], samples: Samples) -> Forecasts:
    where = parts[0].samples_slice
    explained = [part.contributions for part in parts if part.contributions is not None]
    together = blend(explained, samples.month[where]) if explained else None
    prediction = np.empty(0) if together is None else together.linearised
    return Forecasts(
        samples_slice=where,
        prediction=prediction,
        contributions=together,
        seconds=sum(part.seconds for part in parts),
        by_seed=prediction[None],
        linearised_by_seed=None,
        faithfulness=pd.DataFrame(),
    )


def blend(parts: Sequence[Contributions], month: np.ndarray) -> Contributions:
    """Return the contributions to the blend of the linearised forecasts, see :func:`drf.models.combine.blended`.

    ``month``: Month of each forecast, shape (n,).
    """
    multiples, offset = blended(np.array([part.linearised for part in parts]), month)
    shares = [part.times(multiple, np.zeros_like(offset)) for part, multiple in zip(parts, multiples, strict=True)]
    return Contributions.sum(shares).times(np.ones_like(offset), offset)
