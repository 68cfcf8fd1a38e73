from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from drf.samples.ranks import cross_sectional_ranks


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=20))
def test_ranks_agree_with_scipy_and_missing_stays_missing(values: list[int | None]) -> None:
    frame = pd.DataFrame({"date": pd.Timestamp("2000-01-31"), "x": pd.array(values, dtype="float64")})
    ranks = cross_sectional_ranks(frame, ["x"])["x"].to_numpy()
    known = np.array([value is not None for value in values])
    assert np.isnan(ranks[~known]).all()
    if known.sum() > 1:
        order = rankdata([value for value in values if value is not None])
        assert np.allclose(ranks[known], 2 * (order - 1) / (known.sum() - 1) - 1)
    else:
        assert (ranks[known] == 0).all()


def test_ranks_know_one_month_only(panel: pd.DataFrame) -> None:
    dates = panel["date"].unique()
    before = cross_sectional_ranks(panel, ["ROE"])[panel["date"] < dates[30]]
    wild = panel.assign(ROE=panel["ROE"].where(panel["date"] < dates[30], panel["ROE"] ** 2 * 1e6))
    after = cross_sectional_ranks(wild, ["ROE"])[panel["date"] < dates[30]]
    pd.testing.assert_frame_equal(before, after)


def test_ranks_do_not_change_under_increasing_transformations(panel: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        cross_sectional_ranks(panel, ["CAP"]), cross_sectional_ranks(panel.assign(CAP=np.exp(panel["CAP"])), ["CAP"])
    )
