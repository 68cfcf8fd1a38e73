"""The tree of runs: what is written to them, and how they end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from mlflow import MlflowClient

from drf.errors import InputError
from drf.models.catalogue import plain_row
from drf.tracking.runs import RunLog, RunTree, git_commit
from drf.training.checkpoints import Checkpoints


def status(run_id: str) -> str:
    return str(MlflowClient().get_run(run_id).info.status)


def test_a_tree_that_ends_well_closes_every_run_as_finished(store: str) -> None:
    with RunTree("train") as tree:
        row = tree.row(plain_row("linear"))
        trial = tree.child("linear-trial-0", {"kind": "trial"}, below=row)
        tree.close(trial)
        assert status(row.run_id) == "RUNNING"
    assert {status(run.run_id) for run in (tree.parent, row, trial)} == {"FINISHED"}
    tags = MlflowClient().get_run(trial.run_id).data.tags
    assert tags["mlflow.parentRunId"] == row.run_id
    assert MlflowClient().get_run(row.run_id).data.tags["mlflow.parentRunId"] == tree.parent.run_id


class CutOnce:
    """A client whose server takes every request, and breaks off its first answer to each."""

    def __init__(self, answers_broken: int) -> None:
        self.answers_broken = answers_broken

    def __getattr__(self, name: str) -> Callable[..., object]:
        def request(*args: object, **kwargs: object) -> object:
            result = getattr(MlflowClient(), name)(*args, **kwargs)
            if self.answers_broken:
                self.answers_broken -= 1
                try:
                    raise requests.exceptions.ChunkedEncodingError("IncompleteRead(0 bytes read, 2 more expected)")
                except requests.RequestException as error:
                    raise mlflow.MlflowException(f"API request failed with exception {error}")  # noqa: B904 - as MLflow
            return result

        return request


def test_what_is_written_while_the_server_breaks_off_its_answer_stands_once(store: str) -> None:
    with RunTree("train") as tree:
        run_id = tree.parent.run_id
        for write in (
            lambda log: log.metrics({"a": 1.0}),
            lambda log: log.params({"b": 2}),
            lambda log: log.tags({"c": "3"}),
            lambda log: log.text("d", "d.txt"),
            lambda log: log.tables({"e.csv": pd.DataFrame({"e": [5]})}),
        ):
            write(RunLog(CutOnce(1), run_id))  # type: ignore[arg-type]
            with pytest.raises(mlflow.MlflowException, match="IncompleteRead"):
                write(RunLog(CutOnce(2), run_id))  # type: ignore[arg-type]
    client = MlflowClient()
    run = client.get_run(run_id)
    assert run.data.metrics == {"a": 1.0} and run.data.params == {"b": "2"} and run.data.tags["c"] == "3"
    assert len({entry.value for entry in client.get_metric_history(run_id, "a")}) == 1
    assert {file.path for file in client.list_artifacts(run_id)} == {"d.txt", "e.csv"}


@pytest.mark.parametrize("error", [ValueError("too bad"), KeyboardInterrupt("stop"), SystemExit(143)])
def test_a_tree_that_ends_badly_closes_every_run_as_failed_and_says_why(store: str, error: BaseException) -> None:
    with pytest.raises(type(error)), RunTree("train") as tree:
        row = tree.row(plain_row("linear"))
        raise error
    assert {status(run.run_id) for run in (tree.parent, row)} == {"FAILED"}
    assert MlflowClient().get_run(tree.parent.run_id).data.tags["error"].startswith(type(error).__name__)
    assert mlflow.active_run() is None


def test_the_run_of_mlflow_run_is_taken_over_once(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = MlflowClient()
    given = client.create_run(client.get_experiment_by_name("drf").experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    with RunTree("train") as first:
        assert first.parent.run_id == given
        first.parent.tags({"kind": "comparison"})
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    with RunTree("evaluate") as second:
        assert second.parent.run_id != given
    assert "MLFLOW_RUN_ID" not in os.environ
    assert status(given) == "FINISHED"


def test_a_run_that_is_not_there_is_refused(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(InputError, match=r"MLFLOW_RUN_ID=0+: there is no such run .*: unset it"), RunTree("train"):
        pass


def test_metrics_that_cannot_be_estimated_are_named_and_many_are_sent_in_parts(store: str) -> None:
    with RunTree("train") as tree:
        tree.parent.metrics({"b": np.nan, "a": np.inf, "known": 1.5})
        tree.parent.metrics({f"m{k}": float(k) for k in range(1001)})
        tree.parent.params({f"p{k}": k for k in range(101)})
        tree.parent.monthly(pd.DataFrame({"x": [0.1, np.nan, 0.3]}))
    data = MlflowClient().get_run(tree.parent.run_id).data
    assert data.tags["not_estimated"] == "a, b"
    assert data.metrics["known"] == 1.5
    assert data.metrics["m1000"] == 1000
    assert len(data.params) == 101
    history = MlflowClient().get_metric_history(tree.parent.run_id, "monthly/x")
    assert [(point.step, point.value) for point in history] == [(0, 0.1), (2, 0.3)]


def test_tables_texts_and_pictures_are_artifacts(store: str, tmp_path: Path) -> None:
    table = pd.DataFrame({"date": pd.to_datetime(["2000-01-31"]), "x": [1.5]})
    with RunTree("train") as tree:
        tree.parent.tables({"evidence/x.csv": table, "x.parquet": table, "y.parquet": None})
        tree.parent.figures({"y": b"png"})
        tree.parent.text("ä", "page.html")
        assert tree.parent.read_text("page.html") == "ä"
        assert tree.parent.read_text("none.html") is None
    client = MlflowClient()
    found = pd.read_parquet(client.download_artifacts(tree.parent.run_id, "x.parquet"))
    pd.testing.assert_frame_equal(found, table)
    assert pd.read_csv(client.download_artifacts(tree.parent.run_id, "evidence/x.csv"))["x"].item() == 1.5
    assert Path(client.download_artifacts(tree.parent.run_id, "figures/y.png")).read_bytes() == b"png"


def test_runs_of_a_training_that_was_killed_are_closed_by_the_next(store: str, tmp_path: Path) -> None:
    """One that lives on is left alone."""
    client = MlflowClient()
    experiment = client.get_experiment_by_name("drf").experiment_id
    alive, dead = Checkpoints(str(tmp_path), {"data": 1}), Checkpoints(str(tmp_path), {"data": 2})
    with alive, RunTree("train", alive) as living:
        marks = {"host": living._marks["host"], "checkpoints": str(dead.path)}
        killed = client.create_run(experiment, tags=marks).info.run_id
        mlflow.end_run()  # MLflow knows of one active run a process; its status is what counts here
        client.update_run(living.parent.run_id, "RUNNING")
        own = Checkpoints(str(tmp_path), {"data": 3})
        with own, RunTree("train", own):
            assert status(killed) == "KILLED"
            assert status(living.parent.run_id) == "RUNNING"


def test_the_commit_is_known_in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(git_commit().removesuffix("-dirty")) == 40 or git_commit() == "unknown"
    monkeypatch.setenv("PATH", "")
    assert git_commit() == "unknown"
