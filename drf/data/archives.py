"""Packed files, unpacked up to a size limit as they are read."""

import bz2
import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_MOST_TIMES, _ALWAYS = 100, 64 * 2**20
"""Limits on the expanded size: a multiple of the packed size, or a fixed number of bytes if larger. Tables of numbers
compress by a factor of three to thirty. An archive that expands further was made to fill a disk or memory."""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open the file's uncompressed bytes; for an archive, open the only table in it.

    Raises ValueError if an archive holds several tables, or, while being read, expands out of all proportion.
    """
    ending = path.suffix.lower()
    if ending not in (".zip", ".gz", ".bz2"):
        with path.open("rb") as file:
            yield file
        return
    most = max(_ALWAYS, _MOST_TIMES * path.stat().st_size)
    with _unpacked(path, ending) as content:
        yield io.BufferedReader(_Limited(content, most), 2**16)


def require_proportion(path: Path) -> None:
    """Refuse a workbook (also an archive) that expands out of all proportion; raises ValueError."""
    with zipfile.ZipFile(path) as packed:
        if sum(part.file_size for part in packed.infolist()) > max(_ALWAYS, _MOST_TIMES * path.stat().st_size):
            raise ValueError(_TOO_LARGE)


@contextmanager
def _unpacked(path: Path, ending: str) -> Iterator[Any]:
    if ending == ".zip":
        with zipfile.ZipFile(path) as packed:
            inside = [name for name in packed.namelist() if not name.startswith("__MACOSX") and name[-1] != "/"]
            if len(inside) != 1:
                raise ValueError(f"{len(inside)} files in the archive: give one with one table")
            with packed.open(inside[0]) as file:
                yield file
    else:
        with gzip.open(path) if ending == ".gz" else bz2.open(path) as file:
            yield file


_TOO_LARGE = f"it expands to more than {_MOST_TIMES} times its size: unpack it yourself if it is what you expect"


class _Limited(io.RawIOBase):
    """Bytes of another stream, of which no more than ``most`` can be read."""

    def __init__(self, content: IO[bytes], most: int) -> None:
        self._content, self._left = content, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._content.read(len(buffer))
        self._left -= len(part)
        if self._left < 0:
            raise ValueError(_TOO_LARGE)
        buffer[: len(part)] = part
        return len(part)
