"""Studies: a journal file of one machine, or a database that several machines share.

In a shared database every running trial sends heartbeats, as in Optuna's own optimisation loop. If a machine dies, its
trial goes to another machine with the values reported so far.
"""

import json
import logging
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from ..errors import InputError, first_line

log = logging.getLogger(__name__)

HEARTBEAT = 20  # seconds
GRACE = 90  # seconds without a heartbeat after which a trial is taken for dead
ATTEMPTS = 10  # attempts to open a database while others create its tables


def open_storage(journal: str, address: str | None) -> BaseStorage:
    """Open the database at ``address``, or the journal file if it is None.

    Raises InputError if the folder of the journal does not exist, the journal is damaged, or the database cannot be
    opened.
    """
    if address is None:
        folder = Path(journal).absolute().parent
        if not folder.is_dir():
            raise InputError(f"tuning.journal={journal}: the folder {folder} does not exist")
        # The system frees this lock when a process dies. Optuna's own lock needs symbolic links, and half a minute to
        # be freed.
        lock = FileLock(f"{journal}.filelock")
        if Path(journal).is_file():
            with lock:
                _cut_torn_end(Path(journal))
        return JournalStorage(JournalFileBackend(journal, lock_obj=lock))  # type: ignore[arg-type]
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            return _open_database(address)
        except ImportError as error:
            raise InputError(f"tuning.storage={address}: {first_line(error)}: pip install 'drf[server]'") from error
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            reason = first_line(error.__cause__ or error)
            if not (attempts_left and re.search(r"already exists|duplicate key", reason)):
                raise InputError(f"tuning.storage={address}: the database cannot be opened ({reason})") from error
            time.sleep(1)  # another machine makes the tables at this moment
    raise AssertionError("not reached")


def _cut_torn_end(journal: Path) -> None:
    """Cut off a journal's last entry if a full disk or power cut left it half written; the caller holds the journal's
    lock.

    Each line is one entry, so what was written before stays whole.

    Raises InputError if a line before the end is damaged.
    """
    *lines, end = journal.read_bytes().split(b"\n")
    good = list(takewhile(_is_entry, lines))
    torn = [line for line in (*lines[len(good) :], end) if line]
    if len(good) < len(lines) and any(map(_is_entry, lines[len(good) :])):
        raise InputError(
            f"tuning.journal={journal}: line {len(good) + 1} is damaged: put back a copy of the file, or remove it, "
            "and its trials are made again"
        )
    if torn:
        log.warning("note: %s ended in the middle of an entry, which was cut off: the trial is made again", journal)
    if torn or len(good) < len(lines):
        with journal.open("r+b") as file:
            file.truncate(sum(len(line) + 1 for line in good))


def _is_entry(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):  # JSON that cannot be decoded is a ValueError too
        return False


def _open_database(address: str) -> RDBStorage:
    again = RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)
    return RDBStorage(address, heartbeat_interval=HEARTBEAT, grace_period=GRACE, heartbeat_stale_trial_callback=again)


def is_shared(storage: BaseStorage) -> bool:
    """Tell whether other machines may work on the studies."""
    return isinstance(storage, RDBStorage)


def abandoned(study: optuna.Study, storage: BaseStorage, heard_of: set[int]) -> list[Trial]:
    """Return the open trials that an interrupted training left; in a shared database they are requeued instead.

    Optuna notices a dead trial only if it has sent a heartbeat before. So a heartbeat is sent for every trial that this
    process sees for the first time: a machine may die between taking a trial and its first heartbeat. ``heard_of``
    remembers them.
    """
    left = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    if is_shared(storage):
        for identifier in {_identifier(study, trial, storage) for trial in left} - heard_of:
            storage.record_heartbeat(identifier)  # type: ignore[attr-defined]
            heard_of.add(identifier)
        fail_stale_trials(study)
        return []
    return [Trial(study, _identifier(study, trial, storage)) for trial in left]


def _identifier(study: optuna.Study, trial: Trial | FrozenTrial, storage: BaseStorage) -> int:
    """Return a trial's number in the storage, which numbers trials across all studies."""
    of_study = storage.get_study_id_from_name(study.study_name)
    return storage.get_trial_id_from_study_id_trial_number(of_study, trial.number)


@contextmanager
def alive(trials: Sequence[Trial], storage: BaseStorage) -> Iterator[None]:
    """Send heartbeats for the trials if the storage uses heartbeats."""
    if not isinstance(storage, RDBStorage):
        yield
        return
    identifiers = [_identifier(trial.study, trial, storage) for trial in trials]
    ended = threading.Event()

    def beat() -> None:
        while True:
            for identifier in identifiers:
                storage.record_heartbeat(identifier)
            if ended.wait(HEARTBEAT):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
