from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, ttest_1samp
from scipy.stats.mstats import winsorize

from drf.evaluation.metrics import annualised_ratio, ic, summarise
from drf.evaluation.periods import periods_a_year
from drf.evaluation.portfolio import PortfolioRule, assign_quantiles, long_short
from drf.evaluation.variants import exposures, variants, winsorised


@pytest.fixture
def forecasts() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    dates = np.repeat(pd.date_range("2000-01-31", periods=24, freq="ME"), 60)
    prediction = rng.normal(0, 0.02, len(dates))
    asset = np.tile([f"A{k:02d}" for k in range(60)], 24)
    truth = prediction + rng.normal(0, 0.1, len(dates))
    return pd.DataFrame({"date": dates, "asset": asset, "y_true": truth, "y_pred": prediction})


@pytest.fixture
def panel(forecasts: pd.DataFrame) -> pd.DataFrame:
    size = np.random.default_rng(1).normal(24, 2, len(forecasts))
    number = forecasts["asset"].str[1:].astype(int)
    return forecasts[["date", "asset"]].assign(CAP=size, sector=np.where(number < 30, "x", "y"))


def test_value_weights_by_hand() -> None:
    month = pd.DataFrame({"date": pd.Timestamp("2000-01-31"), "asset": list("abcd"), "y_pred": [1, 2, 3, 4]})
    month = month.assign(y_true=[0.1, 0.2, 0.3, 0.6], value=[1.0, 3.0, 1.0, 2.0])
    gross = long_short(month, PortfolioRule(2, 0, "value"))["gross"].item()
    assert gross == pytest.approx((0.3 * 1 + 0.6 * 2) / 3 - (0.1 * 1 + 0.2 * 3) / 4)


def test_sector_neutral_quantiles_hold_as_much_of_every_sector(forecasts: pd.DataFrame, panel: pd.DataFrame) -> None:
    """Sector x is forecast to do better throughout: plain quantiles are a bet on it, neutral ones are not."""
    joined = forecasts.merge(panel, on=["date", "asset"])
    joined["y_pred"] += np.where(joined["sector"] == "x", 0.1, 0.0)
    share = {}
    for neutral in (False, True):
        top = joined[assign_quantiles(joined, PortfolioRule(sector_neutral=neutral)) == 5]
        share[neutral] = (top["sector"] == "x").mean()
    assert share == {False: 1.0, True: 0.5}
    few = joined.assign(sector=np.where(joined["asset"] == "A00", "alone", joined["sector"]))
    few.loc[few["asset"] == "A01", "sector"] = np.nan
    quantile = assign_quantiles(few, PortfolioRule(sector_neutral=True))
    assert set(quantile[few["asset"].isin(["A00", "A01"])]) == {0}


def test_returns_are_winsorised_like_scipy_does(forecasts: pd.DataFrame) -> None:
    month = forecasts[forecasts["date"] == forecasts["date"].iloc[0]][:41]
    assert np.allclose(winsorised(month, 0.025)["y_true"], winsorize(month["y_true"].to_numpy(), limits=0.025))


def test_every_variant_is_there_or_says_why_not(forecasts: pd.DataFrame, panel: pd.DataFrame) -> None:
    table = variants({"linear": forecasts}, panel, PortfolioRule()).set_index("variant")
    assert (table["note"] == "").all()
    assert table["sharpe"].nunique() == 4
    without = variants(
        {"linear": forecasts}, panel.drop(columns="sector").assign(CAP=10.0 ** panel["CAP"]), PortfolioRule()
    )
    notes = without.set_index("variant")["note"]
    assert "no CAP that looks like the logarithm" in notes["value-weighted"]
    assert notes["sector-neutral"] == "cannot be estimated, because the panel has no column sector"


def test_the_sector_neutral_ic_ignores_forecasts_of_sectors(forecasts: pd.DataFrame, panel: pd.DataFrame) -> None:
    sectors = forecasts.assign(y_pred=np.where(panel["sector"] == "x", 1.0, 0.0))
    sectors["y_true"] += 0.1 * sectors["y_pred"]
    table = variants({"r": sectors}, panel, PortfolioRule()).set_index("variant")
    assert table["rank_ic"]["as reported"] > 0.2
    assert table["rank_ic"]["sector-neutral"] == 0


def test_exposures_of_a_portfolio_sorted_by_a_descriptor_itself(forecasts: pd.DataFrame) -> None:
    rank = forecasts.groupby("date")["y_pred"].rank(pct=True) * 2 - 1
    ranks = pd.DataFrame({"own": rank, "other": np.random.default_rng(2).uniform(-1, 1, len(rank))})
    table = exposures(forecasts, ranks, assign_quantiles(forecasts, PortfolioRule()), 5)
    assert table["own"].mean() == pytest.approx(1.6, abs=0.01)
    assert abs(table["other"].mean()) < 0.1


def test_weekly_dates_are_put_on_a_year_by_52(forecasts: pd.DataFrame) -> None:
    weeks = dict(zip(forecasts["date"].unique(), pd.date_range("2000-01-07", periods=24, freq="W-FRI"), strict=True))
    weekly = forecasts.assign(date=forecasts["date"].map(weeks))
    monthly, by_week = (summarise(table, PortfolioRule()) for table in (forecasts, weekly))
    for name, power in (("sharpe", 0.5), ("annual_return", 1), ("annual_volatility", 0.5), ("rank_ic_ir", 0.5)):
        assert by_week[name] == pytest.approx(monthly[name] * (52 / 12) ** power)
    assert by_week["rank_ic_t"] == pytest.approx(monthly["rank_ic_t"])
    assert periods_a_year(weekly["date"].drop_duplicates()) == 52
    with pytest.raises(ValueError, match="neither monthly nor weekly"):
        annualised_ratio(pd.Series([0.1, 0.2, 0.4], pd.date_range("2000-01-03", periods=3, freq="D")))


def test_the_other_metrics_agree_with_scipy_and_arithmetic(forecasts: pd.DataFrame) -> None:
    metrics, book = summarise(forecasts, PortfolioRule()), long_short(forecasts, PortfolioRule())
    pearson = [pearsonr(month["y_pred"], month["y_true"]).statistic for _, month in forecasts.groupby("date")]
    assert np.allclose(ic(forecasts), pearson)
    assert metrics["ic_ir"] == pytest.approx(np.mean(pearson) / np.std(pearson, ddof=1) * np.sqrt(12))
    assert metrics["hit_rate"] == pytest.approx(np.mean(book["gross"] > 0))
    assert np.sign(metrics["spread_t"]) == np.sign(ttest_1samp(book["gross"], 0).statistic)
    at_breakeven = long_short(forecasts, PortfolioRule(cost_bps=metrics["breakeven_bps"]))
    assert at_breakeven["net"].mean() == pytest.approx(0, abs=1e-15)


def test_market_values_in_other_units_are_not_taken_for_logarithms(
    forecasts: pd.DataFrame, panel: pd.DataFrame
) -> None:
    rank = panel.groupby("date")["CAP"].rank(pct=True)
    for other in (np.exp(panel["CAP"] - 30), 2 * rank - 1, pd.Series(np.nan, panel.index)):
        table = variants({"r": forecasts}, panel.assign(CAP=other), PortfolioRule()).set_index("variant")
        assert table["note"]["value-weighted"]
