"""train.py: fit the families walk-forward, put their rows side by side in MLflow, register the newest models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from ..comparison.evidence import gather
from ..comparison.rows import Row, comparison_table, make_rows
from ..experiment.experiment import Experiment, prepare
from ..models.family import Family
from ..registry.register import register_newest
from ..tracking.log import TrainingLog
from ..tracking.runs import RunTree
from ..tracking.store import connect
from ..tracking.trials import trials_of
from ..training.walkforward import walk_forward
from ..tuning.search import returns_of, tune
from .summary import training_summary


def train(composed: DictConfig, overrides: Sequence[str]) -> None:
    """Do all that a composed config describes; ``overrides`` as they stood on the command line.

    Raises
    ------
    InputError
        Naming what is wrong with the config or the data, before anything is logged; or, later, that a disk is full, a
        device or a scheduler is not there, or a training has diverged.
    """
    experiment = prepare(composed, overrides)
    plan = experiment.tuning_plan()
    config, samples = experiment.config, experiment.samples
    store = connect(config.tracking.experiment)
    with experiment.checkpoints() as checkpoints, RunTree("train", checkpoints) as tree:
        log = TrainingLog(tree, experiment)
        trials = _Trials(log)
        families = tune(experiment.families, samples, plan, trials.note)
        walks = walk_forward(families, samples, experiment.schedule, config.seed, config.compute, checkpoints)
        tree.parent.metrics({"fits_restored": checkpoints.restored})
        rows = make_rows(walks, experiment.judging)
        figures = log.comparison(rows, families, walks)
        tables = _evidence(experiment, rows, trials, tree.experiment_id)
        log.evidence(tables)
        log.report(rows, tables, figures)
        log.truth(rows)
        row = experiment.registered_row
        version = None
        if row.family in walks:
            version = register_newest(
                walks[row.family].members, experiment, log.rows[row.name].run_id, tree.parent.run_id
            )
        log.resources()
    if checkpoints.restored:
        print(f"{checkpoints.restored} fits are those of an interrupted training of the same numbers.")
    print(training_summary(experiment, comparison_table(rows), store, tree.parent.run_id, version))


@dataclass
class _Trials:
    """Logs every trial, and remembers its returns: family -> trial -> monthly returns."""

    log: TrainingLog
    returns: dict[str, dict[str, pd.Series]] = field(default_factory=dict)

    def note(self, family: Family, trial: FrozenTrial, from_earlier_run: bool) -> None:
        self.log.trial(family, trial, from_earlier_run)
        self.returns.setdefault(family.name, {})[str(trial.number)] = returns_of(trial)


def _evidence(
    experiment: Experiment, rows: Sequence[Row], trials: _Trials, experiment_id: str
) -> dict[str, pd.DataFrame]:
    studies = {family: pd.DataFrame(returns) for family, returns in trials.returns.items()}
    return gather(rows, experiment.judging, trials_of([experiment_id]), studies, experiment.config.seed)
