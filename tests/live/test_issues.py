"""The record of what was issued: once a month, whole or not at all, and nobody changes it unseen."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from drf.errors import InputError, TryAgainError
from drf.evaluation.trials import Trials
from drf.live import issue_log
from drf.live.input_watch import Watch, watch_month
from drf.live.issuance import Issuance, issue_month
from drf.live.issue_log import EXPERIMENT, deleted_issues, issues_left_aside, read_issues, read_tables, write_issue
from drf.live.issues import Issued, differences
from drf.live.scorer import load_scorer, require_promoted
from drf.live.track_record import read_record
from drf.registry.market import compare_markets
from drf.tracking.locks import store_lock
from tests.live.making import NAME, TRAINED, by_hand, champion, issue, market_to, version


@pytest.fixture
def client(store: str) -> MlflowClient:
    made = MlflowClient()
    version(made)
    return made


def unusual(panel: pd.DataFrame, day: pd.Timestamp) -> list[str]:
    scorer = champion()
    return watch_month(scorer, panel, day, compare_markets(scorer.evidence.history, panel)).unusual


def live_runs(client: MlflowClient) -> list[mlflow.entities.Run]:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def test_what_is_issued_is_recorded_with_all_that_it_came_from(client: MlflowClient) -> None:
    made = issue(TRAINED)
    (one,) = read_issues(client, NAME)
    assert (one.version, one.recipe, one.role, one.run_id) == ("1", "one", "champion", made.run_id)
    assert one.month == market_to(TRAINED)["date"].max()
    kept = read_tables(client, one)
    pd.testing.assert_frame_equal(kept.orders, made.issued.orders, check_dtype=False)
    assert set(kept.promise) == {"rank_ic", "gross", "net", "turnover", "trials"} and len(kept.promise) > 12
    orders = kept.orders
    factors = orders.loc[:, "Risk":"bias"]  # type: ignore[misc]
    assert (factors.sum(axis=1) - orders["prediction"]).abs().max() < 1e-6
    assert {"version", "recipe", "issued", "data", "inputs", "reasons"} <= set(orders)
    run = client.get_run(one.run_id)
    assert run.info.run_name == f"{one.month:%Y-%m} forecasts, version 1"
    assert run.data.metrics["stocks"] == len(orders) and run.data.metrics["turnover"] == 1


def test_issued_twice_it_is_the_same(client: MlflowClient) -> None:
    first, second = issue(TRAINED), issue(TRAINED)
    assert (second.is_new, second.other, second.run_id) == (False, [], first.run_id)
    assert len(live_runs(client)) == 1


def test_what_would_differ_replaces_nothing_unless_told(client: MlflowClient) -> None:
    first = issue(TRAINED)
    panel = market_to(TRAINED)
    newest = panel.index[panel["date"] == panel["date"].max()]
    panel.loc[newest[:5], "PER"] *= -3
    kept = issue_month(champion(), panel, Watch([]))
    assert kept.run_id == first.run_id and not kept.is_new
    assert kept.other[0] == "the data have changed"
    assert any("forecast(s) are others (rank correlation" in words for words in kept.other)
    pd.testing.assert_frame_equal(kept.issued.orders, first.issued.orders, check_dtype=False)
    anew = issue_month(champion(), panel, Watch([]), replace=True)
    assert anew.is_new and anew.other
    (one,) = read_issues(client, NAME)
    assert (one.run_id, one.replaces.split()[0]) == (anew.run_id, first.run_id)
    assert issue_month(champion(), panel, Watch([])).other == []
    back = issue(TRAINED, replace=True)  # and back: each replaces the one before
    assert [one.run_id for one in read_issues(client, NAME)] == [back.run_id]


def test_an_old_value_that_no_forecast_looks_at_changes_nothing(client: MlflowClient) -> None:
    issue(TRAINED)
    panel = market_to(TRAINED)
    panel.loc[panel["date"] == panel["date"].min(), "PER"] += 1
    assert issue_month(champion(), panel, Watch([])).other == []


def test_trades_are_from_what_was_issued_last(client: MlflowClient) -> None:
    first, second = issue(TRAINED), issue(TRAINED + 1)
    held = second.issued.orders.set_index("asset")["held"]
    before = first.issued.orders.set_index("asset")["weight"]
    assert set(held.index[held != 0]) == set(before.index[before != 0])
    assert not (held.reindex(before.index) == before).all()  # it has drifted
    with pytest.raises(InputError, match="cannot be issued after"):
        issue(TRAINED - 1)


def test_a_shadow_is_recorded_and_has_trades_of_its_own(client: MlflowClient) -> None:
    number = version(client, "two", seed=1, alias=False)
    issue(TRAINED)
    shadow = load_scorer(f"models:/{NAME}/{number}")
    assert shadow.role == "shadow"
    assert issue(TRAINED, shadow).is_new
    issue(TRAINED + 1)
    made = issue(TRAINED + 1, shadow)
    last = read_tables(client, read_issues(client, NAME, "shadow")[0])
    held = made.issued.orders.set_index("asset")["held"]
    assert set(held.index[held != 0]) == set(last.orders.loc[last.orders["weight"] != 0, "asset"])
    assert [(one.role, one.version) for one in read_issues(client, NAME)] == [("champion", "1"), ("shadow", "2")] * 2


def test_what_a_version_was_trained_on_is_no_evidence(client: MlflowClient) -> None:
    assert issue(TRAINED - 1).issued.issue.afterwards
    assert not issue(TRAINED).issued.issue.afterwards
    assert issue(TRAINED + 1, afterwards=True).issued.issue.afterwards
    late = issue_month(champion(), market_to(TRAINED + 2), Watch(["behind"], late=True))
    assert late.issued.issue.afterwards and late.issued.issue.watch == "unusual, forced: behind"


def test_a_refresh_a_replacement_or_another_recipe_does_not_renew_the_promise(client: MlflowClient) -> None:
    first = issue(TRAINED).issued.promise
    version(client, "one", seed=1)
    assert issue(TRAINED, replace=True).is_new
    pd.testing.assert_frame_equal(issue(TRAINED).issued.promise, first, check_freq=False)
    version(client, "two", seed=2)
    assert not issue(TRAINED + 1).issued.promise.equals(first)
    version(client, "one", seed=3)
    pd.testing.assert_frame_equal(issue(TRAINED + 2).issued.promise, first, check_freq=False)


def test_inputs_of_another_vendor_are_unusual_and_named(client: MlflowClient) -> None:
    panel = market_to(TRAINED)
    panel["ROE"] = np.random.default_rng(0).permutation(panel["ROE"])
    found = unusual(panel, panel["date"].max() + pd.Timedelta(days=1))
    assert next(text for text in found if "of the version's training" in text).startswith("ROE: agreement")


def test_an_alias_set_by_hand_issues_nothing_until_it_is_confirmed(client: MlflowClient) -> None:
    for verdict, words in ((None, "it was never judged"), ("failed", "its verdict is failed")):
        if verdict:
            client.set_model_version_tag(NAME, "1", "verdict", verdict)
        with pytest.raises(InputError, match=rf"set by hand, and {words}: nothing is issued .*promote=1"):
            require_promoted(champion())
    client.set_model_version_tag(NAME, "1", "verdict", "champion")
    require_promoted(champion())


def test_of_two_issues_that_two_machines_wrote_the_earlier_stands(client: MlflowClient) -> None:
    made = issue(TRAINED)
    later = replace(made.issued.issue, issued="2999-01-01T00:00:00Z")
    write_issue(client, replace(made.issued, issue=later), [])
    assert [one.run_id for one in read_issues(client, NAME)] == [made.run_id]


def test_what_was_replaced_stays_so_whatever_is_deleted_in_between(client: MlflowClient) -> None:
    first = issue(TRAINED)
    second = write_issue(client, replaced_by(first, first.run_id, "2"), [])
    third = write_issue(client, replaced_by(first, second, "3"), [])
    client.delete_run(second)
    assert [one.run_id for one in read_issues(client, NAME)] == [third]
    client.restore_run(second)
    client.delete_run(third)
    assert [one.run_id for one in read_issues(client, NAME)] == [second]


def replaced_by(made: Issuance, run_id: str, when: str) -> Issued:
    return replace(made.issued, issue=replace(made.issued.issue, replaces=run_id, issued=f"299{when}"))


def test_the_trials_on_a_market_lower_the_promise_whatever_a_tag_says(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.set_model_version_tag(NAME, "1", "scores", '{"independent": 1000}')
    monkeypatch.setattr("drf.live.issuance.trials_on", lambda market: Trials(pd.DataFrame(), 4.5))
    assert (issue(TRAINED).issued.promise["trials"] == 4.5).all()


def test_trades_alone_may_differ_and_be_put_right(client: MlflowClient) -> None:
    issue(TRAINED)
    blind = market_to(TRAINED + 1).assign(ret_next=float("nan"))
    assert issue_month(champion(), blind, Watch([])).unknown > 0
    assert issue(TRAINED + 1).other[1].startswith("trades differ by ")
    right = issue(TRAINED + 1, replace=True)
    assert right.is_new and right.unknown == 0


def test_a_panel_that_has_lost_what_was_issued_is_unusual(client: MlflowClient) -> None:
    issue(TRAINED)
    panel = market_to(TRAINED + 1)
    day = panel["date"].max()
    assert unusual(panel, day) == []
    renamed = panel.assign(asset="X" + panel["asset"].astype(str))
    (said,) = unusual(renamed, day)
    assert said.startswith("stocks: share of what was issued last that the panel still has is 0.00")


def test_a_version_by_a_number_with_noughts_is_itself(client: MlflowClient) -> None:
    assert (load_scorer(f"models:/{NAME}/01").number, load_scorer(f"models:/{NAME}/01").role) == ("1", "champion")


def test_a_command_that_was_killed_has_issued_nothing(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_artifacts", killed)
        patched.setattr(MlflowClient, "set_terminated", lambda *_, **__: None)  # as by SIGKILL
        with pytest.raises(KeyboardInterrupt):
            issue(TRAINED)
    assert read_issues(client, NAME) == []
    assert issue(TRAINED).is_new
    assert sorted(run.info.status for run in live_runs(client)) == ["FINISHED", "KILLED"]
    assert len(read_issues(client, NAME)) == 1


@pytest.mark.parametrize("name", ["forecasts.parquet", "promise.parquet"])
def test_tables_that_were_changed_are_refused(client: MlflowClient, tmp_path: Path, name: str) -> None:
    made = issue(TRAINED)
    table = made.issued.orders if name == "forecasts.parquet" else made.issued.promise
    (table * 2 if name == "promise.parquet" else table.assign(weight=1.0)).to_parquet(tmp_path / name)
    client.log_artifact(made.run_id, str(tmp_path / name))
    with pytest.raises(InputError, match="was changed since it was issued"):
        read_tables(client, read_issues(client, NAME)[0])


@pytest.mark.parametrize(
    ("tag", "value"), [("cost_bps", "-500.0"), ("month", "1993-10-31"), ("version", "9"), ("afterwards", "true")]
)
def test_tags_that_were_changed_are_refused(client: MlflowClient, tag: str, value: str) -> None:
    made = issue(TRAINED)
    client.set_tag(made.run_id, tag, value)
    with pytest.raises(InputError, match="was changed since it was issued"):
        read_tables(client, read_issues(client, NAME)[0])


@pytest.mark.parametrize(("tag", "value"), [("cost_bps", "none"), ("month", "NaT"), ("month", "soon")])
def test_an_issue_whose_tags_say_nothing_is_left_aside(client: MlflowClient, tag: str, value: str) -> None:
    made = issue(TRAINED)
    client.set_tag(made.run_id, tag, value)
    assert read_issues(client, NAME) == []
    (said,) = issues_left_aside(client, NAME)
    assert "its tags were changed" in said and made.run_id in said


TAGS = st.dictionaries(
    st.sampled_from(["month", "role", "version", "recipe", "cost_bps", "sha256", "replaces", "issued", "decided"]),
    st.one_of(
        st.text(min_size=1, max_size=20), st.sampled_from(["9999-12-31", "1e999", "nan", "2999-01-31", "shadow"])
    ),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tags=TAGS, replaces=st.booleans())
def test_a_strangers_run_harms_no_issue(client: MlflowClient, tags: dict[str, str], replaces: bool) -> None:
    """A finished run that looks like an issue, earlier than the true one or in its place, and without its tables."""
    made = issue(TRAINED)
    theirs = {**client.get_run(made.run_id).data.tags, "issued": "1", **({"replaces": made.run_id} if replaces else {})}
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    run = client.create_run(experiment, tags={**theirs, **tags}).info.run_id
    client.set_terminated(run)
    assert made.run_id in {one.run_id for one in read_issues(client, NAME)}
    again = issue(TRAINED)
    assert (again.run_id, again.is_new) == (made.run_id, False)
    record = read_record(client, NAME, market_to(TRAINED + 1))
    assert [one.issue.run_id for one in record.issued] == [made.run_id]
    if run in {one.info.run_id for one in live_runs(client) if one.data.tags.get("registered_model") == NAME}:
        assert "left aside from the record" in record.alarm and not record.shortfall
    client.delete_run(run)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda orders: orders.drop(columns="trade"),
        lambda orders: orders.assign(weight=np.nan),
        lambda orders: orders.assign(asset="A"),
        lambda orders: orders.assign(prediction="high"),
    ],
)
def test_tables_that_fit_their_digest_and_are_no_issue_are_left_aside(
    client: MlflowClient, spoilt: Callable[[pd.DataFrame], pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = issue(TRAINED)
    monkeypatch.setattr("drf.live.issue_log.turnover", lambda orders: 0.0)
    earlier = replace(made.issued.issue, month=made.issued.issue.month - pd.offsets.MonthEnd(1))
    content = io.BytesIO()
    spoilt(made.issued.orders).to_parquet(content, index=False)
    monkeypatch.setattr("drf.live.issue_log._as_bytes", lambda frame, index: content.getvalue())
    write_issue(client, replace(made.issued, issue=earlier), [])
    monkeypatch.undo()
    record = read_record(client, NAME, market_to(TRAINED + 1))
    assert [one.issue.run_id for one in record.issued] == [made.run_id]
    assert "are not those of an issue" in record.alarm
    assert issue(TRAINED + 1).is_new


def test_a_deleted_issue_is_said_and_a_deleted_experiment_refused(client: MlflowClient) -> None:
    made = issue(TRAINED)
    client.delete_run(made.run_id)
    assert read_issues(client, NAME) == []
    assert made.run_id in deleted_issues(client, NAME)[0]
    client.delete_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id)
    with pytest.raises(InputError, match="was deleted in MLflow: mlflow experiments restore"):
        read_issues(client, NAME)


def test_another_command_that_issues_is_waited_for(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issue_log, "_WAIT", 0.1)
    scorer = champion()
    with store_lock(NAME, "live", 1), pytest.raises(TryAgainError, match="is being changed by another command"):
        issue(TRAINED, scorer)


def test_a_model_in_no_registry_is_not_recorded(client: MlflowClient) -> None:
    uri = client.get_model_version(NAME, "1").source
    made = issue(TRAINED, load_scorer(uri))
    assert (made.run_id, made.is_new) == ("", False)
    assert live_runs(client) == []


@pytest.mark.parametrize("uri", [f"models:/{NAME}@nobody", "models:/other@champion", "models:/other/1"])
def test_a_version_that_is_not_there(client: MlflowClient, uri: str) -> None:
    with pytest.raises(InputError):
        load_scorer(uri)


def test_issues_of_other_stocks_differ_in_all_of_them() -> None:
    before, after = by_hand("2020-01-31", {"A": 1.0, "B": -1.0}), by_hand("2020-01-31", {"C": 1.0, "D": -1.0})
    assert differences(before, after)[:2] == ["2 stock(s) are gone", "2 stock(s) are new"]
    sold = by_hand("2020-01-31", {"A": 1.0, "B": -1.0})
    sold.orders["prediction"] = [float("nan"), -1.0]
    assert "1 forecast(s) are others" in differences(before, sold)[0]
    assert differences(before, before) == []
