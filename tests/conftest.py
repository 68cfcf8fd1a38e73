"""Fixtures that several test modules share."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

    from drf.data.simulate import Market
    from drf.samples.lagged import Samples

settings.register_profile("fuzz", max_examples=1700, deadline=None)
settings.register_profile("quick", max_examples=20, deadline=None)
settings.load_profile("quick")


def pytest_sessionstart(session: pytest.Session) -> None:
    """One thread for each process that runs tests; the one that only hands them out need not import PyTorch."""
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None):
        import torch

        from tests.stores import do_not_wait_for_the_disk

        torch.set_num_threads(1)
        do_not_wait_for_the_disk()


@pytest.fixture(scope="session")
def market() -> Market:
    from drf.data.simulate import SimulatedMarket, simulate

    return simulate(SimulatedMarket(stocks=40, months=45, seed=3))


@pytest.fixture
def panel(market: Market) -> pd.DataFrame:
    return market.panel.copy()


@pytest.fixture(scope="session")
def samples(market: Market) -> Samples:
    from drf.data.paper_descriptors import DESCRIPTORS
    from drf.samples.lagged import make_samples

    return make_samples(market.panel, DESCRIPTORS, (0, 3, 6, 9, 12))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated sqlite store; copying it is a hundred times faster than migrating another."""
    from drf.tracking.store import _prepare_sqlite

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    _prepare_sqlite(file, f"sqlite:///{file}")
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return file


@pytest.fixture
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A working directory with an empty store of its own, and the store's URI."""
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    from drf.tracking.store import connect, open_experiment

    uri = connect()
    open_experiment("drf")
    return uri


@pytest.fixture
def registry(store: str, tmp_path: Path) -> MlflowClient:
    """Three versions without a model, one whose training was killed, and one whose registration was."""
    from mlflow import MlflowClient

    from tests.registry.making import CONFIG, NAME, create_without_model

    client = MlflowClient()
    experiment = client.get_experiment_by_name("drf").experiment_id
    client.create_registered_model(NAME)
    for number in range(1, 5):
        run = client.create_run(experiment).info.run_id
        if number < 4:
            client.set_terminated(run)
        tags = {"row_run": run, "parent_run": run, "train_last": "2003-01-31", "config": CONFIG, "market": "m"}
        create_without_model(client, tmp_path / str(number), tags)
    client.create_model_version(NAME, source="s3://nowhere/5", tags={"row_run": "x"})
    return client
