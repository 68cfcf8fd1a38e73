"""Saved views of MLflow's experiment page, under its menu *Views*.

MLflow keeps each view as a tag of the experiment, in an undocumented form. If that form changes, a link opens the plain
list, and nothing else is lost.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import mlflow

_TAG = "mlflow.sharedViewState."

# MLflow folds child runs if they are sorted by time, so they are sorted by their number of months out of sample, which
# grows with time.
_IN_TIME = "metrics.`months`"

_ROW = ("sharpe_net", "rank_ic", "annual_return", "turnover", "max_drawdown")


_MONTHLY = ("monthly/rank_ic", "monthly/long_short_net", "monthly/turnover")

_MOST_RUNS = 50  # runs that one MLflow chart shows


def _state(
    kind: str, order: str, metrics: Sequence[str], more: str = "", monthly: Sequence[str] = (), tags: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the state as the page would save it: kind and order of runs, columns, bars and monthly lines."""
    sections = {"numbers": ("BAR", metrics), **({"month by month": ("LINE", monthly)} if monthly else {})}
    return {
        "searchFilter": f"tags.kind = '{kind}'{more}",
        "orderByKey": order,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*(f"tags.`{name}`" for name in tags), *(f"metrics.`{name}`" for name in metrics)],
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "isAccordionReordered": True,
        "compareRunSections": [
            {"uuid": f"{kind}-{name}", "name": name, "display": True, "isReordered": True} for name in sections
        ],
        "compareRunCharts": [
            _chart(shape, f"{kind}-{name}", metric)
            for name, (shape, of_section) in sections.items()
            for metric in of_section
        ],
    }


def _chart(shape: str, section: str, metric: str) -> dict[str, Any]:
    return {
        "type": shape,
        "uuid": f"{section}-{metric}",
        "metricSectionId": section,
        "metricKey": metric,
        "runsCountToCompare": _MOST_RUNS,
        "deleted": False,
        "isGenerated": False,
        **({"selectedMetricKeys": [metric], "xAxisKey": "step", "lineSmoothness": 0} if shape == "LINE" else {}),
    }


VIEWS: Mapping[str, Mapping[str, Any]] = {
    "rows": _state("row", "metrics.`sharpe_net`", _ROW, monthly=_MONTHLY, tags=("training",)),
    "trials": _state("trial", "metrics.`cv_rank_ic`", ("cv_rank_ic", "cv_r2", "sharpe_net")),
    "champion-through-time": _state(
        "judged", _IN_TIME, ("sharpe_net", "sharpe_low", "rank_ic", "deflated", "months"),
        " and tags.role = 'champion'",
    ),
    "gates-through-time": _state(
        "judged", _IN_TIME, ("gates_passed", "gates_failed", "sharpe_net"), tags=("verdict", "reason")
    ),
}  # fmt: skip
"""Key -> state of the page."""


_KEPT_TRAININGS = 6


def save_views(client: mlflow.MlflowClient, experiment_id: str) -> None:
    """Save the views that an experiment does not have; one that a person has changed stays as it is."""
    tags = client.get_experiment(experiment_id).tags
    for key, state in VIEWS.items():
        if f"{_TAG}{key}" not in tags:
            _save(client, experiment_id, key, key.replace("-", " "), state)


def save_rows(client: mlflow.MlflowClient, experiment_id: str, run_id: str, name: str) -> None:
    """Save the view of a training's rows; views of older trainings go, so that the menu stays short."""
    own = {"searchFilter": f"tags.kind = 'row' and tags.`mlflow.parentRunId` = '{run_id}'"}
    _save(client, experiment_id, key_of_rows(run_id), f"rows of {name}", {**VIEWS["rows"], **own})
    tags = client.get_experiment(experiment_id).tags
    saved = {key: _created(value) for key, value in tags.items() if key.startswith(f"{_TAG}rows-of-")}
    for key in sorted(saved, key=lambda one: saved[one])[:-_KEPT_TRAININGS]:
        client.delete_experiment_tag(experiment_id, key)


def _created(value: str) -> str:
    """Return the time when a view was saved; for any other tag an empty text, which sorts as oldest."""
    try:
        return str(json.loads(value)["createdAt"])
    except Exception:  # anybody can write a tag
        return ""


def key_of_rows(run_id: str) -> str:
    """Return the key of the view of a training's rows, from its parent run."""
    return f"rows-of-{run_id[:12]}"


def _save(client: mlflow.MlflowClient, experiment_id: str, key: str, name: str, state: Mapping[str, Any]) -> None:
    now = int(time.time() * 1000)
    view = {"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    client.set_experiment_tag(experiment_id, f"{_TAG}{key}", json.dumps(view))
