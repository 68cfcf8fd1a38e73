from __future__ import annotations

import numpy as np
import pytest
from mlflow import MlflowClient

from drf.tracking.trials import trials_of


def log(client: MlflowClient, experiment: str, kind: str, name: str, sharpe: float | None, periods: int = 12) -> str:
    run = client.create_run(experiment, run_name=name, tags={"kind": kind}).info.run_id
    if sharpe is not None:
        client.log_metric(run, "sharpe_net", sharpe)
        client.log_metric(run, "periods", periods)
    return str(run)


def test_trials_and_rows_count_deleted_and_failed_ones_too_but_the_same_only_once(store: str) -> None:
    client = MlflowClient()
    experiment = client.get_experiment_by_name("drf").experiment_id
    other = client.create_experiment("other")
    log(client, experiment, "trial", "lstm-trial-0", np.sqrt(12))
    log(client, experiment, "trial", "lstm-trial-0", np.sqrt(12))  # the same again, in another run
    log(client, experiment, "trial", "lstm-trial-0", 2.0)  # the same number of another search
    client.delete_run(log(client, experiment, "trial", "lstm-trial-1", -1.0))
    client.set_terminated(log(client, experiment, "trial", "lstm-trial-2", None), "FAILED")
    client.set_terminated(log(client, experiment, "trial", "lstm-trial-2", None), "FAILED")
    log(client, experiment, "row", "lstm_lrp", 0.5, 36)
    log(client, experiment, "evaluation", "evaluate", 9.0)
    log(client, other, "trial", "lstm-trial-9", 1.0)
    pruned = log(client, experiment, "trial", "lstm-trial-3", None)
    client.log_metric(pruned, "cv_rmse", 0.1)
    log(client, experiment, "row", "linear", None)  # the run was stopped before anything was seen
    found = trials_of([experiment])
    assert sorted(found["name"]) == ["lstm-trial-0"] * 2 + ["lstm-trial-1", "lstm-trial-3", "lstm_lrp"]
    assert len(trials_of([experiment, other])) == 6
    assert found["sharpe"].max() == pytest.approx(1.0)
    assert found["periods"].max() == 36
