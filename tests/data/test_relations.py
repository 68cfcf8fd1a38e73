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
    assert np.isfinite(excess(table)).all()


def test_a_large_panel_is_sampled_and_a_small_one_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    small = SimulatedMarket(8, 40, 0).panel()
    assert relations_of(small, DESCRIPTORS, LAGS).empty
    panel = LEAKS["days"](market(0), np.random.default_rng(0))
    monkeypatch.setattr("drf.data.relations._MOST_ROWS", len(panel) // 2)
    assert ["MOM1" in sentence for sentence in doubts(relations_of(panel, DESCRIPTORS, LAGS))] == [True]
