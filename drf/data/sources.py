"""Sources of panels: each file of ``conf/data`` names a class, whose fields are the keys of that file."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pandas as pd
from annotated_types import Ge, Interval

from ..errors import InputError
from .bar_cache import kept_bars
from .calendar import Frequency
from .daily import month_bars, read_prices
from .files import Reading, column_names, read_file, read_table
from .panel import KEYS, RETURN
from .periods import MONTHS, Period
from .raw import FORMULAS, ITEMS, SHARES, Conventions, RawData, build_panel, needed_items
from .research import map_panel
from .value import PricesAdjusted, SharesAdjusted

log = logging.getLogger(__name__)

TINY = 1e-9
"""Smallest price or number of shares, just above 0."""


class Source(ABC):
    """A source of panels.

    ``PLACES`` names the fields that say where data lie or up to which month they go: these fields change from month to
    month while all else stays. The text fields among them are paths. ``READING`` names the fields that say how files
    are read or when they are refused; they do not change the resulting panel. ``FREQUENCIES`` names the frequencies
    that the source can have.
    """

    FREQUENCIES: ClassVar[tuple[Frequency, ...]] = ("monthly", "weekly")
    PLACES: ClassVar[frozenset[str]] = frozenset()
    READING: ClassVar[frozenset[str]] = frozenset(
        {"encoding", "unknown", "separator", "decimal", "most_unmatched", "needed"}
    )

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the source, in a few words."""

    @abstractmethod
    def panel(self) -> pd.DataFrame:
        """Return the panel, not yet checked against the contract.

        Raises InputError, naming the file, the column, the rows and the remedy.
        """

    def needing(self, descriptors: Sequence[str]) -> "Source":
        """Return the source for a panel that needs only some descriptors; most sources are not affected."""
        return self

    def truth(self) -> pd.DataFrame | None:
        """Return the true drivers of the returns (:class:`drf.data.simulate.Market`); None where they are unknown."""
        return None


@dataclass(frozen=True, kw_only=True)
class FileSource(Source):
    """A source that reads files; ``reading`` holds what the files do not state themselves."""

    encoding: str | None = None
    unknown: Sequence[str | float] = ()
    separator: str | None = None
    decimal: Literal[".", ","] | None = None
    names: Mapping[str, str] | None = None

    @property
    def reading(self) -> Reading:
        return Reading(self.encoding, self.unknown, self.separator, self.decimal, self.names or {})


@dataclass(frozen=True)
class PanelFile(FileSource):
    """A panel from a file, in the format of its ending (:mod:`drf.data.formats`)."""

    PLACES = frozenset({"path"})

    path: str

    @property
    def name(self) -> str:
        return self.path

    def panel(self) -> pd.DataFrame:
        return read_file("data.path", self.path, reading=self.reading)


