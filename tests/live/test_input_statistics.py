"""Bad months are caught before anything is forecast from them, and good months pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.simulate import SimulatedMarket
from drf.live.input_statistics import watch

LAGS = (0, 3, 6, 9, 12)
NAMES = list(DESCRIPTORS)


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    return SimulatedMarket(stocks=60, months=36, seed=1).panel().sort_values(["date", "asset"], ignore_index=True)


def newest(panel: pd.DataFrame) -> pd.Index:
    return panel.index[panel["date"] == panel["date"].max()]


def shuffled(panel: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    rows, rng = newest(panel), np.random.default_rng(0)
    damaged = panel.copy()
    damaged.loc[rows, names] = panel.loc[rng.permutation(rows), names].to_numpy()
    return damaged


def of_last_month(panel: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    rows = newest(panel)
    last = panel[panel["date"] == panel["date"].max() - pd.offsets.MonthEnd(1)].set_index("asset")[names]
    damaged = panel.copy()
    damaged.loc[rows, names] = last.reindex(panel.loc[rows, "asset"]).to_numpy()
    return damaged


def with_values(panel: pd.DataFrame, name: str, change: Callable[[pd.Series], object], every: int = 1) -> pd.DataFrame:
    rows, damaged = newest(panel)[::every], panel.copy()
    damaged.loc[rows, name] = change(panel.loc[rows, name])
    return damaged


BAD: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "rows joined to other stocks": (lambda p: shuffled(p, NAMES), "memory"),
    "last month's file once more": (lambda p: of_last_month(p, NAMES), "unchanged"),
    "last month's file of one": (lambda p: of_last_month(p, ["PER"]), "unchanged"),
    "half of the universe": (lambda p: p.drop(index=newest(p)[::2]), "stayed"),
    "ten stocks": (lambda p: p.drop(index=newest(p)[10:]), "stayed"),
    "another coding of unknown": (lambda p: with_values(p, "ROE", lambda _: -99.0, every=3), "repeated"),
    "a third unknown": (lambda p: with_values(p, "ROE", lambda _: np.nan, every=3), "known"),
    "a month of the lags is missing": (lambda p: p[p["date"] != p["date"].max() - pd.offsets.MonthEnd(3)], "lag"),
    "other names": (lambda p: p.assign(asset=p["asset"].where(~p.index.isin(newest(p)), p["asset"] + ".T")), "stayed"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_month_is_caught(panel: pd.DataFrame, what: str) -> None:
    damage, kind = BAD[what]
    found = watch(damage(panel), NAMES, LAGS)
    assert kind in {finding.kind for finding in found}
    assert all(len(str(finding)) < 250 and "nan" not in str(finding) for finding in found)


@pytest.mark.parametrize("name", ["VOL60", "MOM1", "PER", "ILLIQ"])
def test_a_turned_sign_or_a_shuffled_column_is_caught_by_its_name(panel: pd.DataFrame, name: str) -> None:
    for damaged in (with_values(panel, name, lambda values: -values), shuffled(panel, [name])):
        assert name in {finding.what for finding in watch(damaged, NAMES, LAGS)}


def test_other_units_pass(panel: pd.DataFrame) -> None:
    for name in ("ROE", "MOM1", "CAP"):
        assert watch(with_values(panel, name, lambda values: 1000 * values + 7), NAMES, LAGS) == []


def test_good_months_pass(panel: pd.DataFrame) -> None:
    ends = panel["date"].drop_duplicates().sort_values()
    for end in ends.iloc[-6:]:
        assert watch(panel[panel["date"] <= end], NAMES, LAGS) == [], end


def test_it_needs_some_months(panel: pd.DataFrame) -> None:
    ends = panel["date"].drop_duplicates().sort_values()
    with pytest.raises(ValueError, match="has 11 months before the newest, and 12 are needed"):
        watch(panel[panel["date"] <= ends.iloc[12]], NAMES, LAGS)


def test_a_gap_in_the_past_is_no_fault_and_one_behind_the_newest_is_named(panel: pd.DataFrame) -> None:
    ends = panel["date"].drop_duplicates().sort_values()
    assert watch(panel[panel["date"] != ends.iloc[-16]], NAMES, LAGS) == []
    found = watch(panel[panel["date"] != ends.iloc[-2]], NAMES, LAGS)
    assert [(finding.what, finding.kind) for finding in found] == [(f"{ends.iloc[-2]:%Y-%m}", "lag")]
