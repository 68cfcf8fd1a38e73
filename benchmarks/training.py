"""How fast networks are trained, in ratios within one run.

python benchmarks/training.py

Three ways to do the same steps on the same windows take turns: *ceiling*, a bare nn.LSTM step on one batch, over and
over, in as many processes of one thread as there are cores; *this project*, its walk-forward with every step it takes
besides; and *a user's loop*, one process with torch's own threads, a fresh DataLoader a window.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.simulate import SimulatedMarket
from drf.models.architecture import recurrent_network
from drf.models.family import Family
from drf.models.lstm import LSTM
from drf.samples.lagged import Samples, make_samples
from drf.samples.windows import Schedule, Window, WindowRule, make_schedule
from drf.training.parallel import Compute
from drf.training.walkforward import walk_forward

STOCKS, TRAIN_MONTHS, WINDOWS, EPOCHS, BATCH, HIDDEN = 500, 60, 15, 12, 1024, 16
CORES = os.cpu_count() or 1
TURNS = 3


def step(network: nn.Module, optimiser: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> None:
    optimiser.zero_grad()
    nn.functional.mse_loss(network(x), y).backward()
    optimiser.step()


def bare(steps: int) -> None:
    torch.set_num_threads(1)
    network = recurrent_network(len(DESCRIPTORS), HIDDEN, 1, False, False)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    x, y = torch.rand(BATCH, 5, len(DESCRIPTORS)), torch.rand(BATCH, 1)
    for _ in range(steps):
        step(network, optimiser, x, y)


def ceiling(samples: int) -> float:
    """Seconds for so many samples, divided among the cores."""
    with ProcessPoolExecutor(CORES) as pool:
        list(pool.map(bare, [3] * CORES))  # start and warm up
        started = time.perf_counter()
        list(pool.map(bare, [samples // BATCH // CORES] * CORES))
        return time.perf_counter() - started


def ours(samples: Samples, schedule: Schedule, family: Family) -> float:
    started = time.perf_counter()
    walk_forward([family], samples, schedule, 0, Compute(jobs=CORES))
    return time.perf_counter() - started


def users_loop(samples: Samples, windows: Sequence[Window]) -> float:
    torch.set_num_threads(CORES)
    started = time.perf_counter()
    for window in windows:
        rows = samples.sample_slice(window.train)
        data = TensorDataset(torch.tensor(samples.x[rows]), torch.tensor(samples.y[rows])[:, None])
        network = recurrent_network(len(DESCRIPTORS), HIDDEN, 1, False, False)
        optimiser = torch.optim.Adam(network.parameters(), 3e-3)
        for _ in range(EPOCHS):
            for x, y in DataLoader(data, batch_size=BATCH, shuffle=True):
                step(network, optimiser, x, y)
        with torch.no_grad():
            network(torch.tensor(samples.x[samples.sample_slice(window.test)]))
    return time.perf_counter() - started


def main() -> None:
    panel = SimulatedMarket(STOCKS, 12 + TRAIN_MONTHS + WINDOWS + 1, 0, missing=0.0).panel()
    samples = make_samples(panel, DESCRIPTORS, (0, 3, 6, 9, 12))
    rule = WindowRule(lags=samples.lags, target="raw", train_months=TRAIN_MONTHS, test_months=WINDOWS, refit_every=1)
    schedule = make_schedule(samples, rule)
    settings = {"hidden": HIDDEN, "batch_size": BATCH, "epochs": EPOCHS, "patience": EPOCHS + 1, "validation_months": 1}
    settings |= {"label": "return", "warm_start": False}
    family = Family("lstm", LSTM, settings)
    slices = [samples.sample_slice(window.train) for window in schedule.every]
    trained = EPOCHS * sum(chosen.stop - chosen.start for chosen in slices)
    ours(samples, Schedule(schedule.tested[:2], schedule.newest), family)  # start the workers
    times = [
        (ceiling(trained), ours(samples, schedule, family), users_loop(samples, schedule.every)) for _ in range(TURNS)
    ]
    best, project, user = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{CORES} cores, {len(slices)} windows of {STOCKS} x {TRAIN_MONTHS} samples, {EPOCHS} epochs")
    print(f"ceiling            {trained / best:12,.0f} samples/s")
    print(f"this project       {trained / project:12,.0f} samples/s   {best / project:.2f} of the ceiling")
    print(f"a user's loop      {trained / user:12,.0f} samples/s   this project is {user / project:.2f} times as fast")


if __name__ == "__main__":
    main()
