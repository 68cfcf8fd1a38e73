"""Failures outside the program: messages for a full disk, a locked store or an unreachable server.

Each is one line with its remedy. Exit code 75 means that the same command may succeed a little later.
"""

import errno
from dataclasses import dataclass

from ..errors import ChampionError, InputError, TryAgainError, cause_of, first_line

REFUSED, HELD_BACK, ALARM, TRY_AGAIN, NOTHING_TO_DO, INTERRUPTED = 2, 3, 4, 75, 99, 130
"""Exit codes for refused input, unusual inputs (nothing issued), an alarm about the champion or live record, another
running command or an unreachable store, work already done, and Ctrl-C."""

FULL_DISK = "no space is left on the disk: make room, then give the same command again"

_OF_THE_SYSTEM = {
    errno.ENOSPC: FULL_DISK,
    errno.EDQUOT: "your quota of disk space is used up: make room, then give the same command again",
    errno.EROFS: "{file} is on a disk that can only be read: work in another folder",
    errno.EFBIG: "{file} would become larger than this disk or your limits allow (ulimit -f): raise them",
    errno.EIO: "the disk reports an error at {file}: check it, then give the same command again",
    errno.ENOLCK: "the disk of {file} has no file locks: keep the project on a local disk, or use an MLflow server",
    errno.EACCES: "{file} may not be written or read by you: correct its rights",
    errno.EPERM: "{file} may not be changed by you: correct its rights",
    errno.EMFILE: "too many files are open (ulimit -n): raise the limit",
}


@dataclass(frozen=True)
class Failure:
    """A failure in one line, and the exit code of the command."""

    text: str
    code: int = REFUSED


def failure_of(error: BaseException | None) -> Failure | None:
    """Return the failure for an exception, even if a library wrapped it; None if the program is at fault."""
    while error is not None:
        if (found := _one(error)) is not None:
            return found
        error = cause_of(error)
    return None


def _one(error: BaseException) -> Failure | None:
    if isinstance(error, InputError):
        code = ALARM if isinstance(error, ChampionError) else TRY_AGAIN if isinstance(error, TryAgainError) else REFUSED
        return Failure(str(error), code)
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted: the same command goes on from the work that is finished", INTERRUPTED)
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
        return Failure(_OF_THE_SYSTEM[error.errno].format(file=error.filename or "a file"))
    return _of_a_database(error) or _of_a_server(error)


def _of_a_database(error: BaseException) -> Failure | None:
    text, kind = str(error), type(error).__name__
    if kind not in ("OperationalError", "DatabaseError", "InterfaceError", "MlflowException"):
        return None
    if "disk is full" in text:
        return Failure(FULL_DISK)
    if "locked" in text:
        return Failure("another program has locked MLflow's store: end that, or try again later", TRY_AGAIN)
    if "readonly database" in text or "attempt to write a readonly" in text:
        return Failure("MLflow's store can only be read: correct the rights of its file and folder")
    if "malformed" in text or "not a database" in text:
        return Failure(f"MLflow's store is damaged ({first_line(error)}): put back a copy of it")
    if getattr(error, "connection_invalidated", False) or ("connect" in text and kind != "MlflowException"):
        return Failure(f"MLflow's store cannot be reached ({first_line(error)}): try again later", TRY_AGAIN)
    return None


def _of_a_server(error: BaseException) -> Failure | None:
    import requests

    away = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    if isinstance(error, away):
        return Failure("MLflow's server does not answer: try again later", TRY_AGAIN)
    status = getattr(error, "get_http_status_code", lambda: None)()
    if status in (401, 403):
        return Failure(f"MLflow's server refuses this to you ({first_line(error)}): ask for the rights, or log in")
    if type(error).__name__ == "MlflowException" and any(
        f"error code {code}" in str(error) for code in (502, 503, 504)
    ):
        return Failure("MLflow's server is not available: try again later", TRY_AGAIN)
    return None
