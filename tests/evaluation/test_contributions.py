from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drf.evaluation.contributions import (
    STEP,
    agreement_with_truth,
    by_descriptor,
    by_factor,
    mean_absolute_by_lag,
    of_side,
    percentages,
    risk_table,
    rounded,
)
from drf.evaluation.portfolio import Weights


@pytest.fixture
def relevance() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "date": pd.to_datetime(["2000-01-31", "2000-01-31", "2000-02-29"]),
            "asset": ["a", "b", "a"],
            "MOM12_1_lag12": [1.0, 2.0, 3.0],
            "CAP_lag12": [0.0, 0.0, 1.0],
            "MOM12_1_lag0": [-4.0, 1.0, 1.0],
            "CAP_lag0": [2.0, 2.0, 2.0],
        }
    )


def held(table: pd.DataFrame, weights: list[float]) -> Weights:
    return Weights(table[["date", "asset"]].assign(weight=weights))


def test_sums_over_lags_and_factors(relevance: pd.DataFrame) -> None:
    assert by_descriptor(relevance)["MOM12_1"].tolist() == [-3.0, 3.0, 4.0]
    factors = by_factor(relevance, {"Momentum": ["MOM12_1"], "Both": ["MOM12_1", "CAP"]})
    assert factors["Both"].tolist() == [-1.0, 5.0, 7.0]
    total = relevance.drop(columns=["date", "asset"]).sum(axis=1)
    assert np.allclose(by_descriptor(relevance).drop(columns=["date", "asset"]).sum(axis=1), total)


def test_a_portfolio_has_the_mean_of_its_stocks(relevance: pd.DataFrame) -> None:
    mean = of_side(by_descriptor(relevance), held(relevance, [0.25, 0.75, 0.0]), +1)
    assert mean.loc["2000-01-31"].to_dict() == {"MOM12_1": 0.25 * -3.0 + 0.75 * 3.0, "CAP": 2.0}
    assert len(mean) == 1


def test_percentages_keep_signs_and_their_sizes_sum_to_100() -> None:
    shares = percentages(pd.DataFrame({"a": [1.0, 0.0], "b": [-3.0, 0.0]}))
    assert shares.iloc[0].tolist() == [25.0, -75.0]
    assert shares.iloc[1].isna().all()


def test_the_heat_map_has_descriptors_in_order_and_the_oldest_lag_first(relevance: pd.DataFrame) -> None:
    size = mean_absolute_by_lag(relevance)
    assert list(size.index) == ["MOM12_1", "CAP"]
    assert list(size.columns) == [12, 0]
    assert size.loc["MOM12_1"].tolist() == pytest.approx([2.0, 2.0])


def test_agreement_with_the_truth_leaves_out_what_has_no_effect() -> None:
    keys = pd.DataFrame({"date": pd.Timestamp("2000-01-31"), "asset": list("abc")})
    made = keys.assign(Value=[1.0, 2.0, 3.0], Size=[1.0, 0.0, 1.0])
    true = keys.assign(Value=[-2.0, -4.0, -6.0], Size=0.0)
    assert agreement_with_truth(made, true) == {"Value": pytest.approx(-1.0)}


def test_the_risk_table_by_hand(relevance: pd.DataFrame) -> None:
    """Two months of a and b: a is long, b is short."""
    later = relevance.iloc[[0, 1]].assign(date=pd.Timestamp("2000-02-29"), CAP_lag0=[3.0, 2.0])
    both = pd.concat([relevance.iloc[[0, 1]], later], ignore_index=True)
    factors = {"Momentum": ["MOM12_1"], "Size": ["CAP"]}
    risk = risk_table(both, held(both, [1.0, -1.0, 1.0, -1.0]), factors).set_index(
        ["date", "portfolio", "level", "name"]
    )
    january, february = pd.to_datetime(["2000-01-31", "2000-02-29"])
    assert risk.loc[(january, "long", "factor", "Momentum"), "signed"] == -3.0
    assert risk.loc[(january, "spread", "factor", "Momentum")].tolist()[:2] == [-6.0, 6.0]
    assert risk.loc[(february, "spread", "factor", "Size"), "change"] == 1.0
    assert risk.loc[(january, "short", "lag", "12"), "signed"] == 2.0
    by_level = risk.xs("spread", level="portfolio")["signed"].groupby(["date", "level"]).sum().unstack()
    assert np.allclose(by_level["factor"], by_level["descriptor"])
    assert np.allclose(by_level["factor"], by_level["lag"])


@given(st.integers(0, 99), st.sampled_from([1e-6, 1e-3, 1.0]))
def test_a_kept_table_is_off_by_a_step_and_so_are_its_sums(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    names = [f"X{k}_lag{lag}" for lag in (12, 0) for k in range(20)]
    keys = pd.DataFrame({"date": pd.Timestamp("2000-01-31"), "asset": [f"S{k}" for k in range(9)]})
    table = pd.concat([keys, pd.DataFrame(rng.normal(0, size, (9, 40)).astype(np.float32), columns=names)], axis=1)
    kept = rounded(table)
    assert list(kept) == list(table) and kept[names].dtypes.eq(np.float32).all()
    own, other = table[names].to_numpy(float), kept[names].to_numpy(float)
    single = 2.0**-24 * size * 8  # what single precision itself leaves open of numbers of this size
    assert np.abs(own - other).max() <= STEP + single
    assert np.abs(own.sum(1) - other.sum(1)).max() <= STEP + 40 * single
