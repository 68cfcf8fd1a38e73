"""How soon the alarm finds a signal that has died, and how often it is raised where the signal lives.

python benchmarks/alarm.py [SEEDS]        50 of them, if none is given
python benchmarks/alarm.py chance         without any market: independent normal months, the best of several chosen

For each seed an LSTM is trained on a simulated market, and its forecasts are issued for 36 months of two continuations
that are the same until the 12th, when the signal of one of them dies. Nothing is trained again. Printed: what was
promised, in which month the alarm came, and how many alarms there were in the first 24 months of the markets that live.

``chance``: how often the alarm is raised by month 24, 60 and 120 although all goes on as it was, for backtests of some
lengths and for the best of so many strategies without a difference. Rank IC and net return are as if independent.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from drf.comparison.rows import make_rows
from drf.data.simulate import SimulatedMarket
from drf.evaluation.portfolio import PortfolioRule
from drf.experiment.composing import compose_settings
from drf.experiment.experiment import prepare
from drf.experiment.schema import TrainConfig
from drf.live.alarm import ALPHA, evidence_against, shortfalls
from drf.live.issues import Issue, Issued
from drf.live.orders import held_now, make_orders
from drf.live.outcome import came_true, live_record, promise_of
from drf.models.base import Registrable
from drf.registry.forecaster import Forecaster, Spec
from drf.registry.packing import make_forecaster
from drf.training.walkforward import walk_forward

FIRST, LIVE, DIES, LOOKED = 86, 36, 12, 24

RULE = PortfolioRule(quantiles=5, cost_bps=10.0)

TRAINING = [
    "data=panel", "model=[lstm]", "window.train_months=24", "window.test_months=48", "window.refit_every=12",
    "tuning.trials=0", "compute.jobs=1", "model.lstm.epochs=8", "model.lstm.seeds=2", "model.lstm.batch_size=512",
]  # fmt: skip


def main(seeds: int) -> None:
    lines = []
    for seed in tqdm(range(seeds)):
        alive = SimulatedMarket(stocks=200, months=FIRST + LIVE + 1, seed=seed, explained=0.04)
        markets = {"alive": alive.panel(), "dies": replace(alive, dies=FIRST + DIES - 1).panel()}
        forecaster, promise = trained(_up_to(markets["alive"], FIRST))
        line = {"seed": seed, "promised IC": promise["rank_ic"].mean(), "sd": promise["rank_ic"].std()}
        for name, market in markets.items():
            months = lived(forecaster, promise, market)
            raised = (months["evidence"] >= 1 / ALPHA).to_numpy()
            line[f"{name}: IC"] = months["rank_ic"].iloc[DIES - 1 if name == "dies" else 0 :].mean()
            line[f"{name}: alarm in month"] = float(raised.argmax() + 1) if raised.any() else np.nan
        lines.append(line)
    table = pd.DataFrame(lines)
    print(table.to_string(index=False, float_format="{:.3f}".format, na_rep="none"))
    false, found = table["alive: alarm in month"] <= LOOKED, table["dies: alarm in month"]
    early, late = (found < DIES).sum(), found[~(found < DIES)]
    print(f"signal alive: {false.sum()} of {seeds} alarms within {LOOKED} months of looking")
    print(
        f"signal dead from month {DIES}: {late.notna().sum()} of {len(late)} found by month {LIVE}, half of them by "
        f"month {late.fillna(np.inf).median():.0f}; {early} alarm(s) before it died"
    )


def chance(lives: int = 1000) -> None:
    rng, lines = np.random.default_rng(0), []
    for months in (24, 48, 120):
        for best_of in (1, 5, 20):
            raised = np.zeros((lives, 120), dtype=bool)
            for life in tqdm(range(lives), desc=f"{months} months, best of {best_of}", leave=False):
                evidence = np.mean([_looked_at(rng, months, best_of) for _ in range(2)], axis=0)
                raised[life] = np.maximum.accumulate(evidence) >= 1 / ALPHA
            share = raised.mean(axis=0)
            line = {"backtest": months, "best of": best_of}
            lines.append(line | {f"by month {month}": share[month - 1] for month in (24, 60, 120)})
    print(pd.DataFrame(lines).to_string(index=False, float_format="{:.1%}".format))


def _looked_at(rng: np.random.Generator, months: int, best_of: int) -> np.ndarray:
    """Evidence against the best of some strategies of mean 1 and deviation 1, over 120 months of the same kind."""
    backtests = rng.normal(1, 1, (months, best_of))
    best = pd.Series(backtests[:, backtests.mean(axis=0).argmax()])
    return evidence_against(shortfalls(pd.Series(rng.normal(1, 1, 120)), best, float(best_of)))


def _up_to(market: pd.DataFrame, months: int) -> pd.DataFrame:
    dates = sorted(market["date"].unique())[:months]
    panel = market[market["date"].isin(dates)].reset_index(drop=True)
    panel.loc[panel["date"] == dates[-1], "ret_next"] = np.nan
    return panel


def trained(panel: pd.DataFrame) -> tuple[Forecaster, pd.DataFrame]:
    """The newest window's model, and what its walk-forward months promise."""
    with tempfile.TemporaryDirectory() as folder:
        panel.to_parquet(Path(folder) / "panel.parquet")
        words = [*TRAINING, f"data.path={folder}/panel.parquet", f"compute.checkpoints={folder}/checkpoints"]
        experiment = prepare(compose_settings("config", TrainConfig, words))
        config, samples = experiment.config, experiment.samples
        with experiment.checkpoints() as kept:
            walks = walk_forward(experiment.families, samples, experiment.schedule, config.seed, config.compute, kept)
    row = next(row for row in make_rows(walks, experiment.judging) if row.name == "lstm_lrp")
    factors = {name: list(names) for name, names in experiment.factors.items()}
    spec = Spec(list(samples.lags), factors, None, row.newest_scale)
    members = [member for member in walks["lstm"].members if isinstance(member, Registrable)]
    return make_forecaster([members], spec), promise_of(row.predictions, panel, RULE)


def lived(forecaster: Forecaster, promise: pd.DataFrame, market: pd.DataFrame) -> pd.DataFrame:
    """The live months, as they are recorded when the last of them has come true."""
    issued: list[Issued] = []
    for months in range(FIRST, FIRST + LIVE):
        panel = _up_to(market, months)
        month = panel["date"].max()
        recent = panel[panel["date"] >= month - pd.offsets.MonthEnd(max(forecaster.spec.lags))]
        made = forecaster.predict(recent)
        held = held_now(issued[-1].orders, panel, month)[0] if issued else pd.Series(dtype=float)
        parts = made.drop(columns=["date", "asset", "prediction", "bias"])
        orders = make_orders(made, parts, recent, RULE, held)
        issue = Issue(month, "model", "1", "one", "champion", "data", "now", RULE.cost_bps)
        issued.append(Issued(issue, orders, promise))
    record = live_record(issued, came_true(issued, market))
    assert record is not None
    return record.months


if __name__ == "__main__":
    if sys.argv[1:] == ["chance"]:
        chance()
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
