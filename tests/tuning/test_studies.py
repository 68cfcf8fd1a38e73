"""Where studies are kept, and what becomes of the trials of a machine that has died."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from drf.errors import InputError
from drf.tuning import studies
from drf.tuning.rule import check_address
from drf.tuning.studies import abandoned, alive, is_shared, open_storage


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("postgresql+psycopg2://drf:hunter2@host/studies", "holds a password"),
        ("a database", "is not the address of a database"),
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused_without_repeating_it(
    address: str, problem: str
) -> None:
    with pytest.raises(InputError, match=problem) as refused:
        check_address(address)
    assert "hunter2" not in str(refused.value)
    check_address("postgresql+psycopg2://drf@host/studies")


def test_a_journal_without_a_folder_and_a_database_without_a_driver_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tuning\.journal=.*: the folder .* does not exist"):
        open_storage(str(tmp_path / "none" / "journal"), None)
    with pytest.raises(InputError, match=r"the database cannot be opened"):
        open_storage("", f"sqlite:///{tmp_path}/none/studies.db")


def test_open_trials_of_an_interrupted_journal_are_taken_up(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "journal"), None)
    assert not is_shared(shared)
    optuna.create_study(study_name="other", storage=storage).ask()
    study = optuna.create_study(study_name="x", storage=storage)
    study.tell(study.ask(), 1.0)
    left = study.ask()
    left.suggest_float("y", 0, 1)
    again = open_storage(str(tmp_path / "journal"), None)
    (taken,) = abandoned(optuna.load_study(study_name="x", storage=again), again, set())
    assert (taken.number, taken.params) == (left.number, left.params)
    with alive([taken], again):
        pass  # nobody listens


def written_journal(folder: Path) -> Path:
    """A journal with three finished trials."""
    file = folder / "journal"
    study = optuna.create_study(study_name="x", storage=open_storage(str(file), None))
    for value in range(3):
        study.tell(study.ask(), float(value))
    return file


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(1, 400), tail=st.sampled_from([b"", b"\0" * 64, b"\0\n", b"\n", b"\n\n", b'{"half', b"\xff\xfe"])
)
def test_a_journal_with_a_torn_end_goes_on(tmp_path_factory: pytest.TempPathFactory, cut: int, tail: bytes) -> None:
    file = written_journal(tmp_path_factory.mktemp("torn"))
    whole = file.read_bytes()
    file.write_bytes(whole[: max(0, len(whole) - cut)] + tail)
    study = optuna.create_study(study_name="x", storage=open_storage(str(file), None), load_if_exists=True)
    before = len(study.trials)
    study.tell(study.ask(), 9.0)
    again = optuna.load_study(study_name="x", storage=open_storage(str(file), None))
    assert len(again.trials) == before + 1 <= 4
    assert all(line.startswith(b"{") and line.endswith(b"}\n") for line in file.read_bytes().splitlines(keepends=True))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b"\n", b"\n\n", 3),
        lambda text: text.replace(b"}\n{", b"}{", 1),
        lambda text: b"PK" + text,
        lambda text: text[:40] + b"\0" * 40 + text[80:],
    ],
)
def test_a_journal_that_is_damaged_before_its_end_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    file = written_journal(tmp_path)
    damaged = damage(file.read_bytes())
    file.write_bytes(damaged)
    with pytest.raises(InputError, match=r"tuning\.journal=.*: line \d is damaged: put back a copy"):
        open_storage(str(file), None)
    assert file.read_bytes() == damaged


def _hold(journal: str, ready: object) -> None:
    storage = open_storage(journal, None)
    storage._backend._lock.acquire()  # type: ignore[attr-defined]  # as in the middle of writing
    ready.set()  # type: ignore[attr-defined]
    time.sleep(600)


def test_a_process_that_dies_while_it_writes_holds_up_nobody(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(str(tmp_path / "journal"), ready))
    process.start()
    assert ready.wait(300)
    process.kill()
    process.join()
    study = optuna.create_study(study_name="x", storage=open_storage(str(tmp_path / "journal"), None))
    assert study.ask().number == 0


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BaseStorage:
    """A database in which a machine is missed after seconds, not after minutes."""
    monkeypatch.setattr(studies, "HEARTBEAT", 1)
    monkeypatch.setattr(studies, "GRACE", 2)
    return open_storage("", f"sqlite:///{tmp_path}/studies.db")


def test_the_trial_of_a_machine_that_is_not_heard_of_goes_to_another(shared: BaseStorage) -> None:
    assert is_shared(shared)
    study = optuna.create_study(study_name="x", storage=shared)
    heard, silent = study.ask(), study.ask()
    silent.suggest_float("y", 0, 1)
    with alive([silent], shared):
        pass  # one sign of life, and no more
    heard_of: set[int] = set()
    with alive([heard], shared):
        while study.trials[silent.number].state is TrialState.RUNNING:
            assert abandoned(study, shared, heard_of) == []
            time.sleep(0.5)
        assert study.trials[heard.number].state is TrialState.RUNNING
    assert study.trials[silent.number].state is TrialState.FAIL
    assert study.ask().suggest_float("y", 0, 1) == silent.params["y"]


def test_a_trial_whose_machine_died_before_its_first_sign_of_life_is_missed_too(shared: BaseStorage) -> None:
    study = optuna.create_study(study_name="x", storage=shared)
    taken = study.ask()
    heard_of: set[int] = set()
    while study.trials[taken.number].state is TrialState.RUNNING:
        abandoned(study, shared, heard_of)
        time.sleep(0.5)
    assert study.trials[taken.number].state is TrialState.FAIL
