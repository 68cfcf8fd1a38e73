"""Shared table: a large table of numbers in a file, which all processes of a machine read without a copy."""

import os
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

import numpy as np
from filelock import FileLock, Timeout
from joblib.externals.loky.backend import resource_tracker

from ..errors import InputError

IN_MEMORY = 2**25
"""Bytes up to which a table stays in memory: sending it to workers costs less than a file."""

_PREFIX, _LOCK = "drf-table-", "lock"

_NEW = 60
"""Seconds in which a new folder may still lack its lock."""


def shared_table(rows: int, columns: int) -> np.ndarray:
    """Return a table of float32 to be filled, shape (rows, columns).

    A large one is a file in the folder for temporary files. It goes with the table, or when the process ends or is
    killed. If the process's helpers are killed too, the next process that makes a large table deletes it.

    Raises InputError if there is no room for it.
    """
    size = 4 * rows * columns
    if size <= IN_MEMORY:
        return np.empty((rows, columns), dtype=np.float32)
    _sweep()
    place, folder = tempfile.gettempdir(), None
    try:
        folder = tempfile.mkdtemp(prefix=_PREFIX)
        resource_tracker.register(folder, "folder")
        lock = FileLock(Path(folder, _LOCK), timeout=0)
        lock.acquire()
        _reserve(Path(folder, "table"), size)
    except OSError as error:
        if folder:
            _delete(folder)
        raise InputError(
            f"{place}: {error.strerror}: {size / 2**20:,.0f} MB of ranks are kept there: make room, or set TMPDIR to "
            "another folder"
        ) from error
    table = np.memmap(Path(folder, "table"), np.float32, "r+", shape=(rows, columns))
    weakref.finalize(table, _delete, folder, lock)
    return table


def _sweep() -> None:
    """Delete the folders of processes that were killed together with their helpers: nobody holds their lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, Timeout):  # another user's, or in use
            if time.time() - folder.stat().st_mtime > _NEW and (folder / _LOCK).is_file():
                with FileLock(folder / _LOCK, timeout=0):
                    rmtree(folder, ignore_errors=True)


def _reserve(file: Path, size: int) -> None:
    """Write the whole file now: if the disk filled up later, the process would be killed without a word."""
    with file.open("wb") as empty:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(empty.fileno(), 0, size)
        else:
            empty.truncate(size)


def _delete(folder: str, lock: FileLock | None = None) -> None:
    if lock is not None:
        lock.release()
    rmtree(folder, ignore_errors=True)
    resource_tracker.unregister(folder, "folder")
