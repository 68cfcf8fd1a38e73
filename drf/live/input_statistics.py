"""Input statistics: numbers of a month's inputs that are compared with those of earlier months.

The model sees ranks, and the ranks of a month have the same distribution whatever has happened to it. So tests of
distributions detect nothing. A bad month shows in how a descriptor correlates with its own past and with the other
descriptors. It also shows in the shares of known, repeated and unchanged values, and in the stocks that come and go.
Each of these is a number a month, and the newest one is compared with a band from the months before it. A monotone
change, such as other units, does not show.
"""

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..data.calendar import in_force, named
from ..data.panel import RETURN
from ..errors import first_few

log = logging.getLogger(__name__)

LEAST_MONTHS = 12
"""Fewest earlier months from which a band can be learnt."""

MOST_MONTHS = 60

# A band reaches at least _DEVIATIONS robust deviations from the median, and exceeds the largest past distance from it
# by at least the share _BEYOND.
_DEVIATIONS, _BEYOND = 6.0, 0.5

_JOIN = "rows joined to the wrong stocks, a sign that was turned, or another definition"
_UNIVERSE = "another universe, or names that are written otherwise"


@dataclass(frozen=True)
class Kind:
    """A kind of number that is watched.

    Attributes:
        words: Description of the number.
        meaning: Usual cause of a value outside its band.
        least: Smallest difference that is reported, however steady the past was.
    """

    words: str
    meaning: str
    least: float = 0.1


KINDS: Mapping[str, Kind] = {
    "memory": Kind("rank correlation with its own last month", _JOIN, 0.15),
    "company": Kind("likeness of its correlations with the other descriptors to the usual ones", _JOIN, 0.15),
    "follows": Kind("rank correlation with the return that it repeats", _JOIN, 0.15),
    "known": Kind("share known", "a file that was not delivered whole, or a join that failed"),
    "repeated": Kind("share that has the most frequent value", "another coding of unknown values, or values cut off"),
    "unchanged": Kind("share equal to last month's value", "last month's file once more"),
    "stayed": Kind("share of last month's stocks that are still there", _UNIVERSE),
    "came": Kind("share that was not there last month", _UNIVERSE),
    "behind": Kind("months that it lies behind the last one that has ended", "last month's file, or one that is late"),
    "held": Kind("share of what was issued last that the panel still has", _UNIVERSE),
    "training": Kind(
        "agreement with the values of the version's training in the same months",
        "another vendor or another definition, which needs a training of its own",
    ),
    "lag": Kind("share that was there at the earlier dates that the model looks at", "a month that is not there whole"),
}


@dataclass(frozen=True)
class Finding:
    """A number of the newest month that is outside its band.

    Attributes:
        what: The descriptor, or ``stocks``.
        kind: One of :data:`KINDS`.
        now, low, high: The number, and the band that earlier months give it.
    """

    what: str
    kind: str
    now: float
    low: float
    high: float

    def __str__(self) -> str:
        kind = KINDS[self.kind]
        if self.kind == "behind":
            return f"{self.what}: {kind.words}: {self.now:.0f}: {kind.meaning}?"
        now = "not known" if np.isnan(self.now) else f"{self.now:.2f}"
        usual = f"usually {max(self.low, -1):.2f} to {min(self.high, 1):.2f}"
        return f"{self.what}: {kind.words} is {now}, {usual}: {kind.meaning}?"


def watch(panel: pd.DataFrame, descriptors: Sequence[str], lags: Sequence[int]) -> list[Finding]:
    """Return unusual numbers of the newest month of a panel, the most unusual first.

    Args:
        panel: In contract form; if it has ``ret_next``, MOM1 is compared with it.
        descriptors, lags: Descriptors and lags that the model uses.

    Raises ValueError if fewer than :data:`LEAST_MONTHS` months are available to tell what is usual.
    """
    if absent := _absent(panel, lags):
        return absent
    numbers = watched(panel, descriptors, lags).tail(MOST_MONTHS + 1)
    if len(numbers) <= LEAST_MONTHS:
        raise ValueError(
            f"the panel has {max(len(numbers) - 1, 0)} months before the newest, and {LEAST_MONTHS} are needed"
        )
    found, unknown = [], []
    for name in numbers.columns:
        series = numbers[name].to_numpy(dtype=float)
        now, before = series[-1], series[:-1][~np.isnan(series[:-1])]
        what, _, kind = str(name).rpartition("/")
        if len(before) < LEAST_MONTHS:
            unknown.append(str(name))
            continue
        low, high, reach = _band(before, KINDS[kind].least)
        if not low <= now <= high:
            distance = np.inf if np.isnan(now) else max(low - now, now - high) / reach
            found.append((distance, Finding(what, kind, float(now), low, high)))
    if unknown:
        log.info("note: not watched, known in fewer than %d months: %s", LEAST_MONTHS, first_few(unknown, 5))
    return [finding for _, finding in sorted(found, key=lambda pair: -pair[0])]


