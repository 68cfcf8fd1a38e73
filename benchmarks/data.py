"""Daily prices -> panel: time and memory by rows, on made-up prices.

python benchmarks/data.py [stocks ...]        20 years of daily prices each, by default 500 1000 2000 5000
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

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
    main([int(word) for word in sys.argv[1:]] or [500, 1000, 2000, 5000])
