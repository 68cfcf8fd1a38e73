from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drf.errors import InputError
from drf.evaluation.attributes import MARKET_VALUE, with_attributes
from tests.making import rule

KEYS = pd.DataFrame({"date": pd.Timestamp("2000-01-31"), "asset": list("abcd")})
FORECASTS = KEYS.assign(y_true=0.0, y_pred=[1.0, 2.0, 3.0, 4.0]).set_axis([9, 8, 7, 6])
PANEL = KEYS.assign(CAP=np.log([10.0, 20.0, 40.0, 80.0]), sector=["x", "x", "y", None])


def test_a_rule_that_needs_nothing_gets_the_forecasts_as_they_are() -> None:
    assert rule().equip(FORECASTS, PANEL) is FORECASTS


def test_values_are_in_proportion_to_market_values_and_rows_stay_in_place() -> None:
    made = rule(weighting="value", sector_neutral=True).equip(FORECASTS, PANEL[::-1])
    assert list(made.index) == [9, 8, 7, 6]
    assert list(made.columns) == ["date", "asset", "y_true", "y_pred", "value", "sector"]
    assert (made["value"] / made["value"].iloc[0]).tolist() == pytest.approx([1, 2, 4, 8])
    assert made["sector"].tolist()[:3] == ["x", "x", "y"]


@pytest.mark.parametrize("cap", [[10.0, 20.0, 40.0, 80000.0], [-1.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 32.0]])
def test_what_is_no_logarithm_gives_no_values(cap: list[float]) -> None:
    """Too far apart to be one: negative, skewed, or beyond what any market holds."""
    panel = PANEL.assign(CAP=cap)
    if cap[-1] != 32.0:
        assert "value" not in with_attributes(FORECASTS, panel, [MARKET_VALUE])
        with pytest.raises(InputError, match=r"portfolio\.weighting=value: there is no CAP"):
            rule(weighting="value").equip(FORECASTS, panel)


def test_a_panel_without_sectors_cannot_be_neutral_to_them() -> None:
    with pytest.raises(InputError, match=r"portfolio\.sector_neutral=true: the panel has no column sector"):
        rule(sector_neutral=True).equip(FORECASTS, PANEL.drop(columns="sector"))
