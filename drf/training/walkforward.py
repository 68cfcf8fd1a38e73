"""Walk-forward: fit every family on every window and seed, forecast the months after it, and explain the forecasts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from .checkpoints import Checkpoints
from .fits import Fit, Fitted, fit_here, run_fits
from ..lrp.faithfulness import agreement
from ..models.base import Audits, Explains, Explanation, Model, TrainingDivergedError
from ..models.family import Family
from ..models.network import Network
from .parallel import Compute, progress
from ..samples.lagged import Samples
from ..samples.windows import Window

AUDITED = 64


@dataclass(frozen=True)
class Forecasts:
    """What one family said about consecutive months, averaged over its seeds.

    Attributes
    ----------
    rows
        The samples forecast.
    prediction
        Forecasts as decimal returns, shape (n,).
    explanation
        Their contributions, where the family can explain.
    seconds
        Processor time of all fits, in seconds; of networks trained on a device without their training.
    members
        The fitted models of the last window, one a seed.
    by_seed, linearised_by_seed
        Every seed's own forecasts and linearised forecasts, shape (seeds, n); the latter where the family can explain.
    audit
        How true the explanations are: one row a window and seed, ``date`` of the window's first test month, ``member``,
        and what the family measures; no rows where it measures nothing.
    """

    rows: slice
    prediction: np.ndarray
    explanation: Explanation | None
    seconds: float
    members: tuple[Model, ...]
    by_seed: np.ndarray
    linearised_by_seed: np.ndarray | None
    audit: pd.DataFrame


@dataclass(frozen=True)
class _Result:
    prediction: np.ndarray
    explanation: Explanation | None
    seconds: float
    model: Model | None
    audit: dict[str, float] | None


def walk_forward(
    families: Sequence[Family],
    samples: Samples,
    windows: Sequence[Window],
    newest: Window,
    seed: int,
    compute: Compute,
    checkpoints: Checkpoints | None = None,
) -> dict[str, tuple[Forecasts, Forecasts]]:
    """Fit every family on all windows.

    Parameters
    ----------
    windows
        Consecutive test windows, in the order of time.
    newest
        The window whose models are kept; it may have no month left to forecast.
    seed
        Of all that is random.
    compute
        Where fits run; results do not depend on it.
    checkpoints
        Where finished fits are kept, and taken from if they are there.

    Returns
    -------
    For every family its forecasts over the test windows, and those of the newest window.
    """
    fits = [
        Fit(family, window, member, seed)
        for window in (*windows, newest)
        for family in families
        for member in range(family.seeds)
    ]
    keys = [(fit, fit.window is newest) for fit in fits]
    done: list[_Result | None] = [checkpoints.load(key) if checkpoints else None for key in keys]
    nameless = replace(samples, asset=samples.asset[:0])  # names are slow to send, and no fit needs them
    with progress(total=len(fits), initial=len(fits) - done.count(None), desc="walk-forward", unit="fit") as bar:
        for wave in _waves(fits):
            missing = [position for position in wave if done[position] is None]
            started = [_started(fits, position, done) for position in missing]
            for count, result in run_fits(_result, nameless, started, compute, newest):
                done[missing[count]] = result
                if checkpoints:
                    checkpoints.keep(keys[missing[count]], result)
                bar.update()
    results: dict[tuple[str, Window], list[_Result]] = {}
    for fit, finished in zip(fits, done, strict=True):
        assert finished is not None
        results.setdefault((fit.family.name, fit.window), []).append(finished)

    forecasts = {}
    for family in families:
        tested = [results[family.name, window] for window in windows]
        forecasts[family.name] = (
            _joined(tested, samples, windows),
            _joined([results[family.name, newest]], samples, [newest]),
        )
    return forecasts


def _waves(fits: Sequence[Fit]) -> list[list[int]]:
    """Positions of the fits in groups that wait for the one before: window after window if any starts from the last.

    Fits that wait for nothing go with their window's all the same, to fill what the others leave idle.
    """
    if not any(_is_warm(fit) for fit in fits):
        return [list(range(len(fits)))]
    waves: dict[int, list[int]] = {}
    for position, fit in enumerate(fits):
        waves.setdefault(fit.window.test.start, []).append(position)
    return [waves[month] for month in sorted(waves)]


def _is_warm(fit: Fit) -> bool:
    return bool(fit.family.settings.get("warm_start"))


def _started(fits: Sequence[Fit], position: int, done: Sequence[_Result | None]) -> Fit:
    """The fit with the model that it starts from: its own on the window before, where it is to start from one."""
    fit, a_window = fits[position], sum(other.window is fits[0].window for other in fits)
    before = done[position - a_window] if _is_warm(fit) and position >= a_window else None
    return replace(fit, start=before.model) if before and isinstance(before.model, Network) else fit


def _result(samples: Samples, fit: Fit, model: Fitted | None, newest: Window) -> _Result:
    started = time.process_time()
    if model is None:
        model = fit_here(samples, fit)
    if isinstance(model, TrainingDivergedError):
        raise model
    x = samples.x[samples.rows(fit.window.test)]
    prediction = model.predict(x) if len(x) else np.empty(0)
    explanation = model.explain(x) if isinstance(model, Explains) and len(x) else None
    seconds = time.process_time() - started
    if not isinstance(model, Audits):
        return _Result(prediction, explanation, seconds, model if fit.window == newest else None, None)
    return _Result(prediction, explanation, seconds, model, model.audit(_some(x)) if len(x) else None)


def _some(x: np.ndarray) -> np.ndarray:
    """At most ``AUDITED`` samples, evenly spaced: enough for a mean, and cheap."""
    return x[np.unique(np.linspace(0, len(x) - 1, min(AUDITED, len(x))).round().astype(int))]


def _joined(results: list[list[_Result]], samples: Samples, windows: Sequence[Window]) -> Forecasts:
    """Average the seeds within each window and put the windows one after the other."""
    means = [np.mean([result.prediction for result in seeds], axis=0) for seeds in results]
    explained = [
        Explanation.mean([result.explanation for result in seeds if result.explanation is not None])
        for seeds in results
        if seeds[0].explanation is not None
    ]
    return Forecasts(
        rows=samples.rows(range(windows[0].test.start, windows[-1].test.stop)),
        prediction=np.concatenate(means),
        explanation=Explanation.concatenate(explained) if explained else None,
        seconds=sum(result.seconds for seeds in results for result in seeds),
        by_seed=np.concatenate([[result.prediction for result in seeds] for seeds in results], axis=1),
        linearised_by_seed=np.concatenate(
            [[result.explanation.linearised for result in seeds if result.explanation] for seeds in results], axis=1
        )
        if explained
        else None,
        members=tuple(result.model for result in results[-1] if result.model is not None),
        audit=_audit_table(results, samples, windows),
    )


def _audit_table(results: list[list[_Result]], samples: Samples, windows: Sequence[Window]) -> pd.DataFrame:
    """What the models measured, and how well the maps of other seeds and of the refit before agree with each."""
    lines = []
    for k, (window, seeds) in enumerate(zip(windows, results, strict=True)):
        x = _some(samples.x[samples.rows(window.test)])
        models: list[object] = [result.model for result in seeds]
        maps = [model.explain(x).relevance for model in models if isinstance(model, Explains) and len(x)]
        for member, result in enumerate(seeds):
            if result.audit is None:
                continue
            line = {"date": samples.dates[window.test.start], "member": member, **result.audit}
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


def forecast_table(samples: Samples, rows: slice, prediction: np.ndarray) -> pd.DataFrame:
    """Forecasts beside what came true: ``date``, ``asset``, ``y_true``, ``y_pred`` as decimal returns."""
    return pd.DataFrame(
        {
            "date": samples.dates[samples.month[rows]],
            "asset": samples.asset[rows],
            "y_true": samples.y[rows].astype(np.float64),
            "y_pred": prediction,
        }
    )


def relevance_table(samples: Samples, rows: slice, explanation: Explanation) -> pd.DataFrame:
    """Contributions beside their keys: ``date``, ``asset`` and a column ``<descriptor>_lag<months>`` each."""
    names = [f"{name}_lag{lag}" for lag in samples.lags for name in samples.descriptors]
    values = pd.DataFrame(explanation.relevance.reshape(len(explanation.relevance), -1), columns=names)
    keys = forecast_table(samples, rows, explanation.linearised)[["date", "asset"]]
    return pd.concat([keys, values.astype(np.float32)], axis=1)
