"""Where a panel comes from: a file, or a simulated market. Each function is what one file of ``conf/data`` names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from ..errors import InputError
from .daily import month_bars
from .files import read_file, read_table
from .macro import PREFIX
from .raw import ITEMS, RawData, build_panel
from .research import map_panel
from .simulate import simulate_market


def from_file(path: str) -> pd.DataFrame:
    """Read a panel from Parquet or CSV (comma-separated, with a header), by the file's ending.

    Raises
    ------
    InputError
        If the file is missing, empty, of another kind, or cannot be read.
    """
    return read_file("data.path", path)


def from_raw(
    prices: str, market_index: str, statements: str, delistings: str | None, lag_months: int, stale_months: int
) -> pd.DataFrame:
    """Make a panel from daily prices, a market index, statements and, if there are, delistings (:mod:`drf.data.raw`).

    What had to be treated is printed.

    Raises
    ------
    InputError
        Naming the file, the column, the rows and the remedy.
    """
    for key, months in (("lag_months", lag_months), ("stale_months", stale_months)):
        if not isinstance(months, int) or isinstance(months, bool) or months < 0:
            raise InputError(f"data.{key}={months}: must be a whole number of months, at least 0")
    raw = RawData(
        bars=month_bars(prices),
        market_index=read_table("data.market_index", market_index, dates=("date",), numbers=("close",)),
        statements=read_table(
            "data.statements",
            statements,
            dates=("fiscal_year_end", "available_from"),
            numbers=ITEMS,
            keys=("asset", "fiscal_year_end"),
            may_be_empty=("available_from", *ITEMS),
        ),
        delistings=None
        if delistings is None
        else read_table(
            "data.delistings",
            delistings,
            dates=("date",),
            numbers=("delisting_return",),
            keys=("asset",),
            may_be_empty=("delisting_return",),
        ),
    )
    panel, counts = build_panel(raw, lag_months, stale_months)
    print("raw data: " + "; ".join(f"{number:,} {name}" for name, number in counts.items()))
    return panel


def from_research(
    path: str,
    date: Mapping[str, Any],
    asset: str,
    columns: Mapping[str, str],
    returns: Mapping[str, Any],
    keep: Mapping[str, Any] | None,
    descriptors: Sequence[str] | None,
) -> pd.DataFrame:
    """Make a panel from a research panel by a mapping, see :func:`drf.data.research.map_panel`; what had to be treated
    is printed. With ``descriptors`` only those are looked for.
    """
    wanted = {name: column for name, column in columns.items() if descriptors is None or name in descriptors}
    panel, counts = map_panel(path, date, asset, wanted, returns, keep)
    print("research panel: " + "; ".join(f"{number:,} {name}" for name, number in counts.items()))
    return panel


def true_contributions(data: DictConfig) -> pd.DataFrame | None:
    """What truly drove the returns (:class:`drf.data.simulate.Market`), if the ``data`` config names the simulator."""
    settings: Any = OmegaConf.to_container(data.source, resolve=True)
    if settings.pop("_target_") != f"{__name__}.simulated":
        return None
    settings["macro"] = tuple(settings.get("macro") or ())  # none in configs of before there was a macro factor
    names = inspect.signature(simulate_market).parameters
    return _market(*(settings[name] for name in names)).contributions.copy()


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
    macro: Sequence[str] | None = None,
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
    names = tuple(macro or ())
    for name in names:
        if not name.startswith(PREFIX):
            raise InputError(f"factors.Macro: {name}: a sensitivity to a simulated series is named {PREFIX}<series>")
    return _market(stocks, months, seed, start, explained, noise, style, missing, exits, names).panel.copy()


# The truth of a market is asked for when its panel has been used; simulating it twice would cost seconds.
_market = functools.lru_cache(maxsize=1)(simulate_market)
