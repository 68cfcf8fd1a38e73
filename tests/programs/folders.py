"""Folders in which programs work: a store each, and what its runs hold."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run

from drf.data.simulate import SimulatedMarket

ROWS = ["linear", "svr", "forest", "dnn", "dnn_lrp", "lstm", "lstm_lrp"]

# A strong signal, so that few stocks and epochs do.
SMALL = [
    "data.source.stocks=60", "data.source.months=66", "data.source.explained=0.12", "data.source.style=0.0",
    "window.train_months=20", "window.test_months=24", "window.refit_every=8",
    "tuning.trials=2", "tuning.folds=2", "tuning.validation_months=4", "tuning.batch=2", "compute.jobs=1",
    "model.svr.max_samples=300", "model.forest.n_estimators=8",
    "model.dnn.epochs=8", "model.dnn.seeds=2", "model.lstm.epochs=8", "model.lstm.seeds=2", "model.lstm.batch_size=256",
    "registry.name=drf-lstm-lrp",
]  # fmt: skip
MARKET = [word for word in SMALL if word.startswith(("data.", "registry."))]
"""What chooses the market of SMALL and its registered model again."""

PANEL = ["data=panel", "data.path=panel.parquet"]
LINEAR_AND_LSTM = [word for word in SMALL if not word.startswith(("model.svr", "model.forest", "model.dnn"))]
LINEAR = [*(word for word in LINEAR_AND_LSTM if not word.startswith("model")), "model=[linear]"]
LINEAR_AND_LSTM += ["model=[linear,lstm]"]


def fresh(folder: Path, empty_store: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(empty_store, folder / "mlflow.db")
    return folder


def client(folder: Path) -> MlflowClient:
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    return MlflowClient()


def make_experiment(folder: Path) -> None:
    """As train.py itself would, when several are to start at once; artifacts in the folder too."""
    client(folder).create_experiment("drf", artifact_location=str(folder / "mlruns"))


def runs(folder: Path, kind: str) -> list[Run]:
    here = client(folder)
    experiment = here.get_experiment_by_name("drf")
    return list(here.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'", max_results=500))


def without_mlflow() -> dict[str, str]:
    """The environment without MLflow's variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}


def newest_months() -> pd.DataFrame:
    """What a forecast of the newest month of the market of SMALL needs."""
    panel = SimulatedMarket(60, 66, 0, explained=0.12, style=0.0).panel()
    return panel[panel["date"] >= panel["date"].max() - pd.offsets.MonthEnd(12)]
