"""Trials are counted once by recipe, wherever in the store they lie, on the same market alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from drf.data.simulate import SimulatedMarket
from drf.tracking.runs import RunLog
from drf.tracking.searches import (
    DATA,
    MARKET,
    RECIPE,
    TESTED,
    TRIALS,
    TRIED,
    Search,
    as_tag,
    from_tag,
    market_returns,
    same_market,
    trials_on,
)

MONTHS = pd.date_range("2000-01-31", periods=60, freq="ME")


def a_market(seed: int = 0, months: int = 60) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(0, 0.05, (60, 2))
    return pd.DataFrame(values, MONTHS, ["mean", "shape"])[:months]


def returns(*names: str, months: int = 36, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(0, 0.03, (months, len(names)))
    return pd.DataFrame(values, MONTHS[:months].rename("date"), list(names))


class Store:
    """An MLflow store into which trainings are written."""

    def __init__(self) -> None:
        self.client = MlflowClient()

    def training(
        self,
        recipe: str | None,
        table: pd.DataFrame | None,
        market: pd.DataFrame | None = None,
        experiment: str = "drf",
        **more: str,
    ) -> str:
        entry = self.client.get_experiment_by_name(experiment)
        identifier = entry.experiment_id if entry else self.client.create_experiment(experiment)
        tags = {"kind": "comparison", MARKET: as_tag(a_market() if market is None else market)}
        run = self.client.create_run(
            identifier, tags={**tags, **more, **({RECIPE: recipe} if recipe else {})}
        ).info.run_id
        if table is not None:
            RunLog(self.client, run).tables({"evidence/trials.csv": table.reset_index()})
        self.client.set_terminated(run, "FINISHED" if table is not None else "FAILED")
        return str(run)

    def run(self, kind: str, name: str, parent: str, **metrics: float) -> str:
        experiment = self.client.get_run(parent).info.experiment_id
        tags: dict[str, Any] = {"kind": kind, "mlflow.parentRunId": parent}
        run = self.client.create_run(experiment, run_name=name, tags=tags).info.run_id
        for key, value in metrics.items():
            self.client.log_metric(run, key, value)
        return str(run)


@pytest.fixture
def kept(store: str) -> Store:
    return Store()


def test_a_recipe_counts_once_however_often_it_is_trained(kept: Store) -> None:
    for month in range(5):
        kept.training("a", returns("lstm-trial-0", "lstm-trial-1", "lstm", seed=month), a_market(months=50 + month))
    assert len(trials_on(a_market())) == 3
    kept.training("b", returns("lstm-trial-0", "lstm", seed=9))
    assert len(trials_on(a_market())) == 5


def test_another_experiment_or_a_deleted_run_hides_nothing(kept: Store) -> None:
    kept.training("a", returns("lstm"))
    kept.training("b", returns("lstm", "dnn", seed=1), experiment="a fresh one")
    kept.client.delete_run(kept.training("c", returns("svr", seed=2)))
    gone = kept.client.create_experiment("gone")
    kept.training("d", returns("forest", seed=3), experiment="gone")
    kept.client.delete_experiment(gone)
    assert sorted(trials_on(a_market()).table["name"]) == ["dnn", "forest", "lstm", "lstm", "svr"]


def test_another_market_does_not_count(kept: Store) -> None:
    kept.training("a", returns("lstm"), a_market(1))
    assert len(trials_on(a_market())) == 0
    assert len(trials_on(a_market(1))) == len(trials_on(None)) == 1


def test_of_a_training_that_did_not_finish_what_was_seen_counts(kept: Store) -> None:
    parent = kept.training("a", None)
    row = kept.run("row", "lstm", parent)
    kept.run("trial", "lstm-trial-0", row, cv_rmse=0.1, sharpe_net=np.sqrt(12), periods=12)
    kept.run("trial", "lstm-trial-1", row, cv_rmse=0.1)
    kept.run("trial", "lstm-trial-2", row)  # it was stopped before anything was seen
    found = trials_on(a_market())
    assert sorted(found.table["name"]) == ["lstm-trial-0", "lstm-trial-1"]
    assert found.independent == 2
    assert found.table["sharpe"].max() == pytest.approx(1.0)
    again = kept.training("a", None)
    kept.run("trial", "lstm-trial-0", kept.run("row", "lstm", again), cv_rmse=0.2)
    assert len(trials_on(a_market())) == 2  # the same trial, begun again
    kept.training("a", returns("lstm-trial-0", "lstm-trial-1", "lstm"))
    assert len(trials_on(a_market())) == 3  # and finished at last


def test_trainings_of_an_earlier_release_count_by_their_runs(kept: Store) -> None:
    for _ in range(2):
        parent = kept.training(None, None)
        kept.run("row", "lstm", parent, sharpe_net=1.0, periods=36)
    assert len(trials_on(a_market())) == 2


def test_what_goes_on_counts_before_it_is_logged(kept: Store) -> None:
    kept.training("a", returns("lstm", "dnn"))
    kept.training("b", returns("svr", seed=1))
    found = trials_on(a_market(), Search("a", "", "", MONTHS[-1], returns("lstm", seed=2)))
    assert sorted(found.table["name"]) == ["lstm", "svr"]


def test_near_twins_of_different_recipes_amount_to_less(kept: Store) -> None:
    one = returns("lstm")
    kept.training("a", one)
    kept.training("b", one + returns("lstm", seed=1) / 10)
    found = trials_on(a_market())
    assert len(found) == 2
    assert found.independent < 1.1


def test_markets_are_told_apart_by_their_mean_returns() -> None:
    panel = SimulatedMarket(stocks=100, months=60, seed=0).panel()
    whole = market_returns(panel)
    largest = panel[panel.groupby("date")["CAP"].rank(pct=True) > 0.5]
    assert same_market(whole, market_returns(largest))
    assert same_market(whole, whole[20:])
    assert same_market(whole.round(3), whole)
    assert not same_market(whole, market_returns(SimulatedMarket(stocks=100, months=60, seed=1).panel()))
    assert same_market(whole[:30], whole[25:])  # too few common months to tell


@pytest.mark.parametrize("seed", range(3))
def test_another_currency_benchmark_or_order_of_names_hides_no_market(seed: int) -> None:
    panel = SimulatedMarket(stocks=100, months=60, seed=seed).panel()
    whole, rng = market_returns(panel), np.random.default_rng(seed)
    months = pd.Series(rng.normal(0, 0.08, 60), sorted(panel["date"].unique()))
    drift = panel["date"].map(months)
    others = {
        "currency": (1 + panel["ret_next"]) * (1 + drift) - 1,
        "benchmark": panel["ret_next"] - drift,
        "market-neutral": panel["ret_next"] - panel.groupby("date")["ret_next"].transform("mean"),
    }
    for name, returns_ in others.items():
        other = panel.assign(ret_next=returns_, asset=panel["asset"].map(lambda asset: f"X{asset}"))
        cut = other[~other["date"].isin(rng.choice(sorted(other["date"].unique()), 20, replace=False))]
        assert same_market(whole, market_returns(cut)), name
        elsewhere = SimulatedMarket(stocks=100, months=60, seed=seed + 10).panel()
        assert not same_market(market_returns(other), market_returns(elsewhere)), name


def test_other_data_of_a_month_and_other_test_months_are_trials_of_their_own(kept: Store) -> None:
    for k in range(5):
        kept.training("a", returns("lstm", seed=k), **{DATA: f"file {k}"})
    assert len(trials_on(a_market())) == 5
    kept.training("a", returns("lstm", seed=0), **{DATA: "file 0"})  # given again
    assert len(trials_on(a_market())) == 5
    for month in range(4):  # and refreshed
        kept.training("a", returns("lstm"), a_market(months=56 + month), **{DATA: f"month {month}"})
    assert len(trials_on(a_market())) == 5
    for k in range(3):
        kept.training("a", returns("lstm", seed=k), **{DATA: "file 0", TESTED: f"from {k} to the last"})
    assert len(trials_on(a_market())) == 8


def test_a_weekly_market_is_another_one() -> None:
    weeks = pd.date_range("2000-01-07", periods=300, freq="W-FRI")
    weekly = pd.DataFrame(np.random.default_rng(0).normal(0, 0.05, (300, 2)), weeks, ["mean", "shape"])
    assert not same_market(weekly, a_market()) and not same_market(a_market(), weekly)


def test_the_tag_keeps_months_and_holes() -> None:
    holes = a_market().drop(MONTHS[5])
    tag = as_tag(holes)
    assert tag.startswith("2000-01: ")
    assert tag.split()[6] == "-"
    read = from_tag(tag)
    assert read is not None
    pd.testing.assert_frame_equal(read, holes.round(4), check_freq=False)
    old = from_tag(tag.partition(" | ")[0])
    assert old is not None and old["shape"].isna().all() and same_market(old, holes)
    for odd in (None, "", "odd", "2000-01: x", "{}", f"{tag} 5", f"{tag} | 5", "1990-12: - -", "1990-12: "):
        assert from_tag(odd) is None


@pytest.mark.parametrize("spoilt", ["", "date,a\n1994-05-31,abc\n", "date,lstm\n2000-01-31,0.1\n", "odd"])
def test_a_table_that_was_spoilt_or_cut_hides_nothing(kept: Store, spoilt: str) -> None:
    parent = kept.training("a", returns("lstm", "dnn"))
    kept.client.log_metric(parent, TRIED, 2)
    for name in ("lstm", "dnn"):
        kept.run("row", name, parent, sharpe_net=1.0, periods=36)
    assert len(trials_on(a_market())) == 2
    kept.client.log_text(parent, spoilt, TRIALS)
    found = trials_on(a_market())
    assert (len(found), found.independent) == (2, 2.0)
