"""Runs of one invocation: a parent, one child per row, and trials below the family's plain row."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import mlflow
import numpy as np
import pandas as pd
from filelock import FileLock
from mlflow.data.dataset import Dataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID

from ..data.calendar import in_words
from ..data.files import write_csv, write_parquet
from ..errors import InputError, first_line
from ..models.catalogue import ModelRow
from ..training.checkpoints import LOCK, is_dead
from .store import is_cut, without_secrets
from .user import user

# Where a program runs, and the folder that it locks: for a training, the folder with its finished fits.
_HOST, _USER, _CHECKPOINTS = "host", "user", "checkpoints"

_BATCH = 900  # MLflow's servers take at most 1,000 metrics and 100 params or tags in one request
_SHORT_BATCH = 90

MLFLOW_RUN_COLOR = "mlflow.runColor"
"""The tag by which MLflow colours a run in its list and charts."""

NOTE = "mlflow.note.content"
"""The tag in which MLflow keeps the description of a run or an experiment."""

_LONGEST_NOTE = 8000

REPORT = "report.html"
"""Name of the report among the artifacts of a run."""


class RunLog:
    """Writer of one run."""

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        self.client = client
        self.run_id = run_id
        self._of: dict[str, str] = {}

    def params(self, params: Mapping[str, Any]) -> None:
        """Log settings; MLflow cuts values that are too long for it, with a warning."""
        entries = [Param(key, str(value)) for key, value in params.items()]
        for part in _parts(entries, _SHORT_BATCH):
            self._write(self.client.log_batch, params=part)

    def tags(self, tags: Mapping[str, str]) -> None:
        entries = [RunTag(key, value) for key, value in tags.items()]
        for part in _parts(entries, _SHORT_BATCH):
            self._write(self.client.log_batch, tags=part)

    def metrics(self, metrics: Mapping[str, float], model_id: str | None = None) -> None:
        """Log numbers; those that could not be estimated (NaN) are named in the tag ``not_estimated`` instead.

        The numbers refer to the data that :meth:`input` named before. ``model_id``: the logged model to which the
        numbers belong.
        """
        now = int(time.time() * 1000)
        known = {key: value for key, value in metrics.items() if np.isfinite(value)}
        where = {"model_id": model_id, "run_id": self.run_id, **self._of}
        entries = [Metric(key, value, now, 0, **where) for key, value in known.items()]
        for part in _parts(entries, _BATCH):
            self._write(self.client.log_batch, metrics=part)
        if missing := sorted(set(metrics) - set(known)):
            self.tags({"not_estimated": ", ".join(missing)})

    def input(self, dataset: Dataset, context: str) -> None:
        """Name the data that the run has used; ``context``: their purpose."""
        tag = InputTag(MLFLOW_DATASET_CONTEXT, context)
        self._write(self.client.log_inputs, datasets=[DatasetInput(dataset._to_mlflow_entity(), [tag])])
        self.of_data(dataset.name, dataset.digest)

    def of_data(self, name: str, digest: str) -> None:
        """Name the data to which the numbers logged from now on refer."""
        self._of = {"dataset_name": name, "dataset_digest": digest}

    def monthly(self, series: pd.DataFrame) -> None:
        """Log a table with one row a month under ``monthly/<column>``; the step is the position of the month."""
        now = int(time.time() * 1000)
        entries = [
            Metric(f"monthly/{name}", float(value), now, step)
            for name, column in series.items()
            for step, value in enumerate(column)
            if np.isfinite(value)
        ]
        for part in _parts(entries, _BATCH):
            self._write(self.client.log_batch, metrics=part)

    def tables(self, tables: Mapping[str, pd.DataFrame | None]) -> None:
        """Log tables as artifacts in one go; each name may include folders, and its ending selects Parquet or CSV.

        A None is left out.
        """
        with tempfile.TemporaryDirectory() as folder:
            for name, table in tables.items():
                if table is not None:
                    _write(table, Path(folder) / name)
            self._write(self.client.log_artifacts, local_dir=folder)

    def figures(self, figures: Mapping[str, bytes]) -> None:
        """Log PNG files by name under ``figures/``."""
        with tempfile.TemporaryDirectory() as folder:
            for name, png in figures.items():
                (Path(folder) / f"{name}.png").write_bytes(png)
            self._write(self.client.log_artifacts, local_dir=folder, artifact_path="figures")

    def read_text(self, name: str) -> str | None:
        """Return a text artifact; None if the run has none of that name."""
        if name not in {entry.path for entry in self.client.list_artifacts(self.run_id)}:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(self.client.download_artifacts(self.run_id, name, folder)).read_text(encoding="utf-8")

    def text(self, text: str, name: str) -> None:
        self._write(self.client.log_text, text=text, artifact_file=name)

    def describe(self, markdown: str) -> None:
        """Set the Markdown description on the run's page; cut it at MLflow's limit."""
        self._write(self.client.set_tag, key=NOTE, value=in_words(markdown)[:_LONGEST_NOTE])

    def rename(self, name: str) -> None:
        self._write(self.client.update_run, name=name)

    def end(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        self._write(self.client.set_terminated, status=status)

    def _write(self, request: Callable[..., Any], **content: Any) -> None:
        """Write to the run, and once more if the server broke off its answer.

        MLflow itself retries requests that got no answer, but not those whose answer was cut short. Writing the same
        content twice does not change the run.
        """
        try:
            request(self.run_id, **content)
        except Exception as error:  # MLflow wraps the exceptions of its transports
            if not is_cut(error):
                raise
            request(self.run_id, **content)


def metrics_are_of(client: mlflow.MlflowClient, run_id: str, model_id: str) -> None:
    """Link a run's plain metrics to a logged model and to the run's data."""
    run = client.get_run(run_id)
    log = RunLog(client, run_id)
    for used in run.inputs.dataset_inputs if run.inputs else []:
        log.of_data(used.dataset.name, used.dataset.digest)
    log.metrics({key: value for key, value in run.data.metrics.items() if "/" not in key}, model_id)


def dataset_of(panel: pd.DataFrame, source: str, fingerprint: str) -> Dataset:
    """Return a panel as MLflow's dataset: its source and its fingerprint."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # warning that a file may be read in more ways than one
        made: Dataset = mlflow.data.from_pandas(  # type: ignore[attr-defined]
            panel, source=source, name="panel", digest=fingerprint
        )
    return made


