"""How much was tried: the trials and rows that MLflow holds, counted."""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import ViewType

from ..evaluation.periods import MONTHS_A_YEAR


def trials_of(experiment_id: str) -> pd.DataFrame:
    """Everything that was tried in an experiment: each trial of a tuning and each row of a comparison.

    Runs that failed or were deleted count too: they were looked at. Of runs with the same name and the very same result
    one counts: they are the same trial, run again.

    Returns
    -------
    One row a trial: ``name``, ``sharpe`` after costs a month, ``periods``; NaN where the run did not get so far.
    """
    client = mlflow.MlflowClient()
    found = [
        (run.info.run_name, run.data.metrics.get("sharpe_net", np.nan), run.data.metrics.get("periods", np.nan))
        for kind in ("trial", "row")
        for run in _all_runs(client, experiment_id, f"tags.kind = '{kind}'")
    ]
    table = pd.DataFrame(found, columns=["name", "sharpe", "periods"])
    table = table[~table.duplicated() | table["sharpe"].isna()].reset_index(drop=True)
    return table.assign(sharpe=table["sharpe"] / np.sqrt(MONTHS_A_YEAR))


def _all_runs(client: mlflow.MlflowClient, experiment_id: str, query: str) -> list[mlflow.entities.Run]:
    runs: list[mlflow.entities.Run] = []
    token = None
    while token is not None or not runs:
        page = client.search_runs(
            [experiment_id], query, run_view_type=ViewType.ALL, max_results=1000, page_token=token
        )
        runs += page
        token = page.token
        if not token:
            break
    return runs
