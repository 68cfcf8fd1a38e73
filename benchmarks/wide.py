"""Memory and time of a training on a wide panel: many characteristics, many stocks.

python benchmarks/wide.py [STOCKS] [MONTHS] [CHARACTERISTICS] [WORD ...]      2,500, 120 and 94, if none are given

A panel of persistent characteristics is written month by month, ten of which forecast returns, and `drf train` runs on
it with the words given, in a process of its own. Printed: size of the panel in single precision, the largest memory of
all processes together (each page counted once), and the minutes until each stage began.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

TRAINING = [
    "data=panel", "data.path=wide.parquet", "model=[linear,lstm]", "tuning.trials=0", "window.train_months=60",
    "window.test_months=6", "window.refit_every=6", "model.lstm.epochs=3", "model.lstm.seeds=1",
]  # fmt: skip


def write_panel(file: Path, stocks: int, months: int, characteristics: int) -> None:
    """Write a panel month by month, so that no memory is needed for the whole."""
    rng = np.random.default_rng(0)
    names = [f"c{k:03d}" for k in range(characteristics)]
    assets = [f"S{k:05d}" for k in range(stocks)]
    values = rng.standard_normal((stocks, characteristics), dtype=np.float32)
    slopes = np.zeros(characteristics, dtype=np.float32)
    slopes[:10] = 0.005
    writer = None
    for date in pd.date_range("1960-01-31", periods=months, freq="ME"):
        returns = values @ slopes + 0.1 * rng.standard_normal(stocks, dtype=np.float32)
        table = pa.table(
            {
                "date": pa.array([date.date()] * stocks),
                "asset": pa.array(assets),
                **{name: values[:, k] for k, name in enumerate(names)},
                "ret_next": np.clip(returns, -0.9, None),
            }
        )
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
        values = 0.95 * values + 0.31 * rng.standard_normal(values.shape, dtype=np.float32)
    assert writer is not None
    writer.close()


def memory_of(process: psutil.Process) -> float:
    """Return the memory of a process and its children in GB, a page that several share counted once."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            rollup = Path(f"/proc/{one.pid}/smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 2**20


def main(stocks: int, months: int, characteristics: int, words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_panel(Path(folder, "wide.parquet"), stocks, months, characteristics)
        names = [f"c{k:03d}" for k in range(characteristics)]
        words = [f"+factors.G{k}=[{','.join(names[k::5])}]" for k in range(5)] + words
        words = [f"data.descriptors=[{','.join(names)}]", *words]
        command = [sys.executable, "-m", "drf", "train", *TRAINING, *words]
        size = 4 * stocks * months * characteristics / 2**30
        print(f"{stocks * months:,} rows of {characteristics} characteristics: {size:.2f} GB in single precision")
        started, peak, steps = time.perf_counter(), 0.0, []
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:

            def listen() -> None:
                for line in running.stdout or ():
                    steps.append((time.perf_counter() - started, peak, line.rstrip()))

            reader = threading.Thread(target=listen, daemon=True)
            reader.start()
            process = psutil.Process(running.pid)
            while running.poll() is None:
                peak = max(peak, memory_of(process))
                time.sleep(0.1)
            reader.join()
        for at, until, line in steps:
            print(f"{at / 60:6.1f} min, {until:5.2f} GB so far: {line[:110]}")
        print(f"peak of all processes: {peak:.2f} GB, {peak / size:.1f} times the panel; {at / 60:.1f} minutes")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:] if word.isdigit()]
    main(*[*given, *(2500, 120, 94)[len(given) :]], words=[word for word in sys.argv[1:] if not word.isdigit()])
