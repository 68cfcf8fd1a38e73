"""A version's market is told from any other, whatever happens to its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from drf.data.simulate import SimulatedMarket
from drf.errors import InputError
from drf.registry.market import compare_markets, require_same_market

Change = Callable[[pd.DataFrame], pd.DataFrame]

RNG = np.random.default_rng(0)
VALUES = ["ROE", "PER", "MOM1", "CAP", "ret_next"]


def panel(seed: int, months: int = 40) -> pd.DataFrame:
    return SimulatedMarket(stocks=60, months=months, seed=seed).panel()


def history(whole: pd.DataFrame) -> pd.DataFrame:
    """The panel of a training that ended four months before the newest."""
    return whole[whole["date"] <= sorted(whole["date"].unique())[-5]]


def restated(whole: pd.DataFrame) -> pd.DataFrame:
    return whole.assign(**{name: whole[name].where(RNG.random(len(whole)) > 0.01, 0.1) for name in VALUES})


def renamed(whole: pd.DataFrame) -> pd.DataFrame:
    return whole.assign(asset=whole["asset"].where(whole["asset"] > "S0006", whole["asset"] + ".T"))


def in_another_currency(whole: pd.DataFrame) -> pd.DataFrame:
    rate = whole["date"].map({date: RNG.normal(0, 0.03) for date in whole["date"].unique()})
    return whole.assign(ret_next=(1 + whole["ret_next"]) * (1 + rate) - 1, CAP=whole["CAP"] + 4.7)


def newest(whole: pd.DataFrame) -> pd.DataFrame:
    return whole[whole["date"] >= sorted(whole["date"].unique())[-13]]


def only_descriptors(whole: pd.DataFrame) -> pd.DataFrame:
    return newest(whole).drop(columns="ret_next")


def with_more_stocks(whole: pd.DataFrame) -> pd.DataFrame:
    others = panel(9, 40).assign(asset=lambda other: "X" + other["asset"])
    return pd.concat([whole, others], ignore_index=True)


def another_vendors_descriptors(whole: pd.DataFrame) -> pd.DataFrame:
    return whole.assign(**{name: RNG.random(len(whole)) for name in ("ROE", "PER", "PBR", "ROA")})


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole, restated, renamed, in_another_currency, newest, only_descriptors, with_more_stocks,
        another_vendors_descriptors, lambda whole: restated(renamed(in_another_currency(newest(whole)))),
    ],
)  # fmt: skip
def test_what_happens_to_a_market_leaves_it_the_same(change: Change) -> None:
    for seed in range(3):
        whole = panel(seed)
        require_same_market("version 1", "", history(whole), change(whole))


def shuffled(whole: pd.DataFrame) -> pd.DataFrame:
    names = whole["asset"].unique()
    return whole.assign(asset=whole["asset"].map(dict(zip(names, RNG.permutation(names), strict=True))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda whole: panel(77), "the stocks' returns differ"),
        (shuffled, "the stocks' returns differ"),
        (lambda whole: only_descriptors(panel(77)), "the stocks' descriptors differ"),
        (lambda whole: whole.assign(asset="X" + whole["asset"], PER=0.0, ret_next=-whole["ret_next"], **{
            name: RNG.random(len(whole)) for name in whole if name not in ("date", "asset", "PER", "ret_next")
        }), "0% of the stocks"),
        (lambda whole: whole[whole["asset"] > "S0045"], "of the stocks of its training are in the panel"),
        (lambda whole: whole.assign(date=whole["date"] + pd.DateOffset(years=10)), "no month is common"),
    ],
)  # fmt: skip
def test_another_market_is_refused_and_the_message_says_what_to_give(change: Change, words: str) -> None:
    whole = panel(0)
    with pytest.raises(InputError, match=words) as refused:
        require_same_market("version 1", "data=panel data.path=own.parquet", history(whole), change(whole))
    assert "(data=panel data.path=own.parquet)" in str(refused.value)


@pytest.mark.long
def test_fifty_pairs_of_markets_are_told_apart() -> None:
    panels = [SimulatedMarket(stocks=40, months=26, seed=seed).panel() for seed in range(51)]
    found = [compare_markets(history(a), newest(b)) for a, b in itertools.pairwise(panels)]
    assert all(one.difference for one in found)
    assert max(one.returns for one in found) < 0.3


def test_other_inputs_are_named_and_restated_ones_are_not() -> None:
    whole = panel(1)
    assert not compare_markets(history(whole), restated(renamed(whole))).other_inputs
    other = compare_markets(history(whole), another_vendors_descriptors(whole)).other_inputs
    assert set(other) == {"ROE", "PER", "PBR", "ROA"} and max(map(abs, other.values())) < 0.2
    turned = compare_markets(history(whole), whole.assign(PER=-whole["PER"])).other_inputs
    assert turned == pytest.approx({"PER": -1.0})


def test_a_state_that_is_made_of_other_months_is_another_input() -> None:
    """Standardised over a file that begins later, the same series has other values; a small revision is none."""
    panel = SimulatedMarket(40, 60, seed=0).panel()
    dates = np.sort(panel["date"].unique())
    walk = pd.Series(np.random.default_rng(1).normal(size=60).cumsum(), dates)
    whole = (walk - walk.expanding().mean()) / walk.expanding().std().fillna(1.0)
    later = walk - walk.iloc[20:].mean()
    history = panel.assign(STATE_TBL=panel["date"].map(whole))
    same = compare_markets(history, panel.assign(STATE_TBL=panel["date"].map(whole * 1.02)))
    assert "STATE_TBL" not in same.other_inputs and not same.difference
    other = compare_markets(history, panel.assign(STATE_TBL=panel["date"].map(later)))
    assert "STATE_TBL" in other.other_inputs and not other.difference