def _absent(panel: pd.DataFrame, lags: Sequence[int]) -> list[Finding]:
    """Return findings for missing months that the newest month is compared with or forecast from."""
    newest, first = panel["date"].max(), panel["date"].min()
    there = set(panel["date"].unique())
    months = [in_force().shift(newest, -lag) for lag in sorted({1, *lags} - {0})]
    return [Finding(named(month), "lag", 0.0, 1.0, 1.0) for month in months if first <= month and month not in there]


def _band(before: np.ndarray, least: float) -> tuple[float, float, float]:
    median = float(np.median(before))
    reach = max(_DEVIATIONS * 1.4826 * float(np.median(np.abs(before - median))), least)
    low = min(median - reach, median - (1 + _BEYOND) * (median - float(before.min())))
    high = max(median + reach, median + (1 + _BEYOND) * (float(before.max()) - median))
    return low, high, reach


def watched(panel: pd.DataFrame, descriptors: Sequence[str], lags: Sequence[int]) -> pd.DataFrame:
    """Return the watched numbers: one row for each of the newest months, columns ``descriptor/kind``."""
    ends = pd.DatetimeIndex(panel["date"].drop_duplicates().sort_values())[-(MOST_MONTHS + max(lags, default=0) + 2) :]
    recent = panel[panel["date"] >= ends[0]]
    months: dict[pd.Timestamp, pd.DataFrame] = {
        pd.Timestamp(str(end)): part.set_index("asset") for end, part in recent.groupby("date")
    }
    ranks = {end: month[list(descriptors)].rank() for end, month in months.items()}
    company = {end: table.corr().to_numpy() for end, table in ranks.items()}
    usual = np.nanmedian(np.stack([company[end] for end in ends[:-1]]), axis=0) if len(ends) > 1 else company[ends[0]]
    rows = {}
    for before, end in itertools.pairwise(ends):
        if before != in_force().shift(end, -1):
            continue  # changes across a gap span more than a month
        now, last = months[end], months[before]
        both = now.index.intersection(last.index)
        values, old = now.loc[both, list(descriptors)], last.loc[both, list(descriptors)]
        known = values.notna() & old.notna()
        by_descriptor = {
            "memory": ranks[end].loc[both].corrwith(ranks[before].loc[both]),
            "company": _likeness(company[end], usual),
            "known": now[list(descriptors)].notna().mean(),
            "repeated": _most_frequent(ranks[end].to_numpy()),
            "unchanged": (values == old).where(known).sum() / known.sum().replace(0, np.nan),
        }
        row = {
            "stocks/stayed": len(both) / len(last),
            "stocks/came": 1 - len(both) / len(now),
            "stocks/lag": _there(months, end, lags),
        }
        if "MOM1" in descriptors and RETURN in panel:
            row["MOM1/follows"] = ranks[end].loc[both, "MOM1"].corr(last.loc[both, RETURN].rank())
        for kind, numbers in by_descriptor.items():
            row |= {f"{name}/{kind}": float(n) for name, n in zip(descriptors, np.asarray(numbers), strict=True)}
        rows[end] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _there(months: Mapping[pd.Timestamp, pd.DataFrame], end: pd.Timestamp, lags: Sequence[int]) -> float:
    """Return the share of stocks that have a row at the lagged dates; NaN if one is before the first month."""
    dates = [in_force().shift(end, -lag) for lag in lags if lag]
    if not dates or min(dates) < min(months):
        return np.nan if dates else 1.0
    here = months[end].index
    return float(np.mean([here.isin(months[date].index).mean() if date in months else 0.0 for date in dates]))


def _likeness(now: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return the likeness of each descriptor's correlations to the usual ones: 1 same, 0 unrelated, -1 reversed."""
    others = ~np.eye(len(usual), dtype=bool)
    size = np.nansum(usual**2, axis=1, where=others)
    along = np.nansum(now * usual, axis=1, where=others)
    return np.divide(along, size, out=np.full(len(size), np.nan), where=size > 0)


def _most_frequent(ranks: np.ndarray) -> np.ndarray:
    """Return, for each column, the share of known values equal to the most frequent one, compared by rank."""
    shares = []
    for column in ranks.T:
        _, times = np.unique(column[~np.isnan(column)], return_counts=True)
        shares.append(times.max() / times.sum() if len(times) else np.nan)
    return np.array(shares)
