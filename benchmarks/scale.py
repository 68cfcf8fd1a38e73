"""What the papers' protocol costs at full size, where the time goes, and how it grows.

python benchmarks/scale.py

First the speed of training, as ``benchmarks/training.py`` shows it. Then trains as a user does, in processes of its own
under Python's profiler: 500 simulated stocks with all 120 test months, and 2,000 stocks with every twelfth of their
refits, from which the whole is reckoned. Then doubles stocks, training months, windows and trials one after the other
within one process, there with a fixed number of epochs, since early stopping comes when it comes. Last, what a warm
start and one program for many networks change (on a GPU where there is one). Takes about an hour on two cores.
"""

from __future__ import annotations

import itertools
import os
import pstats
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
import numpy as np
import psutil
import torch
from hydra import compose, initialize_config_dir

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import training

from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.simulate import SimulatedMarket
from drf.evaluation.portfolio import PortfolioRule
from drf.experiment.config import read
from drf.experiment.families import make_families
from drf.experiment.schema import TrainConfig
from drf.models.family import Family
from drf.samples.lagged import make_samples
from drf.samples.windows import WindowRule, make_schedule, validation_windows
from drf.training.parallel import Compute
from drf.training.walkforward import walk_forward
from drf.tuning.rule import TuningRule
from drf.tuning.search import TuningPlan, tune
from drf.tuning.studies import open_storage

ROOT = Path(__file__).resolve().parent.parent
PLAIN = ("model.lstm.label=return", "model.lstm.warm_start=false")
PROTOCOL = ("window=paper", "data.source.months=193", "window.test_months=120", *PLAIN)
WINDOWS, EVERY = 120, 12
EPOCHS = 12
LAGS, MONTHS_BEFORE = (0, 3, 6, 9, 12), 12
STAGES = {
    "data": ("load_market", "make_samples", "fingerprint"),
    "tuning": ("tune",),
    "walk-forward": ("walk_forward",),
    "evidence": ("gather",),
}

HERE = Compute(jobs=-1)


@dataclass(frozen=True)
class Training:
    """Seconds of the whole, of its stages, and of MLflow; processor seconds of the fits by family; peak memory."""

    seconds: float
    stages: dict[str, float]
    fits: dict[str, float]
    peak_mb: float