@dataclass(frozen=True, kw_only=True)
class RawTables(FileSource):
    """A panel made from daily prices, a market index, statements and, if there are, delistings (:mod:`drf.data.raw`).

    Cases that needed treatment are logged. ``bars`` names a file that keeps the monthly bars, so that only new or
    changed months of the prices are summed up again.
    """

    FREQUENCIES: ClassVar[tuple[Frequency, ...]] = ("monthly",)

    PLACES = frozenset({"prices", "market_index", "statements", "delistings", "bars"})

    prices: str
    market_index: str
    statements: str
    delistings: str | None
    lag_months: Annotated[int, Ge(0)]
    stale_months: Annotated[int, Ge(0)]
    carry_months: Annotated[int, Ge(0)] = 12
    prices_adjusted: PricesAdjusted | None = None
    shares_adjusted: SharesAdjusted = "none"
    most_unmatched: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.2
    period: Period | None = None
    needed: Sequence[str] = ()
    bars: str | None = None

    @property
    def name(self) -> str:
        return f"made from {self.prices} and {self.statements}"

    def panel(self) -> pd.DataFrame:
        reading = self.reading
        bars = self._bars(reading)
        items = [*needed_items(self.needed or FORMULAS), *([] if "shares" in bars else [SHARES])]
        raw = RawData(
            bars=bars,
            market_index=read_table(
                "data.market_index",
                self.market_index,
                dates=("date",),
                numbers=("close",),
                keys=("date",),
                least={"close": TINY},
                reading=reading,
            ),
            statements=read_table(
                "data.statements",
                self.statements,
                dates=("fiscal_year_end", "available_from"),
                numbers=items,
                texts=("currency",),
                optional=(MONTHS, *(item for item in ITEMS if item not in items and item != SHARES)),
                keys=("asset", "fiscal_year_end", "available_from"),
                may_be_empty=("available_from", *ITEMS),
                least={name: TINY for name in items if name == SHARES},
                open_ends=("available_from",),
                reading=self._of_companies(reading) if "company" in bars else reading,
            ),
            delistings=None
            if self.delistings is None
            else read_table(
                "data.delistings",
                self.delistings,
                dates=("date",),
                numbers=("delisting_return",),
                keys=("asset", "date"),
                may_be_empty=("delisting_return",),
                least={"delisting_return": -1},
                open_ends=("date",),
                reading=reading,
            ),
        )
        panel, treated = build_panel(
            raw,
            Conventions(
                self.lag_months,
                self.stale_months,
                self.carry_months,
                self.prices_adjusted,
                self.shares_adjusted,
                self.most_unmatched,
                self.period,
                tuple(self.needed),
            ),
        )
        for words in treated:
            log.info("raw data: %s", words)
        return panel

    def _of_companies(self, reading: Reading) -> Reading:
        """Read the statements' column of companies as their assets, if there is such a column."""
        company = reading.columns.get("company", "company")
        named = company in column_names("data.statements", self.statements, reading)
        return replace(reading, columns={**reading.columns, "asset": company}) if named else reading

    def needing(self, descriptors: Sequence[str]) -> "RawTables":
        return replace(self, needed=tuple(name for name in descriptors if name in FORMULAS))

    def _bars(self, reading: Reading) -> pd.DataFrame:
        if self.bars is None:
            return month_bars(self.prices, reading)
        bars, notices = kept_bars(read_prices(self.prices, reading), self.prices, Path(self.bars))
        log.info("raw data: %s", notices)
        return bars


@dataclass(frozen=True, kw_only=True)
class ResearchPanel(FileSource):
    """A panel made from a research panel by a mapping, see :func:`drf.data.research.map_panel`.

    With ``descriptors`` given, no others are looked for. Cases that needed treatment are logged.
    """

    FREQUENCIES: ClassVar[tuple[Frequency, ...]] = ("monthly",)

    PLACES = frozenset({"path"})

    path: str
    date: Mapping[str, Any]
    asset: str
    columns: Mapping[str, str]
    returns: Mapping[str, Any]
    keep: Mapping[str, Any] | None
    descriptors: Sequence[str] | None
    most_unmatched: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.2

    @property
    def name(self) -> str:
        return self.path

    def panel(self) -> pd.DataFrame:
        names = self.names or {}
        own = {name: column for name, column in names.items() if name not in (*KEYS, RETURN)}
        columns = {**self.columns, **own}
        wanted = {name: columns[name] for name in columns if self.descriptors is None or name in self.descriptors}
        panel, treated = map_panel(
            self.path,
            {**self.date, "column": names.get("date", self.date["column"])},
            names.get("asset", self.asset),
            wanted,
            {**self.returns, "column": names.get(RETURN, self.returns["column"])},
            self.keep,
            self.most_unmatched,
            replace(self.reading, columns={}),  # the mapping has them already
        )
        log.info("research panel: %s", "; ".join(treated))
        return panel


@dataclass(frozen=True)
class NamedElsewhere(Source):
    """A user's own source that a registry names. The source is not created, since others may write to a registry."""

    target: str

    @property
    def name(self) -> str:
        return self.target

    def panel(self) -> pd.DataFrame:
        raise InputError(
            f"data: the version was trained on {self.target}, which is not a source of this project, and no other "
            "class is loaded because a registry names it: give data=... on the command line"
        )
