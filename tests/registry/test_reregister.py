"""A version of an earlier release is registered again from its own weights, or it is said why not."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from drf.errors import InputError
from drf.registry.examine import examine
from drf.registry.gates import failures, judge_artifact
from drf.registry.reregister import register_again
from drf.registry.versions import read_versions
from drf.tracking.runs import RunLog
from tests.registry.making import (
    LIMITS,
    NAME,
    evidence_of,
    market,
    recorded,
    register_small,
    small_forecaster,
    turned,
    with_weights,
)


def earlier(client: MlflowClient, folder: Path, broken: bool = False) -> str:
    """As the release before manifests registered: the evidence is in the runs alone."""
    market().to_parquet(folder / "panel.parquet", index=False)
    evidence = evidence_of(small_forecaster(), market())
    config = recorded("data=panel", f"data.path={folder}/panel.parquet")
    network = with_weights(turned) if broken else small_forecaster()
    number = register_small(client, network, evidence, config)
    run = RunLog(client, client.get_model_version(NAME, number).tags["row_run"])
    newest = evidence.newest.rename(columns={"prediction": "y_pred"}).assign(y_true=float("nan"))
    run.tables({"predictions.parquet": evidence.predictions.drop(columns="benchmark"), "forecast.parquet": newest})
    client.delete_model_version_tag(NAME, number, "manifest")
    client.set_model_version_tag(NAME, number, "config", config)
    return number


def test_the_same_model_with_a_manifest_and_its_evidence(store: str, tmp_path: Path) -> None:
    client = MlflowClient()
    old = earlier(client, tmp_path)
    assert f"drf.cli.reregister {old}" in read_versions(client, NAME).left_aside[old]
    new = register_again(client, NAME, old)
    version = read_versions(client, NAME).get(new)
    assert version is not None
    seen = examine(client, version, market())
    assert not failures(judge_artifact(seen.checkup, LIMITS))
    assert len(seen.made) == len(market().dropna(subset=["ret_next"])) - len(
        market()[market()["date"] < seen.made["date"].min()]
    )
    panel = market().drop(columns="ret_next")
    files = mlflow.artifacts.download_artifacts(f"models:/{NAME}/{new}")
    pd.testing.assert_series_equal(
        mlflow.pyfunc.load_model(files).predict(panel)["prediction"], small_forecaster().predict(panel)["prediction"]
    )
    with pytest.raises(InputError, match="there is nothing to register again"):
        register_again(client, NAME, new)


def test_weights_that_are_not_the_trainings_or_data_that_changed_are_refused(store: str, tmp_path: Path) -> None:
    client = MlflowClient()
    with pytest.raises(InputError, match=r"on this panel the model's forecasts differ by"):
        register_again(client, NAME, earlier(client, tmp_path, broken=True))
    old = earlier(client, tmp_path)
    changed = market().assign(ROE=-market()["ROE"])
    changed.to_parquet(tmp_path / "panel.parquet", index=False)
    with pytest.raises(InputError, match=r"on this panel the model's forecasts differ by"):
        register_again(client, NAME, old)
    assert len(client.search_model_versions(f"name='{NAME}'")) == 2


def test_what_is_gone_is_said(store: str, tmp_path: Path) -> None:
    client = MlflowClient()
    with pytest.raises(InputError, match=r"version 7 of drf-lstm-lrp cannot be registered again"):
        register_again(client, NAME, "7")
    old = earlier(client, tmp_path)
    (tmp_path / "panel.parquet").unlink()
    with pytest.raises(InputError, match=r"panel.parquet"):
        register_again(client, NAME, old)
