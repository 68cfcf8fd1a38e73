"""Blend the walks of several families into one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..models.blend import blend
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
    explanations = [part.explanation for part in parts if part.explanation is not None]
    together = blend(explanations, samples.month[where]) if explanations else None
    prediction = np.empty(0) if together is None else together.linearised
    return Forecasts(
        samples_slice=where,
        prediction=prediction,
        explanation=together,
        seconds=sum(part.seconds for part in parts),
        by_seed=prediction[None],
        linearised_by_seed=None,
        faithfulness=pd.DataFrame(),
    )
