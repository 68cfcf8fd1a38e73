"""A market made by hand, in which every awkward thing happens once, for tests.

Thirteen stocks over 75 months, a price on the 10th and at each month's end; 100 million shares each at 100. In month 70
(counted from 0) and after:

* GAP is suspended for three months (70 to 72) at 100 and comes back at 40.
* nobody trades in month 66: the market is closed.
* SPLIT has a 10:1 split on the 10th of month 70; BONUS a 5:4 bonus issue; SPECIAL pays a dividend of half its price.
* DEAD is delisted on the 10th of the newest month at half its last price; LOST was suspended and then delisted.
* REUSED ends in month 40; another company has its name from month 58 on.
* LATE's books of one year come after those of the next; TWICE's are restated.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from drf.data.raw import ITEMS
from drf.data.sources import RawTables

MONTHS = pd.date_range("2010-01-31", periods=75, freq="ME")
NEWEST = len(MONTHS) - 1
CLOSED = 66
PLAIN = ["P1", "P2", "P3", "P4"]
ODD = ["GAP", "SPLIT", "BONUS", "SPECIAL", "DEAD", "LOST", "REUSED", "LATE", "TWICE"]
SHARES = 1e8


def path_of(name: str) -> np.ndarray:
    """What a share of the beginning was worth at each month's end, dividends aside."""
    rng = np.random.default_rng([*map(ord, name)])
    prices = np.round(100 * np.exp(rng.normal(0.0, 0.05, len(MONTHS)).cumsum()), 2)
    prices[CLOSED] = prices[CLOSED - 1]
    if name in ("GAP", "SPLIT", "BONUS", "SPECIAL", "DEAD", "LOST"):
        prices[60:] = 100.0
    if name == "GAP":
        prices[73:] = 40.0
    if name == "SPECIAL":
        prices[70:] = 50.0
    return prices


def traded(name: str, month: int) -> bool:
    without = {"GAP": (70, 71, 72), "LOST": (70, 71, 72, 73, 74), "REUSED": range(41, 58)}
    return month != CLOSED and month not in without.get(name, ())


VALUED = ("CAP", "PSR", "PER", "PBR", "PCFR")
SPLITS = {"SPLIT": 10.0, "BONUS": 1.25}


def prices(convention: str) -> pd.DataFrame:
    """Closes as traded (none), adjusted for splits (splits), or for dividends too (total_return)."""
    rows = []
    for name in [*PLAIN, *ODD]:
        worth = path_of(name)
        for month, end in enumerate(MONTHS):
            for day in (end.replace(day=10), end):
                if not traded(name, month) or (name == "DEAD" and month == NEWEST and day == end):
                    continue
                before_split = SPLITS.get(name, 1.0) if month < 70 else 1.0
                before_dividend = 0.5 if name == "SPECIAL" and month < 70 else 1.0
                adjusted = worth[month] / SPLITS.get(name, 1.0)
                total = adjusted * before_dividend
                close = {"none": adjusted * before_split, "splits": adjusted, "total_return": total}[convention]
                split = SPLITS.get(name, 1.0) if month == 70 and day.day == 10 else 1.0
                rows.append((day, name, close, total, 1e6, split, worth[month] * SHARES))
    return pd.DataFrame(rows, columns=["date", "asset", "close", "adj_close", "volume", "split", "market_value"])


def statements(adjusted: bool = False) -> pd.DataFrame:
    """A fiscal year to March each, known 60 days later. Shares as reported, or as adjusted for later splits."""
    rows = []
    for name in [*PLAIN, *ODD]:
        for year in range(2009, 2017):
            end = pd.Timestamp(year, 3, 31)
            shares = SHARES * SPLITS.get(name, 1.0) if adjusted or end > MONTHS[70] else SHARES
            rows.append(
                (name, end, end + pd.Timedelta(days=60), 100.0, 50.0, 80.0, 8.0, float(year - 2000), 6.0, shares)
            )
    table = pd.DataFrame(rows, columns=["asset", "fiscal_year_end", "available_from", *ITEMS])
    late = (table["asset"] == "LATE") & (table["fiscal_year_end"] == "2013-03-31")
    table.loc[late, "available_from"] = pd.Timestamp("2014-07-15")  # the books of 2014 are out since May
    restated = table[(table["asset"] == "TWICE") & (table["fiscal_year_end"] == "2014-03-31")].copy()
    restated["available_from"], restated["net_income"] = pd.Timestamp("2014-09-20"), 99.0
    return pd.concat([table, restated], ignore_index=True)


DELISTINGS = pd.DataFrame(
    {
        "asset": ["DEAD", "LOST"],
        "date": [MONTHS[NEWEST].replace(day=10), MONTHS[72].replace(day=15)],
        "delisting_return": [-0.5, -1.0],
    }
)


def build(folder: Path, table: pd.DataFrame, books: pd.DataFrame | None = None, **settings: object) -> pd.DataFrame:
    gone = settings.pop("delistings", DELISTINGS[DELISTINGS["asset"].isin(table["asset"])])
    files = {"prices": table, "statements": statements() if books is None else books, "delistings": gone}
    files["market_index"] = pd.DataFrame({"date": MONTHS, "close": np.linspace(100, 130, len(MONTHS))}).drop(CLOSED)
    for name, frame in files.items():
        frame.to_parquet(folder / f"{name}.parquet")
    usual = {
        "lag_months": 3,
        "stale_months": 18,
        "carry_months": 12,
        "prices_adjusted": None,
        "shares_adjusted": "none",
        "most_unmatched": 0.2,
    }
    return RawTables(**{name: str(folder / f"{name}.parquet") for name in files}, **{**usual, **settings}).panel()  # type: ignore[arg-type]


def delisted(*rows: tuple[str, pd.Timestamp, float]) -> pd.DataFrame:
    return pd.concat([DELISTINGS, pd.DataFrame(rows, columns=DELISTINGS.columns)], ignore_index=True)


def series(panel: pd.DataFrame, name: str, column: str) -> pd.Series:
    """By number of the month."""
    known = panel.loc[name, column]
    known.index = MONTHS.get_indexer(known.index)
    return known