def _write(table: pd.DataFrame, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".csv":
        write_csv(table, file)
    else:
        write_parquet(table, file)


def _parts(entries: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


class Locked(Protocol):
    """A folder whose lock tells whether the process that works on it is alive."""

    path: Path

    @property
    def owned(self) -> bool:
        """Tell whether no other process holds the lock."""
        ...


class Presence:
    """Context with a locked folder that tells whether the process is alive, for programs without checkpoints."""

    def __enter__(self) -> Presence:
        self.path = Path(tempfile.mkdtemp(prefix="drf-"))
        self._lock = FileLock(self.path / LOCK)
        self._lock.acquire()
        return self

    @property
    def owned(self) -> bool:
        return True

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


class RunTree:
    """Context that opens a parent run, or takes over that of ``mlflow run``, and closes every run it holds.

    On an exception, Ctrl-C and SIGTERM included, all runs still open end as FAILED.
    """

    def __init__(self, name: str, work: Locked | None = None) -> None:
        self.client = mlflow.MlflowClient()
        self.name = name
        self.work = work
        self._open: dict[str, RunLog] = {}

    def __enter__(self) -> RunTree:
        self.opened = time.perf_counter()
        leave_what_is_taken(self.client)
        # start_run adopts MLFLOW_RUN_ID, which mlflow run sets; a name would rename that run.
        active = mlflow.start_run(run_name=self.name, tags=self._marks)  # tagged at once, as the program may be killed
        self.experiment_id = active.info.experiment_id
        self.parent = RunLog(self.client, active.info.run_id)
        if self.work is not None:
            self._close_the_dead(self.work)
        return self

    @property
    def _marks(self) -> dict[str, str]:
        """Tags by which a later program finds out that this one was killed."""
        if self.work is None:
            return {}
        return {_HOST: platform.node(), _CHECKPOINTS: str(self.work.path)}

    def _close_the_dead(self, own: Locked) -> None:
        """End the runs that MLflow believes to be running although their program on this machine was killed."""
        here = f"attributes.status = 'RUNNING' and tags.{_HOST} = '{platform.node()}'"
        for run in self.client.search_runs([self.experiment_id], here, max_results=1000):
            if _CHECKPOINTS not in run.data.tags:  # a run of somebody else's program
                continue
            folder = Path(run.data.tags[_CHECKPOINTS])
            dead = own.owned if folder == own.path else is_dead(folder)
            if dead and run.info.run_id != self.parent.run_id:
                self.client.set_terminated(run.info.run_id, "KILLED")

    def child(self, name: str, tags: Mapping[str, str], below: RunLog | None = None) -> RunLog:
        """Open a run below the parent, or below another run; it stays open until :meth:`close` or the end."""
        parent = below or self.parent
        run = self.client.create_run(
            self.experiment_id, run_name=name, tags={**tags, **self._marks, MLFLOW_PARENT_RUN_ID: parent.run_id}
        )
        log = RunLog(self.client, run.info.run_id)
        self._open[log.run_id] = log
        return log

    def row(self, row: ModelRow) -> RunLog:
        """Open the run of a row of the comparison, in its colour, tagged with its training's name."""
        tags = {"kind": "row", "family": row.family, "training": self.name, MLFLOW_RUN_COLOR: row.colour}
        return self.child(row.name, tags)

    def close(self, log: RunLog, status: str = "FINISHED") -> None:
        self._open.pop(log.run_id, None)
        log.end(status)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = "FINISHED" if kind is None else "FAILED"
        try:
            for log in list(self._open.values()):
                self.close(log, status)
            if error is not None:
                self.parent.tags({"error": without_secrets(f"{type(error).__name__}: {error}")[:500]})
        finally:
            mlflow.end_run(status)  # otherwise MLflow would end it at exit, as if all had been well


@dataclass(frozen=True)
class RunPlace:
    """Place of a result in MLflow: the address of the store without secrets, and MLflow's own ids."""

    store: str
    experiment_id: str
    run_id: str

    @classmethod
    def of(cls, store: str, tree: RunTree) -> RunPlace:
        """Return the location of the parent run of an open run tree."""
        return cls(store, tree.experiment_id, tree.parent.run_id)


@contextlib.contextmanager
def whole_run(client: mlflow.MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str]) -> Iterator[RunLog]:
    """Open a run that is FINISHED only at the end of the context, and does not count before then.

    Callers open runs of one kind under a lock, so they may call :func:`close_the_dead` first.
    """
    run = client.create_run(experiment_id, run_name=name, tags={**tags, _HOST: platform.node(), _USER: user()})
    log = RunLog(client, run.info.run_id)
    try:
        yield log
    except BaseException as error:
        with contextlib.suppress(Exception):  # the store itself may be what failed
            log.tags({"error": without_secrets(f"{type(error).__name__}: {error}")[:500]})
            log.end("FAILED")
        raise
    log.end("FINISHED")


def close_the_dead(client: mlflow.MlflowClient, experiment_id: str, kind: str, model: str) -> None:
    """End this user's runs of one kind for a model on this machine, once a lock shows that no such run is active."""
    where = {
        "attributes.status": "RUNNING",
        "tags.kind": kind,
        "tags.registered_model": model,
        f"tags.{_HOST}": platform.node(),
        f"tags.{_USER}": user(),
    }
    which = " and ".join(f"{key} = '{value}'" for key, value in where.items())
    for run in client.search_runs([experiment_id], which, max_results=1000):
        client.set_terminated(run.info.run_id, "KILLED")


def leave_what_is_taken(client: mlflow.MlflowClient) -> None:
    """Forget the run that ``mlflow run`` opened if another program of this project has taken it over.

    Raises InputError if there is no such run.
    """
    run_id = os.environ.get("MLFLOW_RUN_ID")
    if run_id is None:
        return
    try:
        run = client.get_run(run_id)
    except mlflow.MlflowException as error:
        raise InputError(f"MLFLOW_RUN_ID={run_id}: there is no such run ({first_line(error)}): unset it") from error
    if run.info.lifecycle_stage != "active":
        raise InputError(f"MLFLOW_RUN_ID={run_id}: the run is deleted: unset it, or restore the run")
    taken = "kind" in run.data.tags
    if taken:
        del os.environ["MLFLOW_RUN_ID"]


def git_commit() -> str:
    """Return the commit of the running code, with ``-dirty`` if files differ; ``unknown`` outside a checkout."""
    here = Path(__file__).resolve().parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()
