"""Histories are restated every month: what changed is counted, and what was said before stays evidence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.simulate import SimulatedMarket
from drf.registry.examine import examine
from drf.registry.gates import judge_history
from drf.registry.history import compare, share_kept
from drf.registry.training_evidence import remember
from drf.registry.versions import read_versions
from tests.registry.making import LIMITS, NAME, market, register_small

MONTHS = np.sort(market()["date"].unique())
STOCKS = sorted(market()["asset"].unique())


def kept(panel: pd.DataFrame) -> pd.DataFrame:
    return remember(panel, DESCRIPTORS, panel["date"].max() - pd.offsets.MonthEnd(12))


def cell(panel: pd.DataFrame, month: int, column: str, change: Callable[[float], float]) -> pd.DataFrame:
    made = panel.copy()
    row = made.index[(made["date"] == MONTHS[month]) & made[column].notna()][3]
    made.loc[row, column] = change(float(made.loc[row, column]))
    return made


def without(panel: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    return panel[~rows].reset_index(drop=True)


def listed_late(panel: pd.DataFrame) -> pd.DataFrame:
    """Without the first ten months of a stock, which its vendor fills in later."""
    return without(panel, (panel["asset"] == STOCKS[5]) & (panel["date"] < MONTHS[10]))


def single(panel: pd.DataFrame) -> pd.DataFrame:
    return panel.assign(**{name: panel[name].astype(np.float32).astype(float) for name in (*DESCRIPTORS, "ret_next")})


COUNTED = ("changed_cells", "changed_returns", "dropped", "added")

# name: what is done to the panel since it was trained on, and how much of (cells, returns, dropped, added) is counted
RESTATEMENTS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], tuple[int, int, int, int]]] = {
    "nothing": (lambda panel: panel, (0, 0, 0, 0)),
    "a relative 1e-12": (lambda panel: cell(panel, 5, "CAP", lambda value: value * (1 + 1e-12)), (0, 0, 0, 0)),
    "single precision": (single, (0, 0, 0, 0)),
    "six digits": (lambda panel: panel.round(dict.fromkeys(DESCRIPTORS, 6)), (0, 0, 0, 0)),
    "a sector column": (lambda panel: panel.assign(sector="banks"), (0, 0, 0, 0)),
    "a column that nobody uses": (lambda panel: panel.assign(GOODWILL=1.0), (0, 0, 0, 0)),
    "a cell of the first month": (lambda panel: cell(panel, 0, "PER", lambda value: value + 0.5), (1, 0, 0, 0)),
    "an empty cell": (lambda panel: cell(panel, 7, "ROE", lambda value: np.nan), (1, 0, 0, 0)),
    "a corrected return": (lambda panel: cell(panel, 30, "ret_next", lambda value: value - 0.2), (0, 1, 0, 0)),
    "a dropped stock": (lambda panel: without(panel, panel["asset"] == STOCKS[8]), (0, 0, -1, 0)),
    "a renamed stock": (lambda panel: panel.replace({"asset": {STOCKS[8]: "NEW"}}), (0, 0, 0, 0)),
    "every stock renamed": (lambda panel: panel.assign(asset="X" + panel["asset"]), (0, 0, 0, 0)),
    "a dropped month": (lambda panel: without(panel, panel["date"] == MONTHS[20]), (0, 0, -1, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", RESTATEMENTS)
def test_each_restatement_is_counted_and_survived(name: str) -> None:
    change, counted = RESTATEMENTS[name]
    found = compare(kept(market()), change(market()))
    cells, returns, dropped, added = (int(found.months[column].sum()) for column in COUNTED)
    assert (cells, returns, added) == (counted[0], counted[1], counted[3])
    assert (dropped > 0) == (counted[2] != 0)
    gone = 1 if name == "a dropped month" else 0
    assert len(found.standing) == len(MONTHS) - gone
    assert bool(found.renamed) == ("renamed" in name)
    assert bool(found.in_words()) == (any(counted) or "renamed" in name)
    if cells or returns:
        where = found.months.index[(found.months["changed_cells"] + found.months["changed_returns"]) > 0]
        assert f"{where[0]:%Y-%m}" in found.in_words()


def test_a_listing_filled_in_later_is_counted_as_new() -> None:
    before = listed_late(market())
    found = compare(kept(before), market())
    assert found.months["added"].sum() == len(market()) - len(before)
    assert found.months["stands"].all()


def test_a_column_that_is_gone_is_counted_in_every_cell() -> None:
    found = compare(kept(market()), market().drop(columns="ROE"))
    assert found.columns["ROE"] == market()["ROE"].notna().sum()
    assert found.months["stands"].all()


def test_another_market_does_not_stand_and_the_message_says_what_to_do() -> None:
    other = SimulatedMarket(stocks=40, months=45, seed=9).panel()
    found = compare(kept(market()), other)
    assert not found.months["stands"][:-1].any()
    assert "are gone or of another market and do not count: give the data" in found.in_words()
    half = market()
    rows = half["date"] < MONTHS[15]
    half = half.assign(ret_next=half["ret_next"].where(~rows, half["ret_next"] + 0.3))
    stands = compare(kept(market()), half).months["stands"]
    assert not stands[:15].any()
    assert stands[15:].all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_random_restatements_are_counted_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    panel, changed = market(), market().copy()
    rows = rng.choice(len(panel), rng.integers(1, 40), replace=False)
    columns = rng.choice(np.array([*DESCRIPTORS, "ret_next"]), len(rows))
    cells = returns = 0
    for row, column in zip(rows, columns, strict=True):
        if np.isnan(panel.loc[row, column]):
            continue
        changed.loc[row, column] += 3 * panel[column].std()
        cells, returns = cells + (column != "ret_next"), returns + (column == "ret_next")
    gone = rng.choice(np.array(STOCKS), rng.integers(0, 4), replace=False)
    left = without(changed, changed["asset"].isin(gone)).sample(frac=1, random_state=1)
    found = compare(kept(panel), left)
    lost = panel["asset"].isin(gone)
    assert found.months["dropped"].sum() == lost.sum()
    on_gone = [lost[row] and not np.isnan(panel.loc[row, column]) for row, column in zip(rows, columns, strict=True)]
    assert found.months["changed_cells"].sum() + found.months["changed_returns"].sum() == cells + returns - sum(on_gone)
    assert sum(found.columns.values()) == found.months["changed_cells"].sum()


def share(panel: pd.DataFrame, now: pd.DataFrame, months: np.ndarray = MONTHS) -> float:
    then = kept(panel)
    return share_kept(then, now, pd.Series(months), compare(then, now))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["gone", "empty"]))
def test_the_share_of_returns_that_is_kept_is_exact(seed: int, how: str) -> None:
    rng = np.random.default_rng(seed)
    panel, tested = market(), MONTHS[10:30]
    rows = pd.Series(rng.random(len(panel)) < rng.uniform(0, 0.4)) & ~panel["asset"].isin(STOCKS[:1])
    now = without(panel, rows) if how == "gone" else panel.assign(ret_next=panel["ret_next"].mask(rows))
    sizes = panel["ret_next"].abs().where(panel["date"].isin(tested), 0.0).fillna(0.0)
    sizes = np.minimum(sizes, sizes.groupby(panel["date"]).transform(lambda month: month.quantile(0.95)))
    stands = compare(kept(panel), now).standing
    there = ~rows & panel["date"].isin(stands)
    assert share(panel, now, tested) == pytest.approx(sizes[there].sum() / sizes.sum(), abs=2e-3)


def test_the_worst_months_cannot_be_left_out_and_corrections_cost_nothing() -> None:
    panel = market()
    by_size = panel.groupby("date")["ret_next"].std().nlargest(len(MONTHS)).index
    for count in (2, len(MONTHS) // 4):
        verdict = judge_history(share(panel, without(panel, panel["date"].isin(by_size[:count]))), LIMITS)
        assert not verdict.passed
        assert "of its test months' absolute returns are in the panel, needed at least 0.97" in verdict.reason
    assert np.isnan(share(panel, panel, MONTHS[:0])) and not judge_history(float("nan"), LIMITS).passed
    wild = panel.assign(ret_next=panel["ret_next"].where(panel.index != 77, 100.0))
    assert share(wild, panel) > 0.999
    restated = panel.assign(ret_next=panel["ret_next"].where(np.arange(len(panel)) % 4 > 0, panel["ret_next"] + 0.1))
    for other in (restated, panel.assign(asset="X" + panel["asset"]), panel.round(4)):
        assert share(panel, other) > 0.99


@pytest.mark.long
def test_recorded_forecasts_stay_evidence_through_all_of_them(store: str) -> None:
    client = MlflowClient()
    register_small(client)
    version = read_versions(client, NAME).versions[0]
    before = examine(client, version, market())
    for name, (change, _) in RESTATEMENTS.items():
        after = examine(client, version, change(market()))
        months = before.forecasts["date"].nunique() - (name == "a dropped month")
        assert after.forecasts["date"].nunique() == months, name
        names = {new: old for old, new in after.restated.renamed.items()}
        both = before.forecasts.merge(
            after.forecasts.replace({"asset": names}), on=["date", "asset"], suffixes=("", "_after")
        )
        recorded = both["date"].isin(after.restated.standing)
        assert (both["y_pred"] == both["y_pred_after"])[recorded].all(), name
        assert (both["y_true"] - both["y_true_after"]).abs().gt(1e-3).sum() == (name == "a corrected return"), name
        assert after.checkup == before.checkup, name  # of the version and its evidence alone
