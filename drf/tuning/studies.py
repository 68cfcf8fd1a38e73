"""Where the tuning's studies are kept: in a journal file of one machine, or in a database that several machines share.

In a shared database every running trial sends heartbeats, as Optuna's own optimisation loop does; a trial of a machine
that has died goes to another one with what it had reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import optuna
from optuna.storages import (
    BaseStorage,
    JournalStorage,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
    fail_stale_trials,
)
from optuna.storages._heartbeat import get_heartbeat_thread, is_heartbeat_enabled
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ..errors import InputError, first_line

HEARTBEAT = 20  # seconds
GRACE = 90  # seconds without a heartbeat after which a trial is taken for dead


def check_address(address: str) -> None:
    """Refuse what is no address of a database, and one that holds a password: addresses are logged.

    Raises
    ------
    InputError
        Without the password.
    """
    try:
        password = make_url(address).password
    except ArgumentError:
        raise InputError(
            "tuning.storage: is not the address of a database, such as postgresql+psycopg2://USER@HOST/DATABASE"
        ) from None
    if password is not None:
        raise InputError("tuning.storage: holds a password, which would be logged: leave it out, and set PGPASSWORD")


def open_storage(journal: str, address: str | None) -> BaseStorage:
    """The database at ``address``, or the journal file if there is none.

    Raises
    ------
    InputError
        If the database cannot be opened.
    """
    if address is None:
        return JournalStorage(JournalFileBackend(journal))
    again = RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)
    try:
        return RDBStorage(
            address, heartbeat_interval=HEARTBEAT, grace_period=GRACE, heartbeat_stale_trial_callback=again
        )
    except ImportError as error:
        raise InputError(f"tuning.storage={address}: {first_line(error)}: pip install 'drf[server]'") from error
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        reason = first_line(error.__cause__ or error)
        raise InputError(f"tuning.storage={address}: the database cannot be opened ({reason})") from error


def is_shared(study: optuna.Study) -> bool:
    """Whether other machines may work on the study."""
    return is_heartbeat_enabled(study._storage)


def abandoned(study: optuna.Study) -> list[Trial]:
    """The open trials that an interrupted training has left to this one; in a shared database they wait to be asked."""
    if is_shared(study):
        fail_stale_trials(study)
        return []
    return [Trial(study, trial._trial_id) for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))]


@contextmanager
def alive(trials: Sequence[Trial]) -> Iterator[None]:
    """Send heartbeats of the trials where they are listened to."""
    threads = [get_heartbeat_thread(trial._trial_id, trial.study._storage) for trial in trials]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
