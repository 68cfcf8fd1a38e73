"""A training that is killed, again and again, ends like an undisturbed one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.programs.test_programs import LINEAR_AND_LSTM, ROOT, client, fresh, run, runs

pytestmark = pytest.mark.slow

KILLS = 20
OPTIONS = [*LINEAR_AND_LSTM, "tuning.trials=4", "window.refit_every=2", "compute.jobs=2"]


def start(folder: Path, *options: str, **environment: str) -> subprocess.Popen[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "train.py"), *options],
            cwd=folder, env={**clean, "PYTHONPATH": str(ROOT), **environment}, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip


def numbers(folder: Path) -> dict[str, pd.DataFrame]:
    """Everything that the newest finished training has to say in numbers."""
    here = client(folder)
    (parent,) = [run for run in runs(folder, "comparison") if run.info.status == "FINISHED"]
    found = {"comparison": pd.read_csv(here.download_artifacts(parent.info.run_id, "comparison.csv"))}
    for row in runs(folder, "row"):
        if row.data.tags["mlflow.parentRunId"] == parent.info.run_id:
            for name in ("predictions", "forecast", "relevance"):
                if row.info.run_name != "lstm" or name != "relevance":
                    path = here.download_artifacts(row.info.run_id, f"{name}.parquet")
                    found[f"{row.info.run_name}/{name}"] = pd.read_parquet(path)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> tuple[Path, float]:
    folder = fresh(tmp_path_factory.mktemp("undisturbed"), empty_store)
    client(folder).create_experiment("drf")
    started = time.monotonic()
    run("train.py", *OPTIONS, folder=folder)
    return folder, time.monotonic() - started


def test_killed_at_random_moments_it_ends_with_the_same_numbers_to_the_bit(
    undisturbed: tuple[Path, float], tmp_path: Path, empty_store: Path
) -> None:
    reference, seconds = undisturbed
    folder = fresh(tmp_path, empty_store)
    client(folder).create_experiment("drf")
    rng = np.random.default_rng(0)
    for _ in range(KILLS):
        process = start(folder, *OPTIONS)
        try:
            process.wait(float(rng.uniform(0.1, 0.9) * seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
        else:
            break
    else:
        run("train.py", *OPTIONS, folder=folder)
    expected, found = numbers(reference), numbers(folder)
    assert set(found) == set(expected)
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table, check_exact=True, obj=name)
    here = client(folder)
    everything = here.search_runs([here.get_experiment_by_name("drf").experiment_id], max_results=5000)
    assert {entry.info.status for entry in everything} <= {"FINISHED", "KILLED", "FAILED"}
    assert not (folder / "checkpoints").exists() or not any((folder / "checkpoints").iterdir())


def test_the_same_command_twice_at_once_ends_well_twice(tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path, empty_store)
    client(folder).create_experiment("drf")
    options = [*LINEAR_AND_LSTM, "tuning.trials=0", "compute.jobs=1"]
    processes = [start(folder, *options) for _ in range(2)]
    assert [process.wait(240) for process in processes] == [0, 0], (folder / "log").read_text()[-3000:]
    tables = [
        pd.read_csv(client(folder).download_artifacts(parent.info.run_id, "comparison.csv"))
        for parent in runs(folder, "comparison")
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
