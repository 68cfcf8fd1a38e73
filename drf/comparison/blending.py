"""The walk of a blend, from those of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ..models.blend import Blend, blend
from ..models.rows import row_named
from ..samples.lagged import Samples
from ..training.forecasts import Forecasts, WalkForward


def blended_walk(chosen: Blend, walks: Mapping[str, WalkForward], samples: Samples) -> WalkForward:
    """What the blend of some rows would have forecast; nothing is trained, and no model is its own."""
    rows = [row for name in chosen.rows if (row := row_named(name))]
    parts = [walks[row.family] for row in rows]
    return WalkForward(
        tested=_blended([walk.tested for walk in parts], samples),
        newest=_blended([walk.newest for walk in parts], samples),
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
