"""Daily prices -> panel -> samples: time and memory by rows, on made-up data.

python benchmarks/data.py [stocks ...]        20 years of daily prices each, by default 500 1000 2000 5000
python benchmarks/data.py panel               a panel of 5,000 stocks and 480 months to samples of five lags
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.raw import ITEMS

DAYS = pd.bdate_range("2000-01-03", "2019-12-31")


def write_market(stocks: int, folder: Path) -> int:
    """Write prices (in stretches of stocks, so that making them takes little memory), index and statements."""
    rng = np.random.default_rng(0)
    names = np.array([f"S{k:05d}" for k in range(stocks)])
    parts = folder / "parts"
    parts.mkdir()
    for start in range(0, stocks, 250):
        some = names[start : start + 250]
        close = 100 * np.exp(rng.normal(0, 0.02, (len(some), len(DAYS))).cumsum(axis=1)).ravel()
        table = pl.DataFrame(
            {
                "date": np.tile(DAYS.to_numpy(), len(some)),
                "asset": np.repeat(some, len(DAYS)),
                "close": close,
                "adj_close": close,
                "volume": rng.integers(1, 10_000, close.size).astype(float),
            }
        )
        table.write_parquet(parts / f"{start}.parquet")
    pl.scan_parquet(parts / "*.parquet").sink_parquet(folder / "prices.parquet")
    pd.DataFrame({"date": DAYS, "close": 1000 + rng.normal(0, 10, len(DAYS)).cumsum()}).to_parquet(
        folder / "index.parquet"
    )
    ends = pd.date_range("1999-03-31", "2019-03-31", freq="12ME")
    books = pd.DataFrame({"asset": np.repeat(names, len(ends)), "fiscal_year_end": np.tile(ends, stocks)})
    books["available_from"] = books["fiscal_year_end"] + pd.Timedelta(days=60)
    books[list(ITEMS)] = np.exp(rng.normal(10, 1, (len(books), len(ITEMS))))
    books.to_parquet(folder / "statements.parquet")
    return stocks * len(DAYS)


MEASURED = """
import resource, sys, time
start = time.perf_counter()
from drf.data.sources import RawTables
imported = time.perf_counter()
folder = sys.argv[1]
panel = RawTables(
    prices=f"{folder}/prices.parquet",
    market_index=f"{folder}/index.parquet",
    statements=f"{folder}/statements.parquet",
    delistings=None,
    lag_months=3,
    stale_months=18,
    prices_adjusted="none",
).panel()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(len(panel), round(time.perf_counter() - imported, 1), round(peak), file=sys.stderr)
"""


def write_panel(stocks: int, months: int, file: Path) -> int:
    rng, dates = np.random.default_rng(0), pd.date_range("1980-01-31", periods=months, freq="ME")
    names = [f"S{number:05d}" for number in range(stocks)]
    panel = pd.DataFrame({"date": np.repeat(dates, stocks), "asset": np.tile(names, months)})
    panel[list(DESCRIPTORS)] = rng.normal(size=(len(panel), len(DESCRIPTORS)))
    returns = rng.normal(0, 0.1, (months, stocks))
    panel["MOM1"] = returns.ravel()
    panel["ret_next"] = np.vstack([returns[1:], np.full((1, stocks), np.nan)]).ravel()
    panel.to_parquet(file)
    return len(panel)


TO_SAMPLES = """
import resource, sys, time
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.panel import check_panel, fingerprint
from drf.data.sources import PanelFile
from drf.samples.lagged import make_samples
start = time.perf_counter()
for step in ("read", "check", "fingerprint", "samples"):
    before = time.perf_counter()
    if step == "read":
        panel = PanelFile(sys.argv[1]).panel()
    elif step == "check":
        panel = check_panel(panel, DESCRIPTORS, 5)
    elif step == "fingerprint":
        fingerprint(panel)
    else:
        samples = make_samples(panel, DESCRIPTORS, (0, 3, 6, 9, 12))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{step:12} {time.perf_counter() - before:8.1f} s {peak:8,.0f} MB at most so far")
print(f"{len(samples):,} samples, {time.perf_counter() - start:.1f} s")
"""


def to_samples(stocks: int = 5000, months: int = 480) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "panel.parquet"
        print(f"{write_panel(stocks, months, file):,} rows")
        subprocess.run([sys.executable, "-c", TO_SAMPLES, str(file)], check=True)


def main(sizes: list[int]) -> None:
    print("  stocks  daily rows  panel rows  seconds  peak MB")
    for stocks in sizes:
        with tempfile.TemporaryDirectory() as folder:
            rows = write_market(stocks, Path(folder))
            command = [sys.executable, "-c", MEASURED, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            panel, seconds, peak = done.stderr.split()[-3:]
            print(f"{stocks:8,} {rows:11,} {int(panel):11,} {seconds:>8} {int(peak):8,}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["panel"]:
        to_samples()
    else:
        main([int(word) for word in sys.argv[1:]] or [500, 1000, 2000, 5000])
