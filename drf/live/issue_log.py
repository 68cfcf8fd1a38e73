"""Issue log: the issues in the experiment ``drf-live``, and which of its runs can be believed.

A run counts once it is finished, and a run that replaces an earlier one records this itself. So each issue is written
in one step, and a command that is killed leaves none. Anybody may write runs: one that cannot be read, is not signed
although a key asks for it, or lacks its tables is left aside and takes no other's place.
"""

import contextlib
import hashlib
import io
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Run, ViewType

from ..data.calendar import named
from ..errors import InputError, first_few, first_line
from ..registry.signing import require_signature, signature_of
from ..tracking.locks import store_lock
from ..tracking.runs import close_the_dead, whole_run
from .issues import DIGEST, KIND, Issue, Issued
from .orders import turnover

EXPERIMENT = "drf-live"

TABLE, PROMISE = "forecasts.parquet", "promise.parquet"

SIGNATURE = "signature"
"""Tag with the signature of an issue."""

_WAIT = 60  # seconds to wait for another command to finish its issue
_NUMBERS = dict.fromkeys(("prediction", "weight", "held", "trade"), float)
_PROMISED = ("rank_ic", "gross", "net", "turnover", "trials")


def live_experiment(client: mlflow.MlflowClient) -> str:
    """Return the id of the experiment ``drf-live``; create it if it is absent.

    Raises InputError if it was deleted.
    """
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        with contextlib.suppress(mlflow.MlflowException):  # another command has made it meanwhile
            client.create_experiment(EXPERIMENT)
        experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    if experiment.lifecycle_stage != "active":
        raise InputError(
            f"the experiment {EXPERIMENT}, the record of what was issued, was deleted in MLflow: mlflow experiments "
            f"restore --experiment-id {experiment.experiment_id} brings it back"
        )
    return str(experiment.experiment_id)


def read_issues(client: mlflow.MlflowClient, name: str, role: str | None = None) -> list[Issue]:
    """Return the standing issues of a registered model by month, of one role or of all.

    If commands on two machines issued the same month at once, the earlier issue counts. Runs that cannot be trusted are
    left out, see :func:`issues_left_aside`.
    """
    return [issue for issue in _believed(client, name)[0] if role in (None, issue.role)]


def issues_left_aside(client: mlflow.MlflowClient, name: str) -> list[str]:
    """Return a sentence on each apparent issue that is rejected because it is not an issue or was changed."""
    return _believed(client, name)[1]


def _believed(client: mlflow.MlflowClient, name: str) -> tuple[list[Issue], list[str]]:
    every = {run.info.run_id: run for run in _search(client, name, ViewType.ALL)}
    read = {run_id: _read(run) for run_id, run in every.items()}
    there = [run_id for run_id, run in every.items() if run.info.lifecycle_stage == "active"]
    aside = [text for run_id in there if isinstance(text := read[run_id], str)]
    written = [issue for run_id in there if isinstance(issue := read[run_id], Issue)]
    written.sort(key=lambda issue: (issue.month, issue.role, issue.issued))
    slots = Counter(issue.slot for issue in written)
    for issue in [issue for issue in written if issue.replaces or slots[issue.slot] > 1]:
        try:
            read_tables(client, issue)
        except InputError as error:  # an issue without its tables cannot replace another
            written.remove(issue)
            aside.append(str(error))
    known = {run_id: issue for run_id, issue in read.items() if isinstance(issue, Issue)}
    replaced = {word for issue in written for word in _replaced(issue, known)}
    standing: dict[tuple[pd.Timestamp, str, str], Issue] = {}
    for issue in written:
        if not {issue.run_id, issue.digest} & replaced:
            standing.setdefault(issue.slot, issue)
    return list(standing.values()), aside


def _replaced(issue: Issue, known: Mapping[str, Issue]) -> set[str]:
    """Return runs and digests of an issue's predecessors in its slot, deleted or not; a copy has the same digest."""
    found: set[str] = set()
    while issue.replaces and issue.replaces not in found:
        run_id, _, digest = issue.replaces.partition(" ")
        earlier = known.get(run_id)
        found |= {issue.replaces, run_id} | ({digest} if digest else set())
        if earlier is None or earlier.slot != issue.slot:
            break
        found.add(earlier.digest)
        issue = earlier
    return found


def deleted_issues(client: mlflow.MlflowClient, name: str) -> list[str]:
    """Return the runs of issues that were deleted in MLflow and are missing from the record."""
    return [f"{run.info.run_name} ({run.info.run_id})" for run in _search(client, name, ViewType.DELETED_ONLY)]


def _search(client: mlflow.MlflowClient, name: str, view: int) -> list[Run]:
    experiment = live_experiment(client)
    which = f"tags.kind = '{KIND}' and tags.registered_model = '{name}' and attributes.status = 'FINISHED'"
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], which, view, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _read(run: Run) -> Issue | str:
    """Return the issue of a run, or a sentence that says why the run is not an issue."""
    try:
        issue = Issue.of(run)
        for name, text in issue.tags().items():
            if run.data.tags.get(name, "") != text:  # the same value in another notation would go unnoticed
                raise ValueError(f"{name} is {run.data.tags[name]}")
        require_signature(_signed(issue), run.data.tags.get(SIGNATURE), "the issue")
        return issue
    except InputError:  # a key that cannot be used
        raise
    except (KeyError, ValueError, OverflowError, TypeError) as error:
        why = f"it is no issue, or its tags were changed ({first_line(error)})"
        return f"{run.info.run_name} (run {run.info.run_id}): {why}"


