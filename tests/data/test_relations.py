"""Relations of columns with later returns: equal to a plain computation, leaks are found and named, markets are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.relations import doubts, excess, relations_of
from drf.data.simulate import SimulatedMarket
from tests.data.leaks import LEAKS

LAGS = (0, 3, 6, 9, 12)


def market(seed: int, explained: float = 0.0) -> pd.DataFrame:
    return SimulatedMarket(150, 130, seed, explained=explained, exits=0.01).panel()


@pytest.mark.parametrize("kind", LEAKS)
def test_a_leak_is_found_in_its_column(kind: str) -> None:
    panel = LEAKS[kind](market(0), np.random.default_rng(0))
    (sentence,) = doubts(relations_of(panel, DESCRIPTORS, LAGS))
    column = {"days": "MOM1", "backfilled": "ROE"}.get(kind, "PBR")
    assert column in sentence and "it must have known it" in sentence
    where = {"small stocks": "fifth 1 of 5", "leaving stocks": "leaving", "a sector": "sector S2"}
    assert where.get(kind, "") in sentence
    assert ("3 month(s) before" in sentence) == (kind == "lagged")
    assert sentence.startswith("whether") == (kind == "missing values")


@pytest.mark.parametrize("explained", [0.0, 0.03, 0.12])
def test_a_market_with_or_without_signal_is_believed(explained: float) -> None:
    assert doubts(relations_of(market(1, explained), DESCRIPTORS, LAGS)) == []


@pytest.mark.parametrize("kind", ["delisting", "first month", "reversal", "one factor"])
def test_what_is_known_in_advance_is_believed(kind: str) -> None:
    """A last month without figures and a bad return, no past return at first, a bounce, a single factor."""
    rng = np.random.default_rng(2)
    panel = SimulatedMarket(300, 150, 2, explained=0.0, exits=0.01).panel()
    ends = panel.groupby("asset")["date"]
    last = (panel["date"] == ends.transform("max")) & (panel["date"] < panel["date"].max())
    first = (panel["date"] == ends.transform("min")) & (panel["date"] > panel["date"].min())
    if kind == "delisting":
        panel["ret_next"], panel["ROE"] = panel["ret_next"].mask(last, -0.3), panel["ROE"].mask(last)
    elif kind == "first month":
        panel["MOM1"] = panel["MOM1"].mask(first)
        panel["ret_next"] = panel["ret_next"].mask(first, panel["ret_next"] + 0.1)
    elif kind == "reversal":
        small = panel.groupby("date")["CAP"].rank(pct=True) <= 0.2
        bounce = pd.Series(rng.normal(0, 0.04, len(panel))).where(small, 0.0)
        before = bounce.groupby(panel["asset"]).shift(fill_value=0.0)
        panel["MOM1"] += before
        panel["ret_next"] += bounce - before
    else:
        shocks = panel["date"].map(pd.Series(rng.normal(0, 1, 150), sorted(panel["date"].unique())))
        panel["ret_next"] = -0.05 * panel["PBR"].rank(pct=True) * shocks + rng.normal(0, 0.01, len(panel))
    assert doubts(relations_of(panel, DESCRIPTORS, LAGS)) == []


def test_relations_are_plain_rank_correlations() -> None:
    panel = market(0)
    panel["sector"] = np.where(panel["asset"].str[-1] < "5", "low", "high")
    table = relations_of(panel, ["PBR", "ROE"], [0, 3]).set_index(["column", "lag", "group"])
    wide = {name: panel.pivot(index="date", columns="asset", values=name) for name in ("PBR", "ROE", "ret_next")}
    for name, lag in (("PBR", 0), ("ROE", 3)):
        values, returns = wide[name].shift(lag), wide["ret_next"]
        ics = [values.loc[d].corr(returns.loc[d], method="spearman") for d in returns.index]
        line = table.loc[(name, lag, "all stocks")]
        assert line["ic"] == pytest.approx(np.nanmean(ics), abs=4e-3)  # ranks of pairs differ where one is missing
        assert line["months"] == np.isfinite(ics).sum()
        assert line["low"] < abs(line["ic"])
    low = panel[panel["sector"] == "low"]
    ics = [month["PBR"].corr(month["ret_next"], method="spearman") for _, month in low.groupby("date")]
    assert table.loc[("PBR", 0, "sector low"), "ic"] == pytest.approx(np.nanmean(ics), abs=4e-3)
    assert np.isfinite(excess(table.reset_index())).all()


def test_a_large_panel_is_sampled_and_a_small_one_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    small = SimulatedMarket(8, 40, 0).panel()
    assert relations_of(small, DESCRIPTORS, LAGS).empty
    panel = LEAKS["days"](market(0), np.random.default_rng(0))
    monkeypatch.setattr("drf.data.relations._MOST_ROWS", len(panel) // 2)
    assert ["MOM1" in sentence for sentence in doubts(relations_of(panel, DESCRIPTORS, LAGS))] == [True]
