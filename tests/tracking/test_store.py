from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import mlflow
import pytest

from drf.errors import InputError
from drf.tracking.store import connect


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)


def test_without_settings_it_is_a_file_here_with_write_ahead_logging(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store == f"sqlite:///{tmp_path}/mlflow.db"
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert mlflow.get_experiment_by_name("drf") is not None
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)  # MLflow sets it for processes to come
    assert connect("another") == store
    assert mlflow.get_experiment_by_name("another") is not None


def test_mlflows_own_settings_are_obeyed(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "named")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)  # MLflow sets it for processes to come
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert connect("drf") == store
    assert mlflow.get_experiment_by_name("named") is not None
    assert not any((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("sqlite:///{}/none/mlflow.db", "does not exist: create it"),
        ("sqlite:///{}/text.db", "cannot be opened"),
        ("http://user:hunter2@127.0.0.1:9", "no MLflow server answers at http://127.0.0.1:9 "),
        ("nonsense://somewhere", "cannot open the experiment drf"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_in_one_line(
    uri: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.db").write_bytes(b"not a database at all" * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(tmp_path))
    with pytest.raises(InputError) as refused:
        connect("drf")
    assert told in str(refused.value)
    assert "hunter2" not in str(refused.value)
