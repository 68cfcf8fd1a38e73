from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.universe import largest
from drf.samples.horizon import with_label
from drf.samples.lagged import LABEL, Samples, Target, make_samples

from .slow_ranks import slow_ranks

LAGS = (0, 3, 6, 9, 12)


def test_a_sample_holds_the_ranks_at_its_lags_oldest_first(panel: pd.DataFrame, samples: Samples) -> None:
    """Against a slow loop over keys, with pandas as the only common part."""
    ranks = slow_ranks(panel, DESCRIPTORS).set_index([panel["date"], panel["asset"]])
    rng = np.random.default_rng(0)
    for k in rng.choice(len(samples), 60, replace=False):
        for position, lag in enumerate(sorted(LAGS, reverse=True)):
            date = samples.dates[samples.month[k]] - pd.offsets.MonthEnd(lag)
            key = (date, samples.asset[k])
            expected = ranks.loc[key].fillna(0).to_numpy() if key in ranks.index else np.zeros(len(DESCRIPTORS))
            assert np.array_equal(samples.x[k][position], expected)


def test_targets_belong_to_their_samples(panel: pd.DataFrame, samples: Samples) -> None:
    keyed = panel.set_index(["date", "asset"])["ret_next"]
    expected = keyed.reindex(pd.MultiIndex.from_arrays([samples.dates[samples.month], samples.asset]))
    assert np.allclose(samples.outcome, expected, equal_nan=True, atol=1e-7)


@pytest.mark.parametrize("target", ["raw", "excess"])
@pytest.mark.parametrize("horizon", [2, 3, 6])
def test_labels_are_mean_returns_over_the_horizon(
    panel: pd.DataFrame, target: Target, horizon: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Against a slow loop; a stock that leaves is cash, and nothing is known beyond the last return of the panel."""
    with caplog.at_level("INFO"):
        made = make_samples(with_label(panel, horizon), DESCRIPTORS, LAGS, target)
    keyed = panel.set_index(["date", "asset"])["ret_next"]
    last = panel.loc[panel["ret_next"].notna(), "date"].max()
    expected, cut = {}, 0
    for (date, asset), first in keyed.items():
        dates = [date + pd.offsets.MonthEnd(k) for k in range(horizon)]
        if np.isnan(first) or dates[-1] > last:
            expected[date, asset] = np.nan
            continue
        later = [keyed.get((day, asset), np.nan) for day in dates[1:]]
        held = later[: next((k for k, value in enumerate(later) if np.isnan(value)), len(later))]
        expected[date, asset] = ((1 + first) * np.prod(1 + np.array(held)) - 1) / horizon
        cut += bool(np.isnan(later).any())
    label = pd.Series(expected)
    if target == "excess":
        label = label - label.groupby(level=0).transform("mean")
    found = label.reindex(pd.MultiIndex.from_arrays([made.dates[made.month], made.asset])).to_numpy()
    assert np.allclose(made.y, found, equal_nan=True, atol=1e-7)
    assert cut > 0 and f"{cut:,} labels end within the {horizon} months" in caplog.text
    one = make_samples(panel, DESCRIPTORS, LAGS, target)
    assert np.array_equal(made.outcome, one.outcome, equal_nan=True)
    assert np.array_equal(one.y, one.outcome, equal_nan=True)


def test_a_stock_that_leaves_the_universe_has_not_left_the_market(panel: pd.DataFrame) -> None:
    whole = with_label(panel, 3)
    chosen = largest(whole, 20)
    assert (chosen.groupby("asset")["date"].diff().dt.days > 40).any()  # some come and go
    keys = ["date", "asset"]
    both = chosen.merge(whole, on=keys, suffixes=("", " of all"))
    assert both[LABEL].equals(both[f"{LABEL} of all"])


def test_excess_targets_have_mean_zero_in_every_month(panel: pd.DataFrame) -> None:
    excess = make_samples(panel, DESCRIPTORS, LAGS, "excess")
    means = pd.Series(excess.y).groupby(excess.month).mean().dropna()
    assert len(means) > 10
    assert (means.abs() < 1e-6).all()


def test_missing_months_and_values_are_neutral_and_counted(panel: pd.DataFrame) -> None:
    full = panel.assign(**panel[list(DESCRIPTORS)].fillna(0.5))
    everyone = full.groupby("asset")["date"].transform("size") == full["date"].nunique()
    full = full[everyone].reset_index(drop=True)
    assert make_samples(full, DESCRIPTORS, LAGS).missing_months == 0
    assert make_samples(full, DESCRIPTORS, LAGS).missing_values == 0

    dates, asset = full["date"].unique(), full["asset"].iloc[0]
    gone = full[~((full["asset"] == asset) & (full["date"] == dates[20]))]
    samples = make_samples(gone, DESCRIPTORS, LAGS)
    assert samples.missing_months == 4  # as lag 3, 6, 9 and 12 of later samples; its own sample is gone
    later = (samples.asset == asset) & (samples.month == 23)
    assert (samples.x[later][:, LAGS[::-1].index(3)] == 0).all()

    unknown = full.assign(ROE=full["ROE"].mask((full["asset"] == asset) & (full["date"] == dates[20])))
    assert make_samples(unknown, DESCRIPTORS, LAGS).missing_values == 5


def test_a_month_missing_from_the_calendar_is_neutral_not_shifted(panel: pd.DataFrame) -> None:
    dates = panel["date"].unique()
    samples = make_samples(panel[panel["date"] != dates[20]], DESCRIPTORS, LAGS)
    assert (samples.x[samples.month == 23][:, LAGS[::-1].index(3)] == 0).all()
    assert 20 not in samples.month


def test_the_future_changes_no_past_sample(panel: pd.DataFrame) -> None:
    dates = panel["date"].unique()
    rng = np.random.default_rng(0)
    later = panel["date"] > dates[25]
    changed = panel.copy()
    changed.loc[later, list(DESCRIPTORS)] = rng.normal(size=(later.sum(), len(DESCRIPTORS)))
    before, after = (make_samples(table, DESCRIPTORS, LAGS) for table in (panel, changed))
    past = before.month <= 25
    assert np.array_equal(before.x[past], after.x[past])


def test_the_order_of_rows_does_not_matter(panel: pd.DataFrame, samples: Samples) -> None:
    shuffled = make_samples(panel.sample(frac=1, random_state=0), DESCRIPTORS, LAGS)
    assert np.array_equal(shuffled.x[:], samples.x[:])
    assert list(shuffled.asset) == list(samples.asset)


def test_an_unknown_target_is_refused(panel: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="target=log"):
        make_samples(panel, DESCRIPTORS, LAGS, "log")
