"""One market in random conventions of vendors gives one panel, or is refused; never another panel in silence."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from drf.data.periods import FLOWS, MONTHS
from drf.data.sources import RawTables
from tests.data import by_hand
from tests.data.by_hand import DELISTINGS, VALUED, prices, statements

WRITTEN = {"iso": "%Y-%m-%d", "compact": "%Y%m%d", "named": "%d %b %Y", "day first": "%d/%m/%Y"}
OTHER_NAMES = {"date": "Datum", "asset": "Ticker", "close": "Last", "net_income": "Profit", "volume": "Vol"}


@functools.cache
def reference() -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        table = prices("none").drop(columns="market_value")
        return by_hand.build(Path(folder), table, prices_adjusted="none")


def in_periods(books: pd.DataFrame, period: str, step: int) -> pd.DataFrame:
    """The year's statement in parts, all known on the day on which the whole was."""
    if period == "annual":
        return books
    parts = []
    for months in range(step, 13, step):
        share = (step if period == "quarter" else months) / 12
        ends = books["fiscal_year_end"] - pd.offsets.MonthEnd(12 - months)
        parts.append(books.assign(fiscal_year_end=ends, **{name: books[name] * share for name in FLOWS}))
        parts[-1][MONTHS] = float(step if period == "quarter" else months)
    return pd.concat(parts, ignore_index=True)


@given(
    basis=st.sampled_from(["none", "splits", "splits twice", "shares adjusted"]),
    period=st.sampled_from(["annual", "quarter", "year_to_date"]),
    step=st.sampled_from([3, 6]),
    said=st.booleans(),
    dates=st.sampled_from(sorted(WRITTEN)),
    container=st.sampled_from(["parquet", ",.", ";,", ";.", "\t,"]),
    renamed=st.booleans(),
    noughts=st.booleans(),
    texts=st.sampled_from([(), ("currency",), ("company",), ("company", "currency")]),
    seed=st.integers(0, 9),
)
def test_conventions_change_nothing(
    basis: str, period: str, step: int, said: bool, dates: str, container: str, renamed: bool, noughts: bool,
    texts: tuple[str, ...], seed: int,
) -> None:  # fmt: skip
    adjusted = basis in ("splits twice", "shares adjusted")
    table = prices("splits" if basis.startswith("splits") else "none").drop(columns="market_value")
    if basis == "splits twice":
        table = table.drop(columns="split")
    elif noughts:
        table["split"] = table["split"].where(table["split"] != 1, 0.0)
    books = in_periods(statements(adjusted=adjusted), period, step)
    if not said or period == "annual":
        books = books.drop(columns=MONTHS, errors="ignore")
    for name in texts:
        for one in (table, books):
            one[name] = one["asset"] if name == "company" else "JPY"
    if "company" in texts:
        books = books.drop(columns="asset")
    index = pd.DataFrame({"date": by_hand.MONTHS, "close": [100 + 30 * k / 74 for k in range(75)]}).drop(by_hand.CLOSED)
    files = {"prices": table, "statements": books, "delistings": DELISTINGS, "market_index": index}
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            name: written(one, Path(folder) / name, dates, container, renamed, seed) for name, one in files.items()
        }
        source = RawTables(
            **paths,
            lag_months=3,
            stale_months=18,
            prices_adjusted="splits" if basis.startswith("splits") else "none",
            shares_adjusted="splits" if adjusted else "none",
            period=None if period == "annual" or said else period,  # type: ignore[arg-type]
            names=OTHER_NAMES if renamed else None,
        )
        found = source.panel()
    columns = [name for name in found if name != "ILLIQ" or basis in ("none", "shares adjusted")]
    pd.testing.assert_frame_equal(found[columns], reference()[columns], rtol=1e-12 if basis == "none" else 1e-9)
    assert set(VALUED) <= set(columns)


def written(table: pd.DataFrame, path: Path, dates: str, container: str, renamed: bool, seed: int) -> str:
    table = table.sample(frac=1, random_state=seed, ignore_index=True)
    days = [name for name in table if str(table[name].dtype).startswith("datetime")]
    table = table.assign(**{name: table[name].dt.strftime(WRITTEN[dates]) for name in days})
    table = table.rename(columns=OTHER_NAMES) if renamed else table
    if container == "parquet":
        table.to_parquet(path.with_suffix(".parquet"))
        return str(path.with_suffix(".parquet"))
    table.to_csv(path.with_suffix(".csv"), index=False, sep=container[0], decimal=container[1])
    return str(path.with_suffix(".csv"))
