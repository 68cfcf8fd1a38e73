from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr, ttest_1samp

from drf.evaluation.annual import annualised_ratio
from drf.evaluation.metrics import METRICS, MORE_METRICS, ic, max_drawdown, monthly_series, rank_ic, summarise
from drf.evaluation.portfolio import long_short
from tests.making import rule


@pytest.fixture
def forecasts() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    dates = np.repeat(pd.date_range("2000-01-31", periods=24, freq="ME"), 50)
    prediction = rng.normal(0, 0.02, len(dates)).round(3)
    return pd.DataFrame(
        {
            "date": dates,
            "asset": np.tile([f"A{k}" for k in range(50)], 24),
            "y_true": prediction + rng.normal(0, 0.1, len(dates)),
            "y_pred": prediction,
        }
    )


def test_rank_ic_agrees_with_scipy(forecasts: pd.DataFrame) -> None:
    expected = [spearmanr(month["y_pred"], month["y_true"]).statistic for _, month in forecasts.groupby("date")]
    assert np.allclose(rank_ic(forecasts), expected)


def test_a_summary_has_every_metric_and_agrees_with_numpy(forecasts: pd.DataFrame) -> None:
    summary, series = summarise(forecasts, rule()), monthly_series(forecasts, rule())
    assert tuple(summary) == (*METRICS, *MORE_METRICS)
    error = forecasts["y_pred"] - forecasts["y_true"]
    assert summary["mae"] == pytest.approx(np.abs(error).mean())
    assert summary["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    monthly = series["long_short"].to_numpy()
    assert summary["annual_return"] == pytest.approx(12 * monthly.mean())
    assert summary["annual_volatility"] == pytest.approx(np.sqrt(12) * monthly.std(ddof=1))
    assert summary["sharpe"] == pytest.approx(summary["annual_return"] / summary["annual_volatility"])
    assert summary["sharpe_net"] < summary["sharpe"]
    assert summary["rank_ic"] == pytest.approx(series["rank_ic"].mean())


def test_drawdown_of_a_hand_made_path() -> None:
    assert max_drawdown(pd.Series([0.1, -0.5, 0.2, 0.9])) == pytest.approx(0.5)
    assert max_drawdown(pd.Series([-0.1, 0.0])) == pytest.approx(0.1)
    assert max_drawdown(pd.Series([0.1, 0.1])) == 0
    assert np.isnan(max_drawdown(pd.Series([0.1, -1.0, 0.1])))  # nothing is left to compound


def test_what_cannot_be_estimated_is_nan_without_a_warning(forecasts: pd.DataFrame) -> None:
    one = forecasts[forecasts["date"] == forecasts["date"].iloc[0]]
    assert np.isnan(summarise(one, rule())["sharpe"])
    assert np.isnan(annualised_ratio(pd.Series([0.01] * 3, pd.date_range("2000-01-31", periods=3, freq="ME"))))
    constant = summarise(forecasts.assign(y_pred=0.0), rule())
    for name in ("rank_ic", "ic", "rank_ic_ir", "sharpe", "sharpe_net", "annual_return", "promised_return"):
        assert np.isnan(constant[name]), name


def test_the_other_metrics_agree_with_scipy_and_arithmetic(forecasts: pd.DataFrame) -> None:
    metrics, book = summarise(forecasts, rule()), long_short(forecasts, rule())
    pearson = [pearsonr(month["y_pred"], month["y_true"]).statistic for _, month in forecasts.groupby("date")]
    assert np.allclose(ic(forecasts), pearson)
    assert metrics["ic_ir"] == pytest.approx(np.mean(pearson) / np.std(pearson, ddof=1) * np.sqrt(12))
    assert metrics["hit_rate"] == pytest.approx(np.mean(book["gross"] > 0))
    assert np.sign(metrics["spread_t"]) == np.sign(ttest_1samp(book["gross"], 0).statistic)
    at_breakeven = long_short(forecasts, rule(cost_bps=metrics["breakeven_bps"]))
    assert at_breakeven["net"].mean() == pytest.approx(0, abs=1e-15)


def test_rounding_is_no_order(forecasts: pd.DataFrame) -> None:
    """What differs by rounding alone has no ranks."""
    noise = np.random.default_rng(0).integers(-1, 2, len(forecasts)) * 2e-18
    flat = summarise(forecasts.assign(y_pred=0.01 + noise), rule())
    assert np.isnan(flat["rank_ic"]) and np.isnan(flat["ic"])
    nothing = summarise(forecasts.assign(y_true=np.nan), rule())
    assert np.isnan(nothing["max_drawdown"])
