"""The registry lived with, as real processes: month after month, killed, raced for, set by hand, restated."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from drf.data.simulate import SimulatedMarket
from drf.registry.aliases import read_hold, read_standing
from drf.registry.loading import load_model
from tests.programs.folders import LINEAR, PANEL, client, fresh, make_experiment, runs
from tests.programs.processes import run, start

pytestmark = [pytest.mark.slow, pytest.mark.long]

NAME = "drf-lstm-lrp-panel"
TRAIN = [
    *(word for word in LINEAR if not word.startswith(("data.", "tuning.", "registry."))),
    *PANEL, "tuning.trials=0", "registry.row=linear",
]  # fmt: skip
EVALUATE = [*PANEL, "gate.audit=false"]


def write_panel(folder: Path, months: int) -> pd.DataFrame:
    whole = SimulatedMarket(stocks=60, months=68, seed=0, explained=0.12, style=0.0).panel()
    dates = sorted(whole["date"].unique())[:months]
    panel = whole[whole["date"].isin(dates)].reset_index(drop=True)
    panel.loc[panel["date"] == dates[-1], "ret_next"] = None
    panel.to_parquet(folder / "panel.parquet", index=False)
    return panel


def month(folder: Path, months: int) -> None:
    write_panel(folder, months)
    run("train.py", *TRAIN, folder=folder)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Version 2 is champion, version 1 previous, and version 3, a refresh, waits."""
    folder = fresh(tmp_path_factory.mktemp("lived"), empty_store)
    make_experiment(folder)
    for months in (66, 67):
        month(folder, months)
        assert f"promoted version {months - 65}" in run("evaluate.py", *EVALUATE, folder=folder)
    month(folder, 68)
    return folder


def standing(folder: Path) -> tuple[str | None, str | None]:
    here = client(folder)
    now = read_standing(here, NAME)
    assert "intended" not in here.get_registered_model(NAME).tags
    if now.champion is not None:
        load_model(f"models:/{NAME}@champion")
    return now.champion, now.previous


def let_go(folder: Path) -> None:
    """Back to where version 3 waits."""
    here = client(folder)
    if read_hold(here, NAME) is not None:
        run("evaluate.py", *PANEL, "hold=false", "reason=go on", folder=folder)
    for number, alias in (("2", "champion"), ("1", "previous")):
        here.set_registered_model_alias(NAME, alias, number)
    for tag in ("standing", "hold"):
        with contextlib.suppress(Exception):
            here.delete_registered_model_tag(NAME, tag)
    for number in "123":
        for tag in ("verdict", "judged"):
            here.delete_model_version_tag(NAME, number, tag)


def test_a_monthly_refresh_adds_no_trial(lived: Path) -> None:
    counted = [run_.data.metrics["trials_counted"] for run_ in runs(lived, "comparison")]
    assert counted == [1.0] * 3


def test_an_evaluation_killed_at_any_moment_is_put_right_by_the_next(lived: Path) -> None:
    for moment in (1.0, 3.0):
        let_go(lived)
        program = start(lived, "evaluate.py", *EVALUATE)
        time.sleep(moment)
        program.kill()
        assert standing(lived)[0] in ("2", "3")
        run("evaluate.py", *EVALUATE, folder=lived)
        assert standing(lived) == ("3", "2")
    assert {run_.info.status for run_ in runs(lived, "evaluation")} <= {"FINISHED", "KILLED"}


def test_two_evaluations_and_a_rollback_end_as_if_one_came_after_the_other(lived: Path) -> None:
    let_go(lived)
    programs = [start(lived, "evaluate.py", *EVALUATE), start(lived, "evaluate.py", *EVALUATE)]
    programs.append(start(lived, "evaluate.py", *PANEL, "rollback=true"))
    codes = [program.wait() for program in programs]
    assert codes[2] in (0, 2)
    assert all(code in (0, 2) for code in codes), [program.output for program in programs]
    assert not any("Traceback" in program.output for program in programs)
    champion, _ = standing(lived)
    hold = read_hold(client(lived), NAME)
    if codes[2] == 0:
        assert champion in ("1", "2")
        assert hold is not None
        assert hold.reason.startswith(f"rolled back from version {int(champion) + 1}")
    else:  # the aliases had moved between its two looks
        assert (champion, hold) == ("3", None)


def test_a_restated_history_freezes_nothing(lived: Path) -> None:
    let_go(lived)
    panel = write_panel(lived, 68)
    row = panel.index[panel["date"] == panel["date"].unique()[20]][3]
    panel.loc[row, "CAP"] *= 1.001
    panel.loc[row, "PER"] += 1.0
    panel = panel[panel["asset"] != "S0007"].replace({"asset": {"S0011": "S0011.T"}})
    panel.to_parquet(lived / "panel.parquet", index=False)
    said = run("evaluate.py", *EVALUATE, folder=lived)
    assert "promoted version 3" in said
    assert "since it was trained the history has changed: " in said
    assert "1 stock(s) renamed (S0011 to S0011.T)" in said
    assert "all 68 months stand" in said
    write_panel(lived, 68)


def test_a_scheduler_learns_of_a_champion_that_is_not_whole(lived: Path) -> None:
    let_go(lived)
    here = client(lived)
    model = here.get_model_version(NAME, "2").source.removeprefix("models:/")
    weights = lived / "mlruns" / "models" / model / "artifacts" / "artifacts" / "bundle" / "weights.pt"
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1])
    said = run("evaluate.py", *EVALUATE, folder=lived, expect=4)
    assert said.lstrip().startswith("ALARM: the champion, version 2, cannot be judged")
    assert "weights.pt was changed since it was registered" in said
    assert standing_untouched(here) == "2"
    weights.write_bytes(sound)


def standing_untouched(here: MlflowClient) -> str:
    return str(here.get_model_version_by_alias(NAME, "champion").version)
