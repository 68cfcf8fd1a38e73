"""Store: where MLflow keeps runs. Its own settings decide; the default is a sqlite file in the working directory."""

import logging
import os
import re
import sqlite3
from pathlib import Path

import requests
from filelock import FileLock
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from ..errors import InputError, TryAgainError, cause_of, first_line

log = logging.getLogger(__name__)


def connect() -> str:
    """Make the tracking store usable and return its URI; no experiment is made.

    A sqlite file is created and migrated once, under a lock, and set to write-ahead logging, so that several trainings
    can share it. A server is asked whether it is there. ``MLFLOW_TRACKING_URI`` is obeyed.

    Raises InputError if the store cannot be reached, or was moved or copied.
    """
    uri = (os.environ.get("MLFLOW_TRACKING_URI") or "").strip()  # secrets often end with a line break
    if uri:
        os.environ["MLFLOW_TRACKING_URI"] = uri
    else:
        uri = f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    if uri.startswith(_SQLITE):
        _require_plain(uri)
        _prepare_sqlite(Path(uri.removeprefix(_SQLITE)), uri)
    elif uri.startswith(("http://", "https://")):
        _require_server(uri)
    elif uri.startswith(("postgresql", "mysql", "mssql")):
        _require_database(uri)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a bar per file would bury what we print
    import mlflow  # takes seconds to import, and is not needed to refuse an absent server

    mlflow.set_tracking_uri(uri)
    if uri.startswith(_SQLITE):
        from .relocation import require_home

        require_home(Path(uri.removeprefix(_SQLITE)))
    else:
        try:
            mlflow.MlflowClient().search_experiments(max_results=1)
        except Exception as error:  # every kind of store has exceptions of its own, missing drivers among them
            raise _refusal(f"MLflow at {without_secrets(uri)} cannot be used", error) from error
    return uri


def is_cut(error: BaseException | None) -> bool:
    """Tell whether an exception comes from a server that went away in the middle of its answer."""
    while error is not None:
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            return True
        error = cause_of(error)
    return False


def open_experiment(name: str) -> None:
    """Open an MLflow experiment for the runs that follow; make it if it is absent.

    ``MLFLOW_EXPERIMENT_NAME`` and ``MLFLOW_EXPERIMENT_ID`` are obeyed. A command opens the experiment only once it can
    no longer be refused, so that a refused command leaves no empty experiment.

    Raises InputError if it was deleted, or cannot be made.
    """
    import mlflow

    known = os.environ.get("MLFLOW_EXPERIMENT_ID")
    name = known or os.environ.get("MLFLOW_EXPERIMENT_NAME") or name
    try:
        opened = mlflow.get_experiment(known) if known else mlflow.set_experiment(name)
        _try_artifacts(opened.artifact_location)
    except Exception as error:  # every kind of store has exceptions of its own, missing drivers among them
        where = without_secrets(mlflow.get_tracking_uri())
        raise _refusal(f"MLflow at {where} cannot open the experiment {name}", error) from error
    if mlflow.get_tracking_uri().startswith(_SQLITE):
        from .relocation import record_home

        record_home(Path(mlflow.get_tracking_uri().removeprefix(_SQLITE)), opened)


