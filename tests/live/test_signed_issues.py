"""With keys: issues are signed, and a decision under which a month was issued cannot be replaced by an older one."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from drf.errors import InputError
from drf.live.input_watch import Watch
from drf.live.issuance import issue_month
from drf.live.issue_log import issues_left_aside, read_issues, write_issue
from drf.live.month_end_log import find_end, write_end
from drf.live.scorer import require_promoted
from drf.registry.aliases import Move, Standing, move, read_standing, settle
from drf.registry.signing import SIGNING_KEY
from drf.registry.statements import SIGNATURE, STATEMENT, decision_tags, gap_in_decisions
from tests.live.making import NAME, TRAINED, champion, issue, market_to, version
from tests.registry.test_signing import sign_and_verify


@pytest.fixture
def client(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """Two signed versions; the first is champion by a signed decision."""
    sign_and_verify(tmp_path, monkeypatch)
    client = MlflowClient()
    for seed in range(2):
        version(client, seed=seed, alias=False)
    promote(client, "1")
    return client


def promote(client: MlflowClient, number: str) -> dict[str, str]:
    """Promote a version by a signed decision; log the decision, and return its tags."""
    before = read_standing(client, NAME)
    move(client, NAME, before, Move(before.promote(number), {number: {"verdict": "champion"}}))
    tags = decision_tags(client, NAME)
    experiment = client.get_experiment_by_name("drf").experiment_id
    client.create_run(experiment, tags={"kind": "evaluation", "registered_model": NAME, **tags})
    return tags


def put_back(client: MlflowClient, number: str, tags: dict[str, str]) -> None:
    """Do what somebody can who writes to the database: an old decision and its alias."""
    for key, value in tags.items():
        client.set_registered_model_tag(NAME, key, value)
    client.set_registered_model_alias(NAME, "champion", number)


def test_an_old_decision_issues_nothing_after_a_month_under_a_newer_one(client: MlflowClient) -> None:
    old = decision_tags(client, NAME)
    promote(client, "2")
    put_back(client, "1", old)
    require_promoted(champion())  # no month was issued under the newer one, so nothing tells them apart
    promote(client, "2")
    issue(TRAINED)
    require_promoted(champion())
    put_back(client, "1", old)
    with pytest.raises(InputError, match="an earlier state of the registry was put back"):
        require_promoted(champion())


def test_a_month_that_nobody_signed_is_left_aside(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made = issue(TRAINED)
    (standing,) = read_issues(client, NAME)
    assert standing.decided
    monkeypatch.delenv(SIGNING_KEY)
    forged = replace(made.issued, issue=replace(made.issued.issue, issued="1", replaces=made.run_id))
    run = write_issue(client, forged, [])
    assert [one.run_id for one in read_issues(client, NAME)] == [made.run_id]
    (said,) = issues_left_aside(client, NAME)
    assert run in said and "is not signed" in said
    client.set_tag(run, "signature", client.get_run(made.run_id).data.tags["signature"])
    assert "signature is not one of the key" in issues_left_aside(client, NAME)[0]


def test_a_gap_in_the_chain_of_decisions_is_said(client: MlflowClient) -> None:
    for number in ("2", "1", "2"):
        promote(client, number)
    assert gap_in_decisions(client, NAME) == []
    experiment = client.get_experiment_by_name("drf").experiment_id
    decisions = client.search_runs([experiment], "tags.kind = 'evaluation'", order_by=["attributes.start_time"])
    client.set_tag(decisions[1].info.run_id, STATEMENT, "{}")
    (said,) = gap_in_decisions(client, NAME)
    assert "is in no run" in said
    for text in ("[" * 5000, "{}", "null", '{"statement": "decided", "decided": "z"}'):
        client.set_registered_model_tag(NAME, STATEMENT, text)
        assert "the newest decision is not signed" in gap_in_decisions(client, NAME)[0]
        with pytest.raises(InputError, match="signature is not one of the key"):
            require_promoted(champion())


def test_an_old_move_that_is_made_again_keeps_its_time(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as stopped:
        stopped.setattr("drf.registry.aliases._make", lambda *_: None)
        move(client, NAME, read_standing(client, NAME), Move(Standing("2", "1", ("1", "2"))))
    tags = client.get_registered_model(NAME).tags
    settle(client, NAME, "12")
    promote(client, "1")
    issue(TRAINED)
    client.delete_registered_model_tag(NAME, STATEMENT)
    for key in ("intended", "intended_signature"):
        client.set_registered_model_tag(NAME, key, tags[key])
    settle(client, NAME, "12")
    assert "intended_signature" not in client.get_registered_model(NAME).tags
    with pytest.raises(InputError, match="an earlier state of the registry was put back"):
        require_promoted(champion())


def copy_of(client: MlflowClient, run_id: str, **changes: str) -> str:
    """Do what an account that creates runs can: a copy of a signed run, with tags and files of its own choice."""
    run = client.get_run(run_id)
    copied = client.create_run(run.info.experiment_id, tags={**run.data.tags, **changes}).info.run_id
    with tempfile.TemporaryDirectory() as folder:
        client.log_artifacts(copied, client.download_artifacts(run_id, "", folder))
    client.set_terminated(copied)
    return copied


@pytest.mark.parametrize("month", ["1993-12-31T00:00:01", "1993-12-31 12:00", "19931231", "1993-12-31+01:00"])
def test_a_copy_under_another_spelling_of_the_month_is_left_aside(client: MlflowClient, month: str) -> None:
    made = issue(TRAINED)
    run = copy_of(client, made.run_id, month=month)
    assert [one.run_id for one in read_issues(client, NAME)] == [made.run_id]
    assert run in issues_left_aside(client, NAME)[0]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_copy_of_a_replaced_month_does_not_stand(client: MlflowClient, when: str) -> None:
    first = issue(TRAINED)
    if when == "before":
        copy_of(client, first.run_id)
    panel = market_to(TRAINED)
    panel.loc[panel["date"] == panel["date"].max(), "PER"] *= -3
    second = issue_month(champion(), panel, Watch([]), replace=True)
    if when == "after":
        copy_of(client, first.run_id)
        client.delete_run(first.run_id)
    assert [one.run_id for one in read_issues(client, NAME)] == [second.run_id]


def test_a_deleted_run_replaces_no_month_but_its_own(client: MlflowClient) -> None:
    before, first = issue(TRAINED), issue(TRAINED + 1)
    panel = market_to(TRAINED + 1)
    panel.loc[panel["date"] == panel["date"].max(), "PER"] *= -3
    second = issue_month(champion(), panel, Watch([]), replace=True)
    client.set_tag(first.run_id, "replaces", before.run_id)
    client.delete_run(first.run_id)
    assert [one.run_id for one in read_issues(client, NAME)] == [before.run_id, second.run_id]


def test_a_result_that_nobody_signed_is_not_taken_for_done(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = {"status": "done", "champion": {"version": "1"}, "month": "m", "unusual": [], "issued": None, "page": "p"}
    made = write_end(client, NAME, "m", "key", result, "page")
    assert find_end(client, NAME, "key") == made
    monkeypatch.delenv(SIGNING_KEY)
    write_end(client, NAME, "m", "other", result, "page")
    assert find_end(client, NAME, "other") is None


@pytest.mark.parametrize("text", ["[" * 100_000, "null", "5", "{}"])
def test_a_strangers_result_is_passed_over(client: MlflowClient, text: str) -> None:
    result = {"status": "done", "champion": {"version": "1"}, "month": "m", "unusual": [], "issued": None, "page": "p"}
    made = write_end(client, NAME, "m", "key", result, "page")
    run = copy_of(client, made["run"])
    client.log_text(run, text, "result.json")
    assert find_end(client, NAME, "key") == made


def test_a_signed_move_is_made_once(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as stopped:
        stopped.setattr("drf.registry.aliases._make", lambda *_: None)  # stopped before its first step
        move(client, NAME, read_standing(client, NAME), Move(Standing("2", "1", ("1", "2"))))
    tags = client.get_registered_model(NAME).tags
    assert "completed: champion is version 2" in settle(client, NAME, "12")[0]
    promote(client, "1")
    for key in ("intended", "intended_signature"):
        client.set_registered_model_tag(NAME, key, tags[key])
    settle(client, NAME, "12")
    assert read_standing(client, NAME).champion == "1"
    assert SIGNATURE in client.get_registered_model(NAME).tags
