from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drf.evaluation.portfolio import PortfolioRule, Quantiles, exposures, long_short, make_weights, quantile_returns
from tests.making import rule

MARCH, APRIL, MAY = pd.to_datetime(["2000-03-31", "2000-04-30", "2000-05-31"])


def table(date: pd.Timestamp, predictions: list[float], returns: list[float]) -> pd.DataFrame:
    assets = [chr(ord("a") + k) for k in range(len(predictions))]
    return pd.DataFrame({"date": date, "asset": assets, "y_true": returns, "y_pred": predictions})


def shares(forecasts: pd.DataFrame, rule: PortfolioRule) -> np.ndarray:
    """Each stock's share in every quantile, shape (n, quantiles)."""
    found = Quantiles.of(forecasts, rule)
    return np.column_stack([found.share(quantile) for quantile in range(1, rule.quantiles + 1)])


def test_quantiles_and_returns_of_a_hand_made_month() -> None:
    month = table(MARCH, [5, 1, 4, 2, 3, 6, 7, 8, 9, 10], [0.05, 0.01, 0.04, 0.02, 0.03, 0.06, 0.07, 0.08, 0.09, 0.10])
    assert (shares(month, rule()) @ [1, 2, 3, 4, 5]).tolist() == [3, 1, 2, 1, 2, 3, 4, 4, 5, 5]
    assert quantile_returns(month, rule()).loc[MARCH].tolist() == pytest.approx([0.015, 0.035, 0.055, 0.075, 0.095])
    assert long_short(month, rule())["gross"].tolist() == pytest.approx([0.08])


