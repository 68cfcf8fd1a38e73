"""The record of what was issued: a run of the experiment ``drf-live`` for every month's forecasts and orders.

A run counts once it is finished, and a later one that replaces it says so itself: so each issue is written in one step,
and a command that is killed leaves none.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Run, ViewType

from ..errors import InputError, first_few, first_line
from ..tracking.locks import store_lock
from ..tracking.runs import close_the_dead, whole_run
from .orders import turnover

EXPERIMENT = "drf-live"

CHAMPION, SHADOW = "champion", "shadow"
"""Roles: forecasts that orders are made of, and those that are only watched."""

TABLE, PROMISE = "forecasts.parquet", "promise.parquet"

_KIND = "forecast"
_WAIT = 60  # seconds for another command to finish its issue
_SAME = 1e-9  # of forecasts and weights that are written and read again


@dataclass(frozen=True)
class Issue:
    """What was issued for a month.

    Attributes
    ----------
    month
        At whose end the forecasts were made.
    name, version, recipe
        Of the registered model.
    role
        ``champion`` or ``shadow``.
    data
        Fingerprint of the panel.
    issued
        When, in UTC.
    cost_bps
        Of the portfolio rule.
    forced
        Whether the inputs were unusual, and somebody gave ``--force``.
    afterwards
        Whether the data went on after the month: then it is no evidence of what was said before it was known.
    digest
        SHA-256 of the table.
    replaces
        The run of the issue that it took the place of; empty if there was none.
    """

    month: pd.Timestamp
    name: str
    version: str
    recipe: str
    role: str
    data: str
    issued: str
    cost_bps: float
    forced: bool = False
    afterwards: bool = False
    digest: str = ""
    replaces: str = ""
    run_id: str = ""

    @property
    def title(self) -> str:
        """The run's name."""
        return f"{self.month:%Y-%m} {'forecasts' if self.role == CHAMPION else self.role}, version {self.version}"

    def tags(self) -> dict[str, str]:
        return {
            "kind": _KIND,
            "month": f"{self.month:%Y-%m-%d}",
            "registered_model": self.name,
            "version": self.version,
            "recipe": self.recipe,
            "role": self.role,
            "data_fingerprint": self.data,
            "issued": self.issued,
            "cost_bps": repr(self.cost_bps),
            "forced": str(self.forced).lower(),
            "afterwards": str(self.afterwards).lower(),
            "sha256": self.digest,
            "replaces": self.replaces,
        }

    @classmethod
    def of(cls, run: Run) -> Issue:
        tags = run.data.tags
        return cls(
            month=pd.Timestamp(tags["month"]),
            name=tags["registered_model"],
            version=tags["version"],
            recipe=tags["recipe"],
            role=tags["role"],
            data=tags["data_fingerprint"],
            issued=tags["issued"],
            cost_bps=float(tags["cost_bps"]),
            forced=tags["forced"] == "true",
            afterwards=tags["afterwards"] == "true",
            digest=tags["sha256"],
            replaces=tags.get("replaces", ""),
            run_id=run.info.run_id,
        )


@dataclass(frozen=True)
class Issued:
    """An issue with its tables.

    Attributes
    ----------
    orders
        See :func:`~.orders.make_orders`.
    promise
        What the version's backtest showed, see :func:`~.outcome.promise_of`.
    """

    issue: Issue
    orders: pd.DataFrame
    promise: pd.DataFrame


def live_experiment(client: mlflow.MlflowClient) -> str:
    """The id of the experiment ``drf-live``, which is made if it is not there.

    Raises
    ------
    InputError
        If it was deleted.
    """
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        with contextlib.suppress(mlflow.MlflowException):  # another command has made it meanwhile
            client.create_experiment(EXPERIMENT)
        found = client.get_experiment_by_name(EXPERIMENT)
    assert found is not None
    if found.lifecycle_stage != "active":
        raise InputError(
            f"the experiment {EXPERIMENT}, the record of what was issued, was deleted in MLflow: mlflow experiments "
            f"restore --experiment-id {found.experiment_id} brings it back"
        )
    return str(found.experiment_id)


def read_issues(client: mlflow.MlflowClient, name: str, role: str | None = None) -> list[Issue]:
    """The issues of a registered model that stand, by month; of one role, or of all.

    Raises
    ------
    InputError
        If the run of one was changed so that it cannot be read.
    """
    written = [_read(run) for run in _search(client, name, ViewType.ACTIVE_ONLY)]
    replaced = {issue.replaces for issue in written}
    standing = [issue for issue in written if issue.run_id not in replaced and role in (None, issue.role)]
    return sorted(standing, key=lambda issue: (issue.month, issue.role, issue.issued))


