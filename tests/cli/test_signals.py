"""Signals in the middle of a store's calls: the command ends, and its store is never left locked by itself."""

from __future__ import annotations

import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Metric, Param

from drf.cli import signals


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(signals.Ending, "interrupted", False)
    signals.watch()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_store_is_open_after_a_signal_at_any_moment(
    number: int, watched: None, tmp_path: Path, empty_store: Path
) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("signals")
    draws = random.Random(0)
    for _ in range(30):
        sent = threading.Timer(draws.uniform(0.001, 0.06), signal.raise_signal, (number,))
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            sent.start()
            while True:
                run = client.create_run(experiment).info.run_id
                client.log_batch(run, [Metric("loss", 1.0, 0, 0)], [Param("family", "lstm")])
                client.set_terminated(run)
        client.set_terminated(client.create_run(experiment).info.run_id)  # raises where the store is locked
    assert signals.Ending.interrupted == (number == signal.SIGINT)


def test_a_call_that_does_not_return_is_ended(watched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "STORES", (__name__,))
    monkeypatch.setattr(signals, "_PATIENCE", 0.1)
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
        time.sleep(30)


def test_a_signal_outside_a_store_ends_at_once(watched: None) -> None:
    with pytest.raises(SystemExit, match="143"):
        signal.raise_signal(signal.SIGTERM)
