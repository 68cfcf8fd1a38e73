"""Gu, Kelly and Xiu's simulation: its moments, its truth, and a training on it in one word."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drf.data.gkx import STATE, THIRD, GKXMarket, names_of
from drf.data.panel import check_panel


def r2(y: np.ndarray, forecast: np.ndarray, mean: float) -> float:
    return 100 * (1 - ((y - forecast) ** 2).sum() / ((y - mean) ** 2).sum())


@pytest.mark.parametrize(("model", "published"), [("a", 5.52), ("b", 5.40)])
def test_the_oracle_explains_what_the_paper_says(model: str, published: float) -> None:
    """The published number is a mean over a hundred draws of the paper's own, in per cent."""
    found = []
    for seed in range(12):
        market = GKXMarket(model=model, characteristics=3, seed=seed)  # type: ignore[arg-type]
        both = market.panel().merge(market.truth(), on=["date", "asset"]).dropna(subset=["ret_next"])
        dates = both["date"].unique()
        first, test = both["date"] < dates[60], both["date"] >= dates[120]
        y, expected = both.loc[test, "ret_next"].to_numpy(), both.loc[test, "expected"].to_numpy()
        found.append(r2(y, expected, both.loc[first, "ret_next"].mean()))
    assert abs(np.mean(found) - published) < 3 * np.std(found) / np.sqrt(len(found))


def test_parts_are_those_of_the_formulas_and_sum_to_the_expected_return() -> None:
    for model in ("a", "b"):
        market = GKXMarket(model=model, stocks=40, months=30, characteristics=5, seed=4)  # type: ignore[arg-type]
        panel, truth = market.panel(), market.truth()
        c1, c2, c3, x = (panel[name].to_numpy() for name in ("C001", "C002", "C003", STATE))
        whole = 0.02 * (c1 + c2 + c3 * x) if model == "a" else 0.04 * c1**2 + 0.03 * c1 * c2 + 0.012 * np.sign(c3 * x)
        assert np.allclose(truth["expected"], whole)
        assert np.allclose(truth[["C1", "C2", THIRD]].sum(axis=1), whole)
        alone = 0.04 * c1**2 if model == "b" else 0.02 * c1  # Shapley value: mean of alone and of last to come
        last = alone + (0.03 * c1 * c2 if model == "b" else 0)
        assert np.allclose(truth["C1"], (alone + last) / 2)


def test_characteristics_are_persistent_ranks_and_the_state_is_common() -> None:
    market = GKXMarket(model="a", stocks=100, months=120, characteristics=20, seed=1)
    panel = market.panel()
    assert check_panel(panel, [*names_of(20), STATE], 5)["date"].nunique() == 120
    ranks = panel[names_of(20)]
    first = panel.loc[panel["date"] == panel["date"].iloc[0], "C001"]
    assert np.allclose(np.sort(first), 2 * np.arange(1, 101) / 101 - 1)
    assert ranks.abs().max().max() < 1
    before = panel.groupby("asset")[names_of(20)].shift(1)
    memory = [ranks[name].corr(before[name]) for name in names_of(20)]
    assert min(memory) > 0.85 and max(memory) < 1 and np.std(memory) > 0.01
    states = panel.groupby("date")[STATE]
    assert states.min().equals(states.max())
    assert panel.loc[panel["date"] == panel["date"].max(), "ret_next"].isna().all()
    again = GKXMarket(model="a", stocks=100, months=120, characteristics=20, seed=1)
    pd.testing.assert_frame_equal(panel, again.panel())
