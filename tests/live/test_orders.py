"""Orders: what is held, what is traded, why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from drf.data.paper_descriptors import FACTORS
from drf.evaluation.portfolio import earned, make_weights
from drf.experiment.factors import RESERVED
from drf.live.orders import held_now, inputs_known, make_orders, turnover
from tests.live.making import issue, version
from tests.making import rule

MONTHS = pd.date_range("2020-01-31", periods=4, freq="ME")


def forecasts(month: pd.Timestamp, assets: list[str], values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"date": month, "asset": assets, "prediction": values})


def contributions(n: int, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(seed).normal(0, 0.01, (n, 4)), columns=["A", "B", "C", "D"])


def some_names(n: int) -> list[str]:
    return [f"S{k:02d}" for k in range(n)]


def empty() -> pd.Series:
    return pd.Series(dtype=float)


@given(st.integers(10, 40), st.integers(0, 1000))
def test_ranks_quantiles_and_weights_are_those_of_the_rule(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=n)
    made = forecasts(MONTHS[0], some_names(n), values)
    orders = make_orders(made, contributions(n), made, rule(), empty())
    assert orders.sort_values("rank")["prediction"].is_monotonic_decreasing
    assert set(orders["rank"]) == set(range(1, n + 1))
    expected = make_weights(made.rename(columns={"prediction": "y_pred"}), rule()).table["weight"]
    assert np.allclose(orders["weight"], expected)
    assert set(orders.loc[orders["weight"] > 0, "quantile"]) == {rule().quantiles}
    assert set(orders.loc[orders["weight"] < 0, "quantile"]) == {1}
    assert turnover(orders) == pytest.approx(1.0)  # set up anew


@given(st.integers(0, 1000))
def test_issued_month_after_month_the_trades_are_those_of_the_backtest(seed: int) -> None:
    """An independent way to the same: the weights of all months at once, with :func:`earned`."""
    rng = np.random.default_rng(seed)
    names, all_forecasts, orders, traded = some_names(20), [], pd.DataFrame(), []
    panel = pd.DataFrame(
        [(month, name, rng.normal(0, 0.1)) for month in MONTHS for name in names], columns=["date", "asset", "ret_next"]
    )
    for position, month in enumerate(MONTHS):
        made = forecasts(month, names, rng.normal(size=20))
        held, unknown = held_now(orders, panel, month) if position else (empty(), 0)
        assert unknown == 0
        orders = make_orders(made, contributions(20), panel, rule(), held)
        all_forecasts.append(made)
        traded.append(orders["trade"].abs().sum())
        assert np.allclose(orders["held"] + orders["trade"], orders["weight"])
    together = pd.concat(all_forecasts, ignore_index=True).rename(columns={"prediction": "y_pred"})
    expected = earned(make_weights(together, rule()), panel["ret_next"], 0.0)["traded"]
    assert np.allclose(traded, expected)


def test_a_held_stock_without_a_forecast_is_sold() -> None:
    first = forecasts(MONTHS[0], some_names(10), np.arange(10.0))
    orders = make_orders(first, contributions(10), first, rule(), empty())
    second = forecasts(MONTHS[1], some_names(9), np.arange(9.0))  # S09, the best, is gone
    held, unknown = held_now(orders, pd.DataFrame({"date": [], "asset": []}), MONTHS[1])
    assert unknown == (orders["weight"] != 0).sum()
    after = make_orders(second, contributions(9), second, rule(), held)
    sold = after[after["asset"] == "S09"].iloc[0]
    assert (sold["weight"], sold["trade"]) == (0, -held["S09"])
    assert pd.isna(sold["prediction"]) and pd.isna(sold["rank"]) and sold["reasons"] == "has no forecast any more"
    assert after["trade"].abs().sum() > 0
    assert np.isclose(after.loc[after["weight"] > 0, "weight"].sum(), 1)


def test_over_missed_months_what_is_held_drifts_with_all_of_them() -> None:
    first = forecasts(MONTHS[0], some_names(10), np.arange(10.0))
    orders = make_orders(first, contributions(10), first, rule(), empty())
    panel = pd.DataFrame([(m, n, 0.5 if n == "S09" else 0.0) for m in MONTHS for n in some_names(10)],
                         columns=["date", "asset", "ret_next"])  # fmt: skip
    held, _ = held_now(orders, panel, MONTHS[2])
    long = held[held > 0]
    assert long["S09"] == pytest.approx(0.5 * 1.5**2 / (0.5 * 1.5**2 + 0.5))
    assert long.sum() == pytest.approx(1)


def test_the_same_forecast_for_all_holds_nothing() -> None:
    made = forecasts(MONTHS[0], some_names(10), np.zeros(10))
    orders = make_orders(made, contributions(10), made, rule(), empty())
    assert (orders["weight"] == 0).all() and (orders["rank"] == 1).all()


def test_reasons_are_the_largest_contributions_with_their_sign() -> None:
    made = forecasts(MONTHS[0], some_names(10), np.arange(10.0))
    parts = pd.DataFrame(0.0, index=range(10), columns=["ROE", "PER", "MOM1", "CAP"])
    parts.loc[0] = [0.01, -0.02, 0.001, 0.015]
    orders = make_orders(made, parts, made, rule(), empty())
    assert orders["reasons"].iloc[0] == "PER -2.00 %, CAP +1.50 %, ROE +1.00 %"


def test_the_share_of_inputs_that_is_known() -> None:
    panel = pd.DataFrame(
        {"date": [MONTHS[0], MONTHS[1], MONTHS[1]], "asset": ["A", "A", "B"], "X": [1.0, np.nan, 1], "Y": [1.0, 1, 1]}
    )
    known = inputs_known(panel, pd.Series(["A", "B", "C"]), ["X", "Y"], [0, 1])
    assert known.tolist() == [0.75, 0.5, 0.0]


def test_no_factor_can_be_called_as_a_column_of_what_is_issued(store: str) -> None:
    """Else one would take the place of the other."""
    client = MlflowClient()
    version(client)
    made = issue(40).issued.orders
    assert set(made.columns) - set(FACTORS) <= RESERVED
