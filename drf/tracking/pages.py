"""Addresses of MLflow's pages. Without ``workflowType``, MLflow would open its pages for language models."""

from urllib.parse import quote

_TRAINING = "workflowType=machine_learning"

NO_SERVER = "http://127.0.0.1:5000"
"""Address at which ``mlflow ui`` shows a store that is a file."""


def base(store: str) -> str:
    """Return the address of a store's pages: its own, or that of ``mlflow ui``."""
    return store.rstrip("/") if store.startswith(("http://", "https://")) else NO_SERVER


def experiment(experiment_id: str) -> str:
    return f"#/experiments/{experiment_id}/runs?{_TRAINING}"


def run(experiment_id: str, run_id: str) -> str:
    return f"#/experiments/{experiment_id}/runs/{run_id}?{_TRAINING}"


def artifact(experiment_id: str, run_id: str, path: str) -> str:
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/{path}?{_TRAINING}"


def version(name: str, number: str) -> str:
    return f"#/models/{quote(name)}/versions/{number}?{_TRAINING}"


def view(experiment_id: str, key: str, charts: bool = False) -> str:
    """Return the address of a saved view, see :mod:`.views`, as a table or as charts."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={key}{mode}&{_TRAINING}"