def deleted_issues(client: mlflow.MlflowClient, name: str) -> list[str]:
    """The runs of issues that were deleted in MLflow: the record lacks them."""
    return [f"{run.info.run_name} ({run.info.run_id})" for run in _search(client, name, ViewType.DELETED_ONLY)]


def _search(client: mlflow.MlflowClient, name: str, view: int) -> list[Run]:
    experiment = live_experiment(client)
    which = f"tags.kind = '{_KIND}' and tags.registered_model = '{name}' and attributes.status = 'FINISHED'"
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], which, view, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _read(run: Run) -> Issue:
    try:
        return Issue.of(run)
    except (KeyError, ValueError) as error:
        raise InputError(
            f"the issue {run.info.run_name} (run {run.info.run_id}) cannot be read: its tags were changed "
            f"({first_line(error)}): delete the run, or put them right"
        ) from error


def read_tables(client: mlflow.MlflowClient, issue: Issue) -> Issued:
    """An issue with its tables.

    Raises
    ------
    InputError
        If its table is not the one that was issued, or is gone.
    """
    where = f"{TABLE} of {issue.title} (run {issue.run_id})"
    try:
        with tempfile.TemporaryDirectory() as folder:
            written = Path(client.download_artifacts(issue.run_id, TABLE, folder)).read_bytes()
            promise = pd.read_parquet(client.download_artifacts(issue.run_id, PROMISE, folder))
        if hashlib.sha256(written).hexdigest() != issue.digest:
            raise InputError(f"{where} was changed since it was issued: put back the file, or delete the run")
        orders = pd.read_parquet(io.BytesIO(written))
    except InputError:
        raise
    except Exception as error:  # each kind of store has exceptions of its own
        raise InputError(f"{where} cannot be read ({first_line(error)})") from error
    return Issued(issue, orders.astype({"date": "datetime64[ns]"}), promise)


@contextlib.contextmanager
def issuing(client: mlflow.MlflowClient, name: str) -> Iterator[None]:
    """Alone at work on the record of a registered model; runs of commands that were killed are closed."""
    with store_lock(name, "live", _WAIT):
        close_the_dead(client, live_experiment(client), _KIND)
        yield


def write_issue(client: mlflow.MlflowClient, issued: Issued, unusual: Sequence[str]) -> str:
    """Record an issue; return its run.

    ``unusual``: what the watch found about its inputs, in words.
    """
    content = io.BytesIO()
    issued.orders.to_parquet(content, index=False)
    tags = {**issued.issue.tags(), "sha256": hashlib.sha256(content.getvalue()).hexdigest()}
    with whole_run(client, live_experiment(client), issued.issue.title, tags) as run:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / TABLE).write_bytes(content.getvalue())
            issued.promise.to_parquet(Path(folder) / PROMISE)
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


def differences(before: Issued, after: Issued) -> list[str]:
    """How two issues for a month differ, in words; nothing if their forecasts and weights are the same."""
    old, new = (one.orders.set_index("asset") for one in (before, after))
    said = [f"{len(gone)} stock(s) are gone" for gone in [old.index.difference(new.index)] if len(gone)]
    said += [f"{len(more)} stock(s) are new" for more in [new.index.difference(old.index)] if len(more)]
    both = old.index.intersection(new.index)
    was, now = old.loc[both, "prediction"].astype(float), new.loc[both, "prediction"].astype(float)
    other = ~np.isclose(was, now, rtol=_SAME, atol=_SAME * float(was.abs().max()), equal_nan=True)
    if other.any():
        how = f"rank correlation {was.corr(now, method='spearman'):.3f}"
        if (apart := (was - now).abs()).notna().any():
            most = apart.idxmax()
            how += f", most {most}: {was[most]:+.2%} was, {now[most]:+.2%} is"
        said.append(f"{other.sum()} forecast(s) are others ({how})")
    traded = old["weight"].sub(new["weight"], fill_value=0.0).abs().sum()
    if traded > _SAME:
        said.append(f"weights differ by {traded / 4:.1%} of what can be traded")
    if said and before.issue.version != after.issue.version:
        said.insert(0, f"version {after.issue.version} in place of {before.issue.version}")
    elif said and before.issue.data != after.issue.data:
        said.insert(0, "the data have changed")
    return said


def last_before(issues: Sequence[Issue], month: pd.Timestamp) -> Issue | None:
    """The newest of some issues before a month."""
    earlier = [issue for issue in issues if issue.month < month]
    return earlier[-1] if earlier else None


def require_in_order(issues: Sequence[Issue], month: pd.Timestamp) -> None:
    """Refuse to issue for a month before others that were issued: their trades are from weights without it.

    Raises
    ------
    InputError
        Naming them.
    """
    later = [f"{issue.month:%Y-%m}" for issue in issues if issue.month > month]
    if later:
        raise InputError(f"{month:%Y-%m} cannot be issued after {first_few(later)}, which was issued already")
