"""Tune each family by walk-forward validation on months before the first test month."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from ..evaluation.metrics import rank_ic
from ..evaluation.portfolio import PortfolioRule, long_short
from ..models.base import TrainingDivergedError
from ..models.family import Family
from ..samples.lagged import Samples
from ..samples.windows import Window
from ..training.fits import Fit, Fitted, fit_here, run_fits
from ..training.forecasts import forecast_table
from ..training.parallel import Compute, progress
from .rule import TuningRule
from .space import entries
from .studies import abandoned, alive, is_shared

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)

MACHINE = "machine"  # a trial's attribute: the process that ran it, as host:process

WAIT = 2.0  # seconds between checks of trials that other machines are running

OnTrial = Callable[[Family, FrozenTrial, bool], None]
"""Callback given the family, each finished trial, and whether an earlier run had already finished it."""


@dataclass(frozen=True)
class TuningPlan:
    """A search that is ready to run.

    Attributes:
        rule: Length of the search, and its batches.
        windows: Validation windows, all before the first test month.
        seed: Seed of all random draws.
        compute: Where fits run.
        storage: Storage of the studies, see :mod:`~.studies`; None if there is nothing to tune.
        identity: Digest of everything that a trial's value depends on, besides its settings, seed and months. It is
            part of a study's name.
        portfolio: Portfolios whose returns are kept for every trial. The returns do not affect the choice; they serve
            later to count trials and estimate overfitting.
        panel: Panel in contract form, from which the portfolios take what they need besides forecasts.
    """

    rule: TuningRule
    windows: Sequence[Window]
    seed: int
    compute: Compute
    storage: BaseStorage | None
    identity: Mapping[str, Any]
    portfolio: PortfolioRule
    panel: pd.DataFrame


def tune(families: Sequence[Family], samples: Samples, plan: TuningPlan, on_trial: OnTrial) -> list[Family]:
    """Return families with their best trial's settings, by the rule's objective over the windows.

    The first trial of a family uses its configured settings. Trials that fall behind the median of the finished ones at
    the same window are pruned. An interrupted study is resumed: its finished trials count, and its open trials are
    continued. In a shared database, trials of other machines count too, and tuning waits for their running trials. In
    that case, the settings that are tried depend on which machine asks first.
    """
    storage = plan.storage
    if storage is None:
        return list(families)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    studies = {family.name: _open_study(storage, family, plan) for family in families if family.space}
    tuned = [family for family in families if family.space]
    seen: set[tuple[str, int]] = set()
    heard_of: set[int] = set()

    def look(from_earlier_run: bool) -> int:
        """Report the trials that were finished since the last look; return their number."""
        trials = [
            (family, trial)
            for family in tuned
            for trial in studies[family.name].get_trials(states=FINISHED)
            if (family.name, trial.number) not in seen
        ]
        for family, trial in trials:
            seen.add((family.name, trial.number))
            on_trial(family, trial, from_earlier_run)
        return len(trials)

    look(from_earlier_run=True)
    missing = sum(_still_to_do(studies[family.name], plan) for family in tuned)
    with progress(total=missing * len(plan.windows), desc="tuning", unit="fit") as bar:
        while any(_still_to_do(studies[family.name], plan) for family in tuned):
            batch = [
                (family, trial)
                for family in tuned
                for trial in _next_trials(family, studies[family.name], plan, storage, heard_of)
            ]
            if batch:
                with alive([trial for _, trial in batch], storage):
                    _validate(batch, samples, plan, bar)
            else:
                time.sleep(WAIT)
            of_others = look(from_earlier_run=False) - len(batch)
            bar.update(max(0, of_others) * len(plan.windows))
    look(from_earlier_run=False)  # what another machine finished between the last look and the end of the loop
    return [family.with_settings(studies[family.name].best_params) if family.space else family for family in families]


def _open_study(storage: BaseStorage, family: Family, plan: TuningPlan) -> optuna.Study:
    """Open the family's study, whose name holds everything that its trials' values depend on."""
    identity = {
        "space": {name: dict(entry) for name, entry in family.space.items()},
        "settings": dict(family.settings),
        "windows": [(w.train.start, w.train.stop, w.test.stop) for w in plan.windows],
        "batch": plan.rule.batch,
        "objective": plan.rule.objective,
        "seed": plan.seed,
        "portfolio": asdict(plan.portfolio),
        **plan.identity,
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:12]
    study = optuna.create_study(
        study_name=f"{family.name}-{digest}",
        storage=storage,
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=plan.rule.batch),
    )
    if not study.trials:
        study.enqueue_trial({name: family.settings[name] for name in family.space}, skip_if_exists=True)
    return study


def _still_to_do(study: optuna.Study, plan: TuningPlan) -> int:
    """Return the number of trials still to do; a dead machine's trials count even if other machines have done
    enough."""
    missing = plan.rule.trials - len(study.get_trials(deepcopy=False, states=FINISHED))
    waiting = len(study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))
    return max(0, missing, waiting)


def _next_trials(
    family: Family, study: optuna.Study, plan: TuningPlan, storage: BaseStorage, heard_of: set[int]
) -> list[Trial]:
    """Return interrupted trials and new ones to fill a batch; none if other machines do the rest.

    The sampler is seeded anew for each trial by its number, so an interrupted study proposes what an undisturbed one
    would.
    """
    open_trials = abandoned(study, storage, heard_of)
    finished = len(study.get_trials(deepcopy=False, states=FINISHED))
    elsewhere = len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))) if is_shared(storage) else 0
    wanted = min(plan.rule.batch - finished % plan.rule.batch, _still_to_do(study, plan) - elsewhere)
    trials = open_trials[: max(0, wanted)]
    while len(trials) < wanted:
        trial = study.ask()
        study.sampler = optuna.samplers.TPESampler(seed=1000 * plan.seed + trial.number)
        for name, entry in entries(family.space).items():
            entry.suggest(trial, name)
        trials.append(trial)
    for trial in trials:
        with suppress(UpdateFinishedTrialError):
            trial.set_user_attr(MACHINE, f"{platform.node()}:{os.getpid()}")
    return trials


def _validate(batch: list[tuple[Family, Trial]], samples: Samples, plan: TuningPlan, bar: Any) -> None:
    """Run a batch of trials through the windows, all trials on one window at a time, and prune between windows.

    A trial that another process has finished meanwhile is left alone. This happens if the same training runs twice at
    once, or if a shared database gives a silent machine's trials to other machines.
    """
    left, portfolio = list(batch), plan.portfolio
    for step, window in enumerate(plan.windows):
        panel = _needed(plan, samples, window)
        waiting = [(family, trial) for family, trial in left if step not in _reported(trial)]
        fits = [Fit(family.with_settings(trial.params), window, 0, plan.seed) for family, trial in waiting]
        for position, (measured, returns) in run_fits(_validate_window, samples, fits, plan.compute, portfolio, panel):
            trial, value = waiting[position][1], measured.get(plan.rule.objective, _WORST)
            earlier = _reported(trial)
            values = [earlier[s] * (s + 1) for s in sorted(earlier)][-1:] or [0.0]
            with suppress(UpdateFinishedTrialError):
                trial.set_user_attr(f"{_RETURNS}{step}", returns)
                trial.set_user_attr(f"{_MEASURED}{step}", measured)
                trial.report((values[0] + value) / (step + 1), step)  # the mean over windows so far
            bar.update()
        survivors = []
        for family, trial in left:
            if step not in _reported(trial):
                bar.update(len(plan.windows) - step - 1)
            elif trial.should_prune() and step + 1 < len(plan.windows):
                trial.study.tell(trial.number, state=TrialState.PRUNED, skip_if_finished=True)
                bar.update(len(plan.windows) - step - 1)
            else:
                survivors.append((family, trial))
        left = survivors
    for _, trial in left:
        trial.study.tell(trial.number, _reported(trial)[len(plan.windows) - 1], skip_if_finished=True)


def _reported(trial: Trial) -> dict[int, float]:
    return trial.study.trials[trial.number].intermediate_values


def _needed(plan: TuningPlan, samples: Samples, window: Window) -> pd.DataFrame:
    """Return the part of the panel that a window's portfolios need, so that no more is sent to workers."""
    months = samples.dates[window.test.start : window.test.stop] if plan.portfolio.attributes else samples.dates[:0]
    return plan.panel[plan.panel["date"].isin(months)]


