from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drf.evaluation.contributions import (
    SHOWN,
    STEP,
    Contributions,
    agreement_with_truth,
    percentages,
    risk_table,
    rounded,
    whole_samples,
)
from drf.evaluation.portfolio import Weights
from tests.making import account, summed

NAMES = ("MOM12_1", "CAP")
CELLS = np.array([[[1.0, 0.0], [-4.0, 2.0]], [[2.0, 0.0], [1.0, 2.0]], [[3.0, 1.0], [1.0, 2.0]]])
"""Three forecasts, lags 12 and 0, two descriptors."""


@pytest.fixture
def keys() -> pd.DataFrame:
    dates = pd.to_datetime(["2000-01-31", "2000-01-31", "2000-02-29"])
    return pd.DataFrame({"date": dates, "asset": ["a", "b", "a"]})


@pytest.fixture
def relevance() -> Contributions:
    return summed(CELLS, NAMES, (12, 0))


def table(rows: int, columns: int) -> np.ndarray:
    return np.full((rows, columns), np.nan, dtype=np.float32)


def held(table: pd.DataFrame, weights: list[float]) -> Weights:
    return Weights(table[["date", "asset"]].assign(weight=weights))


def test_sums_over_lags_and_factors(relevance: Contributions) -> None:
    assert relevance.of(["MOM12_1"])["MOM12_1"].tolist() == [-3.0, 3.0, 4.0]
    factors = relevance.by_factor({"Momentum": ["MOM12_1"], "Both": ["MOM12_1", "CAP"]})
    assert factors["Both"].tolist() == [-1.0, 5.0, 7.0] == relevance.inputs.tolist()


def test_a_portfolio_has_the_mean_of_its_stocks(relevance: Contributions, keys: pd.DataFrame) -> None:
    mean = held(keys, [0.25, 0.75, 0.0]).mean(relevance.of(NAMES), +1)
    assert mean.loc["2000-01-31"].to_dict() == {"MOM12_1": 0.25 * -3.0 + 0.75 * 3.0, "CAP": 2.0}
    assert len(mean) == 1


@given(st.integers(0, 9999), st.integers(1, 40), st.integers(1, 4), st.integers(1, 12), st.booleans())
def test_sums_made_window_by_window_are_the_sums_of_the_cells(
    seed: int, count: int, lags: int, descriptors: int, every: bool
) -> None:
    """The mean over models, filled in parts and scaled, against plain sums over all cells at once."""
    rng = np.random.default_rng(seed)
    each = [rng.normal(size=(count, lags, descriptors)) for _ in range(3)]
    names = [f"X{k}" for k in range(descriptors)]
    models = [summed(cells, names, range(lags)) for cells in each]
    month = np.sort(rng.integers(0, 3, count))
    mean = Contributions.empty(names, range(lags), count, whole_samples(month, 2, every), table)
    cut = int(rng.integers(0, count + 1))
    for part in (slice(0, cut), slice(cut, count)):
        size, whole = part.stop - part.start, whole_samples(month[part], 2, every)
        kept = [Contributions.empty(names, range(lags), size, whole, table) for _ in each]
        for one, cells in zip(kept, each, strict=True):
            one.fill(slice(0, size), account(cells[part]), np.zeros(size))
        mean.put(part, kept)
    multiple, offset = rng.uniform(0.1, 2, count), rng.normal(size=count)
    found, cells = mean.times(multiple, offset), multiple[:, None, None] * np.mean(each, axis=0)
    assert np.allclose(found.of(names), cells.sum(1), atol=1e-5)
    assert np.allclose(found.linearised, cells.sum((1, 2)) + offset, atol=1e-9)
    assert np.allclose(found.ahead, offset)
    keys = pd.DataFrame({"date": month, "asset": "a"})
    told = found.relevance(keys).drop(columns=["date", "asset"]).to_numpy()
    assert np.allclose(told, cells[found.whole].reshape(len(found.whole), -1), atol=1e-5)
    assert np.allclose(found.by_stock(keys)[names], cells.sum(1), atol=1e-5)
    both = Contributions.sum([models[0].times(multiple, offset), models[1]])
    assert np.allclose(both.of(names), (multiple[:, None, None] * each[0] + each[1]).sum(1), atol=1e-5)


def test_cells_are_kept_of_a_few_stocks_a_month_and_of_all_in_the_newest() -> None:
    month = np.repeat([3, 4, 7], [250, 40, 300])
    kept = whole_samples(month, 7)
    assert np.bincount(month[kept])[[3, 4, 7]].tolist() == [SHOWN, 40, 300]
    assert (np.diff(kept) > 0).all()
    for first in (0, 250, 290):  # the same for a part as for the whole
        part = month[first:]
        assert np.array_equal(whole_samples(part, 7) + first, kept[kept >= first])
    assert np.array_equal(whole_samples(month, 7, every=True), np.arange(590))


def test_percentages_keep_signs_and_their_sizes_sum_to_100() -> None:
    shares = percentages(pd.DataFrame({"a": [1.0, 0.0], "b": [-3.0, 0.0]}))
    assert shares.iloc[0].tolist() == [25.0, -75.0]
    assert shares.iloc[1].isna().all()


def test_the_heat_map_has_descriptors_in_order_and_the_oldest_lag_first(relevance: Contributions) -> None:
    size = relevance.mean_absolute_by_lag()
    assert list(size.index) == ["MOM12_1", "CAP"]
    assert list(size.columns) == [12, 0]
    assert size.loc["MOM12_1"].tolist() == pytest.approx([2.0, 2.0])


def test_agreement_with_the_truth_leaves_out_what_has_no_effect() -> None:
    keys = pd.DataFrame({"date": pd.Timestamp("2000-01-31"), "asset": list("abc")})
    made = keys.assign(Value=[1.0, 2.0, 3.0], Size=[1.0, 0.0, 1.0])
    true = keys.assign(Value=[-2.0, -4.0, -6.0], Size=0.0)
    assert agreement_with_truth(made, true) == {"Value": pytest.approx(-1.0)}


def test_the_risk_table_by_hand() -> None:
    """Two months of a and b: a is long, b is short."""
    cells = CELLS[[0, 1, 0, 1]].copy()
    cells[2, 1, 1] = 3.0
    dates = pd.to_datetime(["2000-01-31", "2000-01-31", "2000-02-29", "2000-02-29"])
    weights = held(pd.DataFrame({"date": dates, "asset": list("abab")}), [1.0, -1.0, 1.0, -1.0])
    factors = {"Momentum": ["MOM12_1"], "Size": ["CAP"]}
    risk = risk_table(summed(cells, NAMES, (12, 0)), weights, factors)
    risk = risk.set_index(["date", "portfolio", "level", "name"])
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