def train(*overrides: str) -> Training:
    """Run train.py under the profiler. Memory is that of all its processes together, what they share counted once."""
    with tempfile.TemporaryDirectory() as folder:
        started, peak = time.perf_counter(), 0.0
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "cProfile", "-o", "profile", str(ROOT / "train.py"), *overrides],
            cwd=folder, env={**clean, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None:
            peak = max(peak, _proportional_memory(process.pid))
            time.sleep(1)
        seconds = time.perf_counter() - started
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        rows = mlflow.search_runs(experiment_names=["drf"], filter_string="tags.kind = 'row'")
        if not len(rows):  # the profiler does not hand exit codes on
            raise SystemExit("train.py has failed")
        fits = rows.groupby("tags.family")["metrics.fit_seconds"].max().to_dict()
        return Training(seconds, _stages(f"{folder}/profile"), fits, peak)


def _proportional_memory(pid: int) -> float:
    total = 0
    try:
        for process in [main := psutil.Process(pid), *main.children(recursive=True)]:
            total += process.memory_full_info().pss
    except psutil.NoSuchProcess:
        pass
    return total / 2**20


def _stages(profile: str) -> dict[str, float]:
    """Seconds within the functions that make a stage, and within MLflow wherever this project calls it."""
    calls = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    found = {
        stage: sum(
            entry[3] for (file, _, name), entry in calls.items() if name in names and file.startswith(str(ROOT / "drf"))
        )
        for stage, names in STAGES.items()
    }
    found["MLflow"] = sum(
        edge[3]
        for (file, *_), (*_, callers) in calls.items()
        if "/site-packages/mlflow/" in file
        for (caller, *_), edge in callers.items()
        if caller.startswith(str(ROOT))
    )
    return found


def families(seeds: int, **of_networks: object) -> list[Family]:
    """Those of the configuration, with fewer seeds and some settings of the networks replaced."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        made = make_families(read(compose("config", overrides=list(PLAIN)), TrainConfig).model)
    return [
        replace(
            family.with_settings(of_networks if "epochs" in family.settings else {}), seeds=min(family.seeds, seeds)
        )
        for family in made
    ]


def grow(stocks: int = 500, months: int = 60, windows: int = 6) -> dict[str, float]:
    """Seconds of the walk-forward, and processor seconds of each family."""
    panel = SimulatedMarket(stocks, MONTHS_BEFORE + months + windows + 1, 0).panel()
    samples = make_samples(panel, DESCRIPTORS, LAGS)
    schedule = make_schedule(samples, every_month(months, windows))
    started = time.perf_counter()
    made = walk_forward(families(2, epochs=EPOCHS, patience=EPOCHS + 1), samples, schedule, 0, HERE)
    fits = {name: walk.tested.seconds + walk.newest.seconds for name, walk in made.items()}
    return {"all": time.perf_counter() - started, **fits}


def every_month(train_months: int, windows: int) -> WindowRule:
    """So many windows, the newest one included, each a month after the one before."""
    return WindowRule(lags=LAGS, target="raw", train_months=train_months, test_months=windows - 1, refit_every=1)


def grow_trials(trials: int) -> dict[str, float]:
    """Seconds of the tuning."""
    panel = SimulatedMarket(500, MONTHS_BEFORE + 60 + 13, 0).panel()
    samples = make_samples(panel, DESCRIPTORS, LAGS)
    windows = validation_windows(samples, every_month(60, 13), MONTHS_BEFORE + 72, 12, 3)
    with tempfile.TemporaryDirectory() as folder:
        rule = TuningRule(trials=trials, validation_months=12, folds=3, batch=4, journal=f"{folder}/journal")
        plan = TuningPlan(
            rule=rule,
            windows=windows,
            seed=0,
            compute=HERE,
            storage=open_storage(rule.journal, None),
            identity={},
            portfolio=PortfolioRule(quantiles=5, cost_bps=10),
            panel=panel,
        )
        started = time.perf_counter()
        tune(families(1, epochs=EPOCHS, patience=EPOCHS + 1), samples, plan, lambda *_: None)
        return {"all": time.perf_counter() - started}


def warm(windows: int = 24) -> str:
    """A warm start beside random weights: processor time of the LSTM, and root mean squared errors."""
    samples = make_samples(SimulatedMarket(500, MONTHS_BEFORE + 60 + windows + 1, 0).panel(), DESCRIPTORS, LAGS)
    schedule = make_schedule(samples, every_month(60, windows))
    seconds, error = {}, {}
    for start in (False, True):
        (lstm,) = (family for family in families(5, warm_start=start) if family.name == "lstm")
        made = walk_forward([lstm], samples, schedule, 0, HERE)["lstm"].tested
        errors = made.prediction - samples.y[made.samples_slice]
        seconds[start], error[start] = made.seconds, float(np.sqrt(np.nanmean(errors**2)))
    return f"{seconds[True] / seconds[False]:.2f} of the time; RMSE {error[True]:.5f} instead of {error[False]:.5f}"


def together(windows: int = 12) -> str:
    """All networks in one program instead of one each in a worker: seconds of the walk-forward."""
    samples = make_samples(SimulatedMarket(500, MONTHS_BEFORE + 60 + windows + 1, 0).panel(), DESCRIPTORS, LAGS)
    schedule = make_schedule(samples, every_month(60, windows))
    device, seconds = "cuda" if torch.cuda.is_available() else "cpu", []
    networks = [family for family in families(5, epochs=EPOCHS, patience=EPOCHS + 1) if family.name in ("dnn", "lstm")]
    for compute in (HERE, Compute(jobs=-1, device=device)):
        started = time.perf_counter()
        walk_forward(networks, samples, schedule, 0, compute)
        seconds.append(time.perf_counter() - started)
    return f"{seconds[1] / seconds[0]:.2f} of the time, on {device}"


def print_training(name: str, training: Training) -> None:
    print(f"\n{name}: {training.seconds / 60:.1f} min, {training.peak_mb:,.0f} MB\n")
    print("| stage | share of the time |\n|---|---|")
    for stage, seconds in training.stages.items():
        print(f"| {stage} | {seconds / training.seconds:.1%} |")
    whole = sum(training.fits.values())
    print("\n| family | share of the fits |\n|---|---|")
    for family, seconds in training.fits.items():
        print(f"| {family} | {seconds / whole:.1%} |", flush=True)


def print_growth(name: str, measured: dict[int, dict[str, float]]) -> None:
    sizes = list(measured)
    for before, after in itertools.pairwise(sizes):
        ratios = [f"{part} {measured[after][part] / measured[before][part]:.2f}" for part in measured[before]]
        print(f"| {name} | {before:,} to {after:,} | {', '.join(ratios)} |", flush=True)


def main() -> None:
    training.main()
    print_training("500 stocks, 193 months, 120 test months", train(*PROTOCOL))
    part = train(*PROTOCOL, "data.source.stocks=2000", f"window.refit_every={EVERY}")
    print_training(f"2,000 stocks, every {EVERY}th refit", part)
    fitted = WINDOWS // EVERY + 1  # and the newest
    whole = part.seconds + part.stages["walk-forward"] * ((WINDOWS + 1) / fitted - 1)
    print(f"\n2,000 stocks, all {WINDOWS} refits: {whole / 60:.0f} min reckoned from those\n")
    grow(50, 12, 2)  # start the workers
    print("| doubled | | time grows by |\n|---|---|---|")
    print_growth("stocks", {stocks: grow(stocks=stocks) for stocks in (500, 1000, 2000)})
    print_growth("training months", {months: grow(months=months) for months in (60, 120)})
    print_growth("windows", {windows: grow(windows=windows) for windows in (6, 12, 24)})
    print_growth("trials", {trials: grow_trials(trials) for trials in (4, 8, 16)})
    print(f"\nWarm start: {warm()}")
    print(f"One program for all networks: {together()}")


if __name__ == "__main__":
    main()