def _validate_window(
    samples: Samples, fit: Fit, model: Fitted | None, rule: PortfolioRule, panel: pd.DataFrame
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the measures of a window's forecasts, and the long-short returns after costs by date."""
    try:
        if model is None:
            model = fit_here(samples, fit)
    except TrainingDivergedError as diverged:
        model = diverged
    if isinstance(model, TrainingDivergedError):
        return {}, {}  # a diverged trial counts as the worst instead of ending the study
    tested = samples.sample_slice(fit.window.test)
    forecasts = forecast_table(samples, tested, model.predict(samples.x[tested]).astype(np.float64))
    returns = long_short(rule.equip(forecasts, panel), rule)["net"].dropna()
    measured = {name: value if np.isfinite(value) else _WORST for name, value in _measure(forecasts).items()}
    return measured, dict(zip(pd.DatetimeIndex(returns.index).strftime("%Y-%m-%d"), returns.tolist(), strict=True))


MEASURES = ("rank_ic", "r2", "rmse")
"""Measures of a trial; the first two can be objectives."""

_WORST = -1e9  # finite, so that means and medians of trials exist


def _measure(forecasts: pd.DataFrame) -> dict[str, float]:
    known = forecasts.dropna(subset=["y_true"])
    values = known[["y_pred", "y_true"]]
    centred = values - values.groupby(known["date"]).transform("mean")
    f, y = centred["y_pred"], centred["y_true"]
    spread = float((f**2).sum() * (y**2).sum())
    share = float((f * y).sum()) / np.sqrt(spread) if spread > 0 else 0.0
    return {
        "rank_ic": float(rank_ic(known).mean()),
        "r2": share * abs(share),  # a forecast whose best scale is below 0 explains less than nothing
        "rmse": float(np.sqrt(((known["y_pred"] - known["y_true"]) ** 2).mean())),
    }


_RETURNS, _MEASURED = "long_short_net_", "measured_"  # prefixes of a trial's attributes; the window's number follows


def measures_of(trial: FrozenTrial) -> dict[str, float]:
    """Return means over the windows that a trial went through; empty if its training diverged."""
    parts = [part for key, part in trial.user_attrs.items() if key.startswith(_MEASURED)]
    return {name: float(np.mean([part[name] for part in parts])) for name in MEASURES} if all(parts) and parts else {}


def returns_of(trial: FrozenTrial) -> pd.Series:
    """Return a trial's monthly long-short returns after costs over the validation windows that it went through."""
    returns = {
        date: value
        for key, part in trial.user_attrs.items()
        if key.startswith(_RETURNS)
        for date, value in part.items()
    }
    return pd.Series(returns.values(), index=pd.DatetimeIndex(returns.keys()), dtype=float).sort_index()
