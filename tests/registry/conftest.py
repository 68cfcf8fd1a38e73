"""A real registry with versions in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.registry.making import CONFIG, NAME, create_without_model


@pytest.fixture
def registry(store: str, tmp_path: Path) -> MlflowClient:
    """Three versions without a model, one whose training was killed, and one whose registration was."""
    client = MlflowClient()
    experiment = client.get_experiment_by_name("drf").experiment_id
    client.create_registered_model(NAME)
    for number in range(1, 5):
        run = client.create_run(experiment).info.run_id
        if number < 4:
            client.set_terminated(run)
        tags = {"row_run": run, "parent_run": run, "train_last": "2003-01-31", "config": CONFIG}
        create_without_model(client, tmp_path / str(number), tags)
    client.create_model_version(NAME, source="s3://nowhere/5", tags={"row_run": "x"})
    return client
