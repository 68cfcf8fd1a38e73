"""Walk-forward: fit every family on every window and seed, forecast the months after it, and explain the forecasts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from ..lrp.faithfulness import agreement
from ..models.base import Explains, Explanation, MeasuresFaithfulness, Model, TrainingDivergedError
from ..models.family import Family
from ..models.network import Network
from ..samples.lagged import Samples
from ..samples.windows import Schedule, Window
from .blending import blended_walk
from .checkpoints import Checkpoints
from .fits import Fit, Fitted, fit_here, run_fits
from .forecasts import Forecasts, WalkForward
from .parallel import Compute, progress

JUDGED = 64
"""Number of forecasts per window on which faithfulness is measured: enough for a mean, and cheap."""


class Key(NamedTuple):
    """Key of one fit of a walk: family, window counted from the first, and seed."""

    family: str
    window: int
    member: int

    @property
    def predecessor(self) -> Key:
        """Key of the same fit on the window before."""
        return self._replace(window=self.window - 1)


@dataclass(frozen=True)
class _Result:
    prediction: np.ndarray
    explanation: Explanation | None
    seconds: float
    model: Model | None
    faithfulness: dict[str, float] | None


_Done = dict[Key, _Result]


def walk_forward(
    families: Sequence[Family],
    samples: Samples,
    schedule: Schedule,
    seed: int,
    compute: Compute,
    checkpoints: Checkpoints | None = None,
) -> dict[str, WalkForward]:
    """Fit every family on all windows; a family made of others is derived from their walks.

    Args:
        seed: Seed of all random draws.
        compute: Place where fits run; results do not depend on it, except for rounding on a device.
        checkpoints: Store of finished fits; a fit that is found there is not run again.
    """
    fits = {
        Key(family.name, position, member): Fit(family, window, member, seed)
        for position, window in enumerate(schedule.every)
        for family in families
        if not family.parts
        for member in range(family.seeds)
    }
    tasks = {key: (fit, fit.window is schedule.newest) for key, fit in fits.items()}
    kept = {key: checkpoints.load(task) if checkpoints else None for key, task in tasks.items()}
    done: _Done = {key: result for key, result in kept.items() if result is not None}
    nameless = replace(samples, asset=samples.asset[:0])  # names are slow to send, and no fit needs them
    with progress(total=len(fits), initial=len(done), desc="walk-forward", unit="fit") as bar:
        for wave in _waves(fits):
            missing = [key for key in wave if key not in done]
            started = [_started(fits[key], key, done) for key in missing]
            for position, result in run_fits(_result, nameless, started, compute, schedule.newest):
                done[missing[position]] = result
                if checkpoints:
                    checkpoints.keep(tasks[missing[position]], result)
                bar.update()
    walks = {family.name: _walked(family, done, samples, schedule) for family in families if not family.parts}
    blended = {
        family.name: blended_walk([walks[part] for part in family.parts], samples)
        for family in families
        if family.parts
    }
    return walks | blended


def _waves(fits: Mapping[Key, Fit]) -> Iterator[list[Key]]:
    """Yield groups of fits to run in turn: one per window if any family starts warm, else a single group.

    Fits of families that do not start warm are spread over the windows too, to keep workers busy.
    """
    if not any(fit.family.warm_start for fit in fits.values()):
        yield list(fits)
        return
    for window in sorted({key.window for key in fits}):
        yield [key for key in fits if key.window == window]


def _started(fit: Fit, key: Key, done: Mapping[Key, _Result]) -> Fit:
    """Return the fit with its starting model: the previous window's, for families that start warm."""
    before = done.get(key.predecessor) if fit.family.warm_start else None
    return replace(fit, start=before.model) if before and isinstance(before.model, Network) else fit


def _result(samples: Samples, fit: Fit, model: Fitted | None, newest: Window) -> _Result:
    started = time.process_time()
    if model is None:
        model = fit_here(samples, fit)
    if isinstance(model, TrainingDivergedError):
        raise model
    x = samples.x[samples.sample_slice(fit.window.test)]
    prediction = model.predict(x) if len(x) else np.empty(0)
    explanation = model.explain(x) if isinstance(model, Explains) and len(x) else None
    seconds = time.process_time() - started
    if not isinstance(model, MeasuresFaithfulness):
        return _Result(prediction, explanation, seconds, model if fit.window == newest else None, None)
    return _Result(prediction, explanation, seconds, model, model.faithfulness(_some(x)) if len(x) else None)


def _some(x: np.ndarray) -> np.ndarray:
    """Return at most :data:`JUDGED` samples, evenly spaced."""
    return x[np.unique(np.linspace(0, len(x) - 1, min(JUDGED, len(x))).round().astype(int))]


def _walked(family: Family, done: Mapping[Key, _Result], samples: Samples, schedule: Schedule) -> WalkForward:
    by_window = [
        [done[Key(family.name, position, member)] for member in range(family.seeds)]
        for position in range(len(schedule.every))
    ]
    return WalkForward(
        tested=_joined(by_window[:-1], samples, schedule.tested),
        newest=_joined(by_window[-1:], samples, [schedule.newest]),
        members=tuple(result.model for result in by_window[-1] if result.model is not None),
    )


def _joined(results: list[list[_Result]], samples: Samples, windows: Sequence[Window]) -> Forecasts:
    """Average the seeds within each window and put the windows one after the other."""
    means = [np.mean([result.prediction for result in seeds], axis=0) for seeds in results]
    explained = [
        Explanation.mean([result.explanation for result in seeds if result.explanation is not None])
        for seeds in results
        if seeds[0].explanation is not None
    ]
    return Forecasts(
        samples_slice=samples.sample_slice(range(windows[0].test.start, windows[-1].test.stop)),
        prediction=np.concatenate(means),
        explanation=Explanation.concatenate(explained) if explained else None,
        seconds=sum(result.seconds for seeds in results for result in seeds),
        by_seed=np.concatenate([[result.prediction for result in seeds] for seeds in results], axis=1),
        linearised_by_seed=np.concatenate(
            [[result.explanation.linearised for result in seeds if result.explanation] for seeds in results], axis=1
        )
        if explained
        else None,
        faithfulness=_faithfulness_table(results, samples, windows),
    )


def _faithfulness_table(results: list[list[_Result]], samples: Samples, windows: Sequence[Window]) -> pd.DataFrame:
    """Return the measured faithfulness, and how well maps agree between seeds and with the previous refit."""
    lines = []
    for k, (window, seeds) in enumerate(zip(windows, results, strict=True)):
        x = _some(samples.x[samples.sample_slice(window.test)])
        models: list[object] = [result.model for result in seeds]
        maps = [model.explain(x).relevance for model in models if isinstance(model, Explains) and len(x)]
        for member, result in enumerate(seeds):
            if result.faithfulness is None:
                continue
            line = {"date": samples.dates[window.test.start], "member": member, **result.faithfulness}
            others = [_agreement(maps[member], maps[other]) for other in range(len(maps)) if other != member]
            line["agreement_other_seeds"] = float(np.mean(others)) if others else float("nan")
            before = results[k - 1][member].model if k else None
            line["agreement_refit_before"] = float("nan")
            if isinstance(before, Explains):
                line["agreement_refit_before"] = _agreement(maps[member], before.explain(x).relevance)
            lines.append(line)
    return pd.DataFrame(lines)


def _agreement(first: np.ndarray, second: np.ndarray) -> float:
    return agreement(torch.from_numpy(first), torch.from_numpy(second))
