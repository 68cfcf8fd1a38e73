"""Evaluate: judge the champion and the versions that wait, move the champion, and record the decision."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from mlflow import MlflowClient

from ..errors import ChampionError
from ..evaluation.portfolio import PortfolioRule
from ..experiment.composing import Settings, read_option
from ..registry.aliases import Standing, move, read_standing, settle
from ..registry.decision import Decision
from ..registry.evaluation_config import EvaluateConfig, gates_in_words
from ..registry.evaluation_market import EvaluationMarket
from ..registry.overrides import carry_out
from ..registry.statements import gap_in_decisions
from ..registry.thresholds import Thresholds
from ..registry.versions import RegisteredVersions, read_versions, require_versions
from ..tracking.runs import Presence, RunPlace, RunTree, leave_what_is_taken
from ..tracking.store import connect, open_experiment, without_secrets
from .decision_log import complete_reports, log_decision, promotion, write_verdicts
from .version_descriptions import rewrite_cards


@dataclass(frozen=True)
class EvaluationResult:
    """An evaluation that has ended.

    Attributes:
        name: Registered model.
        decision: Evaluation of every version, and the champion.
        audits: Results of the leak suite that were asked for, or that failed.
        place: Run of the evaluation; None for a dry run, which writes nothing.
        notices: Sentences on earlier moves that were completed, and on reports that could not be completed.
    """

    name: str
    decision: Decision
    audits: Sequence[pd.DataFrame]
    place: RunPlace | None
    notices: Sequence[str]

    @property
    def alarm(self) -> str:
        """Fault of the champion; empty if there is none."""
        return self.decision.alarm


def evaluate(settings: Settings[EvaluateConfig]) -> EvaluationResult:
    """Evaluate the versions of a registered model, or carry out a person's decision.

    Raises:
        ChampionError: If there is a champion, but neither it nor any other version can be read.
        InputError: If the settings, the data or the registry are at fault; the message names the fault, and nothing is
            moved.
    """
    config, name = settings.config, settings.config.registry.name
    store = without_secrets(connect())
    client = MlflowClient()
    if config.dry_run:
        standing, versions = _registry(client, name)
        market = _market(client, config, versions, standing, store)
        decision = market.decide(client, config, _asked(settings), versions, standing)
        return EvaluationResult(name, decision, _shown(config, market), None, ())
    notices = settle(client, name, read_versions(client, name).numbers)
    standing, versions = _registry(client, name)
    notices += gap_in_decisions(client, name) if versions.numbers else []
    if config.asked:
        leave_what_is_taken(client)
        open_experiment(config.tracking.experiment)
        decision = carry_out(client, config, versions, standing)  # a refusal comes here, before a run is opened
        with Presence() as here, RunTree("evaluate", here) as tree:
            rewrite_cards(client, name, versions, decision)
            log_decision(tree, settings.record.flat, name, decision, notices=notices)
            place, audits = RunPlace.of(store, tree), []
    else:
        market = _market(client, config, versions, standing, store)
        open_experiment(config.tracking.experiment)
        with Presence() as here, RunTree("evaluate", here) as tree:
            decision = market.decide(client, config, _asked(settings), versions, standing)
            if decision.promoted is not None:
                move(client, name, standing, promotion(decision, versions, market.dataset.digest))
            write_verdicts(client, name, versions, decision, config.registry.keep)
            every = list(market.audits.values())
            log_decision(tree, settings.record.flat, name, decision, market.dataset, notices, every)
            place, audits = RunPlace.of(store, tree), _shown(config, market)
    holders = (standing.champion, standing.previous, decision.after.champion, decision.after.previous)
    incomplete = complete_reports(client, read_versions(client, name, holders), decision)
    return EvaluationResult(name, decision, audits, place, (*notices, *incomplete))


def _registry(client: MlflowClient, name: str) -> tuple[Standing, RegisteredVersions]:
    standing = read_standing(client, name)
    return standing, read_versions(client, name, (standing.champion, standing.previous))


def _market(
    client: MlflowClient, config: EvaluateConfig, versions: RegisteredVersions, standing: Standing, store: str
) -> EvaluationMarket:
    """Load the market to evaluate on, if there is a version to evaluate."""
    if standing.champion is not None and not versions.versions:
        why = versions.left_aside.get(standing.champion, "it was not found")
        raise ChampionError(f"the champion, version {standing.champion}, cannot be judged: {why}")
    require_versions(client, versions, config.registry.name, store)
    return EvaluationMarket.of(config, versions, standing)


def _asked(settings: Settings[EvaluateConfig]) -> str:
    """Name the gates and portfolios, and how they differ from the strict ones."""
    strict, usual = read_option("gate", "strict", Thresholds), read_option("portfolio", "quintile", PortfolioRule)
    return gates_in_words(settings.choices["gate"], settings.config, strict, usual)


def _shown(config: EvaluateConfig, market: EvaluationMarket) -> list[pd.DataFrame]:
    return [audit for audit in market.audits.values() if config.audit or not audit["passed"].all()]
