"""What a store recorded: ``drf verify`` names all that was changed since, ``drf who`` tells past champions."""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

import drf.cli.verify
import drf.cli.who
from drf.errors import InputError
from drf.registry.statements import STATEMENT
from drf.workflows.verify import verify_store
from drf.workflows.who import who
from tests.live.making import NAME, TRAINED, issue, version
from tests.live.test_signed_issues import promote
from tests.registry.test_signing import sign_and_verify

TODAY = pd.Timestamp.now().normalize()


@pytest.fixture
def client(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """Two signed versions, of which first one and then the other became champion, and an issued month."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    sign_and_verify(tmp_path, monkeypatch)
    client = MlflowClient()
    for seed in range(2):
        version(client, seed=seed, alias=False)
    promote(client, "1")
    promote(client, "2")
    issue(TRAINED)
    return client


def evaluations(client: MlflowClient) -> list[str]:
    experiment = client.get_experiment_by_name("drf").experiment_id
    found = client.search_runs([experiment], "tags.kind = 'evaluation'", order_by=["attributes.start_time"])
    return [run.info.run_id for run in found]


def test_a_store_that_nobody_touched_holds(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    found = verify_store()
    assert (found.versions, found.decisions, found.issues, found.faults) == (2, 2, 1, [])
    monkeypatch.setattr(sys, "argv", ["drf verify"])
    drf.cli.verify.main()


def test_all_that_was_changed_is_named(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = next(Path(mlflow.artifacts.download_artifacts(f"models:/{NAME}/1")).rglob("*.parquet"))
    source = Path(client.get_model_version_download_uri(NAME, "1").removeprefix("file://"))
    for file in source.rglob(weights.name):
        file.write_bytes(file.read_bytes() + b"x")
    client.set_model_version_tag(NAME, "2", "train_last", "1999-01-31")
    live = client.get_experiment_by_name("drf-live").experiment_id
    (issued,) = client.search_runs([live], "tags.kind = 'forecast'")
    client.set_tag(issued.info.run_id, "cost_bps", "1.0")
    faults = " | ".join(verify_store().faults)
    assert f"{NAME}/1" in faults and "was changed since it was registered" in faults
    assert "its tag train_last was changed" in faults
    assert "it is no issue, or its tags were changed" in faults
    client.set_tag(evaluations(client)[0], STATEMENT, "{}")
    faults = " | ".join(verify_store().faults)
    assert "is in no run: the run was removed or changed" in faults and "its statement is not signed" in faults
    monkeypatch.setattr(sys, "argv", ["drf verify"])
    with pytest.raises(SystemExit, match="4"):
        drf.cli.verify.main()
    assert "fault(s)" in capsys.readouterr().out


def test_the_champion_of_a_day_comes_from_signed_decisions(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = who(NAME, TODAY)
    assert now.since is not None and now.since.champion == "2" and now.unsigned == 0
    before = who(NAME, TODAY - pd.Timedelta(days=1))
    assert before.since is None and before.decision is None
    experiment = client.get_experiment_by_name("drf").experiment_id
    forged = {"kind": "evaluation", "registered_model": NAME, "champion": "1", "decided_by": "mallory"}
    client.create_run(experiment, tags=forged)
    client.set_tag(now.since.run_id, "decided_by", "mallory")  # a signed decision's run, with tags that are not signed
    found = who(NAME, TODAY)
    assert found.since == now.since and found.unsigned == 1
    monkeypatch.setattr(sys, "argv", ["drf who", f"name={NAME}"])
    drf.cli.who.main()
    told = capsys.readouterr().out
    assert "was version 2, since" in told and "1 decision(s) are left aside" in told
    with pytest.raises(InputError, match="nothing was decided about other"):
        who("other", TODAY)


@pytest.mark.parametrize("word", ["on=31.3.2026", "day=2026-03-31"])
def test_a_word_that_who_does_not_know_is_refused(word: str, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["drf who", word])
    with pytest.raises(SystemExit, match="2"):
        drf.cli.who.main()
