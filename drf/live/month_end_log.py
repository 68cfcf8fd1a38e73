"""Month-end log: the summary of each month end, so that a second call returns the same."""

import json
from collections.abc import Mapping
from typing import Any

import mlflow

from ..registry.signing import is_signed, signature_of
from ..tracking.runs import RunLog, close_the_dead, whole_run
from .issue_log import SIGNATURE, live_experiment

_KIND, _RESULT = "month-end", "result.json"

_LOOKED_AT = 10
"""Largest number of runs read for one key; all that this program wrote have the same content."""

_NEEDED = {"status", "month", "unusual", "issued", "page"}

PAGE = "month.html"


def find_end(client: mlflow.MlflowClient, name: str, key: str) -> dict[str, Any] | None:
    """Return the summary of the month end with this key; None if there is none, or it cannot be read."""
    which = (
        f"tags.kind = '{_KIND}' and tags.registered_model = '{name}' and tags.key = '{key}' "
        "and attributes.status = 'FINISHED'"
    )
    for run in client.search_runs([live_experiment(client)], which, max_results=_LOOKED_AT):
        text = RunLog(client, run.info.run_id).read_text(_RESULT) or ""
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):  # not written by this program
            continue
        told_by_us = isinstance(told, dict) and set(told) >= _NEEDED and is_signed(text, run.data.tags.get(SIGNATURE))
        if told_by_us:
            return dict(told)
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
        text = json.dumps(told, indent=1)
        if (signature := signature_of(text)) is not None:
            run.tags({SIGNATURE: signature})
        run.text(page, PAGE)
        run.text(text, _RESULT)
        return told
