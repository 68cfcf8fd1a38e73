"""What came true of what was issued, and whether it is what was promised."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from drf.errors import InputError
from drf.evaluation.bootstrap import cumulated_band
from drf.live.alarm import LEAST_MONTHS, promised_mean
from drf.live.issue_log import EXPERIMENT
from drf.live.outcome import (
    came_true,
    contributions_of,
    drift,
    exposures_of,
    live_record,
    not_come_true,
    not_issued,
    promise_of,
)
from drf.live.track_record import read_record
from drf.registry.training_evidence import Evidence
from drf.workflows.track_record_log import log_record
from tests.live.making import NAME, TRAINED, by_hand, champion, issue, market_to, version
from tests.making import rule

MONTHS = pd.date_range("2020-01-31", periods=40, freq="ME")


def returns(month: str, values: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame({"date": pd.Timestamp(month), "asset": list(values), "ret_next": list(values.values())})


def promised(ic: float = 0.1, net: float = 0.02, months: int = 36) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (months, 2))
    noise -= noise.mean(axis=0)
    return pd.DataFrame(
        {"rank_ic": ic + 0.1 * noise[:, 0], "gross": net, "net": net + 0.02 * noise[:, 1], "turnover": 0.3, "trials": 1}
    )


def test_a_month_by_hand() -> None:
    one = by_hand("2020-01-31", {"A": 0.5, "B": 0.5, "C": -1.0})
    panel = returns("2020-01-31", {"A": 0.10, "B": 0.02, "C": 0.03})
    line = came_true([one], panel).iloc[0]
    assert line["gross"] == pytest.approx(0.5 * 0.10 + 0.5 * 0.02 - 0.03)
    assert line["net"] == pytest.approx(line["gross"] - 2.0 * 10 / 1e4)
    assert line["turnover"] == 1 and line["hit"] == 1 and line["unknown"] == 0
    assert line["promised"] == pytest.approx(0.25 + 0.25 + 1.0)
    ranks = pd.DataFrame({"f": [0.5, 0.5, -1.0], "y": [0.10, 0.02, 0.03]}).rank()
    assert line["rank_ic"] == pytest.approx(ranks["f"].corr(ranks["y"]))


def test_a_return_that_is_not_known_counts_as_nothing_and_is_counted() -> None:
    one = by_hand("2020-01-31", {"A": 0.5, "B": 0.5, "C": -1.0})
    line = came_true([one], returns("2020-01-31", {"A": 0.10, "C": 0.03})).iloc[0]
    assert line["gross"] == pytest.approx(0.05 - 0.03)
    assert line["unknown"] == 1


@pytest.mark.parametrize("values", [{}, {"A": np.nan, "B": np.nan, "C": np.nan}, {"A": 0.1}])
def test_a_month_whose_returns_are_not_there_has_not_come_true(values: dict[str, float]) -> None:
    one = by_hand("2020-01-31", {"A": 0.5, "B": 0.5, "C": -1.0})
    assert came_true([one], returns("2020-01-31", values)).empty
    assert came_true([one], returns("2020-02-29", {"A": 0.1, "B": 0.1, "C": 0.1})).empty


def life(ics: np.ndarray, recipes: list[str] | None = None, **changes: object) -> tuple[list, pd.DataFrame]:  # type: ignore[type-arg]
    """Issues, and a table as :func:`came_true` makes it, with net returns a fifth of the rank ICs."""
    recipes = recipes or ["one"] * len(ics)
    issued = [
        by_hand(str(month.date()), {"A": 1.0, "B": -1.0}, promised(), recipe=recipe, **changes)
        for month, recipe in zip(MONTHS, recipes, strict=False)
    ]
    outcomes = pd.DataFrame(
        {"month": MONTHS[: len(ics)], "version": "1", "recipe": recipes, "role": "champion", "afterwards": False,
         "rank_ic": ics, "gross": ics / 5, "net": ics / 5, "turnover": 0.3, "promised": 0.02, "hit": 1.0, "unknown": 0}
    )  # fmt: skip
    return issued, outcomes


def test_no_alarm_where_the_promise_is_kept_and_one_where_the_signal_is_dead() -> None:
    rng = np.random.default_rng(1)
    kept = live_record(*life(rng.normal(0.1, 0.1, 36)))
    assert kept is not None and not kept.alarm and kept.raised == []
    dead = live_record(*life(rng.normal(0.0, 0.1, 36)))
    assert dead is not None and dead.alarm and dead.evidence > 20
    assert dead.months["evidence"].iloc[-1] == dead.evidence
    assert f"{MONTHS[35]:%Y-%m}" in dead.raised


def test_the_band_holds_what_the_backtest_would_have_summed_to() -> None:
    live = live_record(*life(np.full(24, 0.1)))
    assert live is not None
    last = live.months.iloc[-1]
    assert last["cumulated"] == pytest.approx(24 * 0.02)
    assert last["cumulated_low"] < last["cumulated_promised"] < last["cumulated_high"]
    assert last["cumulated_promised"] == pytest.approx(24 * promised_mean(promised()["net"], 1.0))
    assert np.allclose(live.months[["evidence_rank_ic", "evidence_net"]].mean(axis=1), live.months["evidence"])


@pytest.mark.long
def test_the_band_holds_as_many_lives_as_it_says() -> None:
    """Backtest and life of the same kind: the mean of the backtest is an estimate, and the band knows it."""
    rng, held = np.random.default_rng(0), 0
    for seed in range(150):
        backtest, life = rng.normal(0.01, 0.05, 48), rng.normal(0.01, 0.05, 36)
        band = cumulated_band(pd.Series(backtest), 36, seed=seed, resamples=200).iloc[-1]
        held += band["low"] <= life.sum() <= band["high"]
    assert 0.8 < held / 150 < 0.97


def test_a_path_may_be_longer_than_the_backtest() -> None:
    band = cumulated_band(promised(months=13)["net"], 40)
    assert len(band) == 40 and band["low"].notna().all()


def test_a_refresh_does_not_renew_the_promise_and_another_recipe_does() -> None:
    issued, outcomes = life(np.full(10, 0.1), ["one"] * 4 + ["two"] * 6)
    weak = promised(ic=0.0, net=0.0)
    issued[7] = by_hand(str(MONTHS[7].date()), {"A": 1.0, "B": -1.0}, weak, recipe="two", version="3")
    outcomes.loc[7, "version"] = "3"
    live = live_record(issued, outcomes)
    assert live is not None
    assert live.since == MONTHS[4] and len(live.months) == 6
    assert live.promise["net"].mean() == pytest.approx(0.02)


def test_a_recipe_that_comes_back_goes_on_with_its_months() -> None:
    issued, outcomes = life(np.full(9, 0.1), ["one"] * 3 + ["two"] * 3 + ["one"] * 3)
    live = live_record(issued, outcomes)
    assert live is not None and live.since == MONTHS[0] and len(live.months) == 6


def test_shadows_of_one_recipe_are_told_apart() -> None:
    issued, outcomes = life(np.full(6, 0.1), role="shadow", version="2")
    mine, others = outcomes.assign(role="shadow", version="2"), outcomes.assign(role="shadow", version="3")
    live = live_record(issued, pd.concat([mine, others], ignore_index=True))
    assert live is not None and live.months["version"].tolist() == ["2"] * 6


def test_months_whose_returns_never_came_are_named() -> None:
    issued, outcomes = life(np.full(5, 0.1))
    panel, issues = pd.DataFrame({"date": MONTHS[:5], "ret_next": 0.1}), [one.issue for one in issued]
    assert not_come_true(issues, outcomes.drop(index=2), panel) == ["2020-03"]
    assert not_come_true(issues, outcomes.iloc[:0], panel[panel["date"] >= MONTHS[3]]) == [
        f"2020-0{month}" for month in range(1, 6)
    ]
    assert not_come_true(issues, outcomes, panel) == []


def test_months_issued_afterwards_do_not_count() -> None:
    issued, outcomes = life(np.full(6, 0.1))
    outcomes.loc[:1, "afterwards"] = True
    live = live_record(issued, outcomes)
    assert live is not None and len(live.months) == 4


def test_nothing_is_promised_by_too_few_months() -> None:
    issued, outcomes = life(np.full(6, -0.5))
    short = promised(months=LEAST_MONTHS - 1)
    issued = [by_hand(str(one.issue.month.date()), {"A": 1.0, "B": -1.0}, short) for one in issued]
    live = live_record(issued, outcomes)
    assert live is not None and not live.is_watched and not live.alarm and np.isnan(live.evidence)
    assert live_record([], outcomes) is None


def test_drift_is_the_newest_month_beside_those_before() -> None:
    table = drift(pd.DataFrame({"Value": np.arange(20.0)}))
    assert table.loc["Value"].tolist() == [19.0, np.mean(range(7, 19)), 7.0, 18.0]
    assert drift(pd.DataFrame({"Value": [1.0]})).isna().loc["Value"].tolist() == [False, True, True, True]


def test_exposures_and_contributions_of_what_is_held() -> None:
    one = by_hand("2020-01-31", {"A": 1.0, "B": 0.0, "C": -1.0})
    panel = returns("2020-01-31", {"A": 0.1, "B": 0.1, "C": 0.1}).assign(PER=[3.0, 2.0, 1.0], ROE=[1.0, 2.0, np.nan])
    assert exposures_of([one], panel).iloc[0].to_dict() == {"PER": 2.0, "ROE": -1.0}
    assert contributions_of([one]).iloc[0].to_dict() == {"Value": 2.0}  # 1 * 1 + -1 * -1


def test_months_without_an_issue_are_named() -> None:
    issued, _ = life(np.full(5, 0.1))
    panel = pd.DataFrame({"date": MONTHS[:7]})
    assert not_issued([one.issue for one in issued if one.issue.month != MONTHS[2]], panel) == ["2020-03", "2020-06"]


def test_the_promise_is_what_the_evidence_showed(store: str) -> None:
    version(MlflowClient())
    evidence: Evidence = champion().evidence
    promise = promise_of(evidence.predictions, market_to(TRAINED), rule())
    assert list(promise) == ["rank_ic", "gross", "net", "turnover", "trials"]
    assert promise.index.max() < market_to(TRAINED)["date"].max()
    assert (
        len(promise_of(evidence.predictions, pd.DataFrame({"date": [], "asset": []}), rule(sector_neutral=True))) == 0
    )


def test_a_record_is_logged_once_with_its_months_as_steps(store: str) -> None:
    client = MlflowClient()
    version(client)
    with pytest.raises(InputError, match="nothing was issued by"):
        read_record(client, NAME, market_to(TRAINED))
    for months in range(TRAINED, TRAINED + 3):
        issue(months)
    record = read_record(client, NAME, market_to(TRAINED + 2))
    assert len(record.outcomes) == 2 and record.notes == []
    run = log_record(client, record)
    steps = client.get_metric_history(run, "monthly/rank_ic")
    assert [(point.step, point.value) for point in steps] == list(enumerate(record.outcomes["rank_ic"]))
    assert {"months", "hit_rate", "backtest/net", "evidence"} <= set(client.get_run(run).data.metrics)
    files = {entry.path for entry in client.list_artifacts(run)}
    assert files == {"outcomes.csv", "by_version.csv", "contributions.csv", "exposures.csv", "figures"}
    assert log_record(client, read_record(client, NAME, market_to(TRAINED + 2))) == run
    assert read_record(client, NAME, market_to(TRAINED + 2)).restated == []
    restated = market_to(TRAINED + 2)
    restated.loc[restated["date"] == record.outcomes["month"].iloc[0], "ret_next"] *= -1
    (changed,) = read_record(client, NAME, restated).restated
    assert f"what came true of {record.outcomes['month'].iloc[0]:%Y-%m} has changed" in changed
    later = read_record(client, NAME, market_to(TRAINED + 3))
    assert log_record(client, later) != run
    assert later.by_version["months"].tolist() == [3]
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    assert len(client.search_runs([experiment], "tags.kind = 'monitor'")) == 2
