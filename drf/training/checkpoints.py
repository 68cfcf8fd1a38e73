"""Checkpoints: finished fits on disk until their training has ended, so that a killed command can be resumed.

A training is identified by what its numbers depend on: data, settings, code and library versions. Each finished fit has
its own file, written under another name and then renamed, so that a file is complete or absent. The folder is locked
during the training and emptied when it has ended well. A killed process leaves its lock free.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import joblib
from filelock import FileLock, Timeout

from ..errors import InputError

LOCK = "lock"

_DIGEST = hashlib.sha256().digest_size


class Checkpoints:
    """Context with the finished fits of one training.

    ``restored`` counts fits left by an interrupted training. ``refused`` counts such fits that were damaged or belonged
    to another user.

    Args:
        folder: Folder for checkpoints; this training makes its own folder inside it.
        identity: Digest of everything that the training's numbers depend on, besides the task of each fit.
    """

    def __init__(self, folder: str, identity: Mapping[str, Any]) -> None:
        text = json.dumps(identity, sort_keys=True, default=str)
        self.path = Path(folder).absolute() / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.lock = FileLock(self.path / LOCK, timeout=0)
        self.restored = self.refused = 0

    def __enter__(self) -> Checkpoints:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock.acquire()
        except Timeout:
            pass  # the same training runs twice at once: each run may use the fits that the other has finished
        except OSError as error:
            raise InputError(f"compute.checkpoints: {self.path} cannot be used ({error.strerror})") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.owned:
            return
        if kind is None:
            shutil.rmtree(self.path, ignore_errors=True)
        self.lock.release()

    @property
    def owned(self) -> bool:
        """Tell whether this process is the only one that works on the training."""
        return self.lock.is_locked

    def load(self, task: Any) -> Any:
        """Return the result of a task, or None if there is no trusted result. An untrusted result is deleted and
        counted.

        A result is trusted if the same user wrote it for this very task and no bit has changed. The check is needed
        because reading a result runs its code.
        """
        file = self._file(task)
        if not file.is_file():
            return None
        written = file.read_bytes()
        digest, content = written[:_DIGEST], written[_DIGEST:]
        if digest != _digest(file, content) or not _is_own(file):
            self.refused += 1
            with suppress(OSError):  # another user's file cannot be deleted: it is overwritten, or refused again
                file.unlink(missing_ok=True)
            return None
        self.restored += 1
        return joblib.load(io.BytesIO(content))

    def keep(self, task: Any, result: Any) -> None:
        """Keep the result of a task.

        Raises InputError if there is no room for it.
        """
        file = self._file(task)
        try:
            self._write(result, file)
        except FileNotFoundError:
            pass  # the same training ran twice at once, and the other has ended and cleaned up
        except OSError as error:
            raise InputError(
                f"compute.checkpoints: {self.path}: {error.strerror}: make room, then give the same command again"
            ) from error

    def _write(self, result: Any, file: Path) -> None:
        """Write a result under another name and rename the file, so that it is complete or absent."""
        with tempfile.NamedTemporaryFile(dir=self.path, suffix=".part", delete=False) as part:
            pass
        try:
            content = io.BytesIO()
            joblib.dump(result, content)
            with open(part.name, "wb") as stream:
                stream.write(_digest(file, content.getvalue()))
                stream.write(content.getvalue())
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part.name, file)  # the file is closed by now: not every system renames an open file
        except BaseException:
            os.unlink(part.name)
            raise

    def _file(self, task: Any) -> Path:
        return self.path / f"{joblib.hash(task)}.fit"


def _digest(file: Path, content: bytes) -> bytes:
    """Return the SHA-256 of a result together with its file name, which identifies the task."""
    return hashlib.sha256(file.name.encode() + content).digest()


def _is_own(file: Path) -> bool:
    """Tell whether this user wrote a file, where the system can say so."""
    return not hasattr(os, "getuid") or file.stat().st_uid == os.getuid()


def is_dead(folder: Path) -> bool:
    """Tell whether no process is using the training whose checkpoints are in this folder."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        if not folder.is_dir():
            return True
        if not (folder / LOCK).is_file() or not _is_own(folder / LOCK):  # a folder path given by another user
            return False
        lock.acquire()
    except (Timeout, OSError, ValueError):
        return False
    lock.release()
    return True
