"""Shared table: a large table of numbers in a file, which all processes of a machine read without a copy."""

import os
import tempfile
import weakref
from pathlib import Path
from shutil import rmtree

import numpy as np
from joblib.externals.loky.backend import resource_tracker

from ..errors import InputError

IN_MEMORY = 2**25
"""Bytes up to which a table stays in memory: sending it to workers costs less than a file."""


def shared_table(rows: int, columns: int) -> np.ndarray:
    """Return a table of float32 to be filled, shape (rows, columns).

    A large one is a file in the folder for temporary files. It is deleted with the table, or when the process ends,
    even if it is killed.

    Raises InputError if there is no room for it.
    """
    if 4 * rows * columns <= IN_MEMORY:
        return np.empty((rows, columns), dtype=np.float32)
    folder = tempfile.mkdtemp(prefix="drf-")
    resource_tracker.register(folder, "folder")
    file, size = Path(folder, "table"), 4 * rows * columns
    try:
        _reserve(file, size)
    except OSError as error:
        _delete(folder)
        place = Path(folder).parent
        raise InputError(
            f"{place}: {error.strerror}: {size / 2**30:.1f} GB of ranks are kept there: make room, or set TMPDIR to "
            "another folder"
        ) from error
    table = np.memmap(file, np.float32, "r+", shape=(rows, columns))
    weakref.finalize(table, _delete, folder)
    return table


def _reserve(file: Path, size: int) -> None:
    """Write a file of a size; where the disk fills up later, the process would be killed without a word."""
    with file.open("wb") as empty:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(empty.fileno(), 0, size)
        else:
            empty.truncate(size)


def _delete(folder: str) -> None:
    rmtree(folder, ignore_errors=True)
    resource_tracker.unregister(folder, "folder")
