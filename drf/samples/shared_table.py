"""Shared table: a large table of numbers in a file, which all processes of a machine read without a copy."""

import tempfile
import weakref
from pathlib import Path
from shutil import rmtree

import numpy as np
from joblib.externals.loky.backend import resource_tracker

IN_MEMORY = 2**25
"""Bytes up to which a table stays in memory: sending it to workers costs less than a file."""


def shared_table(rows: int, columns: int) -> np.ndarray:
    """Return a table of float32 to be filled, shape (rows, columns).

    A large one is a file in the folder for temporary files. It is deleted with the table, or when the process ends,
    even if it is killed.
    """
    if 4 * rows * columns <= IN_MEMORY:
        return np.empty((rows, columns), dtype=np.float32)
    folder = tempfile.mkdtemp(prefix="drf-")
    resource_tracker.register(folder, "folder")
    file = Path(folder, "table")
    with file.open("wb") as empty:
        empty.truncate(4 * rows * columns)
    table = np.memmap(file, np.float32, "r+", shape=(rows, columns))
    weakref.finalize(table, _delete, folder)
    return table


def _delete(folder: str) -> None:
    rmtree(folder, ignore_errors=True)
    resource_tracker.unregister(folder, "folder")
