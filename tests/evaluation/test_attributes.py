from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drf.errors import InputError
from drf.evaluation.attributes import Cap, market_value, with_attributes
from tests.making import rule

KEYS = pd.DataFrame({"date": pd.Timestamp("2000-01-31"), "asset": list("abcd")})
FORECASTS = KEYS.assign(y_true=0.0, y_pred=[1.0, 2.0, 3.0, 4.0]).set_axis([9, 8, 7, 6])
PANEL = KEYS.assign(CAP=np.log([10.0, 20.0, 40.0, 80.0]), sector=["x", "x", "y", None])


def test_a_rule_that_needs_nothing_gets_the_forecasts_as_they_are() -> None:
    assert rule().equip(FORECASTS, PANEL) is FORECASTS


def test_values_are_in_proportion_to_market_values_and_rows_stay_in_place() -> None:
    made = rule(weighting="value", sector_neutral=True, cap="log").equip(FORECASTS, PANEL[::-1])
    assert list(made.index) == [9, 8, 7, 6]
    assert list(made.columns) == ["date", "asset", "y_true", "y_pred", "value", "sector"]
    assert (made["value"] / made["value"].iloc[0]).tolist() == pytest.approx([1, 2, 4, 8])
    assert made["sector"].tolist()[:3] == ["x", "x", "y"]


@pytest.mark.parametrize(
    ("unit", "cap", "words"),
    [
        ("log", [10.0, 20.0, 40.0, 80000.0], "CAP spans more than any logarithms"),
        ("level", [-1.0, 1.0, 2.0, 3.0], "CAP is not above 0 everywhere"),
        ("rank", [0.1, 0.2, 0.3, 0.9], "CAP is a rank"),
        (None, [1.0, 2.0, 3.0, 4.0], "the unit of CAP is not stated: set data.cap"),
    ],
)
def test_what_is_no_market_value_gives_no_weights(unit: Cap | None, cap: list[float], words: str) -> None:
    panel = PANEL.assign(CAP=cap)
    assert "value" not in with_attributes(FORECASTS, panel, [market_value(unit)])
    with pytest.raises(InputError, match=rf"portfolio\.weighting=value: {words}"):
        rule(weighting="value", cap=unit).equip(FORECASTS, panel)


@pytest.mark.parametrize("unit", ["log", "level"])
@pytest.mark.parametrize("currency", [1e-6, 1.0, 150.0])
def test_any_currency_gives_the_same_weights(unit: Cap, currency: float) -> None:
    values = currency * np.array([10.0, 20.0, 40.0, 80.0])
    panel = PANEL.assign(CAP=np.log(values) if unit == "log" else values)
    made = rule(weighting="value", cap=unit).equip(FORECASTS, panel)
    assert (made["value"] / made["value"].iloc[0]).tolist() == pytest.approx([1, 2, 4, 8])


def test_a_panel_without_sectors_cannot_be_neutral_to_them() -> None:
    with pytest.raises(InputError, match=r"portfolio\.sector_neutral=true: the panel has no column sector"):
        rule(sector_neutral=True).equip(FORECASTS, PANEL.drop(columns="sector"))
