from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from pathlib import Path

import mlflow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drf.errors import InputError, TryAgainError
from drf.tracking.relocation import relocate
from drf.tracking.store import connect, open_experiment, without_secrets


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
    assert connect() == store
    assert mlflow.get_experiment_by_name("another") is None
    open_experiment("another")
    assert mlflow.get_experiment_by_name("another") is not None


def test_mlflows_own_settings_are_obeyed(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "named")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)  # MLflow sets it for processes to come
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert connect() == store
    open_experiment("drf")
    assert mlflow.get_experiment_by_name("named") is not None
    assert not any((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("sqlite:///{}/none/mlflow.db", "does not exist: create it"),
        ("sqlite:///{}/text.db", "cannot be opened"),
        ("http://user:hunter2@127.0.0.1:9", "no MLflow server answers at http://127.0.0.1:9 "),
        ("nonsense://somewhere", "MLflow at nonsense://somewhere cannot be used"),
        ("postgresql+psycopg2://me:hunter2@127.0.0.1:9/x", "cannot be used"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_in_one_line(
    uri: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.db").write_bytes(b"not a database at all" * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(tmp_path))
    with pytest.raises(InputError) as refused:
        connect()
    assert told in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_store_of_an_older_or_a_newer_mlflow_is_refused(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(empty_store, tmp_path / "other.db")  # not one that this process has open
    with sqlite3.connect(tmp_path / "other.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    database.close()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(InputError, match=r"its tables are version ffffffffffff.*mlflow db upgrade") as refused:
        connect()
    assert len(str(refused.value)) < 400


def test_a_locked_store_is_said_to_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(sqlite3, "connect", locked)
    with pytest.raises(TryAgainError, match="another program has locked it"):
        connect()


def test_a_read_only_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "mlflow.db")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(InputError, match=r"Permission denied.*writable"):
        connect()


@pytest.mark.parametrize("name", ["what?", "a%20b", "p%2Fq"])
def test_a_folder_whose_name_mlflow_would_misread_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    with pytest.raises(InputError, match="rename the folder"):
        connect()
    assert [place.name for place in tmp_path.rglob("*")] == [name]


@pytest.mark.parametrize("name", ["100% new", "a#b", "[x] it's (v2), 日本=;+"])
def test_a_folder_with_other_signs_works(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    shutil.copyfile(empty_store, tmp_path / name / "mlflow.db")
    monkeypatch.chdir(tmp_path / name)
    connect()
    open_experiment("drf")
    assert (tmp_path / name / "mlflow.db").is_file()
    assert [place.name for place in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("around", ["{}\n", " {}", "{}\r\n"])
def test_blanks_around_the_address_are_left_out(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, around: str
) -> None:
    address = f"sqlite:///{tmp_path}/here.db"
    shutil.copyfile(empty_store, tmp_path / "here.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", around.format(address))
    assert connect() == address == mlflow.get_tracking_uri()
    assert {place.name for place in tmp_path.iterdir()} <= {"here.db", "here.db.lock", "here.db-wal", "here.db-shm"}


def test_an_artifact_store_whose_driver_is_missing_is_refused_with_the_remedy(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow.create_experiment("away", artifact_location="s3://bucket/x")
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)
    with pytest.raises(InputError, match=r"cannot open the experiment away: .*: pip install boto3"):
        open_experiment("away")


def run_in(folder: Path) -> str:
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("drf")
    run = client.create_run(experiment.experiment_id).info.run_id
    client.log_text(run, folder.name, "where.txt")
    return str(run)


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_moved_or_copied_project_never_writes_into_the_original(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    run = run_in(tmp_path)
    (tmp_path / "new").mkdir()
    for name in ("mlflow.db", "mlflow.db-wal", "mlruns"):
        if how == "moved":
            (tmp_path / name).rename(tmp_path / "new" / name)
        else:
            copy = shutil.copytree if (tmp_path / name).is_dir() else shutil.copyfile
            copy(tmp_path / name, tmp_path / "new" / name)
    original = sorted(tmp_path.glob("mlruns/**/*"))
    monkeypatch.chdir(tmp_path / "new")
    for name in ("MLFLOW_EXPERIMENT_ID", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)  # MLflow sets them for processes to come
    with pytest.raises(InputError, match=rf"was {how} here from {tmp_path}.*drf relocate"):
        connect()
    assert relocate(tmp_path / "new" / "mlflow.db") > 0
    connect()
    client = mlflow.MlflowClient()
    assert Path(client.download_artifacts(run, "where.txt")).read_text() == tmp_path.name
    run_in(tmp_path / "new")
    assert sorted(tmp_path.glob("mlruns/**/*")) == original
    assert (tmp_path / "new" / "mlflow.db.before-relocation").is_file()
    with pytest.raises(InputError, match="there is nothing to correct"):
        relocate(tmp_path / "new" / "mlflow.db")


def test_what_is_no_store_is_not_relocated(tmp_path: Path) -> None:
    for name, content in (("none.db", None), ("text.db", b"no database" * 100)):
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="check that it is an MLflow store"):
            relocate(tmp_path / name)


PIECES = [*"abcXYZ019-_.~:@/?&=#%!$", "://", "http://", "a://"]
WORDS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join)
ANY = st.lists(st.sampled_from([*PIECES, *" '\""]), max_size=12).map("".join)


@given(st.sampled_from(["http", "https", "postgresql+psycopg2", "mysql", "s3", "databricks"]), WORDS, ANY, WORDS)
def test_no_address_shows_who_logs_in(scheme: str, user: str, secret: str, more: str) -> None:
    secret, word = f"{secret}hunter2", f"hunter2{more}"
    for address in (
        f"{scheme}://{user}:{secret}@host:5432/db",
        f"{scheme}://host/db?user={user}&password={word}",
        f"{scheme}://{user}:{secret}@host/db?sslkey={more}hunter2",
        f"{scheme}://{secret}@host/x",
    ):
        shown = without_secrets(f"cannot reach {address}: 'refused', \"{address}\"")
        assert "hunter2" not in shown
        assert shown.startswith(f"cannot reach {scheme}://")


def test_addresses_without_secrets_stay_as_they_are() -> None:
    for address in ("http://127.0.0.1:5000", "sqlite:////home/ann@work/mlflow.db", "models:/drf-lstm-lrp/1"):
        assert without_secrets(address) == address
    assert without_secrets("postgresql://ann:x@host:1/db?a=b") == "postgresql://host:1/db"
