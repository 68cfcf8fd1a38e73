"""Where a panel comes from: a file, or a simulated market. Each function is what one file of ``conf/data`` names."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from ..errors import InputError
from .simulate import simulate_market

_UNKNOWN = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None"]


def from_file(path: str) -> pd.DataFrame:
    """Read a panel from Parquet or CSV (comma-separated, with a header), by the file's ending.

    Raises
    ------
    InputError
        If the file is missing, empty, of another kind, or cannot be read.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        what = "is a folder, not a file" if file.is_dir() else "there is no such file"
        raise InputError(f"data.path={path}: {what}")
    if file.stat().st_size == 0:
        raise InputError(f"data.path={path}: the file is empty")
    kind = file.suffix.lower()
    try:
        if kind in (".parquet", ".pq"):
            return pd.read_parquet(file)
        if kind == ".csv":
            return _read_csv(file)
    except Exception as error:  # the readers raise a dozen unrelated types for a broken file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"data.path={path}: cannot be read as {kind[1:]} ({reason})") from error
    raise InputError(f"data.path={path}: unknown kind of file {kind!r}: give .parquet or .csv")


def true_contributions(data: DictConfig) -> pd.DataFrame | None:
    """What truly drove the returns (:class:`drf.data.simulate.Market`), if the ``data`` config names the simulator."""
    settings: Any = OmegaConf.to_container(data.source, resolve=True)
    if settings.pop("_target_") != f"{__name__}.simulated":
        return None
    names = inspect.signature(simulate_market).parameters
    return _market(*(settings[name] for name in names)).contributions.copy()


def _read_csv(file: Path) -> pd.DataFrame:
    """Read asset names as text: codes keep their zeros, and a company may be called NA."""
    unknown = {name: _UNKNOWN for name in pd.read_csv(file, nrows=0).columns if name != "asset"}
    return pd.read_csv(file, dtype={"asset": str}, keep_default_na=False, na_values=unknown, low_memory=False)


def simulated(
    stocks: int,
    months: int,
    seed: int,
    start: str,
    explained: float,
    noise: float,
    style: float,
    missing: float,
    exits: float,
) -> pd.DataFrame:
    """The panel of :func:`drf.data.simulate.simulate_market`.

    Raises
    ------
    InputError
        If a setting is of the wrong kind or out of range.
    """
    whole = {"stocks": (stocks, 2), "months": (months, 2), "seed": (seed, 0)}
    for name, (value, least) in whole.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"data.source.{name}={value}: must be a whole number, at least {least}")
    shares = {
        "explained": (explained, 1),
        "missing": (missing, 1),
        "exits": (exits, 1),
        "noise": (noise, 10),
        "style": (style, 10),
    }
    for name, (share, most) in shares.items():
        if not isinstance(share, (int, float)) or not 0 <= share < most:
            raise InputError(f"data.source.{name}={share}: must be a number, at least 0 and below {most}")
    try:
        pd.Timestamp(start)
    except ValueError as error:
        raise InputError(f"data.source.start={start}: must be a month, YYYY-MM") from error
    return _market(stocks, months, seed, start, explained, noise, style, missing, exits).panel.copy()


# The truth of a market is asked for when its panel has been used; simulating it twice would cost seconds.
_market = functools.lru_cache(maxsize=1)(simulate_market)
