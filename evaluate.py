"""Score the registered versions on months that none of them had seen, and promote the best that passes every gate.

python evaluate.py [key=value ...]; audit=true runs the leak suite, rollback=true gives the alias champion back to the
previous version.
"""

from __future__ import annotations

import hydra
import pandas as pd
from mlflow import MlflowClient
from omegaconf import DictConfig

from drf.cli import program as entry
from drf.registry.audit import audit_training
from drf.experiment.config import check_config, describe, descriptors_of, load_market, make_factors, make_rule
from drf.errors import InputError
from drf.registry.decision import complete_reports, decision_summary, log_decision
from drf.registry.gates import Thresholds
from drf.registry.promote import carry_out, decide, roll_back
from drf.registry.versions import Version, read_shelf, require_versions, training_config
from drf.tracking.runs import RunTree
from drf.tracking.store import connect
from drf.data.universe import largest


@hydra.main(version_base="1.3", config_path=str(entry.CONFIG_DIR), config_name="evaluation")
@entry.refusing
def main(config: DictConfig) -> None:
    check_config(config)
    rule = make_rule(config.portfolio)
    store = connect(config.tracking.experiment)
    client, name = MlflowClient(), config.registry.name
    shelf = read_shelf(client, name)
    if config.rollback and shelf.previous in (None, shelf.champion):
        raise InputError(
            f"rollback=true: {name} has no version with the alias previous, other than champion, to go back to"
        )
    if not config.rollback:
        require_versions(shelf, name, store)
        # Without data=... the newest version says which data to judge on.
        newest = training_config(shelf.versions[-1])
        data: DictConfig = config.get("data") or newest.data
        market = load_market(
            data, descriptors_of(make_factors(newest.factors, newest.data.descriptors)), rule.quantiles
        )
        panel = largest(market, data.universe)
    audits: dict[str, pd.DataFrame] = {}

    def audit(version: Version) -> pd.DataFrame:
        """Versions that were trained alike are audited once."""
        trained = training_config(version)
        trained.data = data
        key = describe(trained)
        if key not in audits:
            audits[key] = audit_training(market, trained)
        return audits[key]

    with RunTree("evaluate") as tree:
        if config.rollback:
            decision = roll_back(client, name, shelf)
        else:
            if config.audit:
                audit(shelf.versions[-1])
            wanted = audit if config.audit or config.gate.audit else None
            decision = decide(client, shelf, panel, rule, Thresholds(**config.gate), wanted)
            carry_out(client, name, decision)
        complete_reports(client, shelf, decision)
        log_decision(tree.parent, config, name, decision, list(audits.values()))
    print(decision_summary(name, decision, list(audits.values()), store, tree.parent.run_id))


if __name__ == "__main__":
    entry.run(main, "evaluation")
