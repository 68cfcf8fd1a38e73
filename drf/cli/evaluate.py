"""evaluate.py: judge the champion and what waits to be judged, move the champion, and record the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pandas as pd
from mlflow import MlflowClient
from omegaconf import DictConfig, OmegaConf

from ..data.universe import largest
from ..evaluation.attributes import equipped
from ..evaluation.portfolio import PortfolioRule
from ..experiment.config import Record, read
from ..experiment.factors import descriptors_of, make_factors
from ..experiment.market import load_market
from ..experiment.schema import DataConfig
from ..experiment.settings import make
from ..registry.audit import audit_training
from ..registry.decision import Decision
from ..registry.gates import Thresholds
from ..registry.people import carry_out
from ..registry.promote import Court, decide
from ..registry.recording import complete_reports, log_decision, write_verdicts
from ..registry.settings import EvaluateConfig, gates_in_words
from ..registry.standing import Standing, move, read_hold, read_standing, require_not_held, settle
from ..registry.versions import RegisteredVersions, Version, read_versions, require_versions
from ..tracking.runs import Presence, RunTree
from ..tracking.store import connect, without_secrets
from ..tracking.trials import market_returns, trials_on
from ..training.parallel import one_thread
from . import program
from .summary import decision_summary

ALARM = 4
"""The exit code where the champion is missing, cannot be judged, or fails its gates."""


def evaluate(composed: DictConfig, choices: Mapping[str, str]) -> None:
    """Do all that a composed config describes; ``choices``: config group -> the file that was chosen.

    Raises
    ------
    InputError
        Naming what is wrong with the config, the data or the registry; nothing is moved then.
    SystemExit
        With code 4, after everything is recorded, if the champion is missing, cannot be judged or fails its gates.
    """
    config, record = read(composed, EvaluateConfig), Record.of(composed)
    store = without_secrets(connect(config.tracking.experiment))
    client, name = MlflowClient(), config.registry.name
    notices = settle(client, name, read_versions(client, name).numbers)
    standing = read_standing(client, name)
    known = read_versions(client, name, (standing.champion, standing.previous))
    audits: dict[str, pd.DataFrame] = {}
    if config.asked:
        decision = carry_out(client, config, known, standing)  # it may be refused, before anything is opened
        with Presence() as here, RunTree("evaluate", here) as tree:
            complete_reports(client, known, decision)
            log_decision(tree.parent, record.flat, name, decision, notices)
    else:
        if standing.champion is not None and not known.versions:
            why = known.left_aside.get(standing.champion, "it was not found")
            program.refuse(f"the champion, version {standing.champion}, cannot be judged: {why}", ALARM)
        require_versions(known, name, store)
        bench = _Bench.on(config, known, standing)
        with Presence() as here, RunTree("evaluate", here) as tree:
            asked = gates_in_words(choices["gate"], config, *_usual())
            decision = bench.decide(client, config, asked, known, standing)
            audits = bench.audits
            if decision.promoted is not None:
                move(client, name, standing, decision.after, lambda: require_not_held(client, name))
            write_verdicts(client, name, known, decision, config.registry.keep)
            complete_reports(client, known, decision)
            log_decision(tree.parent, record.flat, name, decision, notices, list(audits.values()))
    shown = [audit for audit in audits.values() if config.audit or not audit["passed"].all()]
    print(decision_summary(name, decision, notices, shown, store, tree.parent.run_id))
    if not config.asked and decision.alarm:
        raise SystemExit(ALARM)


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
        """The market that was asked for, or that of the newest version of the champion's recipe, or of any."""
        held = known.get(standing.champion)
        alike = [version for version in known.versions if held is None or version.recipe == held.recipe]
        newest = alike[-1].config
        data = config.data or newest.data
        descriptors = descriptors_of(make_factors(newest.factors, newest.data.descriptors))
        market = load_market(data, descriptors, config.portfolio.quantiles)
        equipped(market[["date", "asset"]], market, config.portfolio)
        return cls(data, market)

    def decide(
        self,
        client: MlflowClient,
        config: EvaluateConfig,
        asked: str,
        known: RegisteredVersions,
        standing: Standing,
    ) -> Decision:
        panel = largest(self.market, self.data.universe)
        with one_thread():
            if config.audit:
                self.audit(known.versions[-1])
            court = Court(
                client=client,
                panel=panel,
                rule=config.portfolio,
                limits=config.gate,
                asked=asked,
                trials=trials_on(market_returns(panel)),
                refresh=config.registry.refresh,
                audit=self.audit if config.audit or config.gate.audit else None,
            )
            return decide(court, known, standing, read_hold(client, config.registry.name))

    def audit(self, version: Version) -> pd.DataFrame:
        if version.recipe not in self.audits:
            trained = replace(version.config, data=self.data)
            self.audits[version.recipe] = audit_training(self.market, trained, version.row)
        return self.audits[version.recipe]
