"""Train: fit the families walk-forward, compare their rows, log all to MLflow and register the newest models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from optuna.trial import FrozenTrial

from ..comparison.evidence import BENCHMARK, gather
from ..comparison.rows import Row, comparison_table, drivers, make_rows
from ..errors import InputError
from ..experiment.composing import Settings
from ..experiment.experiment import Experiment, prepare
from ..experiment.identity import recipe_of, tested_months
from ..experiment.plan import TrainingPlan, make_plan, require_memory
from ..experiment.schema import TrainConfig
from ..models.base import Model
from ..models.catalogue import ModelRow, rows_with_models
from ..models.family import Family
from ..registry.register import Origin, log_newest, register_newest
from ..registry.signing import require_key
from ..reporting.findings import what_drives
from ..reporting.training_report import training_document, training_pictures
from ..tracking.naming import training_name
from ..tracking.runs import RunPlace, RunTree
from ..tracking.searches import Search, market_returns, trials_on
from ..tracking.store import connect, open_experiment, without_secrets
from ..training.checkpoints import Checkpoints
from ..training.forecasts import WalkForward
from ..training.parallel import release_workers
from ..tuning.search import returns_of, tune
from .training_log import TrainingLog


@dataclass(frozen=True)
class TrainingResult:
    """A training that has ended.

    Attributes:
        experiment: Settings, panel, samples and windows of the training.
        rows: Rows of the comparison with their forecasts, metrics and contributions.
        table: Table of metrics, one line per row.
        evidence: Tables of inference by name, see :func:`drf.comparison.evidence.gather`.
        version: Number of the registered version; None if the registered row was not trained.
        place: Its parent run.
        notices: Sentences on fits that were restored or refused.
    """

    experiment: Experiment
    rows: Sequence[Row]
    table: pd.DataFrame
    evidence: Mapping[str, pd.DataFrame]
    version: str | None
    place: RunPlace
    notices: Sequence[str]


def train(settings: Settings[TrainConfig]) -> TrainingResult:
    """Run a training.

    Raises InputError if the settings or the data are at fault, before anything is logged; the message names the fault.
    It is also raised later if a disk is full, a device or a scheduler is absent, or a training has diverged.
    """
    if settings.config.plan:
        raise InputError("plan=true: nothing is trained for a plan: call drf.plan, or leave it out")
    require_key()
    experiment = prepare(settings)
    require_memory(experiment)
    plan = experiment.tuning_plan()
    config, samples = experiment.config, experiment.samples
    store = without_secrets(connect())
    open_experiment(config.tracking.experiment)
    with experiment.checkpoints() as checkpoints, RunTree(training_name(experiment), checkpoints) as tree:
        log = TrainingLog(tree, experiment)
        trials = _Trials(log)
        families = tune(experiment.families, samples, plan, trials.note)
        walks = experiment.walk(families, checkpoints)
        tree.parent.metrics({"fits_restored": checkpoints.restored, "fits_refused": checkpoints.refused})
        release_workers()
        rows = make_rows(walks, experiment.judging)
        table, evidence = comparison_table(rows), _evidence(experiment, rows, trials)
        pictures = training_pictures(rows, evidence, experiment)
        log.comparison(rows, table, families, walks, pictures)
        log.evidence(evidence)
        document = training_document(rows, evidence, experiment, pictures, tree.name)
        log.report(document)
        version = _register(experiment, rows, walks, log, _reference(experiment, rows, checkpoints))
        log.describe(rows, table, evidence, document.answers, version)
        log.resources()
        place = RunPlace.of(store, tree)
    return TrainingResult(experiment, rows, table, evidence, version, place, _notices(checkpoints))


def plan(settings: Settings[TrainConfig]) -> TrainingPlan:
    """Return what a training would do and take, without a run in MLflow.

    Raises InputError as :func:`train` does before anything is logged.
    """
    return make_plan(prepare(settings))


def _reference(experiment: Experiment, rows: Sequence[Row], checkpoints: Checkpoints) -> list[Row]:
    """Return the row linear if the comparison lacks it and a version is registered; the gates use it."""
    if experiment.registered_row not in experiment.rows or any(row.name == BENCHMARK for row in rows):
        return []
    family = experiment.reference
    return make_rows(experiment.walk([family], checkpoints), experiment.judging)


def _register(
    experiment: Experiment,
    rows: Sequence[Row],
    walks: Mapping[str, WalkForward],
    log: TrainingLog,
    reference: Sequence[Row],
) -> str | None:
    """Register the registered row's newest models, and keep every other family's models with its run."""
    registered, version = experiment.registered_row, None
    if registered in experiment.rows:
        origin = Origin(log.rows[registered.name].run_id, log.parent.run_id)
        driven = drivers([row for row in rows if row.model == registered], registered.name)
        words = what_drives(driven[1], driven[0]) if driven else ""
        version = register_newest(
            _members(experiment, registered, walks), experiment, [*rows, *reference], origin, words
        )
    for row in rows:
        if row.model in rows_with_models(experiment.rows) and row.model != registered:
            log_newest(_members(experiment, row.model, walks), experiment, row, log.rows[row.name].run_id)
    return version


def _members(experiment: Experiment, row: ModelRow, walks: Mapping[str, WalkForward]) -> list[tuple[Model, ...]]:
    """Return the newest window's models that make a row, family by family."""
    return [walks[family].members for family in experiment.families_behind(row)]


def _notices(checkpoints: Checkpoints) -> list[str]:
    notices = []
    if checkpoints.refused:
        notices.append(f"{checkpoints.refused} kept fits were damaged or another user's, and were fitted again.")
    if checkpoints.restored:
        notices.append(f"{checkpoints.restored} fits are those of an interrupted training of the same numbers.")
    return notices


@dataclass
class _Trials:
    """Listener that logs every trial and keeps its returns: family -> trial -> monthly returns."""

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
    market = market_returns(experiment.panel)
    bounds = tested_months(experiment.config)
    search = Search(recipe_of(experiment.config), bounds, experiment.data, market.index[-1], own)
    tried = trials_on(market, search)
    config = experiment.config
    tables = gather(rows, experiment.judging, tried, studies, config.window.periods, config.seed)
    return {**tables, "trials": own.reset_index()}
