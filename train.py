"""Fit the families walk-forward, put their rows side by side in MLflow, register the newest LSTM.

python train.py [key=value ...]; the keys are those of conf/ (python train.py --cfg job shows them all).
"""

from __future__ import annotations

import hydra
import pandas as pd
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from drf import entry
from drf.comparison import make_rows
from drf.config import (
    check_config,
    describe,
    descriptors_of,
    left_out,
    load_panel,
    make_checkpoints,
    make_compute,
    make_factors,
    make_families,
    make_plan,
    make_rule,
    require_training_months,
)
from drf.data.panel import fingerprint
from drf.data.sources import true_contributions
from drf.evidence import gather
from drf.models.family import ROWS, Family
from drf.registry.register import register_newest
from drf.report.summary import training_summary
from drf.tracking import log
from drf.tracking.runs import RunTree
from drf.tracking.store import connect
from drf.tracking.trials import trials_of
from drf.tuning import returns_of, tune
from drf.walkforward import walk_forward
from drf.windows.samples import make_samples
from drf.windows.split import newest_window, test_windows


@hydra.main(version_base="1.3", config_path=str(entry.CONFIG_DIR), config_name="config")
@entry.refusing
def main(config: DictConfig) -> None:
    # Everything that can be refused is refused before the first run is opened.
    check_config(config)
    families = make_families(config.model, HydraConfig.get().overrides.task)
    rule = make_rule(config.portfolio)
    factors = make_factors(config.factors, config.data.descriptors)
    panel = load_panel(config.data, descriptors_of(factors), rule.quantiles)
    samples = make_samples(panel, descriptors_of(factors), config.window.lags, config.window.target)
    windows = test_windows(samples, config.window.train_months, config.window.test_months, config.window.refit_every)
    newest = newest_window(samples, config.window.train_months)
    data = fingerprint(panel)
    plan = make_plan(config, samples, windows[0].test.start, data)
    require_training_months(families, [*windows, newest, *plan.windows])
    store = connect(config.experiment)

    with make_checkpoints(config, samples, data) as checkpoints, RunTree("train", checkpoints) as tree:
        log.inputs(tree.parent, config, panel, samples, windows, data)
        runs = {row: tree.row(row, family.name) for family in families for row in ROWS[family.name]}
        studies: dict[str, dict[str, pd.Series]] = {}

        def on_trial(family: Family, trial: FrozenTrial, from_earlier_run: bool) -> None:
            log.trial(tree, runs, family, trial, from_earlier_run)
            studies.setdefault(family.name, {})[str(trial.number)] = returns_of(trial)

        tuned = tune(families, samples, plan, on_trial)
        forecasts = walk_forward(
            tuned, samples, windows, newest, config.seed, make_compute(config.compute), checkpoints
        )
        tree.parent.metrics({"fits_restored": checkpoints.restored})
        rows = make_rows(forecasts, samples, factors, rule)
        table, drawn = log.comparison(tree, runs, rows, tuned, forecasts, factors, rule)
        tables = gather(
            rows,
            samples,
            panel,
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
                newest,
                panel,
                factors,
                config.data.universe,
                config.registry.name,
                runs["lstm_lrp"].run_id,
                {
                    "config": describe(config),
                    "data_fingerprint": data,
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
