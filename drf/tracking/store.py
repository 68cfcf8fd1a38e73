"""Store: where MLflow keeps runs. Its own settings decide; the default is a sqlite file in the working directory."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from pathlib import Path

import requests
from filelock import FileLock

from ..errors import InputError, TryAgainError, first_line

log = logging.getLogger(__name__)


def connect(experiment: str) -> str:
    """Make the tracking store usable and return its URI.

    A sqlite file is created and migrated once, under a lock, and set to write-ahead logging, so that several trainings
    can share it. A server is asked whether it is there. ``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME`` and
    ``MLFLOW_EXPERIMENT_ID`` are obeyed.

    Raises
    ------
    InputError
        If the store cannot be reached.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    if uri.startswith("sqlite:///"):
        _prepare_sqlite(Path(uri.removeprefix("sqlite:///")), uri)
    elif uri.startswith(("http://", "https://")):
        _require_server(uri)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a bar per file would bury what we print
    import mlflow  # seconds to import, and not needed to refuse a server that is not there

    mlflow.set_tracking_uri(uri)
    try:
        if known := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            opened = mlflow.get_experiment(known)
        else:
            opened = mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or experiment)
    except Exception as error:  # every kind of store has exceptions of its own, missing drivers among them
        raise InputError(
            f"MLflow at {without_secrets(uri)} cannot open the experiment "
            f"{known or os.environ.get('MLFLOW_EXPERIMENT_NAME') or experiment}: {first_line(error)}"
        ) from error
    if uri.startswith("sqlite:///"):
        from .relocation import require_home

        require_home(Path(uri.removeprefix("sqlite:///")), opened)
    return uri


def _require_server(uri: str) -> None:
    try:
        # Any answer will do: behind a login even the health page may be refused.
        requests.get(f"{uri.rstrip('/')}/health", timeout=10)
    except requests.RequestException as error:
        raise TryAgainError(
            f"no MLflow server answers at {without_secrets(uri)} ({type(error).__name__}): start it, or correct or "
            "unset MLFLOW_TRACKING_URI"
        ) from error


# Where a further address may begin in a text. A password may look like the beginning of an address, so nothing else
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
        raise InputError(f"MLFLOW_TRACKING_URI={uri}: the folder {file.parent} does not exist: create it")
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
        raise InputError(f"MLFLOW_TRACKING_URI={uri}: cannot be opened: {_reason(error)}") from error


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
    return f"{first_line(error)}: check that it is a sqlite file and writable"
