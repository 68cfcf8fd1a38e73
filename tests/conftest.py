"""Fixtures that several test modules share."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import settings

from drf.data.factors import DESCRIPTORS
from drf.data.simulate import Market, SimulatedMarket, simulate
from drf.samples.lagged import Samples, make_samples
from drf.tracking.store import _prepare_sqlite, connect

torch.set_num_threads(1)

settings.register_profile("fuzz", max_examples=2700)


@pytest.fixture(scope="session")
def market() -> Market:
    return simulate(SimulatedMarket(stocks=40, months=45, seed=3))


@pytest.fixture
def panel(market: Market) -> pd.DataFrame:
    return market.panel.copy()


@pytest.fixture(scope="session")
def samples(market: Market) -> Samples:
    return make_samples(market.panel, DESCRIPTORS, (0, 3, 6, 9, 12))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated sqlite store; copying it is a hundred times faster than migrating another."""
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
    return connect("drf")
