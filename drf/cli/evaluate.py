"""evaluate.py: judge the registered versions, move the champion, and record the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
from mlflow import MlflowClient
from omegaconf import DictConfig

from ..data.universe import largest
from ..evaluation.attributes import equipped
from ..experiment.config import Record, read
from ..experiment.factors import descriptors_of, make_factors
from ..experiment.market import load_market
from ..experiment.schema import DataConfig
from ..registry.audit import audit_training
from ..registry.decision import Decision, complete_reports, decision_summary, log_decision
from ..registry.promote import apply, decide
from ..registry.rollback import require_previous, roll_back
from ..registry.settings import EvaluateConfig
from ..registry.versions import RegisteredVersions, Version, read_versions, require_versions
from ..tracking.runs import RunTree
from ..tracking.store import connect
from ..training.parallel import one_thread


def evaluate(composed: DictConfig) -> None:
    """Do all that a composed config describes.

    Raises
    ------
    InputError
        Naming what is wrong with the config, the data or the registry, before anything is logged.
    """
    config, record = read(composed, EvaluateConfig), Record.of(composed)
    store = connect(config.tracking.experiment)
    client, name = MlflowClient(), config.registry.name
    known = read_versions(client, name)
    if config.rollback:
        require_previous(name, known)
        with RunTree("evaluate") as tree:
            decision = roll_back(client, name, known)
            audits: list[pd.DataFrame] = []
            _record(tree, client, known, decision, audits, record)
    else:
        require_versions(known, name, store)
        court = _Court.on(config, known)
        with RunTree("evaluate") as tree:
            decision = court.decide(client, config, known)
            audits = list(court.audits.values())
            apply(client, name, decision)
            _record(tree, client, known, decision, audits, record)
    print(decision_summary(name, decision, audits, store, tree.parent.run_id))


@dataclass
class _Court:
    """The market that versions are judged on, and the audits made of it.

    Attributes
    ----------
    data, market
        Where it comes from; all its stocks, checked.
    audits
        By the training's settings: versions that were trained alike are audited once.
    """

    data: DataConfig
    market: pd.DataFrame
    audits: dict[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def on(cls, config: EvaluateConfig, known: RegisteredVersions) -> _Court:
        """The market that was asked for, or that of the newest version."""
        newest = known.versions[-1].config
        data = config.data or newest.data
        descriptors = descriptors_of(make_factors(newest.factors, newest.data.descriptors))
        market = load_market(data, descriptors, config.portfolio.quantiles)
        equipped(market[["date", "asset"]], market, config.portfolio)
        return cls(data, market)

    def decide(self, client: MlflowClient, config: EvaluateConfig, known: RegisteredVersions) -> Decision:
        wanted = self.audit if config.audit or config.gate.audit else None
        panel = largest(self.market, self.data.universe)
        with one_thread():
            if config.audit:
                self.audit(known.versions[-1])
            return decide(client, known, panel, config.portfolio, config.gate, wanted)

    def audit(self, version: Version) -> pd.DataFrame:
        trained = replace(version.config, data=self.data)
        key = repr((version.row, trained))
        if key not in self.audits:
            self.audits[key] = audit_training(self.market, trained, version.row)
        return self.audits[key]


def _record(
    tree: RunTree,
    client: MlflowClient,
    known: RegisteredVersions,
    decision: Decision,
    audits: Sequence[pd.DataFrame],
    record: Record,
) -> None:
    complete_reports(client, known, decision)
    name = str(record.flat["registry.name"])
    log_decision(tree.parent, record.flat, name, decision, audits)
