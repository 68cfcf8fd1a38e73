"""An experiment of conf/experiment is one command, and its tables are another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drf.data.paper_descriptors import FACTORS
from drf.data.simulate import SimulatedMarket
from tests.programs.folders import LINEAR_AND_LSTM, PANEL, client, fresh, runs
from tests.programs.processes import run

pytestmark = [pytest.mark.slow, pytest.mark.long]

QUICK = ["window.refit_every=10", "model.lstm.epochs=2", "model.lstm.seeds=2"]


def test_japan_trains_on_both_universes_and_tells_the_opened_months_apart(tmp_path: Path, empty_store: Path) -> None:
    fresh(tmp_path, empty_store)
    SimulatedMarket(stocks=60, months=78, start="2012-03", seed=0).panel().to_parquet(tmp_path / "panel.parquet")
    some = "model=[linear,lstm]"
    run("train.py", "experiment=japan", "data.path=panel.parquet", "compute.jobs=1", some, *QUICK, folder=tmp_path)
    here = client(tmp_path)
    experiment = here.get_experiment_by_name("japan").experiment_id
    parents = here.search_runs([experiment], "tags.kind = 'comparison'")
    assert {parent.data.params["data.universe"] for parent in parents} == {"500", "1000"}
    assert {parent.info.status for parent in parents} == {"FINISHED"}
    printed = run("benchmarks/japan.py", "japan", folder=tmp_path)
    for universe in (500, 1000):
        for months in ("development", "opened"):
            assert f"**{universe} largest, {months} months**" in printed
    lines = [line for line in printed.splitlines() if line.startswith("| lstm_lrp")]
    assert len(lines) == 4


def test_the_published_simulation_is_trained_on_in_one_word(tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path, empty_store)
    words = ["experiment=gkx", "model=[linear,elasticnet,dnn]", "model.dnn.seeds=1", "model.dnn.epochs=10"]
    run("train.py", *words, "model.dnn.sparsity=0.8", folder=folder)
    rows = {row.info.run_name: row.data.metrics for row in runs(folder, "row")}
    assert rows["linear"]["r2"] < rows["elasticnet"]["r2"] and rows["elasticnet"]["r2"] > 0  # the signal is sparse
    assert rows["linear"]["truth/C1"] > 0.5
    assert rows["linear"]["periods"] == 60


def test_the_rivals_stand_beside_and_their_blend_becomes_champion(tmp_path: Path, empty_store: Path) -> None:
    """Trained, registered, promoted under loosened gates, and loaded: what it says is what was recorded."""
    fresh(tmp_path, empty_store)
    SimulatedMarket(stocks=60, months=66, seed=0, explained=0.12, style=0.0).panel().to_parquet(
        tmp_path / "panel.parquet"
    )
    small = [word for word in LINEAR_AND_LSTM if not word.startswith(("model=", "data.", "registry."))]
    run(
        "train.py", "model=[linear,ridge,boosting,lstm,blend]", "registry.row=blend", *small,
        *PANEL, "model.boosting.n_estimators=20", "tuning.trials=0", folder=tmp_path,
    )  # fmt: skip
    here = client(tmp_path)
    made = {row.info.run_name: row for row in runs(tmp_path, "row")}
    assert set(made) == {"linear", "ridge", "boosting", "lstm", "lstm_lrp", "blend"}
    for name in ("ridge", "boosting", "blend"):
        assert {"r2", "r2_raw", "promised_return", "scale"} <= set(made[name].data.metrics)
        assert "contributions.parquet" in {file.path for file in here.list_artifacts(made[name].info.run_id)}
    run("evaluate.py", *PANEL, "gate=research", "gate.min_sharpe_low=-9", "gate.min_deflated=0", folder=tmp_path)
    assert str(here.get_model_version_by_alias("drf-lstm-lrp-panel", "champion").version) == "1"
    newest = pd.read_parquet(here.download_artifacts(made["blend"].info.run_id, "forecast.parquet"))
    uri = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    words = ["--panel", "panel.parquet", "--output", "said.parquet", "--as-of", "1996-05-31"]
    run("drf.cli.score", *words, folder=tmp_path, **uri)
    said = pd.read_parquet(tmp_path / "said.parquet")
    both = newest.merge(said, on=["date", "asset"])
    assert len(both) == len(newest) > 0
    assert np.allclose(both["y_pred"], both["prediction"], atol=1e-6)
    assert np.allclose(said[[*FACTORS, "bias"]].sum(axis=1), said["prediction"], atol=1e-12)
