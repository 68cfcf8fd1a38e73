"""How far forecasts are spread: the formula written out, and what must not change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drf.evaluation.metrics import out_of_sample_r2, summarise
from drf.evaluation.scale import LEAST, newest_scale, scales
from drf.models.combine import blended, shrunk
from tests.making import rule


def forecasts(months: int, stocks: int, slope: float, seed: int = 0) -> pd.DataFrame:
    """Forecasts of the size of returns, of which ``slope`` of the spread comes true."""
    rng = np.random.default_rng(seed)
    f = rng.normal(0, 0.05, (months, stocks))
    y = slope * f + rng.normal(0, 0.1, (months, stocks)) + rng.normal(0, 0.05, (months, 1))
    dates = np.repeat(pd.date_range("2000-01-31", periods=months, freq="ME"), stocks)
    assets = np.tile([f"S{k:03d}" for k in range(stocks)], months)
    return pd.DataFrame({"date": dates, "asset": assets, "y_true": y.ravel(), "y_pred": 0.01 + f.ravel()})


def written_out(table: pd.DataFrame, month: pd.Timestamp) -> float:
    """The formula, month by month and stock by stock."""
    a, b, yy, n = [], [], 0.0, 0
    for date, part in table.dropna().groupby("date"):
        if date < month:
            f, y = part["y_pred"] - part["y_pred"].mean(), part["y_true"] - part["y_true"].mean()
            a.append(sum(f * y))
            b.append(sum(f * f))
            yy, n = yy + sum(y * y), n + len(part)
    t = len(a)
    if t < 2:
        return 0.5
    k = sum(a) / sum(b)
    v = t / (t - 1) * sum((x - k * z) ** 2 for x, z in zip(a, b, strict=True)) / sum(b) ** 2
    v = max(v, (4 if t < 6 else 1) * yy / (n * sum(b)))
    return min(max((k / v + 0.5 / 0.09) / (1 / v + 1 / 0.09), LEAST), 1.0)


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.2, 1.5])
def test_it_is_the_formula(slope: float) -> None:
    table = forecasts(10, 40, slope)
    table.loc[table.index[::7], "y_true"] = np.nan
    found = scales(table)
    assert found.tolist() == pytest.approx([written_out(table, month) for month in found.index])
    assert newest_scale(table) == pytest.approx(written_out(table, pd.Timestamp.max))


@given(first=st.integers(0, 11), seed=st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_a_month_is_not_moved_by_its_own_returns_or_later_ones(first: int, seed: int) -> None:
    table = forecasts(12, 10, 0.3, seed)
    dates = table["date"].unique()
    changed = table.assign(y_true=table["y_true"].where(table["date"] < dates[first], -3 * table["y_true"]))
    assert scales(changed)[: first + 1].tolist() == scales(table)[: first + 1].tolist()


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.3])
def test_ranks_portfolios_and_sharpe_ratios_stay_and_errors_fall(slope: float) -> None:
    table = forecasts(48, 100, slope)
    k = table["date"].map(scales(table)).to_numpy()
    multiple, offset = shrunk(table["y_pred"].to_numpy(), table["date"].to_numpy(), k)
    scaled = table.assign(y_pred=multiple * table["y_pred"] + offset)
    before, after = summarise(table, rule()), summarise(scaled, rule())
    for name in ("sharpe", "sharpe_net", "rank_ic", "turnover", "annual_return", "hit_rate"):
        assert after[name] == pytest.approx(before[name], rel=1e-12), name
    assert after["r2"] > before["r2"]
    assert abs(after["promised_return"]) < abs(before["promised_return"])
    for (_, one), (_, other) in zip(table.groupby("date"), scaled.groupby("date"), strict=True):
        assert other["y_pred"].mean() == pytest.approx(one["y_pred"].mean())


def test_it_finds_the_slope_that_is_there_and_little_where_nothing_is() -> None:
    found = {slope: np.mean([newest_scale(forecasts(60, 200, slope, seed)) for seed in range(20)]) for slope in SLOPES}
    assert found[0.0] < 0.02
    for slope in (0.2, 0.6, 1.0):
        assert found[slope] == pytest.approx(slope, abs=0.06)
    assert found[2.0] == 1.0


SLOPES = (0.0, 0.2, 0.6, 1.0, 2.0)


def test_months_in_which_all_forecasts_are_the_same_teach_nothing() -> None:
    table = forecasts(6, 20, 0.5)
    flat = table.assign(y_pred=table["y_pred"].where(table["date"] > table["date"].iloc[0], 0.01))
    later = table[table["date"] > table["date"].iloc[0]]
    assert newest_scale(flat) == pytest.approx(newest_scale(later))
    assert newest_scale(table.assign(y_pred=0.01)) == 0.5


def test_r2_is_against_a_forecast_of_nothing() -> None:
    from sklearn.metrics import r2_score

    table = forecasts(5, 20, 0.5)
    assert out_of_sample_r2(table.assign(y_pred=0.0)) == 0
    both = pd.concat([table, table.assign(y_true=-table["y_true"], y_pred=-table["y_pred"])])  # of mean 0
    assert out_of_sample_r2(both) == pytest.approx(r2_score(both["y_true"], both["y_pred"]))
    assert out_of_sample_r2(table) == pytest.approx(out_of_sample_r2(both))


def test_a_blend_standardises_within_the_month_and_leaves_out_who_says_nothing() -> None:
    rng = np.random.default_rng(0)
    month = np.repeat([3, 7], 50)
    f = rng.normal(0, 1, (3, 100)) * [[1.0], [10.0], [0.1]] + [[0.0], [5.0], [-1.0]]
    f[1, month == 7] = 4.0
    multiples, offset = blended(f, month)
    blend = (multiples * f).sum(0) + offset
    first = month == 3
    z = (f[:, first] - f[:, first].mean(1, keepdims=True)) / f[:, first].std(1, keepdims=True)
    assert np.allclose(blend[first], f[:, first].mean() + f[:, first].std(1).mean() * z.mean(0))
    assert not multiples[1, ~first].any() and np.isfinite(blend).all()
    assert blend[~first].mean() == pytest.approx(f[:, ~first].mean())
