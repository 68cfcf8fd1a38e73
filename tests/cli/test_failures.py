"""What fails around a program is one line with its remedy; what fails in it keeps its traceback and says so."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable

import pytest
import requests
import sqlalchemy.exc
from mlflow.exceptions import MlflowException, RestException

from drf.cli import program
from drf.errors import ChampionError, InputError, TryAgainError


def database(text: str) -> Exception:
    return sqlalchemy.exc.OperationalError("INSERT INTO runs", {}, sqlite3.OperationalError(text))


def from_server(code: str) -> Exception:
    return RestException({"error_code": code, "message": "no"})


KINDS: list[tuple[BaseException, int, str]] = [
    (InputError("column x: is wrong"), 2, "column x: is wrong"),
    (TryAgainError("at work"), 75, "at work"),
    (ChampionError("no champion"), 4, "no champion"),
    (KeyboardInterrupt(), 130, "the same command goes on"),
    *[
        (OSError(number, "x", "mlruns/0"), 2, words)
        for number, words in (
            (errno.ENOSPC, "make room"), (errno.EDQUOT, "quota"), (errno.EROFS, "mlruns/0 is on a disk that can only"),
            (errno.EFBIG, "ulimit -f"), (errno.EIO, "the disk reports an error"), (errno.ENOLCK, "no file locks"),
            (errno.EACCES, "mlruns/0 may not be written"), (errno.EPERM, "rights"), (errno.EMFILE, "too many files"),
        )
    ],
    (database("database is locked"), 75, "locked MLflow's store"),
    (database("attempt to write a readonly database"), 2, "can only be read"),
    (database("database disk image is malformed"), 2, "damaged"),
    (database("database or disk is full"), 2, "make room"),
    (database("could not connect to server"), 75, "cannot be reached"),
    (MlflowException("(sqlite3.OperationalError) database is locked"), 75, "locked MLflow's store"),
    (requests.ConnectionError("refused"), 75, "does not answer"),
    (requests.Timeout("slow"), 75, "does not answer"),
    (requests.exceptions.ChunkedEncodingError("broken"), 75, "does not answer"),
    (from_server("PERMISSION_DENIED"), 2, "ask for the rights"),
    (MlflowException("API request to http://h/x failed with error code 503 != 200"), 75, "not available"),
]  # fmt: skip


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(("error", "code", "words"), KINDS, ids=lambda one: str(one)[:30])
def test_a_failure_around_the_program_is_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str, wrapped: bool
) -> None:
    @program.refusing
    def task() -> None:
        if not wrapped:
            raise error
        raise RuntimeError("a library says no more") from error

    with pytest.raises(SystemExit) as ended:
        task()
    printed = capsys.readouterr().err
    assert ended.value.code == code
    assert words in printed and printed.count("\n") == 1


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("x"), AssertionError(), MlflowException("else")])
def test_a_fault_of_the_program_keeps_its_traceback(capsys: pytest.CaptureFixture[str], error: Exception) -> None:
    def fail() -> None:
        raise error

    call: Callable[[], None] = program.refusing(fail)
    with pytest.raises(SystemExit) as ended:
        call()
    printed = capsys.readouterr().err
    assert ended.value.code == 1
    assert "Traceback" in printed and "in fail" in printed
    assert "a fault of the program, and not of your input" in printed.splitlines()[-1]
