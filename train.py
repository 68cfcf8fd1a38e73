"""Fit the families walk-forward, put their rows side by side in MLflow, register the newest LSTM.

python train.py [key=value ...]; the keys are those of conf/ (python train.py --cfg job shows them all).
"""

from __future__ import annotations

import hydra
import pandas as pd
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from drf.cli import program as entry
from drf.comparison.rows import make_rows
from drf.experiment.config import describe, left_out, make_checkpoints, make_compute
from drf.data.sources import true_contributions
from drf.comparison.evidence import gather
from drf.models.family import ROWS, Family
from drf.experiment.preparation import prepare
from drf.registry.register import register_newest
from drf.report.summary import training_summary
from drf.tracking import log
from drf.tracking.runs import RunTree
from drf.tracking.store import connect
from drf.tracking.trials import trials_of
from drf.tuning.search import returns_of, tune
from drf.training.walkforward import walk_forward


@hydra.main(version_base="1.3", config_path=str(entry.CONFIG_DIR), config_name="config")
@entry.refusing
def main(config: DictConfig) -> None:
    start = prepare(config, HydraConfig.get().overrides.task)
    samples, factors, rule, windows = start.samples, start.factors, start.rule, start.windows
    store = connect(config.tracking.experiment)

    with make_checkpoints(config, samples, start.data) as checkpoints, RunTree("train", checkpoints) as tree:
        log.inputs(tree.parent, config, start.panel, samples, windows, start.data)
        runs = {row: tree.row(row, family.name) for family in start.families for row in ROWS[family.name]}
        studies: dict[str, dict[str, pd.Series]] = {}

        def on_trial(family: Family, trial: FrozenTrial, from_earlier_run: bool) -> None:
            log.trial(tree, runs, family, trial, from_earlier_run)
            studies.setdefault(family.name, {})[str(trial.number)] = returns_of(trial)

        tuned = tune(start.families, samples, start.plan, on_trial)
        forecasts = walk_forward(
            tuned, samples, windows, start.newest, config.seed, make_compute(config.compute), checkpoints
        )
        tree.parent.metrics({"fits_restored": checkpoints.restored})
        rows = make_rows(forecasts, samples, factors, rule)
        table, drawn = log.comparison(tree, runs, rows, tuned, forecasts, factors, rule)
        tables = gather(
            rows,
            samples,
            start.panel,
            rule,
            trials_of([tree.experiment_id]),
            {name: pd.DataFrame(trials) for name, trials in studies.items()},
            config.seed,
        )
        log.evidence(tree, runs, tables)
        known = true_contributions(config.data)
        simulated = known is not None
        log.report(tree.parent, config, samples, windows, rows, table, tables, drawn, factors, rule, simulated)
        log.truth(runs, rows, known, factors)
        version = None
        if "lstm" in forecasts:
            version = register_newest(
                forecasts["lstm"][1].members,
                samples,
                start.newest,
                start.panel,
                factors,
                config.data.universe,
                config.registry.name,
                runs["lstm_lrp"].run_id,
                {
                    "config": describe(config),
                    "data_fingerprint": start.data,
                    "parent_run": tree.parent.run_id,
                },
            )
        log.resources(tree)
    if checkpoints.restored:
        print(f"{checkpoints.restored} fits are those of an interrupted training of the same numbers.")
    absent = left_out(config, samples.descriptors)
    print(training_summary(table, samples, windows, store, tree.parent.run_id, config.registry.name, version, absent))


if __name__ == "__main__":
    entry.run(main, "config")
