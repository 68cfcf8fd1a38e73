"""The month-end command as a process: done once, resumed, refused, held back, at once with another."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock

from drf.data.simulate import SimulatedMarket
from drf.live.issue_log import EXPERIMENT, read_issues
from drf.registry.aliases import read_standing
from drf.tracking.locks import lock_file
from tests.programs.folders import LINEAR, PANEL, client, fresh, make_experiment
from tests.programs.processes import ROOT, Patches, blank, run, start

pytestmark = pytest.mark.slow

NAME = "drf-lstm-lrp-panel"
FIRST = 66
KILLS = int(os.environ.get("DRF_TEST_KILLS", "8"))
TRAIN = [
    *(word for word in LINEAR if not word.startswith(("data.", "tuning.", "window.refit_every", "registry."))),
    *PANEL, "tuning.trials=0", "registry.row=linear", "window.refit_every=2",
]  # fmt: skip


def never(month: pd.Timestamp) -> bool:
    """In place of the computer's clock, which is years after these months."""
    return False


WITHOUT_PICTURES: Patches = {f"drf.reporting.{module}.picture": blank for module in ("training_report", "live_figures")}
IN_TIME: Patches = {**WITHOUT_PICTURES, "drf.live.input_watch.is_half_over": never}


def write_panel(folder: Path, months: int, name: str = "panel.parquet") -> pd.DataFrame:
    whole = SimulatedMarket(stocks=60, months=FIRST + 12, seed=0, explained=0.12, style=0.0).panel()
    dates = sorted(whole["date"].unique())[:months]
    panel = whole[whole["date"].isin(dates)].reset_index(drop=True)
    panel.loc[panel["date"] == dates[-1], "ret_next"] = None
    panel.to_parquet(folder / name, index=False)
    return panel


def words(panel: pd.DataFrame, *more: str) -> list[str]:
    day = f"as_of={panel['date'].max():%Y-%m-%d}"
    return [*PANEL, "gate.audit=false", day, *more]


def month_end(folder: Path, *arguments: str, expect: int = 0, patches: Patches = IN_TIME, **env: str) -> Any:
    """Its last line, read as JSON."""
    said = run("month-end", *arguments, folder=folder, expect=expect, patches=patches, **env)
    return json.loads([line for line in said.splitlines() if line.startswith("{")][-1])


@pytest.fixture
def promoted(tmp_path: Path, empty_store: Path) -> Path:
    """A folder in which version 1 is champion."""
    folder = fresh(tmp_path / "work", empty_store)
    make_experiment(folder)
    write_panel(folder, FIRST)
    run("train.py", *TRAIN, folder=folder)
    run("evaluate.py", *PANEL, "gate.audit=false", "gate=research", folder=folder)
    return folder


def kinds(folder: Path) -> dict[str, int]:
    """How many runs of each kind the live record has that count."""
    here = client(folder)
    experiment = here.get_experiment_by_name(EXPERIMENT)
    found = here.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'", max_results=1000)
    return dict(pd.Series([one.data.tags["kind"] for one in found]).value_counts())


@pytest.mark.long
def test_three_months(promoted: Path) -> None:
    """Each is done once; the third trains and promotes; all that is asked twice says the same."""
    told = []
    for months in range(FIRST, FIRST + 3):
        panel = write_panel(promoted, months)
        told.append(month_end(promoted, *words(panel, "gate=research")))
        assert month_end(promoted, *words(panel, "gate=research"), expect=99) == told[-1]
    assert [one["status"] for one in told] == ["done"] * 3
    assert [one["live"]["months"] for one in told] == [0, 1, 2]
    assert [one["champion"]["version"] for one in told] == ["1", "1", "2"]
    assert told[2]["champion"]["issued_by"] == "1"  # scored before it was trained
    assert told[0]["trained"].startswith("not due: version 1") and told[2]["trained"] == "version 2"
    assert kinds(promoted) == {"forecast": 3, "monitor": 2 + 1, "month-end": 3}
    page = Path(told[2]["page"]).read_text(encoding="utf-8")
    assert "Month end" in page and "Version 2 is a newer version" in page.replace("Promoted version 2: v", "V")
    orders = pd.read_parquet(told[2]["issued"]["file"])
    assert orders["version"].unique() == ["1"] and (orders["held"] != 0).any()
    example = [sys.executable, str(ROOT / "examples" / "portfolio.py"), NAME]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{promoted}/mlflow.db"}
    bought = subprocess.run(example, cwd=promoted, env=environment, capture_output=True, text=True)
    assert bought.returncode == 0, bought.stderr
    assert "issued by version 1" in bought.stdout and "Bought most" in bought.stdout
    shadow = month_end(promoted, *words(panel, "gate=research", "shadow=1"))
    assert shadow["issued"]["shadow"] and shadow["issued"]["run"] == told[2]["issued"]["run"]
    assert shadow["notes"] and "stays as it was issued by version 1" in shadow["notes"][0]
    (issue,) = read_issues(client(promoted), NAME, "shadow")
    assert issue.version == "1"


@pytest.mark.long
def test_months_replayed_after_their_time_make_no_live_record(promoted: Path) -> None:
    for months in (FIRST, FIRST + 1):
        told = month_end(
            promoted, *words(write_panel(promoted, months), "skip=[train,evaluate]"), patches=WITHOUT_PICTURES
        )
    assert told["status"] == "done" and told["live"]["months"] == 0
    assert [issue.afterwards for issue in read_issues(client(promoted), NAME)] == [True, True]


