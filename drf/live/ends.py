"""Month ends that were done: what each said, so that a second call says the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import mlflow

from ..errors import InputError, first_line
from ..tracking.runs import RunLog, close_the_dead, whole_run
from .issues import live_experiment

_KIND, _RESULT = "month-end", "result.json"

PAGE = "month.html"


def find_end(client: mlflow.MlflowClient, name: str, key: str) -> dict[str, Any] | None:
    """What the month end with this key said; None if there was none.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    which = (
        f"tags.kind = '{_KIND}' and tags.registered_model = '{name}' and tags.key = '{key}' "
        "and attributes.status = 'FINISHED'"
    )
    found = client.search_runs([live_experiment(client)], which, max_results=1)
    if not found:
        return None
    run = found[0].info.run_id
    try:
        return dict(json.loads(RunLog(client, run).read_text(_RESULT) or ""))
    except ValueError as error:
        raise InputError(
            f"{_RESULT} of the month end {found[0].info.run_name} (run {run}) cannot be read ({first_line(error)}): "
            "delete the run, and give the command again"
        ) from error


def write_end(
    client: mlflow.MlflowClient, name: str, month: str, key: str, result: Mapping[str, Any], page: str
) -> dict[str, Any]:
    """Record a month end; return what it says, with its run."""
    experiment = live_experiment(client)
    close_the_dead(client, experiment, _KIND)
    tags = {
        "kind": _KIND,
        "registered_model": name,
        "month": month,
        "key": key,
        "status": str(result["status"]),
        "champion": str(result["champion"]["version"]),
    }
    with whole_run(client, experiment, f"{month} month end", tags) as run:
        told = {**result, "run": run.run_id}
        run.text(page, PAGE)
        run.text(json.dumps(told, indent=1), _RESULT)
        return told
