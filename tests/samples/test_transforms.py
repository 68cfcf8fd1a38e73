from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from drf.samples.transforms import fill_inputs

from .slow_ranks import ranks_of, slow_ranks


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=20))
def test_ranks_agree_with_scipy_and_unknown_values_are_neutral(values: list[int | None]) -> None:
    frame = pd.DataFrame({"date": pd.Timestamp("2000-01-31"), "x": pd.array(values, dtype="float64")})
    ranks = np.full((len(frame), 1), np.nan, dtype=np.float32)
    unknown = fill_inputs(frame, ["x"], {}, ranks)
    known = np.array([value is not None for value in values])
    assert np.array_equal(unknown, ~known)
    assert (ranks[~known] == 0).all()
    if known.sum() > 1:
        order = rankdata([value for value in values if value is not None])
        assert np.allclose(ranks[known, 0], 2 * (order - 1) / (known.sum() - 1) - 1)
    else:
        assert (ranks[known] == 0).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_ranks_equal_those_over_all_dates_at_once_to_the_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(1, 60)
    dates = pd.to_datetime(rng.choice(["2000-01-31", "2000-02-29", "2000-03-31"], rows))
    values = rng.integers(-3, 4, (rows, 3)) * rng.choice([1.0, np.nan], (rows, 3), p=[0.8, 0.2])
    panel = pd.DataFrame(values, columns=["a", "b", "c"]).assign(date=dates)
    pd.testing.assert_frame_equal(
        ranks_of(panel, ["a", "b", "c"]), slow_ranks(panel, ["a", "b", "c"]).fillna(0), check_exact=True
    )


def test_ranks_know_one_month_only(panel: pd.DataFrame) -> None:
    dates = panel["date"].unique()
    before = ranks_of(panel, ["ROE"])[panel["date"] < dates[30]]
    wild = panel.assign(ROE=panel["ROE"].where(panel["date"] < dates[30], panel["ROE"] ** 2 * 1e6))
    after = ranks_of(wild, ["ROE"])[panel["date"] < dates[30]]
    pd.testing.assert_frame_equal(before, after)


def test_ranks_do_not_change_under_increasing_transformations(panel: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(ranks_of(panel, ["CAP"]), ranks_of(panel.assign(CAP=np.exp(panel["CAP"])), ["CAP"]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_scores_values_and_products_are_what_their_formulas_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 40))
    dates = pd.to_datetime(np.sort(rng.choice(["2000-01-31", "2000-02-29"], rows)))
    values = rng.normal(5, 3, (rows, 3)) * rng.choice([1.0, np.nan], (rows, 3), p=[0.9, 0.1])
    panel = pd.DataFrame(values, columns=["a", "b", "c"]).assign(date=dates)
    panel["STATE_s"] = np.where(panel["date"].dt.month == 1, 0.7, -1.4)
    names = ["a", "b", "c", "STATE_s", "b*STATE_s", "a*STATE_s"]
    table = np.full((rows, len(names)), np.nan, dtype=np.float32)
    unknown = fill_inputs(panel, names, {"b": "zscore", "c": "none"}, table)
    assert np.array_equal(unknown, panel[["a", "b", "c"]].isna().sum(axis=1))
    found = pd.DataFrame(table, columns=names)
    for date in panel["date"].unique():
        own = panel["date"] == date
        b = panel.loc[own, "b"]
        spread = np.sqrt(((b - b.mean()) ** 2).mean())
        score = (b - b.mean()) / spread if spread > 1e-9 else b * 0.0
        assert np.allclose(found.loc[own, "b"], score.fillna(0), atol=1e-5)
    assert np.allclose(found["c"], panel["c"].fillna(0), rtol=1e-6)
    assert np.allclose(found["STATE_s"], panel["STATE_s"])
    for name in ("a", "b"):
        assert np.allclose(found[f"{name}*STATE_s"], found[name] * panel["STATE_s"], atol=1e-6)
    ranked = np.empty((rows, 1), dtype=np.float32)
    fill_inputs(panel, ["a"], {}, ranked)
    assert np.array_equal(found["a"], ranked[:, 0])
