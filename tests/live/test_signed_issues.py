"""With keys: issues are signed, and a decision under which a month was issued cannot be replaced by an older one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from drf.errors import InputError
from drf.live.issues import issues_left_aside, read_issues, write_issue
from drf.live.scorer import require_promoted
from drf.registry.aliases import Move, Standing, move, read_standing, settle
from drf.registry.signing import SIGNING_KEY, VERIFYING_KEY
from drf.registry.statements import SIGNATURE, STATEMENT, decision_tags, gap_in_decisions
from tests.live.making import NAME, TRAINED, champion, issue, version
from tests.registry.test_signing import make_keys


@pytest.fixture
def client(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """Two signed versions; the first is champion by a signed decision."""
    own = make_keys(tmp_path, "own")
    monkeypatch.setenv(SIGNING_KEY, own[0])
    monkeypatch.setenv(VERIFYING_KEY, own[1])
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
    for text in ("[" * 5000, "{}", "null"):
        client.set_registered_model_tag(NAME, STATEMENT, text)
        assert gap_in_decisions(client, NAME) == []
        with pytest.raises(InputError, match="signature is not one of the key"):
            require_promoted(champion())


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
