"""A row from near: its newest portfolio, what its factors earned, and every stock's forecast part by part."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from drf.comparison.headline import Portrait, portray
from drf.comparison.rows import Judging, Row
from drf.evaluation.portfolio import long_short, make_weights
from drf.reporting.comparison_report import _stocks
from drf.reporting.lookup import MOST_VALUES, UNIT, stocks_asked
from drf.reporting.row_sections import factor_of, newest_by_factor
from tests.making import rule
from tests.reporting.conftest import FACTORS


@pytest.fixture(scope="module")
def lstm(rows: list[Row]) -> Row:
    return next(row for row in rows if row.name == "lstm_lrp")


@pytest.fixture(scope="module")
def seen(lstm: Row, judging: Judging) -> Portrait:
    return portray(lstm, judging)


def test_the_newest_month_is_the_one_that_is_not_known_yet(lstm: Row, seen: Portrait) -> None:
    assert seen.month == lstm.forecast["date"].max() > lstm.predictions["date"].max()
    newest = lstm.forecast[lstm.forecast["date"] == seen.month]
    weights = make_weights(newest, rule()).table.set_index("asset")["weight"]
    held = seen.holdings.set_index("asset")
    pd.testing.assert_series_equal(held["weight"].sort_index(), weights.sort_index())
    assert held["forecast"].is_monotonic_decreasing
    last = lstm.weights.table[lstm.weights.table["date"] == lstm.predictions["date"].max()].set_index("asset")
    before = last["weight"].reindex(held.index).fillna(0.0)
    assert (held["weight"] - held["change"]).to_numpy() == pytest.approx(before.to_numpy())


def test_cells_sum_to_the_forecast_but_for_one_number_that_all_stocks_share(seen: Portrait) -> None:
    assert seen.cells is not None
    rest = seen.holdings["forecast"] - seen.cells.sum(axis=1)
    assert np.ptp(rest.to_numpy()) < 1e-6  # single precision


def test_what_the_factors_earned_sums_to_the_portfolio(lstm: Row, seen: Portrait) -> None:
    assert seen.promised is not None and seen.earned is not None
    assert list(seen.promised) == list(FACTORS)
    gross = long_short(lstm.predictions, rule())["gross"]
    assert seen.earned.sum(axis=1).to_numpy() == pytest.approx(gross.to_numpy())


def test_it_does_so_too_where_returns_are_missing(lstm: Row, judging: Judging) -> None:
    some = lstm.predictions.assign(y_true=lstm.predictions["y_true"].where(np.arange(len(lstm.predictions)) % 5 > 0))
    seen = portray(replace(lstm, predictions=some, judged=some), judging)
    assert seen.earned is not None
    gross = long_short(some, rule())["gross"]
    assert seen.earned.sum(axis=1).to_numpy() == pytest.approx(gross.to_numpy())


def test_many_cells_are_told_by_descriptor(lstm: Row, seen: Portrait, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drf.reporting.comparison_report.MOST_CELLS", 10)
    told = _stocks(seen, FACTORS)
    assert told is not None
    assert set(told["groups"]) == {"factor", "descriptor"} and told["groups"]["descriptor"]["names"] == [
        "PER",
        "PBR",
        "CAP",
    ]  # type: ignore[index, arg-type]
    assert seen.cells is not None
    sums = np.array(told["cells"]).sum(axis=1) * UNIT  # type: ignore[arg-type]
    assert sums == pytest.approx(seen.cells.sum(axis=1).to_numpy(), abs=1e-5)


def test_a_row_without_contributions_shows_what_it_has(rows: list[Row], judging: Judging) -> None:
    plain = portray(next(row for row in rows if row.name == "lstm"), judging)
    assert plain.cells is None and plain.promised is None and plain.earned is None
    assert len(newest_by_factor(plain, FACTORS).columns) == 4


def asked(seen: Portrait) -> dict[str, object]:
    assert seen.cells is not None and seen.history is not None
    levels = {"factor": factor_of(seen.cells, FACTORS)}
    return stocks_asked(seen.holdings, seen.cells, levels, seen.history, list(FACTORS), seen.month)


def test_what_can_be_asked_is_what_the_tables_say(seen: Portrait) -> None:
    told = json.loads(json.dumps(asked(seen), allow_nan=False))
    assert told["names"] == seen.holdings["asset"].tolist()
    for k, forecast in enumerate(seen.holdings["forecast"]):
        assert (told["rest"][k] + sum(told["cells"][k])) * UNIT == pytest.approx(forecast, abs=1e-5)
    assert seen.history is not None
    line = seen.history.iloc[17]
    month, stock = told["months"].index(f"{line['date']:%Y-%m}"), told["names"].index(line["asset"])
    for name in ("forecast", "earned", *FACTORS):
        assert told["history"][name][month][stock] * UNIT == pytest.approx(line[name], abs=UNIT)
    assert told["history"]["earned"][-1] == [None] * len(told["names"])  # nobody knows it yet


def test_older_months_are_left_out_of_a_large_history_and_counted(
    seen: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    months = seen.history["date"].nunique() if seen.history is not None else 0
    a_month = len(seen.holdings) * (2 + len(FACTORS))
    monkeypatch.setattr("drf.reporting.lookup.MOST_VALUES", 3 * a_month + 1)
    told = asked(seen)
    assert len(told["months"]) == 3 and told["months_left_out"] == months - 3  # type: ignore[arg-type]
    assert told["months"][-1] == f"{seen.month:%Y-%m}"  # type: ignore[index]
    assert a_month < MOST_VALUES
