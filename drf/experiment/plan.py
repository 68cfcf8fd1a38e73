"""Plan: fits, time and memory of a training, from one fit of each family and without a run in MLflow."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import psutil

from ..errors import InputError
from ..samples.lagged import Samples
from ..samples.windows import Window
from ..training.fits import Fit, Fitted, fit_here, run_fits
from ..training.parallel import Compute, peak_memory
from .experiment import Experiment

GB = 2.0**30

_BYTES = 12
"""Most bytes that one number of the contributions takes. It is held by the row, in its units and in a file's table."""

_ENTRIES = 25
"""Numbers of a forecast besides its contributions: the entries of its account, also in the row's units, and tables."""


@dataclass(frozen=True)
class FamilyPlan:
    """Fits of one family.

    Attributes:
        family: Its name.
        fits, trials: Number of walk-forward fits, and of tuning fits at most.
        samples: Number of training samples in the newest window.
        seconds: Processor seconds of a fit on them.
        work: Processor seconds of all fits, in proportion to their samples. Later windows of a warm start take less.
    """

    family: str
    fits: int
    trials: int
    samples: int
    seconds: float
    work: float


@dataclass(frozen=True)
class TrainingPlan:
    """Fits, time and memory of a training.

    Attributes:
        families: Fits by family.
        jobs, minutes: Number of workers, and wall-clock time of all fits in them; tables and reports come on top.
        memory, free: Peak memory of all processes, and memory that is available to them, in bytes.
    """

    families: Sequence[FamilyPlan]
    jobs: int
    minutes: float
    memory: float
    free: float


def make_plan(experiment: Experiment) -> TrainingPlan:
    """Fit each family once, on the newest window, and return what the whole training would take."""
    own = float(psutil.Process().memory_info().rss)
    free = own + psutil.virtual_memory().available
    families = [family for family in experiment.families if not family.parts]
    samples = replace(experiment.samples, asset=experiment.samples.asset[:0])
    newest, config = experiment.schedule.newest, experiment.config
    every = _training_samples(samples, experiment.schedule.every)
    tuned = _training_samples(samples, experiment.tuning_windows())
    fits = [Fit(family, newest, 0, config.seed) for family in families]
    # In workers, even with one core: what a worker takes could not be measured in this process.
    measured = dict(run_fits(_measured, samples, fits, Compute(jobs=2)))
    plans = []
    for position, family in enumerate(families):
        trials, seconds = config.tuning.trials if family.space else 0, measured[position][0]
        looked_at = family.seeds * sum(every) + trials * sum(tuned)
        plans.append(
            FamilyPlan(
                family=family.name,
                fits=family.seeds * len(every),
                trials=trials * len(tuned),
                samples=every[-1],
                seconds=seconds,
                work=seconds * looked_at / max(1, every[-1]),
            )
        )
    jobs = os.cpu_count() or 1 if config.compute.jobs < 0 else config.compute.jobs
    workers = jobs * max((peak for _, peak in measured.values()), default=0.0)
    return TrainingPlan(
        families=plans,
        jobs=jobs,
        minutes=sum(one.work for one in plans) / jobs / 60,
        memory=own + workers + _contributions(experiment),
        free=free,
    )


def _training_samples(samples: Samples, windows: Sequence[Window]) -> list[int]:
    """Return the number of training samples of each window."""
    return [int((~np.isnan(samples.y[samples.sample_slice(window.train)])).sum()) for window in windows]


def require_memory(experiment: Experiment) -> None:
    """Refuse a training whose contributions would not fit into the memory that is free.

    Raises InputError, naming what makes them smaller.
    """
    needed, free = _contributions(experiment), float(psutil.virtual_memory().available)
    if needed > free:
        raise InputError(
            f"the contributions to all forecasts take {needed / GB:.1f} GB, and {free / GB:.1f} GB of memory are free: "
            "leave report.relevance at summed, or test fewer months (window.test_months), fewer stocks (data.universe) "
            "or fewer rows (model)"
        )


def _contributions(experiment: Experiment) -> float:
    """Return the bytes of the contributions to all forecasts of the test months."""
    samples = experiment.samples
    forecast = samples.sample_slice(experiment.schedule.test_months)
    count, lags, descriptors = samples.x.part(forecast).shape
    kept = lags * descriptors if experiment.config.report.relevance == "full" else lags + descriptors
    explained = sum(row.explained for row in experiment.rows)
    return float(_BYTES * explained * count * (kept + _ENTRIES))


def _measured(samples: Samples, fit: Fit, model: Fitted | None) -> tuple[float, float]:
    """Fit a model in a worker; return the processor seconds, and the worker's peak memory in bytes."""
    started = time.process_time()
    fit_here(samples, fit)
    return time.process_time() - started, peak_memory() or float(psutil.Process().memory_info().rss)
