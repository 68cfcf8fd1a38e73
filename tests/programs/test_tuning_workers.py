"""Several machines tune together through one PostgreSQL; here they are processes, each in a folder of its own."""

from __future__ import annotations

import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from tests.programs.conftest import DATABASE_PASSWORD
from tests.programs.folders import LINEAR_AND_LSTM, fresh, runs
from tests.programs.processes import NO_PICTURES, run, start

pytestmark = pytest.mark.slow

TRIALS = 12
OPTIONS = [*LINEAR_AND_LSTM, f"tuning.trials={TRIALS}"]
WORKER = "drf.cli.tuning_worker"

# A machine that has died is found out after seconds, not after minutes.
IMPATIENT = {**NO_PICTURES, "drf.tuning.studies.HEARTBEAT": 1, "drf.tuning.studies.GRACE": 6}


def trials(database: str) -> list[FrozenTrial]:
    try:
        (study,) = optuna.get_all_study_names(database)
    except Exception:  # no tables yet, or no study in them
        return []
    return optuna.load_study(study_name=study, storage=database).trials


def machine(trial: FrozenTrial) -> int:
    return int(trial.user_attrs["machine"].rpartition(":")[2])


@pytest.mark.long
def test_three_machines_share_a_study_and_one_of_them_dies(
    database: str, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", DATABASE_PASSWORD)
    main, helper, victim = (tmp_path / name for name in ("main", "helper", "victim"))
    fresh(main, empty_store)
    helper.mkdir()
    victim.mkdir()
    options = [*OPTIONS, f"tuning.storage={database}"]
    programs = {victim: start(victim, WORKER, *options, patches=IMPATIENT, PGPASSWORD=DATABASE_PASSWORD)}
    doomed = programs[victim].pid  # it begins alone, so that it gets a trial however slow the machine is
    while not any(
        trial.state is TrialState.RUNNING and trial.user_attrs.get("machine") and machine(trial) == doomed
        for trial in trials(database)
    ):
        assert programs[victim].runs, "it never took a trial: " + programs[victim].output[-3000:]
        time.sleep(0.1)
    programs[victim].kill()
    programs |= {
        folder: start(folder, name, *options, patches=IMPATIENT, PGPASSWORD=DATABASE_PASSWORD)
        for folder, name in ((main, "train.py"), (helper, WORKER))
    }
    for folder in (main, helper):
        assert programs[folder].wait() == 0, programs[folder].output[-3000:]

    found = trials(database)
    lost = [trial for trial in found if trial.state is TrialState.FAIL]
    done = [trial for trial in found if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(lost) + len(done) == len(found)  # none is left open
    assert TRIALS <= len(done) <= TRIALS + 2 * len(lost)  # others may have made up for them before they were taken up
    assert lost
    assert all(machine(trial) == doomed for trial in lost)
    for trial in lost:
        assert trial.params in [other.params for other in done]
    assert {machine(trial) for trial in done} >= {programs[main].pid, programs[helper].pid}

    logged = {run.info.run_name: run.data for run in runs(main, "trial")}
    assert len(logged) >= TRIALS  # a helper may end another one later
    for trial in done:
        if f"lstm-trial-{trial.number}" in logged:
            assert logged.pop(f"lstm-trial-{trial.number}").tags["machine"] == trial.user_attrs["machine"]
    assert not logged
    kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(DATABASE_PASSWORD.encode() in content for content in kept)


@pytest.mark.long
def test_a_database_that_does_not_let_us_in_is_refused(database: str, tmp_path: Path) -> None:
    for program in ("train.py", WORKER):
        said = run(program, *OPTIONS, f"tuning.storage={database}", folder=tmp_path, expect=2, PGPASSWORD="a guess")
        (line,) = [line for line in said.splitlines() if "tuning.storage=" in line]
        assert "the database cannot be opened" in line
        assert "password authentication failed" in line
    assert not any(tmp_path.iterdir())
