"""Walk-forward: fit every family on every window and seed, forecast the months after it, and explain the forecasts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from ..lrp.faithfulness import agreement
from ..models.base import Explains, Model
from ..models.family import Family
from ..models.network import Network
from ..samples.lagged import Samples
from ..samples.windows import Schedule, Window
from .blending import blended_walk
from .checkpoints import Checkpoints
from .collecting import Collected
from .fits import Fit, run_fits
from .forecasts import WalkForward
from .parallel import Compute, progress
from .results import Result, judged_samples, result_of


class Key(NamedTuple):
    """Key of one fit of a walk: family, window counted from the first, and seed."""

    family: str
    window: int
    member: int

    @property
    def predecessor(self) -> Key:
        """Key of the same fit on the window before."""
        return self._replace(window=self.window - 1)


_Done = dict[Key, Result]


def walk_forward(
    families: Sequence[Family],
    samples: Samples,
    schedule: Schedule,
    seed: int,
    compute: Compute,
    checkpoints: Checkpoints | None = None,
    full: bool = False,
) -> dict[str, WalkForward]:
    """Fit every family on all windows; a family made of others is derived from their walks.

    Args:
        seed: Seed of all random draws.
        compute: Place where fits run; results do not depend on it, except for rounding on a device.
        checkpoints: Store of finished fits; a fit that is found there is not run again.
        full: True keeps every contribution by descriptor and lag; False keeps sums, and single ones of a few stocks.
    """
    last = schedule.test_months.stop - 1
    trained = [family for family in families if not family.parts]
    fits = {
        Key(family.name, position, member): Fit(family, window, member, seed)
        for position, window in enumerate(schedule.every)
        for family in trained
        for member in range(family.seeds)
    }
    tasks = {
        key: (fit, fit.window is schedule.newest, full, last in fit.window.test and last) for key, fit in fits.items()
    }
    tested = {family.name: Collected(samples, schedule.tested, family.seeds, last, full) for family in trained}
    newest = {family.name: Collected(samples, [schedule.newest], family.seeds, last, True) for family in trained}
    done: _Done = {}

    def collect(key: Key, result: Result) -> None:
        window = schedule.every[key.window]
        collected = newest if window is schedule.newest else tested
        collected[key.family].add(window, key.member, result.seconds, result.prediction, result.contributions)
        done[key] = replace(result, contributions=None)

    for key, task in tasks.items():
        kept = checkpoints.load(task) if checkpoints else None
        if kept is not None:
            collect(key, kept)
    nameless = replace(samples, asset=samples.asset[:0])  # names are slow to send, and no fit needs them
    with progress(total=len(fits), initial=len(done), desc="walk-forward", unit="fit") as bar:
        for wave in _waves(fits):
            missing = [key for key in wave if key not in done]
            started = [_started(fits[key], key, done) for key in missing]
            for position, result in run_fits(result_of, nameless, started, compute, schedule.newest, last, full):
                if checkpoints:
                    checkpoints.keep(tasks[missing[position]], result)
                collect(missing[position], result)
                bar.update()
    walks = {
        family.name: WalkForward(
            tested=tested[family.name].forecasts(_faithfulness_of(family, done, samples, schedule.tested, 0)),
            newest=newest[family.name].forecasts(
                _faithfulness_of(family, done, samples, [schedule.newest], len(schedule.tested))
            ),
            members=_members(family, done, len(schedule.tested)),
        )
        for family in trained
    }
    made = {
        family.name: blended_walk([walks[part] for part in family.parts], samples)
        for family in families
        if family.parts
    }
    return walks | made


def _waves(fits: Mapping[Key, Fit]) -> Iterator[list[Key]]:
    """Yield groups of fits to run in turn: one per window if any family starts warm, else a single group.

    Fits of families that do not start warm are spread over the windows too, to keep workers busy.
    """
    if not any(fit.family.warm_start for fit in fits.values()):
        yield list(fits)
        return
    for window in sorted({key.window for key in fits}):
        yield [key for key in fits if key.window == window]


def _started(fit: Fit, key: Key, done: Mapping[Key, Result]) -> Fit:
    """Return the fit with its starting model: the previous window's, for families that start warm."""
    before = done.get(key.predecessor) if fit.family.warm_start else None
    return replace(fit, start=before.model) if before and isinstance(before.model, Network) else fit


def _members(family: Family, done: _Done, newest: int) -> tuple[Model, ...]:
    """Return the models of the newest window, one a seed."""
    results = [done[Key(family.name, newest, member)] for member in range(family.seeds)]
    return tuple(result.model for result in results if result.model is not None)


def _faithfulness_of(
    family: Family, done: _Done, samples: Samples, windows: Sequence[Window], first: int
) -> pd.DataFrame:
    """Return the measured faithfulness, and how well maps agree between seeds and with the previous refit.

    ``first``: Number of the first of the windows.
    """
    lines = []
    for k, window in enumerate(windows):
        seeds = [done[Key(family.name, first + k, member)] for member in range(family.seeds)]
        x = samples.x[judged_samples(samples, window)]
        models: list[object] = [result.model for result in seeds]
        maps = [model.explain(x).relevance for model in models if isinstance(model, Explains) and len(x)]
        for member, result in enumerate(seeds):
            if result.faithfulness is None:
                continue
            line = {"date": samples.dates[window.test.start], "member": member, **result.faithfulness}
            others = [_agreement(maps[member], maps[other]) for other in range(len(maps)) if other != member]
            line["agreement_other_seeds"] = float(np.mean(others)) if others else float("nan")
            before = done[Key(family.name, first + k - 1, member)].model if k else None
            line["agreement_refit_before"] = float("nan")
            if isinstance(before, Explains):
                line["agreement_refit_before"] = _agreement(maps[member], before.explain(x).relevance)
            lines.append(line)
    return pd.DataFrame(lines)


def _agreement(first: np.ndarray, second: np.ndarray) -> float:
    return agreement(torch.from_numpy(first), torch.from_numpy(second))
