"""A weighting rule is one class: weights, refusals, sentences and configuration follow from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drf.errors import InputError
from drf.evaluation.attributes import Attribute
from drf.evaluation.portfolio import make_weights
from drf.evaluation.variants import variants
from drf.evaluation.weighting import WEIGHTINGS, Weighting
from tests.making import rule

RNG = np.random.default_rng(0)
FORECASTS = pd.DataFrame(
    {"date": np.repeat(pd.to_datetime(["2000-01-31", "2000-02-29"]), 20), "asset": [f"S{k}" for k in range(20)] * 2}
).assign(y_true=0.01, y_pred=RNG.standard_normal(40))
PANEL = FORECASTS[["date", "asset"]].assign(VOL60=RNG.uniform(0.01, 0.05, 40), CAP=RNG.uniform(3, 9, 40))


class InverseVolatility(Weighting):
    words = "weighted by the inverse of volatility"
    attribute = Attribute("volatility", "VOL60", lambda values: values, "the panel has no VOL60")

    def sizes(self, forecasts: pd.DataFrame) -> pd.Series:
        return 1 / forecasts["volatility"]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WEIGHTINGS, "volatility", InverseVolatility())


@pytest.mark.parametrize("name", ["equal", "value", "volatility"])
def test_every_rule_fills_both_sides_in_proportion_to_its_sizes(name: str) -> None:
    chosen = rule(weighting=name, cap="log")
    equipped = chosen.equip(FORECASTS, PANEL)
    weights = make_weights(equipped, chosen).table["weight"]
    sizes = WEIGHTINGS[name].sizes(equipped)
    for sign in (1, -1):
        side = weights[np.sign(weights) == sign]
        assert side.groupby(FORECASTS["date"]).sum().to_numpy() == pytest.approx([sign, sign])
        proportion = (side / sizes[side.index]).groupby(FORECASTS["date"])
        assert (proportion.max() - proportion.min()).abs().max() < 1e-12


def test_a_third_rule_is_told_in_its_own_words_and_misses_its_own_column() -> None:
    chosen = rule(weighting="volatility")
    assert "quantiles, weighted by the inverse of volatility, 10 basis points a side." in chosen.words
    with pytest.raises(InputError, match=r"portfolio\.weighting=volatility: the panel has no VOL60; or choose another"):
        chosen.equip(FORECASTS, PANEL.drop(columns="VOL60"))


def test_every_variant_of_a_portfolio_is_judged_by_a_third_rule() -> None:
    table = variants({"row": FORECASTS.assign(y_true=RNG.standard_normal(40))}, PANEL, rule(weighting="volatility"))
    assert table.set_index("variant").loc[["as reported", "winsorised"], "annual_return"].notna().all()


def test_an_unknown_rule_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"weighting=volatilty: must be one of equal, value, volatility \(did you mean"
    ):
        rule(weighting="volatilty")
