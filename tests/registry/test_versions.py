"""What is read of a registered version, and on which months it is judged."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from mlflow import MlflowClient

from drf.data.panel import fingerprint
from drf.registry import versions
from drf.registry.versions import (
    RegisteredVersions,
    read_versions,
    trials_behind,
)
from tests.registry.making import NAME, version


def test_killed_and_half_registered_versions_are_left_aside(registry: MlflowClient) -> None:
    known = read_versions(registry, NAME)
    assert [version.number for version in known.versions] == ["1", "2", "3"]
    assert "RUNNING" in known.left_aside["4"]
    assert "did not finish" in known.left_aside["5"]


def test_a_version_whose_run_was_deleted_is_left_aside(registry: MlflowClient) -> None:
    registry.delete_run(registry.get_model_version(NAME, "2").tags["parent_run"])
    known = read_versions(registry, NAME)
    assert [version.number for version in known.versions] == ["1", "3"]
    assert "deleted" in known.left_aside["2"]


def test_an_empty_registry_has_no_versions(store: str) -> None:
    assert read_versions(MlflowClient(), NAME) == RegisteredVersions([], {}, None, None)


class Unseen:
    """A version trained to month 30 of a panel, with logged walk-forward forecasts of months 20 to 30."""

    def __init__(self, panel: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.dates = panel["date"].unique()
        keys = panel[["date", "asset"]]
        logged = keys[panel["date"].isin(self.dates[20:31])].assign(y_pred=1.0)
        logged.to_parquet(folder / "predictions.parquet")
        history = fingerprint(panel[panel["date"] <= self.dates[30]])
        self.version = version("1", history, self.dates[30])
        own = keys.assign(prediction=2.0)
        monkeypatch.setattr(versions, "forecast", lambda version, panel: own.merge(panel[["date", "asset"]]))
        self.client = SimpleNamespace(download_artifacts=lambda *_: folder / "predictions.parquet")

    def __call__(self, panel: pd.DataFrame) -> pd.DataFrame:
        return versions.unseen_forecasts(self.client, self.version, panel)


def test_walk_forward_counts_up_to_the_last_training_month_and_the_version_itself_after_it(
    panel: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unseen = Unseen(panel, monkeypatch, tmp_path)
    made = unseen(panel)
    months = made.groupby("date")["y_pred"].first()
    assert list(months.index) == list(unseen.dates[20:44])  # the newest month has no return
    assert (months.iloc[:11] == 1.0).all()
    assert (months.iloc[11:] == 2.0).all()


def test_walk_forward_on_other_values_does_not_count(
    panel: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file at the same path was restated: one value of one past month is another."""
    unseen = Unseen(panel, monkeypatch, tmp_path)
    restated = panel.copy()
    restated.loc[panel["date"] == unseen.dates[5], "CAP"] += 1e-6
    assert list(unseen(restated)["date"].unique()) == list(unseen.dates[31:44])
    later = panel.copy()
    later.loc[panel["date"] == unseen.dates[35], "CAP"] += 1e-6  # after training: nothing was made from it
    assert list(unseen(later)["date"].unique()) == list(unseen.dates[20:44])


def test_months_that_the_version_hardly_forecast_do_not_count(
    panel: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unseen = Unseen(panel, monkeypatch, tmp_path)
    few = panel["asset"].isin(panel["asset"].unique()[:5])
    own = panel.loc[few, ["date", "asset"]].assign(prediction=2.0)
    monkeypatch.setattr(versions, "forecast", lambda version, panel: own)
    assert list(unseen(panel)["date"].unique()) == list(unseen.dates[20:31])


def test_a_version_of_another_release_is_left_aside(registry: MlflowClient) -> None:
    registry.set_model_version_tag(NAME, "2", "config", '{"window": {"lags": [0]}}')
    known = read_versions(registry, NAME)
    assert [version.number for version in known.versions] == ["1", "3"]
    assert "another release" in known.left_aside["2"]


def test_trials_of_all_experiments_behind_a_model_count(registry: MlflowClient) -> None:
    """Moving to a fresh experiment does not make the earlier trials undone."""
    fresh = registry.create_experiment("fresh")
    for k, experiment in enumerate([registry.get_experiment_by_name("drf").experiment_id, fresh]):
        run = registry.create_run(experiment, run_name=f"lstm-trial-{k}", tags={"kind": "trial"}).info.run_id
        registry.log_metric(run, "cv_rmse", 0.1)
    assert len(trials_behind(registry, NAME)) == 1
    row = registry.create_run(fresh).info.run_id
    registry.create_model_version(NAME, source="s3://nowhere/6", tags={"row_run": row})
    assert len(trials_behind(registry, NAME)) == 2