def _try_artifacts(location: str) -> None:
    """Load the driver of an artifact store, so that a missing driver shows before any work is done."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(location)
    if location.startswith("s3://"):
        repository._get_s3_client()  # type: ignore[attr-defined]


def _refusal(what: str, error: Exception) -> InputError:
    """Return the error that refuses a store; it asks to try again if another program has locked the store."""
    kind = TryAgainError if "locked" in str(error) else InputError
    install = f": pip install {error.name}" if isinstance(error, ImportError) and error.name else ""
    return kind(f"{what}: {_reason(error)}{install}")


_SQLITE = "sqlite:///"


def _require_plain(uri: str) -> None:
    """Refuse a path that MLflow would read as an address, since it would then use another file."""
    path = uri.removeprefix(_SQLITE)
    if odd := re.search(r"\?|%[0-9A-Fa-f]{2}", path):
        raise InputError(
            f"{path}: {odd[0]} in a folder's name is read by MLflow as part of an address: rename the folder, or set "
            "MLFLOW_TRACKING_URI to a store elsewhere"
        )


def _require_server(uri: str) -> None:
    try:
        # Any answer will do: behind a login even the health page may be refused.
        requests.get(f"{uri.rstrip('/')}/health", timeout=10)
    except requests.RequestException as error:
        raise TryAgainError(
            f"no MLflow server answers at {without_secrets(uri)} ({type(error).__name__}): start it, or correct or "
            "unset MLFLOW_TRACKING_URI"
        ) from error


def _require_database(uri: str) -> None:
    """Refuse a database that does not answer, since MLflow itself would retry for minutes."""
    try:
        with create_engine(uri).connect():
            pass
    except Exception as error:  # each driver has exceptions of its own, and may be missing
        refusal = _refusal(f"the database {without_secrets(uri)} cannot be used", error)
        refused = re.search(r"password|authentication|does not exist", str(error))
        away = isinstance(error, OperationalError) and not refused
        raise (TryAgainError(str(refusal)) if away else refusal) from error


# Where a further address may begin in a text. A password may look like the start of an address, so only this pattern
# counts as one.
_NEXT = re.compile(
    r"(?<![^\s'\"(<])((?:https?|file|sqlite|postgresql|mysql|mssql|oracle|databricks|models|runs|mlflow-artifacts"
    r"|s3|gs|abfss?|wasbs?|hdfs|dbfs|s?ftp)(?:\+\w+)?://)"
)


def without_secrets(text: str) -> str:
    """Return a text without the logins and queries of its addresses, which may contain passwords and keys.

    A password may hold anything, even blanks and quotes. So everything from the ``://`` of an address to the last at
    sign before the next address is left out: better too much than too little.
    """
    if not (opening := re.search(r"[A-Za-z][A-Za-z0-9+.-]*://", text)):
        return text
    first, *rest = _NEXT.split(text[opening.end() :])
    schemes, afters = [opening[0], *rest[::2]], [first, *rest[1::2]]
    addresses = zip(schemes, afters, strict=True)
    return text[: opening.start()] + "".join(scheme + _shown(scheme, after) for scheme, after in addresses)


def _shown(scheme: str, after: str) -> str:
    """Return the presentable part of an address, with the text after it."""
    if not scheme.startswith(("sqlite", "file", "models", "runs")):
        login, at, where = after.rpartition("@")
        if "?" in login:  # a password with a question mark, or a query with an at sign: what follows may belong to it
            where = "..." + re.sub(r"^\S*", "", where)
        after = where if at else after
    return re.sub(r"\?\S*", "", after, count=1)


def _prepare_sqlite(file: Path, uri: str) -> None:
    if not file.parent.is_dir():
        raise InputError(f"the store {file} cannot be opened: the folder {file.parent} does not exist: create it")
    try:
        with FileLock(f"{file}.lock"):
            with sqlite3.connect(file) as database:
                mode = database.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            database.close()
            if mode != "wal":
                log.info("note: %s cannot use write-ahead logging here (%s); logging will be slower", file, mode)
            import mlflow

            # The first client runs the migrations; two at once would break each other.
            mlflow.MlflowClient(uri).search_experiments(max_results=1)
    except Exception as error:  # exceptions of sqlite, of the file system, and of MLflow's several layers
        raise _refusal(f"the store {file} cannot be opened", error) from error


def _reason(error: Exception) -> str:
    """Return why a store cannot be opened, and what to do."""
    text = str(error)
    if "locked" in text:
        return "another program has locked it: end that, or wait for it"
    if found := re.search(r"found version (\w+), but expected (\w+)", text):
        return (
            f"its tables are version {found[1]}, and this MLflow's are {found[2]}: if they are older, back the file up "
            "and run mlflow db upgrade; if a newer MLflow wrote them, install that one"
        )
    if re.search(r"readonly|read-only|Permission denied|unable to open database|not a database", text):
        return f"{first_line(error)}: check that it is a sqlite file and writable"
    return first_line(error)
