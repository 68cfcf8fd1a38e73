"""Against a real MLflow server on loopback: stopped for a while, and behind a login over PostgreSQL."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import requests
from werkzeug.security import generate_password_hash

from tests.programs.conftest import DATABASE_PASSWORD
from tests.programs.folders import LINEAR, LINEAR_AND_LSTM
from tests.programs.processes import run, start
from tests.programs.servers import Server

pytestmark = pytest.mark.slow

USER, PASSWORD = "admin", "correct horse battery staple"
STOPPED = 5.0  # seconds, and it takes as long again to start
OPTIONS = [*LINEAR_AND_LSTM, "tuning.trials=4", "window.refit_every=4"]


@pytest.fixture
def plain_server(tmp_path: Path, empty_store: Path) -> Iterator[Server]:
    shutil.copyfile(empty_store, tmp_path / "server.db")
    server = Server(tmp_path, f"sqlite:///{tmp_path}/server.db")
    server.start()
    yield server
    server.stop()


@pytest.mark.long
def test_a_server_that_is_gone_for_a_while_costs_nothing(plain_server: Server, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    program = start(work, "train.py", *OPTIONS, MLFLOW_TRACKING_URI=plain_server.uri)
    client = mlflow.MlflowClient(plain_server.uri)
    while client.get_experiment_by_name("drf") is None or len(trials(client)) < 2:
        assert program.runs, program.output[-3000:]
        time.sleep(0.1)
    plain_server.stop()
    time.sleep(STOPPED)
    assert program.runs, program.output[-3000:]
    plain_server.start()
    assert program.wait() == 0, program.output[-3000:]
    experiment = client.get_experiment_by_name("drf").experiment_id
    everything = client.search_runs([experiment], max_results=1000)
    assert {entry.info.status for entry in everything} == {"FINISHED"}
    names = [entry.info.run_name for entry in everything]
    assert len(names) == len(set(names)) == 1 + 3 + 4  # parent, rows, trials of the LSTM


@pytest.fixture
def locked_server(database: str, tmp_path: Path) -> Iterator[Server]:
    """As docs/how-to/scale.md sets it up: runs in PostgreSQL, artifacts at the server, a login before all."""
    settings = tmp_path / "auth.ini"
    settings.write_text(
        "[mlflow]\ndefault_permission = NO_PERMISSIONS\n"
        f"database_uri = sqlite:///{tmp_path}/users.db\nadmin_username = {USER}\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    server = Server(
        tmp_path, database, "--app-name", "basic-auth",
        PGPASSWORD=DATABASE_PASSWORD, MLFLOW_AUTH_CONFIG_PATH=str(settings),
        MLFLOW_FLASK_SERVER_SECRET_KEY="not a secret of anybody",
    )  # fmt: skip
    server.start()
    # By default a fifth of a second of each request goes into the password's hash.
    with contextlib.closing(sqlite3.connect(tmp_path / "users.db")) as users, users:
        quick = generate_password_hash(PASSWORD, method="pbkdf2:sha256:1")
        assert users.execute("UPDATE users SET password_hash = ?", [quick]).rowcount == 1
    yield server
    server.stop()


@pytest.mark.long
def test_a_login_over_postgresql_keeps_strangers_out_and_secrets_in(locked_server: Server, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    uri = locked_server.uri
    assert (
        requests.get(f"{uri}/api/2.0/mlflow/experiments/search", params={"max_results": 1}, timeout=20).status_code
        == 401
    )
    wrong = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": "a guess of twelve"}
    for credentials in ({}, wrong):
        refused = run("train.py", *OPTIONS, folder=work, expect=2, MLFLOW_TRACKING_URI=uri, **credentials)
        (line,) = [line for line in refused.splitlines() if line.startswith("train.py: ")]
        assert "cannot be used" in line
    right = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    # few runs: the server takes its time to check a password with each request
    output = run("train.py", *LINEAR, "registry.row=linear", folder=work, **right)
    assert "Registered: drf-lstm-lrp version 1" in output

    with pytest.MonkeyPatch.context() as patch:
        for name, value in right.items():
            patch.setenv(name, value)
        client = mlflow.MlflowClient(uri)
        experiment = client.get_experiment_by_name("drf").experiment_id
        everything = client.search_runs([experiment], max_results=1000)
        said = output + "".join(str(entry.to_dictionary()) for entry in everything)
        downloads = tmp_path / "downloads"
        for entry in everything:
            client.download_artifacts(entry.info.run_id, "", str(downloads / entry.info.run_id))
    kept = [file.read_bytes() for folder in (work, downloads, locked_server.folder / "artifacts")
            for file in folder.rglob("*") if file.is_file()]  # fmt: skip
    assert len(everything) == 1 + 1
    assert len(kept) > 30
    for secret in (PASSWORD, DATABASE_PASSWORD):
        assert secret not in said
        assert not any(secret.encode() in content for content in kept)


def trials(client: mlflow.MlflowClient) -> list[object]:
    experiment = client.get_experiment_by_name("drf").experiment_id
    return list(client.search_runs([experiment], "tags.kind = 'trial'"))
