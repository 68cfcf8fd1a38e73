"""A version must be what its training said: not turned, not shuffled, not another's, not half of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from drf.data.paper_descriptors import DESCRIPTORS
from drf.errors import InputError
from drf.registry.checkup import Checkup, check_up
from drf.registry.examine import Examination, examine
from drf.registry.forecaster import Forecaster
from drf.registry.gates import failures, judge_artifact
from drf.registry.history import compare
from drf.registry.loading import load_with_evidence
from drf.registry.scores import unseen_forecasts
from drf.registry.training_evidence import Evidence, remember
from drf.registry.versions import read_versions, tags_of
from tests.making import LAGS
from tests.registry.making import (
    LIMITS,
    NAME,
    evidence_of,
    market,
    recorded,
    register_small,
    shuffled,
    small_forecaster,
    turned,
    with_weights,
)

pytestmark = pytest.mark.long


def looked_at(forecaster: Forecaster, evidence: Evidence) -> Checkup:
    number = register_small(MlflowClient(), forecaster, evidence)
    model, kept = load_with_evidence(f"models:/{NAME}/{number}")
    return check_up(model, kept, max(LAGS))


def test_what_was_registered_repeats_itself_to_the_last_digit(store: str) -> None:
    sound = looked_at(small_forecaster(), evidence_of(small_forecaster(), market()))
    assert sound.replay_error <= 1e-12
    assert sound.direction > 0.8
    assert not failures(judge_artifact(sound, LIMITS))


@pytest.mark.parametrize("change", [turned, shuffled])
def test_changed_weights_are_found_with_the_evidence_of_the_sound_ones(store: str, change: object) -> None:
    broken = looked_at(with_weights(change), evidence_of(small_forecaster(), market()))  # type: ignore[arg-type]
    found = failures(judge_artifact(broken, LIMITS))
    assert "replay" in found
    assert "direction" in found


@pytest.mark.parametrize("change", [turned, shuffled])
def test_and_where_the_recorded_forecasts_were_made_to_fit(store: str, change: object) -> None:
    """Whoever registers a broken network the usual way records what it says; its walk-forward forecasts remain."""
    network = with_weights(change)  # type: ignore[arg-type]
    walked = evidence_of(small_forecaster(), market())
    broken = looked_at(network, replace(walked, newest=evidence_of(network, market()).newest))
    assert broken.replay_error <= 1e-9
    assert "direction" in failures(judge_artifact(broken, LIMITS))


def test_weights_of_another_training_are_found(store: str) -> None:
    other = looked_at(small_forecaster(seed=1), evidence_of(small_forecaster(), market()))
    assert "replay" in failures(judge_artifact(other, LIMITS))


def test_forecasts_of_other_stocks_are_no_replay(store: str) -> None:
    whole = evidence_of(small_forecaster(), market())
    fewer = looked_at(small_forecaster(), replace(whole, newest=whole.newest[1:]))
    assert fewer.replay_error == np.inf


def examined(client: MlflowClient, panel: pd.DataFrame) -> Examination:
    return examine(client, read_versions(client, NAME).versions[-1], panel)


def test_evidence_that_is_not_the_runs_is_refused(store: str, tmp_path: object) -> None:
    client, evidence = MlflowClient(), evidence_of(small_forecaster(), market())
    register_small(client, evidence=evidence)
    run = client.get_model_version(NAME, "1").tags["row_run"]
    assert len(examined(client, market()).forecasts)  # the run holds no tables: there is nothing to hold it against

    def log(table: pd.DataFrame, name: str) -> None:
        table.to_parquet(f"{tmp_path}/{name}", index=False)
        client.log_artifact(run, f"{tmp_path}/{name}")

    newest = evidence.newest.rename(columns={"prediction": "y_pred"})
    log(evidence.predictions, "predictions.parquet")
    month_before = newest.assign(date=newest["date"] - pd.offsets.MonthEnd(1))
    for forecasts in (newest, pd.concat([month_before, newest])):  # a panel may end with months without returns
        log(forecasts, "forecast.parquet")
        examined(client, market())
    log(newest, "forecast.parquet")
    for name, other in (
        ("forecast.parquet", newest.assign(y_pred=-newest["y_pred"])),
        ("forecast.parquet", newest[1:]),
        ("predictions.parquet", evidence.predictions.assign(y_pred=0.01)),
        ("predictions.parquet", evidence.predictions[100:]),
    ):
        log(other, name)
        with pytest.raises(InputError, match=rf"its evidence is not the {name} of its training's run {run}"):
            examined(client, market())
        log(evidence.predictions, "predictions.parquet")
        log(newest, "forecast.parquet")


def test_a_panel_that_it_cannot_forecast_is_said(store: str) -> None:
    client = MlflowClient()
    register_small(client)
    with pytest.raises(InputError, match=r"models:/drf-lstm-lrp/1 cannot forecast this panel.*ROE"):
        examined(client, market().drop(columns="ROE"))


def test_the_history_is_kept_exact_where_it_is_replayed_and_close_elsewhere() -> None:
    panel = market()
    first = panel["date"].max() - pd.offsets.MonthEnd(12)
    kept = remember(panel, DESCRIPTORS, first)
    new = panel["date"] >= first
    for name in DESCRIPTORS:
        pd.testing.assert_series_equal(kept.loc[new, name], panel.loc[new, name])
        np.testing.assert_allclose(kept[name], panel[name], rtol=1e-5)
    odd = panel.assign(ROE=np.resize([np.nan, 0.0, -0.0, 1e300, -1e-300, np.inf], len(panel)))
    np.testing.assert_allclose(remember(odd, ["ROE"], panel["date"].max())["ROE"], odd["ROE"], rtol=1e-5)


@pytest.mark.parametrize("tag", ["config", "train_last", "row_run", "parent_run"])
def test_a_tag_that_was_changed_is_refused_by_name(store: str, tag: str) -> None:
    """The recipe of another, later months, or the runs of another training: each would change the verdict."""
    client = MlflowClient()
    register_small(client)
    register_small(client, config=recorded("seed=1"), train_last="1991-07-31")
    other = tags_of(client.get_model_version(NAME, "2"))[tag]
    client.set_model_version_tag(NAME, "1", tag, other)
    known = read_versions(client, NAME)
    assert [one.number for one in known.versions] == ["2"]  # it decides nothing, about others neither
    assert known.left_aside["1"] == f"models:/drf-lstm-lrp/1: its tag {tag} was changed since it was registered"


@pytest.mark.parametrize("file", ["manifest.json", "artifacts/bundle/evidence/tags.json"])
def test_files_that_were_changed_or_are_gone_decide_nothing_either(store: str, file: str) -> None:
    client = MlflowClient()
    register_small(client)
    place = Path(mlflow.artifacts.download_artifacts(client.get_model_version(NAME, "1").source)) / file
    place.write_text(place.read_text() + "\n")
    changed = read_versions(client, NAME)
    assert not changed.versions
    assert re.search(r"was changed since it was registered|is not the one that was registered", changed.left_aside["1"])
    place.unlink()
    gone = read_versions(client, NAME)
    assert gone.left_aside["1"].startswith("its files cannot be read now: ")


@pytest.mark.parametrize("last_tested", [25, 39])
def test_months_that_a_version_was_trained_on_are_no_evidence_of_it(store: str, last_tested: int) -> None:
    """A training told to test up to a date trains its newest models on the months after it all the same."""
    dates = np.sort(market()["date"].unique())
    tested_to, trained_to = pd.Timestamp(dates[last_tested]), pd.Timestamp(dates[39])
    whole = evidence_of(small_forecaster(), market())
    early = replace(whole, predictions=whole.predictions[whole.predictions["date"] <= tested_to].reset_index(drop=True))
    number = register_small(MlflowClient(), small_forecaster(), early, train_last=str(trained_to.date()))
    model, kept = load_with_evidence(f"models:/{NAME}/{number}")
    months = unseen_forecasts(model, kept, compare(kept.history, market()), market())["date"].drop_duplicates()
    assert not ((months > tested_to) & (months <= trained_to)).any()
    assert (months <= tested_to).any() and (months > trained_to).any()
