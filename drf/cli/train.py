"""train.py: fit the families walk-forward, put their rows side by side in MLflow, register the newest models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from ..comparison.evidence import gather
from ..comparison.rows import Row, comparison_table, make_rows
from ..experiment.experiment import Experiment, prepare
from ..experiment.identity import recipe_of
from ..models.base import Model
from ..models.family import Family
from ..models.rows import ModelRow, rows_with_models
from ..registry.register import Origin, log_newest, register_newest
from ..registry.signing import require_key
from ..tracking.log import TrainingLog
from ..tracking.naming import training_name
from ..tracking.runs import RunTree
from ..tracking.store import connect, without_secrets
from ..tracking.trials import market_returns, trials_on
from ..training.forecasts import WalkForward
from ..training.walkforward import walk_forward
from ..tuning.search import returns_of, tune
from .summary import training_summary


def train(composed: DictConfig, overrides: Sequence[str]) -> str | None:
    """Do all that a composed config describes; ``overrides`` as they stood on the command line.

    Returns
    -------
    The version that was registered, if one was.

    Raises
    ------
    InputError
        Naming what is wrong with the config or the data, before anything is logged; or, later, that a disk is full, a
        device or a scheduler is not there, or a training has diverged.
    """
    require_key()
    experiment = prepare(composed, overrides)
    plan = experiment.tuning_plan()
    config, samples = experiment.config, experiment.samples
    store = without_secrets(connect(config.tracking.experiment))
    with experiment.checkpoints() as checkpoints, RunTree(training_name(experiment), checkpoints) as tree:
        log = TrainingLog(tree, experiment)
        trials = _Trials(log)
        families = tune(experiment.families, samples, plan, trials.note)
        walks = walk_forward(families, samples, experiment.schedule, config.seed, config.compute, checkpoints)
        tree.parent.metrics({"fits_restored": checkpoints.restored, "fits_refused": checkpoints.refused})
        rows = make_rows(walks, experiment.judging)
        figures = log.comparison(rows, families, walks)
        tables = _evidence(experiment, rows, trials)
        log.evidence(tables)
        log.report(rows, tables, figures)
        log.truth(rows)
        row, version = experiment.registered_row, None
        if row in experiment.rows:
            origin = Origin(log.rows[row.name].run_id, tree.parent.run_id)
            version = register_newest(_members(experiment, row, walks), experiment, rows, origin)
        for made in rows:
            if made.model in rows_with_models(experiment.rows) and made.model != row:
                log_newest(_members(experiment, made.model, walks), experiment, made, log.rows[made.name].run_id)
        log.describe(rows, tables, version)
        log.resources()
    if checkpoints.refused:
        print(f"{checkpoints.refused} kept fits were damaged or another user's, and were fitted again.")
    if checkpoints.restored:
        print(f"{checkpoints.restored} fits are those of an interrupted training of the same numbers.")
    print(training_summary(experiment, comparison_table(rows), store, log, version))
    return version


def _members(experiment: Experiment, row: ModelRow, walks: Mapping[str, WalkForward]) -> list[tuple[Model, ...]]:
    """The newest window's models that make a row, family by family."""
    return [walks[family].members for family in experiment.families_behind(row)]


@dataclass
class _Trials:
    """Logs every trial, and remembers its returns: family -> trial -> monthly returns."""

    log: TrainingLog
    returns: dict[str, dict[str, pd.Series]] = field(default_factory=dict)

    def note(self, family: Family, trial: FrozenTrial, from_earlier_run: bool) -> None:
        self.log.trial(family, trial, from_earlier_run)
        self.returns.setdefault(family.name, {})[str(trial.number)] = returns_of(trial)


def _evidence(experiment: Experiment, rows: Sequence[Row], trials: _Trials) -> dict[str, pd.DataFrame]:
    studies = {family: pd.DataFrame(returns) for family, returns in trials.returns.items()}
    own = pd.concat(
        [
            *(table.add_prefix(f"{family}-trial-") for family, table in studies.items()),
            *(row.series["long_short_net"].rename(row.name) for row in rows),
        ],
        axis=1,
    ).rename_axis("date")
    tried = trials_on(market_returns(experiment.panel), {recipe_of(experiment.config): own})
    config = experiment.config
    tables = gather(rows, experiment.judging, tried, studies, config.window.periods, config.seed)
    return {**tables, "trials": own.reset_index()}