def in_any_order(forecasts: list[float], quantiles: int) -> np.ndarray:
    """Shares of the quantiles over many random orders of stocks that have the same forecast."""
    rng, n = np.random.default_rng(0), len(forecasts)
    counted = np.zeros((n, quantiles))
    for _ in range(4000):
        order = np.lexsort([rng.random(n), forecasts])
        places = np.empty(n, dtype=int)
        places[order] = np.arange(1, n + 1)
        counted[np.arange(n), -(-places * quantiles // n) - 1] += 1 / 4000
    return counted


@pytest.mark.parametrize("n", [5, 13, 40])
@pytest.mark.parametrize("values", [2, 4, 1000])
def test_stocks_of_the_same_forecast_share_their_places_as_chance_would_deal_them(n: int, values: int) -> None:
    forecasts = np.random.default_rng(n).integers(0, values, n).astype(float)
    month = table(MARCH, list(forecasts), [0.0] * n)
    found = shares(month, rule())
    assert np.allclose(found, in_any_order(list(forecasts), 5), atol=0.04)
    assert np.allclose(found.sum(axis=1), 1)
    assert np.ptp(found.sum(axis=0).round(9)) <= 1  # the groups differ by at most one stock
    shuffled = month.sample(frac=1, random_state=1)
    assert np.allclose(shares(shuffled, rule()), found[shuffled.index])


def test_ties_across_a_cut_share_its_weight_and_no_name_decides() -> None:
    month = table(MARCH, [1, 2, 2, 2, 3, 4, 5, 5, 5, 6], [0.1 * k for k in range(10)])
    weights = make_weights(month, rule()).table["weight"]
    assert weights.tolist() == pytest.approx([-0.5, *[-0.5 / 3] * 3, 0, 0, *[0.5 / 3] * 3, 0.5])
    renamed = month.assign(asset=month["asset"].to_numpy()[::-1])
    assert make_weights(renamed, rule()).table["weight"].tolist() == pytest.approx(weights.tolist())


@pytest.mark.parametrize("forecasts", [[1.0] * 10, [1.0] * 9 + [2.0], [0.0] + [1.0] * 8 + [2.0]])
def test_where_the_same_forecast_would_be_long_and_short_nothing_is_held(forecasts: list[float]) -> None:
    months = pd.concat([table(MARCH, forecasts, [0.1] * 10), table(APRIL, list(range(10)), [0.1] * 10)])
    months = months.reset_index(drop=True)
    assert not make_weights(months, rule()).table["weight"][:10].any()
    assert long_short(months, rule())["gross"].isna().tolist() == [True, False]


def test_two_values_are_an_order() -> None:
    month = table(MARCH, [0.0] * 5 + [1.0] * 5, [0.0] * 5 + [0.1] * 5)
    assert make_weights(month, rule()).table["weight"].tolist() == pytest.approx([-0.2] * 5 + [0.2] * 5)
    assert long_short(month, rule())["gross"].item() == pytest.approx(0.1)


def test_turnover_and_costs_of_hand_made_months() -> None:
    """Two quantiles of two stocks. March: long c, d; short a, b. April: the same. May: the other way round."""
    up, flat = [1, 2, 3, 4], [0.0, 0.0, 0.0, 0.0]
    months = pd.concat(
        [table(MARCH, up, flat), table(APRIL, up, [0.0, 0.0, 0.2, 0.0]), table(MAY, up[::-1], flat)], ignore_index=True
    )
    result = long_short(months, rule(quantiles=2, cost_bps=100))
    assert result["gross"].tolist() == pytest.approx([0.0, 0.1, 0.0])
    # Setting up buys and sells 1 on each side; April has nothing to do; in May both sides are exchanged: long 0.6 / 1.1
    # and 0.5 / 1.1 are sold, and sold again short, so 2 + 2 are traded.
    assert result["turnover"].tolist() == pytest.approx([1.0, 0.0, 1.0])
    assert result["net"].tolist() == pytest.approx([0.0 - 0.02, 0.1, 0.0 - 0.04])


def test_weights_drift_with_returns_and_are_set_equal_again() -> None:
    """The long side's c gains 50 %: it has grown to 0.75 / 1.25 of its side and is cut back to one half."""
    months = pd.concat([table(MARCH, [1, 2, 3, 4], [0, 0, 0.5, 0.0]), table(APRIL, [1, 2, 3, 4], [0.0] * 4)])
    traded = long_short(months.reset_index(drop=True), rule(quantiles=2, cost_bps=0))["turnover"].iloc[1] * 4
    assert traded == pytest.approx(2 * (0.75 / 1.25 - 0.5))


def test_portfolios_are_formed_before_it_is_known_which_returns_will_be_missing() -> None:
    month = table(MARCH, [1, 2, 3, 4, 5, 6], [0.01, 0.02, 0.03, 0.04, 0.05, np.nan])
    assert quantile_returns(month, rule(quantiles=3)).loc[MARCH].tolist() == pytest.approx([0.015, 0.035, 0.05])
    assert long_short(month, rule(quantiles=3))["gross"].tolist() == pytest.approx([0.05 - 0.015])


def test_a_month_without_a_return_on_one_side_is_not_a_long_short_return() -> None:
    month = table(MARCH, [1, 2, 3, 4, 5], [0.1, 0.1, 0.1, 0.1, np.nan])
    assert np.isnan(long_short(month, rule())["gross"].item())


def test_an_asset_that_leaves_is_sold() -> None:
    months = pd.concat(
        [table(MARCH, [1, 2, 3, 4], [0.0] * 4), table(APRIL, [1, 2, 3, 4], [0.0] * 4)], ignore_index=True
    )
    months.loc[7, "asset"] = "z"  # d is replaced by z at the top
    assert long_short(months, rule(quantiles=2, cost_bps=0))["turnover"].iloc[1] * 4 == pytest.approx(1.0)


def test_value_weights_by_hand() -> None:
    month = table(MARCH, [1, 2, 3, 4], [0.1, 0.2, 0.3, 0.6]).assign(value=[1.0, 3.0, 1.0, 2.0])
    gross = long_short(month, rule(quantiles=2, cost_bps=0, weighting="value"))["gross"].item()
    assert gross == pytest.approx((0.3 * 1 + 0.6 * 2) / 3 - (0.1 * 1 + 0.2 * 3) / 4)


def random_months() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    months = [
        table(date, list(rng.normal(0, 0.02, 60)), [0.0] * 60).assign(asset=[f"A{k:02d}" for k in range(60)])
        for date in pd.date_range("2000-01-31", periods=24, freq="ME")
    ]
    return pd.concat(months, ignore_index=True)


def test_sector_neutral_quantiles_hold_as_much_of_every_sector() -> None:
    """Sector x is forecast to do better throughout: plain quantiles are a bet on it, neutral ones are not."""
    months = random_months()
    months["sector"] = np.where(months["asset"] < "A30", "x", "y")
    months["y_pred"] += np.where(months["sector"] == "x", 0.1, 0.0)
    share = {}
    for neutral in (False, True):
        top = months[shares(months, rule(sector_neutral=neutral))[:, -1] == 1]
        share[neutral] = (top["sector"] == "x").mean()
    assert share == {False: 1.0, True: 0.5}
    few = months.assign(sector=np.where(months["asset"] == "A00", "alone", months["sector"]))
    few.loc[few["asset"] == "A01", "sector"] = np.nan
    assert not shares(few, rule(sector_neutral=True))[few["asset"].isin(["A00", "A01"])].any()


@pytest.mark.parametrize("weighting", ["equal", "value"])
def test_sector_neutral_weights_are_long_as_much_as_short_in_every_sector(weighting: str) -> None:
    """Sectors of sizes that quantiles do not divide, stocks of all sizes, some without a return."""
    months, rng = random_months(), np.random.default_rng(3)
    months["sector"] = np.where(months["asset"] < "A07", "x", np.where(months["asset"] < "A20", "y", "z"))
    months["value"] = rng.lognormal(0, 1.5, len(months))
    months.loc[rng.random(len(months)) < 0.1, "y_true"] = np.nan
    chosen = rule(sector_neutral=True, weighting=weighting)
    weights = make_weights(months, chosen, tradable=months["y_true"].notna()).table
    net = weights["weight"].groupby([months["date"], months["sector"]]).sum()
    assert np.allclose(net, 0, atol=1e-12)
    sides = weights["weight"].clip(lower=0).groupby(months["date"]).sum()
    assert np.allclose(sides, 1)


def test_exposures_of_a_portfolio_sorted_by_a_descriptor_itself() -> None:
    months = random_months()
    own = months.groupby("date")["y_pred"].rank(pct=True) * 2 - 1
    ranks = pd.DataFrame({"own": own, "other": np.random.default_rng(2).uniform(-1, 1, len(own))})
    mean = exposures(make_weights(months, rule()), ranks).mean()
    assert mean["own"] == pytest.approx(1.6, abs=0.02)
    assert abs(mean["other"]) < 0.1
