"""A training that is killed, again and again, ends like an undisturbed one."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run

from tests.programs.folders import LINEAR_AND_LSTM, client, fresh, make_experiment, runs
from tests.programs.processes import run, start

pytestmark = [pytest.mark.slow, pytest.mark.long]

KILLS = int(os.environ.get("DRF_TEST_KILLS", "8"))
KILLS_A_TRAINING = 7
OPTIONS = [*LINEAR_AND_LSTM, "data.source.months=56", "window.test_months=14", "window.refit_every=2"]
OPTIONS += ["data.source.stocks=40", "tuning.trials=4", "model.lstm.epochs=4"]


def finished(folder: Path) -> list[Run]:
    """Trainings that ended well: more than one if a process was killed after its work was done."""
    return [run for run in runs(folder, "comparison") if run.info.status == "FINISHED"]


def numbers(folder: Path, parent: Run) -> dict[str, pd.DataFrame]:
    """Everything that a training has to say in numbers."""
    here = client(folder)
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
    make_experiment(folder)
    run("train.py", "seed=-1", folder=folder, expect=2)  # what programs are forked from is there now
    started = time.monotonic()
    run("train.py", *OPTIONS, folder=folder)
    return folder, time.monotonic() - started


def test_killed_at_random_moments_it_ends_with_the_same_numbers_to_the_bit(
    undisturbed: tuple[Path, float], tmp_path: Path, empty_store: Path
) -> None:
    """Each training is killed again and again, until it has ended all the same or is left alone to end."""
    reference, seconds = undisturbed
    expected, rng = numbers(reference, *finished(reference)), np.random.default_rng(0)
    kills = attempts = 0
    while kills < KILLS:
        folder = fresh(tmp_path / str(attempts), empty_store)
        make_experiment(folder)
        most = min(KILLS, kills + KILLS_A_TRAINING)
        workers = "compute.jobs=2" if attempts == 0 else "compute.jobs=1"
        while kills < most and not killed_or_ended(folder, float(rng.uniform(0.05, 0.5) * seconds), workers):
            kills += 1
        if kills == most:
            run("train.py", *OPTIONS, folder=folder)
        compare(folder, expected)
        attempts += 1


def killed_or_ended(folder: Path, after: float, workers: str) -> bool:
    """Train, and kill all its processes after so many seconds; whether it had ended before."""
    program = start(folder, "train.py", *OPTIONS, workers)
    try:
        assert program.wait(after) == 0, program.output[-3000:]
    except TimeoutError:
        program.kill()
        return False
    return True


def compare(folder: Path, expected: dict[str, pd.DataFrame]) -> None:
    for parent in finished(folder):
        found = numbers(folder, parent)
        assert set(found) == set(expected)
        for name, table in expected.items():
            pd.testing.assert_frame_equal(found[name], table, check_exact=True, obj=name)
    here = client(folder)
    everything = here.search_runs([here.get_experiment_by_name("drf").experiment_id], max_results=5000)
    assert {entry.info.status for entry in everything} <= {"FINISHED", "KILLED", "FAILED"}
    assert not any((folder / "checkpoints").iterdir())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own that is made larger and smaller by :func:`resize`."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be made here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def resize(disk: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", disk], check=True)


# Room for the first trials; for some fits; for the fits, and not for what is logged of them.
@pytest.mark.parametrize("room", [350, 1100, 2500])
def test_out_of_disk_it_says_so_and_goes_on_when_there_is_room(
    room: int, undisturbed: tuple[Path, float], disk: Path, empty_store: Path
) -> None:
    fresh(disk, empty_store)
    make_experiment(disk)
    used = sum(file.stat().st_size for file in disk.iterdir()) // 1024
    resize(disk, used + room)
    said = run("train.py", *OPTIONS, folder=disk, expect=2)
    (line,) = [line for line in said.splitlines() if line.startswith("train.py: ")]
    assert re.search("no space", line, re.IGNORECASE)
    assert line.endswith("make room, then give the same command again")
    resize(disk, 100 * 1024)
    run("train.py", *OPTIONS, folder=disk)
    compare(disk, numbers(undisturbed[0], *finished(undisturbed[0])))


@pytest.mark.parametrize(("trials", "second"), [(0, []), (2, ["seed=1"])], ids=["the same", "another, tuned"])
def test_two_commands_at_once_on_one_store_end_well(
    trials: int, second: list[str], tmp_path: Path, empty_store: Path
) -> None:
    folder = fresh(tmp_path, empty_store)
    make_experiment(folder)
    options = [*LINEAR_AND_LSTM, f"tuning.trials={trials}"]
    programs = [start(folder, "train.py", *options), start(folder, "train.py", *options, *second)]
    assert [program.wait() for program in programs] == [0, 0], programs[0].output[-3000:]
    everything = client(folder).search_runs(
        [client(folder).get_experiment_by_name("drf").experiment_id], max_results=5000
    )
    assert {entry.info.status for entry in everything} == {"FINISHED"}
    assert {version.version for version in client(folder).search_model_versions("name='drf-lstm-lrp'")} == {1, 2}
    tables = [
        pd.read_csv(client(folder).download_artifacts(parent.info.run_id, "comparison.csv"))
        for parent in runs(folder, "comparison")
    ]
    if not trials:  # who asks first may be given another trial
        pd.testing.assert_frame_equal(*tables, check_exact=True)
