"""MLflow's own scoring server answers for the champion, given the example that lies beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import requests

from drf.data.paper_descriptors import FACTORS
from tests.programs.conftest import free_port
from tests.programs.folders import LINEAR, MARKET, client, fresh, make_experiment, without_mlflow
from tests.programs.processes import run

pytestmark = [pytest.mark.slow, pytest.mark.long]

NAME = "drf-lstm-lrp"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A folder in which version 1 is champion."""
    made = fresh(tmp_path_factory.mktemp("serving"), empty_store)
    make_experiment(made)
    words = [word for word in LINEAR if not word.startswith("tuning.")]
    run("train.py", *words, "tuning.trials=0", "registry.row=linear", folder=made)
    run("evaluate.py", *MARKET, "gate=research", "gate.audit=false", folder=made)
    return made


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """``mlflow models serve`` of the champion; its address."""
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{NAME}@champion", "--env-manager", "local",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    environment = {**without_mlflow(), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "serve.log").read_text()
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"http://127.0.0.1:{port}/ping", timeout=5).ok:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def test_the_server_takes_the_serving_example(folder: Path, tmp_path: Path) -> None:
    client(folder)
    address = f"models:/{NAME}@champion"
    files = Path(mlflow.artifacts.download_artifacts(address, dst_path=str(tmp_path)))
    example = (files / "serving_input_example.json").read_text()
    split = json.loads(example)["dataframe_split"]
    model, given = mlflow.pyfunc.load_model(str(files)), pd.DataFrame(split["data"], columns=split["columns"])
    expected = model.predict(given, params=json.loads(example)["params"])
    with serving(folder) as server:
        answer = requests.post(server, data=example, headers={"Content-Type": "application/json"}, timeout=60)
        assert answer.status_code == 200, answer.text
        bad = requests.post(
            server, json={"dataframe_split": {"columns": ["date"], "data": [["2000-01-31"]]}}, timeout=60
        )
    told = pd.DataFrame(answer.json()["predictions"])
    assert list(told) == ["date", "asset", "prediction", *FACTORS, "bias"]
    assert told["prediction"].to_numpy() == pytest.approx(expected["prediction"].to_numpy())
    assert bad.status_code == 400 and "missing" in bad.text.lower()
