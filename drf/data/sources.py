"""Where a panel comes from: a file, or a simulated market. Each function is what one file of ``conf/data`` names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..errors import InputError
from .simulate import simulate_market


def from_file(path: str) -> pd.DataFrame:
    """Read a panel from Parquet or CSV (comma-separated, with a header), by the file's ending.

    Raises
    ------
    InputError
        If the file is missing, empty, of another kind, or cannot be read.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"data.path={path}: there is no such file")
    if file.stat().st_size == 0:
        raise InputError(f"data.path={path}: the file is empty")
    kind = file.suffix.lower()
    try:
        if kind in (".parquet", ".pq"):
            return pd.read_parquet(file)
        if kind == ".csv":
            return pd.read_csv(file, dtype={"asset": str}, low_memory=False)
    except Exception as error:  # the readers raise a dozen unrelated types for a broken file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"data.path={path}: cannot be read as {kind[1:]} ({reason})") from error
    raise InputError(f"data.path={path}: unknown kind of file {kind!r}: give .parquet or .csv")


def simulated(
    stocks: int, months: int, seed: int, start: str, explained: float, noise: float, style: float, missing: float
) -> pd.DataFrame:
    """The panel of :func:`drf.data.simulate.simulate_market`."""
    return simulate_market(stocks, months, seed, start, explained, noise, style, missing).panel
