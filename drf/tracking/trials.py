"""How much was tried: the trials and rows that MLflow holds, counted."""

from __future__ import annotations

from collections.abc import Sequence

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import ViewType

from ..evaluation.annual import MONTHS_A_YEAR


def trials_of(experiment_ids: Sequence[str]) -> pd.DataFrame:
    """Everything that was tried in some experiments: each trial of a tuning and each row of a comparison.

    Runs that failed or were deleted count too, if they got so far that something was seen. Of runs with the same name
    and the very same results one counts: they are the same trial, run again.

    Returns
    -------
    One row a trial: ``name``, ``error`` (in tuning), ``sharpe`` after costs a month, ``periods``; NaN where the run did
    not get so far.
    """
    client = mlflow.MlflowClient()
    metrics = {"error": "cv_rmse", "sharpe": "sharpe_net", "periods": "periods"}
    found = [
        {"name": run.info.run_name, **{name: run.data.metrics.get(key, np.nan) for name, key in metrics.items()}}
        for kind in ("trial", "row")
        for run in _all_runs(client, list(experiment_ids), f"tags.kind = '{kind}'")
    ]
    table = pd.DataFrame(found, columns=["name", *metrics])
    seen = table[["error", "sharpe"]].notna().any(axis=1)
    table = table[seen].drop_duplicates(ignore_index=True)
    return table.assign(sharpe=table["sharpe"] / np.sqrt(MONTHS_A_YEAR))


def _all_runs(client: mlflow.MlflowClient, experiment_ids: list[str], query: str) -> list[mlflow.entities.Run]:
    runs: list[mlflow.entities.Run] = []
    token = None
    while True:
        page = client.search_runs(experiment_ids, query, run_view_type=ViewType.ALL, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs
