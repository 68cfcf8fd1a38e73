"""Result of one fit: what a worker makes of a window, with contributions summed before they are sent."""

import time
from dataclasses import dataclass

import numpy as np

from ..evaluation.contributions import Contributions, whole_samples
from ..evaluation.factor_returns import carried_forward
from ..models.base import Explains, Explanation, MeasuresFaithfulness, Model, TrainingDivergedError
from ..samples.lagged import Samples, in_memory
from ..samples.windows import Window
from .fits import Fit, Fitted, fit_here

JUDGED = 64
"""Number of forecasts per window on which faithfulness is measured: enough for a mean, and cheap."""


@dataclass(frozen=True)
class Result:
    """Result of one fit: forecasts of its window, their contributions, processor seconds, faithfulness and, where it is
    needed later, the model."""

    prediction: np.ndarray
    contributions: Contributions | None
    seconds: float
    model: Model | None
    faithfulness: dict[str, float] | None


def result_of(samples: Samples, fit: Fit, model: Fitted | None, newest: Window, last: int, full: bool) -> Result:
    """Fit a model unless it is given, forecast its window, and explain the forecasts.

    Args:
        newest: Window whose models are kept.
        last: Month of which all contributions by cell are kept.
        full: True keeps the cells of all months.

    Raises TrainingDivergedError if the model cannot be trained with its settings.
    """
    started = time.process_time()
    if model is None:
        model = fit_here(samples, fit)
    if isinstance(model, TrainingDivergedError):
        raise model
    is_newest = fit.window == newest
    prediction, contributions = _forecast(model, samples, fit.window, last, full or is_newest)
    seconds = time.process_time() - started
    if not isinstance(model, MeasuresFaithfulness):
        return Result(prediction, contributions, seconds, model if is_newest else None, None)
    judged = samples.x[judged_samples(samples, fit.window)]
    return Result(prediction, contributions, seconds, model, model.faithfulness(judged) if len(judged) else None)


def _forecast(
    model: Model, samples: Samples, window: Window, last: int, every: bool
) -> tuple[np.ndarray, Contributions | None]:
    """Return a model's forecasts of a window and, if it can explain them, their contributions.

    Args:
        last: Month of which all contributions by cell are kept.
        every: True keeps the cells of all months.
    """
    where = samples.sample_slice(window.test)
    count = where.stop - where.start
    contributions = None
    if isinstance(model, Explains) and count:
        whole = whole_samples(samples.month[where], last, every)
        contributions = Contributions.empty(samples.descriptors, samples.lags, count, whole, in_memory)
    prediction, start = np.empty(count), 0
    for x in samples.x.part(where).blocks() if count else ():
        block = slice(start, start + len(x))
        prediction[block] = model.predict(x)
        if contributions is not None and isinstance(model, Explains):
            explanation = model.explain(x)
            own = slice(where.start + block.start, where.start + block.stop)
            contributions.fill(block, explanation, _ahead(samples, own, x, explanation))
        start = block.stop
    return prediction, contributions


def _ahead(samples: Samples, where: slice, x: np.ndarray, explanation: Explanation) -> np.ndarray:
    """Forecast the same stocks a month later by this month's factor returns; NaN for a stock that is not there then."""
    after = samples.after[where]
    there = np.flatnonzero(after >= 0)
    ahead = np.full(len(after), np.nan)
    later = samples.x[after[there]]
    ahead[there] = carried_forward(explanation.relevance[there], x[there], later, explanation.intercept[there])
    return ahead


def judged_samples(samples: Samples, window: Window) -> np.ndarray:
    """Return the positions of at most :data:`JUDGED` samples of a window, evenly spaced."""
    where = samples.sample_slice(window.test)
    count = where.stop - where.start
    return where.start + np.unique(np.linspace(0, count - 1, min(JUDGED, count)).round().astype(int))