@pytest.mark.long
def test_what_ends_it_early(promoted: Path) -> None:
    panel = write_panel(promoted, FIRST)
    assert month_end(promoted, "data=panel", "data.path=nowhere.parquet", expect=2)["status"] == "refused"
    assert "there is no such version" in month_end(promoted, "registry.name=other", expect=2)["reason"]
    old = month_end(promoted, "data=panel", "data.path=panel.parquet", expect=3)  # today is long after
    assert old["status"] == "held back" and "months that it lies behind" in old["unusual"][0]
    away = month_end(promoted, *words(panel), expect=75, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert away["status"] == "try again" and "no MLflow server answers" in away["reason"]
    client(promoted)
    assert "there is no such version" in month_end(promoted, *words(panel, "shadow=7"), expect=2)["reason"]
    assert "cannot be written" in month_end(promoted, *words(panel, "output=/proc/none"), expect=2)["reason"]
    assert "no such run" in month_end(promoted, *words(panel), expect=2, MLFLOW_RUN_ID="abc")["reason"]
    with FileLock(lock_file(NAME, "month-end")):
        assert "another command" in month_end(promoted, *words(panel), expect=75)["reason"]
    newest = panel.index[panel["date"] == panel["date"].max()]
    turned = panel.assign(PER=panel["PER"].where(~panel.index.isin(newest), -panel["PER"]))
    turned.to_parquet(promoted / "panel.parquet")
    assert any("PER" in text for text in month_end(promoted, *words(panel), expect=3)["unusual"])
    assert client(promoted).get_experiment_by_name(EXPERIMENT) is None or "forecast" not in kinds(promoted)
    forced = month_end(promoted, *words(panel, "force=true", "skip=[train,evaluate]"))
    assert forced["unusual"] and forced["trained"] == forced["decision"] == "left out"
    assert read_issues(client(promoted), NAME)[0].watch.startswith("unusual, forced: PER")


@pytest.mark.long
def test_an_alarm_is_said_again_when_asked_again(promoted: Path) -> None:
    low = {**IN_TIME, "drf.live.outcome.ALPHA": 50.0}  # an alarm from an evidence of 0.02 on
    write_panel(promoted, FIRST)
    month_end(promoted, *words(write_panel(promoted, FIRST)), patches=low)
    panel = write_panel(promoted, FIRST + 1)
    told = month_end(promoted, *words(panel), expect=4, patches=low)
    assert told["status"] == "alarm" and "falls short of what the backtest promised" in told["alarms"][0]
    assert "Roll back" in " ".join(told["what to do"])
    assert month_end(promoted, *words(panel), expect=4, patches=low) == told
    held = month_end(promoted, *words(panel, "portfolio.at_alarm=hold"), expect=3, patches=low)
    assert (held["status"], held["issued"]) == ("held back", None)
    assert "nothing is issued (portfolio.at_alarm=hold)" in held["notes"][0]


@pytest.mark.long
def test_data_that_go_on_are_forecast_from_and_nothing_else(promoted: Path) -> None:
    panel = write_panel(promoted, FIRST)
    write_panel(promoted, FIRST + 6)
    told = month_end(promoted, *words(panel))
    assert told["month"] == f"{panel['date'].max():%Y-%m}"
    assert told["trained"] == "none, because the data contain returns from after the month"
    assert "nothing was trained or evaluated" in told["notes"][0]
    assert read_issues(client(promoted), NAME)[0].afterwards


@pytest.mark.long
def test_two_at_once_do_it_once(promoted: Path) -> None:
    panel = write_panel(promoted, FIRST)
    programs = [start(promoted, "month-end", *words(panel), patches=IN_TIME) for _ in range(2)]
    codes = sorted(program.wait() for program in programs)
    assert codes in ([0, 75], [0, 99]), programs[0].output
    assert kinds(promoted)["forecast"] == kinds(promoted)["month-end"] == 1


def killed(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


POINTS = [
    "drf.live.issuance.write_issue",
    "drf.workflows.month_end_steps.log_record",
    "drf.workflows.month_end_steps.train",
    "drf.workflows.month_end_steps.evaluate",
    "drf.workflows.month_end_steps.write_end",
]


@pytest.mark.long
def test_killed_at_each_step_and_at_any_moment_nothing_is_issued_twice_and_nothing_is_lost(promoted: Path) -> None:
    """The third month trains and evaluates; it is killed until it is done."""
    for months in range(FIRST, FIRST + 2):
        month_end(promoted, *words(write_panel(promoted, months)))
    arguments = words(write_panel(promoted, FIRST + 2))
    for point in POINTS:
        run("month-end", *arguments, folder=promoted, expect=-9, patches={**WITHOUT_PICTURES, point: killed})
        _require_sound(promoted)
    rng, hit = random.Random(0), 0
    for _ in range(KILLS):
        program = start(promoted, "month-end", *arguments, patches=WITHOUT_PICTURES)
        time.sleep(rng.uniform(0.2, 8.0))
        hit += program.runs
        program.kill()
        _require_sound(promoted)
    assert hit > 0
    told = month_end(promoted, *arguments, expect=99 if kinds(promoted).get("month-end") == 3 else 0)
    assert told["status"] == "done" and told["champion"]["version"] == "2"
    assert kinds(promoted)["forecast"] == 3
    versions = client(promoted).search_model_versions(f"name='{NAME}'")
    assert sorted(str(entry.version) for entry in versions) == ["1", "2"]


def _require_sound(folder: Path) -> None:
    issues = read_issues(client(folder), NAME)
    assert len(issues) in (2, 3) and len({issue.month for issue in issues}) == len(issues)
    assert read_standing(client(folder), NAME).champion in ("1", "2")