def read_tables(client: mlflow.MlflowClient, issue: Issue) -> Issued:
    """Read the tables of an issue.

    Raises InputError if its tables or tags are missing or differ from those that were issued.
    """
    where = f"{issue.title} (run {issue.run_id})"
    try:
        with tempfile.TemporaryDirectory() as folder:
            table, promise = (
                Path(client.download_artifacts(issue.run_id, name, folder)).read_bytes() for name in (TABLE, PROMISE)
            )
    except Exception as error:  # each kind of store has exceptions of its own
        raise InputError(f"the tables of {where} cannot be read ({first_line(error)})") from error
    if _digest(issue, table, promise) != issue.digest:
        raise InputError(f"{where} was changed since it was issued: put back its files and tags, or delete the run")
    try:
        orders = pd.read_parquet(io.BytesIO(table)).astype({"date": "datetime64[ns]", **_NUMBERS})
        promised = pd.read_parquet(io.BytesIO(promise)).astype(float)
        if not orders["asset"].is_unique or not np.isfinite(orders[["weight", "held", "trade"]]).all(axis=None):
            raise ValueError("a stock appears twice, or a weight is not a number")
        return Issued(issue, orders, promised[list(_PROMISED)])
    except Exception as error:  # a damaged Parquet file raises any of a dozen exceptions
        raise InputError(f"the tables of {where} are not those of an issue ({first_line(error)})") from error


def _signed(issue: Issue) -> str:
    """Return the text that is signed for an issue: all its tags, with the digest of its tables."""
    return json.dumps(issue.tags(), sort_keys=True)


def _digest(issue: Issue, table: bytes, promise: bytes) -> str:
    """Return the SHA-256 of everything in an issue."""
    tags = json.dumps({name: value for name, value in issue.tags().items() if name != DIGEST}, sort_keys=True)
    return hashlib.sha256(b"".join([tags.encode(), table, promise])).hexdigest()


def whole_issues(client: mlflow.MlflowClient, issues: Iterable[Issue]) -> Iterator[Issued | InputError]:
    """Read the tables of issues; where an issue cannot be read or was changed, yield the error instead."""
    for issue in issues:
        try:
            yield read_tables(client, issue)
        except InputError as error:
            yield error


def first_whole(client: mlflow.MlflowClient, issues: Iterable[Issue]) -> Issued | None:
    """Return the first issue whose tables are whole; None if there is none."""
    return next((issued for issued in whole_issues(client, issues) if isinstance(issued, Issued)), None)


def last_before(client: mlflow.MlflowClient, issues: Sequence[Issue], month: pd.Timestamp) -> Issued | None:
    """Return the newest issue before a month whose tables are whole; None if there is none."""
    return first_whole(client, [issue for issue in reversed(issues) if issue.month < month])


def require_in_order(client: mlflow.MlflowClient, issues: Sequence[Issue], month: pd.Timestamp) -> None:
    """Refuse a month before an issued month, because the issued trades did not start from its weights.

    Raises InputError, naming later months.
    """
    after = whole_issues(client, [issue for issue in issues if issue.month > month])
    later = [named(issued.issue.month) for issued in after if isinstance(issued, Issued)]
    if later:
        raise InputError(f"{named(month)} cannot be issued after {first_few(later)}, which was issued already")


@contextlib.contextmanager
def issuing(client: mlflow.MlflowClient, name: str) -> Iterator[None]:
    """Hold the lock on a model's issues; close runs of commands that were killed."""
    with store_lock(name, "live", _WAIT):
        close_the_dead(client, live_experiment(client), KIND, name)
        yield


def write_issue(client: mlflow.MlflowClient, issued: Issued, unusual: Sequence[str]) -> str:
    """Record an issue; return its run.

    ``unusual``: findings of the input checks, in words.
    """
    table, promise = _as_bytes(issued.orders, index=False), _as_bytes(issued.promise, index=None)
    issue = replace(issued.issue, digest=_digest(issued.issue, table, promise))
    signature = signature_of(_signed(issue))
    tags = {**issue.tags(), **({SIGNATURE: signature} if signature is not None else {})}
    with whole_run(client, live_experiment(client), issued.issue.title, tags) as run:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / TABLE).write_bytes(table)
            (Path(folder) / PROMISE).write_bytes(promise)
            client.log_artifacts(run.run_id, folder)
        if unusual:
            run.text("\n".join(unusual) + "\n", "unusual.txt")
        held = issued.orders["weight"]
        run.metrics(
            {
                "stocks": float(issued.orders["prediction"].notna().sum()),
                "long": float((held > 0).sum()),
                "short": float((held < 0).sum()),
                "turnover": turnover(issued.orders),
                "promised": float((held * issued.orders["prediction"].fillna(0.0)).sum()),
                "inputs_known": float(issued.orders["inputs"].mean()),
                "unusual": float(len(unusual)),
            }
        )
        return run.run_id


def _as_bytes(frame: pd.DataFrame, index: bool | None) -> bytes:
    content = io.BytesIO()
    frame.to_parquet(content, index=index)
    return content.getvalue()
