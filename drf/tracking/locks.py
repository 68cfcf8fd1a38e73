"""Locks between commands that work on the same store."""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mlflow
from filelock import FileLock, Timeout

from ..errors import TryAgainError
from .user import user


@contextlib.contextmanager
def store_lock(name: str, purpose: str, wait: float) -> Iterator[None]:
    """Block other commands from the same work: all commands if the store is a sqlite file, else this user's commands on
    this machine.

    Args:
        name: The registered model that is worked on.
        purpose: Kind of work; commands with different purposes do not wait for each other.
        wait: Seconds to wait for another command.

    Raises TryAgainError if another command still holds the lock after that time.
    """
    lock = FileLock(lock_file(name, purpose))
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        raise TryAgainError(
            f"{name} is being changed by another command: wait for it, then give the command again"
        ) from None
    try:
        yield
    finally:
        lock.release()


def lock_file(name: str, purpose: str) -> Path:
    """Return the lock file: next to a sqlite file, or among this user's temporary files."""
    uri = mlflow.get_tracking_uri()
    if uri.startswith("sqlite:///"):
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        return Path(f"{uri.removeprefix('sqlite:///')}.{digest}.{purpose}.lock")
    digest = hashlib.sha256(f"{uri} {name}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"drf-{user()}-{digest}.{purpose}.lock"
