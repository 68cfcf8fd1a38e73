"""What is read of a registered version, and which of them can be judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from drf.data.panel import RETURN
from drf.errors import InputError
from drf.registry.examine import examine
from drf.registry.loading import load_with_evidence
from drf.registry.versions import RegisteredVersions, read_versions, require_versions, tags_of, why_not_now
from tests.registry.making import (
    CONFIG,
    NAME,
    create_without_model,
    evidence_of,
    market,
    register_small,
    small_forecaster,
)


def test_half_registered_versions_and_those_of_an_earlier_release_are_left_aside(
    registry: MlflowClient, tmp_path: Path
) -> None:
    registry.delete_model_version_tag(NAME, "2", "manifest")
    registry.set_model_version_tag(NAME, "3", "config", '{"window": {"lags": [0]}}')
    tags = {"row_run": "x", "parent_run": "x", "train_last": "2003-01-31", "config": "{}", "market": "m"}
    create_without_model(registry, tmp_path / "6", tags)
    known = read_versions(registry, NAME)
    assert [version.number for version in known.versions] == ["1", "4"]
    assert "it has no manifest" in known.left_aside["2"]
    assert "its tag config was changed" in known.left_aside["3"]
    assert "did not finish" in known.left_aside["5"]
    assert "another release" in known.left_aside["6"]
    assert known.numbers == set("123456")


def test_a_version_whose_training_is_not_there_waits_and_says_what_to_do(registry: MlflowClient) -> None:
    one, two, three, four = read_versions(registry, NAME).versions
    assert why_not_now(registry, one) is None
    registry.delete_run(two.parent_run)
    assert f"mlflow runs restore --run-id {two.parent_run}" in str(why_not_now(registry, two))
    assert "is gone" in str(why_not_now(registry, replace(three, parent_run="0" * 32)))
    assert "RUNNING" in str(why_not_now(registry, four))


def test_rejected_and_archived_versions_are_judged_only_where_they_hold_an_alias(registry: MlflowClient) -> None:
    registry.set_model_version_tag(NAME, "1", "verdict", "rejected")
    registry.set_model_version_tag(NAME, "2", "archived", "by ann: old")
    assert [version.number for version in read_versions(registry, NAME).versions] == ["3", "4"]
    assert [version.number for version in read_versions(registry, NAME, ("1", "2")).versions] == ["1", "2", "3", "4"]


def test_an_empty_registry_has_no_versions(store: str) -> None:
    known = read_versions(MlflowClient(), NAME)
    assert known == RegisteredVersions([], {})
    with pytest.raises(InputError, match=r"no version to evaluate.*run drf train first"):
        require_versions(MlflowClient(), known, NAME, store)


@pytest.mark.long
def test_a_hundred_versions_are_read_in_their_order(registry: MlflowClient, tmp_path: Path) -> None:
    tags = tags_of(registry.get_model_version(NAME, "1"))
    for number in range(6, 108):
        own = {**{k: v for k, v in tags.items() if k != "manifest"}, "git_commit": str(number)}
        create_without_model(registry, tmp_path / str(number), own)
    numbers = [int(version.number) for version in read_versions(registry, NAME).versions]
    assert numbers == [1, 2, 3, 4, *range(6, 108)]


def test_a_registration_that_is_stopped_leaves_no_version(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for step in ("log_model_artifacts", "finalize_logged_model", "log_outputs", "create_model_version"):
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, step, stopped)
            with pytest.raises(KeyboardInterrupt):
                register_small(MlflowClient())
        assert not MlflowClient().search_model_versions(f"name='{NAME}'")
    assert register_small(MlflowClient()) == "1"


def test_months_before_the_last_training_month_are_recorded_and_later_ones_its_own(store: str) -> None:
    client, panel = MlflowClient(), market()
    months = panel["date"].drop_duplicates().tolist()
    then = panel[panel["date"] <= months[35]].assign(**{RETURN: panel[RETURN].where(panel["date"] < months[35])})
    evidence = evidence_of(small_forecaster(), then)
    evidence = replace(evidence, predictions=evidence.predictions.assign(y_pred=7.0))
    register_small(client, evidence=evidence)
    made = examine(client, read_versions(client, NAME).versions[0], panel).forecasts
    said = made.groupby("date")["y_pred"].agg(["min", "max"])
    assert list(said.index) == months[12:44]  # the newest month has no return
    assert (said.loc[: months[34]] == 7.0).all(axis=None)
    assert (said.loc[months[35] :] < 1.0).all(axis=None)


def test_months_that_the_version_hardly_forecast_do_not_count(store: str) -> None:
    client, panel = MlflowClient(), market()
    evidence = evidence_of(small_forecaster(), panel)
    months = panel["date"].drop_duplicates().tolist()
    few = evidence.predictions["asset"].isin(sorted(panel["asset"].unique())[:5])
    kept = evidence.predictions[few | (evidence.predictions["date"] > months[30])]
    register_small(client, evidence=replace(evidence, predictions=kept))
    made = examine(client, read_versions(client, NAME).versions[0], panel).forecasts
    assert made["date"].min() == months[31]


def test_a_version_outlives_its_runs_and_its_experiment(store: str) -> None:
    client = MlflowClient()
    register_small(client, config=CONFIG)
    version = read_versions(client, NAME).versions[0]
    before = examine(client, version, market())
    client.delete_run(version.parent_run)
    client.delete_experiment(client.get_experiment_by_name("drf").experiment_id)
    after = examine(client, version, market())
    pd.testing.assert_frame_equal(before.forecasts, after.forecasts)


def test_a_copied_version_is_loaded_without_the_project_nearby(store: str, tmp_path: Path) -> None:
    register_small(MlflowClient())
    model, evidence = load_with_evidence(f"models:/{NAME}/1")
    files = mlflow.artifacts.download_artifacts(f"models:/{NAME}/1", dst_path=str(tmp_path / "copy"))
    copied = mlflow.pyfunc.load_model(files)
    panel = market()
    pd.testing.assert_frame_equal(copied.predict(panel.drop(columns=RETURN)), model.predict(panel.drop(columns=RETURN)))
    assert len(evidence.history) == len(panel)
