"""Rows against each other, and in parts of their months."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drf.evaluation.intervals import sharpe_intervals
from drf.evaluation.metrics import monthly_series, out_of_sample_r2, summarise
from drf.evaluation.pairs import pairs
from drf.evaluation.periods import by_period
from tests.making import rule


@pytest.fixture(scope="module")
def rows() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    dates = np.repeat(pd.date_range("2001-03-31", periods=30, freq="ME"), 40)
    y = rng.normal(0, 0.1, len(dates))
    base = pd.DataFrame({"date": dates, "asset": np.tile([f"S{k:02d}" for k in range(40)], 30), "y_true": y})
    return {name: base.assign(y_pred=skill * y + rng.normal(0, 0.1, len(y))) for name, skill in SKILL.items()}


SKILL = {"linear": 0.02, "lstm_lrp": 0.3, "boosting": 0.1}


@pytest.fixture(scope="module")
def table(rows: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pairs({name: monthly_series(made, rule()) for name, made in rows.items()})


def test_every_pair_is_there_twice_with_its_signs_turned(table: pd.DataFrame) -> None:
    assert len(table) == 6
    there = table.set_index(["row", "other"])
    for row, other in there.index:
        one, back = there.loc[(row, other)], there.loc[(other, row)]
        for name in ("sharpe", "rank_ic", "rank_ic_t", "squared_error", "squared_error_t"):
            assert one[name] == pytest.approx(-back[name])
        assert one["sharpe_low"] == pytest.approx(-back["sharpe_high"])
        assert one["better"] == pytest.approx(1 - back["better"])
        assert one["squared_error_p"] == pytest.approx(back["squared_error_p"])


def test_differences_are_those_of_the_intervals_alone(rows: dict[str, pd.DataFrame], table: pd.DataFrame) -> None:
    net = pd.DataFrame({name: monthly_series(made, rule())["long_short_net"] for name, made in rows.items()})
    expected = sharpe_intervals(net, "linear").set_index("row")
    found = table[table["other"] == "linear"].set_index("row")
    for row in ("lstm_lrp", "boosting"):
        assert found.loc[row, "sharpe"] == expected.loc[row, "difference"]
        assert found.loc[row, "sharpe_low"] == expected.loc[row, "difference_low"]


def test_diebold_and_mariano_agree_with_an_independent_implementation(
    rows: dict[str, pd.DataFrame], table: pd.DataFrame
) -> None:
    """The mean difference is arithmetic; the t-statistic lies near that of Newey and West by statsmodels."""
    import statsmodels.api as sm

    error = {name: ((made["y_pred"] - made["y_true"]) ** 2).groupby(made["date"]).mean() for name, made in rows.items()}
    apart = error["lstm_lrp"] - error["linear"]
    line = table.set_index(["row", "other"]).loc[("lstm_lrp", "linear")]
    assert line["squared_error"] == pytest.approx(apart.mean())
    fitted = sm.OLS(apart.to_numpy(), np.ones(len(apart))).fit(cov_type="HAC", cov_kwds={"maxlags": 3})
    assert line["squared_error_t"] == pytest.approx(fitted.tvalues[0], rel=0.5)
    assert (line["squared_error_p"] < 0.05) == (fitted.pvalues[0] < 0.05)


def test_too_few_months_are_said() -> None:
    months = pd.date_range("2000-01-31", periods=3, freq="ME")
    series = {
        name: pd.DataFrame({"long_short_net": [0.1, 0.2, k], "rank_ic": [0.1, 0.2, k], "rmse": [0.1, 0.2, k]}, months)
        for name, k in (("a", 0.3), ("b", 0.4))
    }
    table = pairs(series)
    assert table["note"].str.contains("only 3 periods").all() and table["sharpe"].isna().all()
    assert pairs({"a": series["a"]}).empty


def test_parts_are_calendar_years_or_what_is_asked_for(rows: dict[str, pd.DataFrame]) -> None:
    years = by_period(rows, rule())
    assert years.groupby("row")["periods"].apply(list).to_dict() == {name: [10, 12, 8] for name in rows}
    halves = by_period(rows, rule(), ["2002-07-31"])
    assert halves[halves["row"] == "linear"]["first"].tolist() == [
        pd.Timestamp("2001-03-31"), pd.Timestamp("2002-07-31")
    ]  # fmt: skip
    whole = by_period(rows, rule(), ["1990-01-31"]).set_index("row")
    for name, made in rows.items():
        metrics = summarise(made, rule())
        for column in ("sharpe", "sharpe_net", "rank_ic", "r2"):
            assert whole.loc[name, column] == pytest.approx(metrics[column])
        part = made[made["date"].dt.year == 2002]
        line = years[(years["row"] == name) & (years["periods"] == 12)].iloc[0]
        assert line["r2"] == pytest.approx(out_of_sample_r2(part))
