"""Month-end log: the summary of each month end, so that a second call returns the same."""

import json
from collections.abc import Mapping
from typing import Any

import mlflow

from ..tracking.runs import RunLog, close_the_dead, whole_run
from .issues import live_experiment

_KIND, _RESULT = "month-end", "result.json"

_NEEDED = {"status", "month", "unusual", "issued", "page"}

PAGE = "month.html"


def find_end(client: mlflow.MlflowClient, name: str, key: str) -> dict[str, Any] | None:
    """Return the summary of the month end with this key; None if there is none, or it cannot be read."""
    which = (
        f"tags.kind = '{_KIND}' and tags.registered_model = '{name}' and tags.key = '{key}' "
        "and attributes.status = 'FINISHED'"
    )
    for run in client.search_runs([live_experiment(client)], which, max_results=1):
        try:
            told = json.loads(RunLog(client, run.info.run_id).read_text(_RESULT) or "")
        except ValueError:
            return None
        return told if isinstance(told, dict) and set(told) >= _NEEDED else None
    return None


def write_end(
    client: mlflow.MlflowClient, name: str, month: str, key: str, result: Mapping[str, Any], page: str
) -> dict[str, Any]:
    """Record a month end; return its summary with the id of its run."""
    experiment = live_experiment(client)
    close_the_dead(client, experiment, _KIND, name)
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
