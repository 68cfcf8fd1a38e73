"""evaluate.py: judge the champion and what waits to be judged, move the champion, and record the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd
from mlflow import MlflowClient
from mlflow.data.dataset import Dataset
from omegaconf import DictConfig, OmegaConf

from ..data.panel import fingerprint
from ..data.universe import largest
from ..evaluation.portfolio import PortfolioRule
from ..experiment.config import Record, read
from ..experiment.factors import descriptors_of, make_factors
from ..experiment.market import load_market
from ..experiment.schema import DataConfig, TrainConfig
from ..experiment.settings import make
from ..registry.audit import audit_training, could_not_run
from ..registry.cards import rewrite_cards
from ..registry.decision import Decision
from ..registry.gates import Thresholds
from ..registry.people import carry_out
from ..registry.promote import Court, decide
from ..registry.recording import complete_reports, log_decision, promotion, write_verdicts
from ..registry.settings import EvaluateConfig, gates_in_words
from ..registry.standing import Standing, move, read_hold, read_standing, settle
from ..registry.versions import RegisteredVersions, Version, read_versions, require_versions
from ..tracking.runs import Presence, RunTree, dataset_of, leave_what_is_taken
from ..tracking.store import connect, without_secrets
from ..tracking.trials import market_returns, trials_on
from ..training.parallel import one_thread
from . import program
from .summary import decision_places, decision_summary


def evaluate(composed: DictConfig, choices: Mapping[str, str]) -> None:
    """Do all that a composed config describes; ``choices``: config group -> the file that was chosen.

    Raises
    ------
    InputError
        Naming what is wrong with the config, the data or the registry; nothing is moved then.
    SystemExit
        With code 4, after everything is recorded, if the champion is missing, cannot be judged or fails its gates.
    """
    config = read(composed, EvaluateConfig)
    if decide_and_record(config, Record.of(composed).flat, choices["gate"]).alarm:
        raise SystemExit(program.ALARM)


def decide_and_record(config: EvaluateConfig, settings: Mapping[str, object], gate: str) -> Decision:
    """Judge, move the champion, write everything down and print it.

    Parameters
    ----------
    settings
        As they are logged, under their dotted names.
    gate
        The file of ``conf/gate`` that was chosen.

    Raises
    ------
    InputError
        As :func:`evaluate`.
    """
    store = without_secrets(connect(config.tracking.experiment))
    client, name = MlflowClient(), config.registry.name
    if config.dry_run:
        return _try(client, config, gate, store)
    notices = settle(client, name, read_versions(client, name).numbers)
    for notice in notices:
        print(f"note: {notice}")
    standing = read_standing(client, name)
    known = read_versions(client, name, (standing.champion, standing.previous))
    audits: list[pd.DataFrame] = []
    if config.asked:
        leave_what_is_taken(client)
        decision = carry_out(client, config, known, standing)  # it may be refused, before anything is opened
        with Presence() as here, RunTree("evaluate", here) as tree:
            rewrite_cards(client, name, known, decision)
            log_decision(tree, settings, name, decision, notices=notices)
    else:
        bench = _bench(config, known, standing, store)
        with Presence() as here, RunTree("evaluate", here) as tree:
            decision = bench.decide(client, config, gates_in_words(gate, config, *_usual()), known, standing)
            audits = list(bench.audits.values())
            if decision.promoted is not None:
                move(client, name, standing, promotion(decision, known))
            write_verdicts(client, name, known, decision, config.registry.keep)
            log_decision(tree, settings, name, decision, bench.dataset, notices, audits)
    held = (standing.champion, standing.previous, decision.after.champion, decision.after.previous)
    for notice in complete_reports(client, read_versions(client, name, held), decision):
        print(f"note: {notice}")
    shown = [audit for audit in audits if config.audit or not audit["passed"].all()]
    print(decision_summary(name, decision, shown))
    print(decision_places(name, decision, store, tree))
    return decision


def _try(client: MlflowClient, config: EvaluateConfig, gate: str, store: str) -> Decision:
    """What would be decided, printed; nothing is moved or written."""
    name = config.registry.name
    standing = read_standing(client, name)
    known = read_versions(client, name, (standing.champion, standing.previous))
    bench = _bench(config, known, standing, store)
    decision = bench.decide(client, config, gates_in_words(gate, config, *_usual()), known, standing)
    audits = [audit for audit in bench.audits.values() if config.audit or not audit["passed"].all()]
    print(decision_summary(name, decision, audits))
    print("Dry run: nothing was moved or written.")
    return decision


def _bench(config: EvaluateConfig, known: RegisteredVersions, standing: Standing, store: str) -> _Bench:
    """The market to judge on, if there is a version to be judged."""
    if standing.champion is not None and not known.versions:
        why = known.left_aside.get(standing.champion, "it was not found")
        program.refuse(f"the champion, version {standing.champion}, cannot be judged: {why}", program.ALARM)
    require_versions(known, config.registry.name, store)
    return _Bench.on(config, known, standing)


def _usual() -> tuple[Thresholds, PortfolioRule]:
    """The strict gates and the usual portfolios, which other choices are held against."""
    strict = OmegaConf.to_container(OmegaConf.load(program.CONFIG_DIR / "gate" / "strict.yaml"))
    costs = OmegaConf.to_container(OmegaConf.load(program.CONFIG_DIR / "portfolio" / "quintile.yaml"))
    return make(Thresholds, strict, "gate"), make(PortfolioRule, costs, "portfolio")


@dataclass
class _Bench:
    """The market that versions are judged on, and the audits made of it.

    Attributes
    ----------
    data, market
        Where it comes from; all its stocks, checked.
    audits
        By the training's recipe: versions that were trained alike are audited once.
    """

    data: DataConfig
    market: pd.DataFrame
    audits: dict[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def on(cls, config: EvaluateConfig, known: RegisteredVersions, standing: Standing) -> _Bench:
        """The market that was asked for, or that of the newest version of the champion's recipe, or of any.

        It has the descriptors of that version, and those of the others that its source has too.
        """
        held = known.get(standing.champion)
        alike = [version for version in known.versions if held is None or version.is_like(held)]
        newest = max(alike, key=lambda version: version.age).config
        data = config.data or newest.data
        others = {name for version in known.versions for name in _descriptors(version.config)}
        needed = _descriptors(newest)
        market = load_market(data, needed, config.portfolio.quantiles, sorted(others - set(needed)))
        config.portfolio.equip(market[["date", "asset"]], market)
        return cls(data, market)

    @property
    def dataset(self) -> Dataset:
        """The market as MLflow names it."""
        return dataset_of(self.market, self.data.source.name, fingerprint(self.market))

    def decide(
        self,
        client: MlflowClient,
        config: EvaluateConfig,
        asked: str,
        known: RegisteredVersions,
        standing: Standing,
    ) -> Decision:
        with one_thread():
            if config.audit:
                self.audit(known.versions[-1])
            court = Court(
                client=client,
                market=self.market,
                universe=self.data.universe,
                rule=config.portfolio,
                limits=config.gate,
                asked=asked,
                trials=trials_on(market_returns(largest(self.market, self.data.universe))),
                refresh=config.registry.refresh,
                audit=self.audit if config.audit or config.gate.audit else None,
            )
            return decide(court, known, standing, read_hold(client, config.registry.name))

    def audit(self, version: Version) -> pd.DataFrame:
        """The leak suite on this market, with the version's own descriptors and universe."""
        if version.recipe not in self.audits:
            own = replace(version.config.data, source=self.data.source, macro=self.data.macro)
            missing = [name for name in _descriptors(version.config) if name not in self.market]
            if missing:
                return could_not_run(f"the panel lacks {', '.join(missing)}")
            self.audits[version.recipe] = audit_training(self.market, replace(version.config, data=own), version.row)
        return self.audits[version.recipe]


def _descriptors(config: TrainConfig) -> list[str]:
    return descriptors_of(make_factors(config.factors, config.data.descriptors))
