"""What the user meets at the command line: overrides, and refusals in one line with exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from drf.cli import main as commands
from drf.cli import program as entry
from drf.cli import score, train
from drf.data.simulate import SimulatedMarket
from tests.programs.processes import ROOT

Call = Callable[..., str]

SMALL = ["data=panel", "data.path=panel.parquet", "window.train_months=20", "window.test_months=6", "tuning.trials=0"]


@pytest.fixture
def refused(store: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run a program in this process in an empty folder with an empty store; expect one line and exit code 2."""

    def call(program: Callable[[], None], *arguments: str, code: int = 2) -> str:
        monkeypatch.setattr(sys, "argv", ["program.py", *arguments])
        with pytest.raises(SystemExit) as stopped:
            program()
        message = capfd.readouterr().err
        assert stopped.value.code == code, message
        assert message.count("\n") == 1, message
        runs = mlflow.search_runs(search_all_experiments=True)
        assert len(runs) == 0  # nothing half-written
        return message

    return call


@pytest.mark.parametrize("name", ["a&b", "panel (v2)", "日本株", 'x"y', "it's", "Überblick", "x#y", "100% new", "a b"])
def test_a_file_may_have_any_name(refused: Call, name: str) -> None:
    message = refused(train.main, "data=panel", f"data.path={name}.parquet")
    assert f"data.path={name}.parquet: there is no such file" in message or "x.parquet" in name


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["data.path=x.parquet"], "data.path is a key of data=panel: give data=... too"),
        (["model=[lstm linear]"], "put commas between several"),
        (["model=lstn"], "did you mean lstm?"),
        (["~data"], "set it to null"),
    ],
)
def test_a_mistake_is_answered_with_what_was_meant(refused: Call, words: list[str], told: str) -> None:
    assert told in refused(train.main, *words)


def test_a_console_that_lacks_letters_shows_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("date,asset,PER,ret_next\n1月,日本é,x,1\n", encoding="utf-8")
    words = [sys.executable, "-m", "drf", "data", "inspect", "p.csv"]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2 and "1\\u6708" in done.stderr and "Traceback" not in done.stderr


def test_overrides_may_come_as_one_text() -> None:
    assert entry.split_overrides(["--overrides", ""]) == []
    assert entry.split_overrides(["+experiment=mine", "+seed=1"]) == ["experiment=mine", "+seed=1"]
    arguments = ["seed=1", "--overrides", "model=[linear,lstm] data.path='a b.csv' --cfg"]
    assert entry.split_overrides(arguments) == ["seed=1", "model=[linear,lstm]", "data.path=a b.csv", "--cfg"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tuning.trails=3"], "unknown config key tuning.trails (did you mean tuning.trials?)"),
        (["sed=3"], "unknown config key sed (did you mean seed?)"),
        (["model=[lstn]"], "lstn"),
        (["data=panle"], "data=panle: there is no such choice (did you mean panel?)"),
        (["data=panel"], "data.path has no value: add data.path="),
        (["data=panel", "data.path=nowhere.parquet"], "nowhere.parquet: there is no such file"),
        (["window.train_months=0"], "window.train_months=0"),
        (["seed="], "seed"),
        (["seed"], "seed"),
        (["data.source.months=30"], "are needed: give a longer panel"),
        (["data.source.stocks=3"], "fewer than 5 stocks"),
        (["--overrides", "a='b"], "No closing quotation"),
        (["seed=null"], "seed=null: must be a whole number, at least 0 and at most 4,000,000"),
        (["portfolio=null"], "override must be a string"),
        (["window.lags=5"], "window.lags=5"),
        (["model.lstm.epochs=abc"], "model.lstm.epochs=abc: must be a whole number"),
        (["model.lstm.signal_bias=no"], "model.lstm.signal_bias=no: must be true or false"),
        (["model.lstm.learning_rate=1e30"], "model.lstm.learning_rate=1e+30: must be a number"),
        (["model.lstm.epochs=0"], "model.lstm.epochs=0"),
        (["model.lstm.validation_months=36"], "training months: lower it"),
        (["data.source.stocks=abc"], "data.source.stocks=abc: must be a whole number"),
        (["data.source.explained=1"], "data.source.explained=1"),
        (["data.source.start=foo"], "data.source.start=foo"),
        (["data.source._target_=foo.bar"], "data.source._target_=foo.bar: cannot be imported"),
        (["tuning.journal=/nowhere/journal"], "the folder /nowhere does not exist"),
        (["registry.name=a/b"], "registry.name=a/b"),
        (["registry.name=.."], "registry.name=..: must be a name without"),
        (["registry.row=lstm"], "registry.row=lstm: must be one of linear, ridge, "),
        (["tracking.experiment=' '"], "tracking.experiment= : must be a name"),
        (["portfolio.weighting=vlaue"], "portfolio.weighting=vlaue: must be one of equal, value"),
        (["portfolio.sector_neutral=true"], "portfolio.sector_neutral=true: the panel has no column sector"),
        (["+window.embargo_months=3"], "unknown config key window.embargo_months"),
        (["+windwo.train_months=3"], "unknown config key windwo (did you mean window?)"),
        (["compute.device=3"], "compute.device=3: must be text (or null)"),
        (["compute.checkpoints=3"], "compute.checkpoints=3: must be text"),
        (["+data.path=x.csv"], "unknown config key data.path"),
        (["compute=dask"], "compute.scheduler has no value: add"),
    ],
)
def test_train_refuses(refused: Call, arguments: list[str], told: str) -> None:
    assert told in refused(commands.train, *arguments)


def test_train_refuses_a_broken_panel(refused: Call, panel: pd.DataFrame, tmp_path: Path) -> None:
    panel.rename(columns={"LEVERAGE": "LEVARAGE"}).to_parquet(tmp_path / "panel.parquet")
    assert "LEVERAGE (is it LEVARAGE?) (then set 'data.columns={LEVERAGE: LEVARAGE}')" in refused(
        commands.train, *SMALL
    )
    (tmp_path / "panel.parquet").write_bytes(b"")
    assert "the file is empty" in refused(commands.train, *SMALL)
    panel[panel["asset"] == "S0001"].to_parquet(tmp_path / "panel.parquet")
    assert "fewer than 5 stocks" in refused(commands.train, *SMALL)
    panel.to_parquet(tmp_path / "panel.parquet")
    assert "data.universe=4: must be at least portfolio.quantiles=5" in refused(
        commands.train, *SMALL, "data.universe=4"
    )


def test_a_server_that_is_not_there(refused: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    for program in (commands.train, commands.evaluate):
        monkeypatch.setattr(mlflow, "search_runs", lambda **_: [])
        message = refused(program, code=75)
        assert "no MLflow server answers at http://127.0.0.1:9" in message
        assert "secret" not in message


def test_an_experiment_that_is_not_there(refused: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "999")
    assert "cannot open the experiment 999" in refused(commands.train)


def test_a_store_that_cannot_be_opened(refused: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"not a database at all" * 100)
    monkeypatch.setattr(mlflow, "search_runs", lambda **_: [])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/broken.db")
    assert "cannot be opened" in refused(commands.train)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none/mlflow.db")
    assert "does not exist: create it" in refused(commands.train)


def test_evaluate_refuses_an_empty_registry_and_a_rollback_to_nothing(refused: Call) -> None:
    assert "drf-lstm-lrp has no version to evaluate" in refused(commands.evaluate)
    assert "drf-lstm-lrp has no version: run drf train first" in refused(commands.evaluate, "rollback=true")
    assert "rollback=no: must be true or false" in refused(commands.evaluate, "rollback=no")
    assert "gate.min_sharpe_low=abc: must be a number" in refused(commands.evaluate, "gate.min_sharpe_low=abc")
    assert "gate.min_deflated=2: must be a number, at least 0 and at most 1" in refused(
        commands.evaluate, "gate.min_deflated=2"
    )
    assert "unknown config key window" in refused(commands.evaluate, "+window.lags=[0]")
    assert "unknown config key gate.min_sharp_low (did you mean gate.min_sharpe_low?)" in refused(
        commands.evaluate, "gate.min_sharp_low=0"
    )


def test_score_refuses(refused: Call, panel: pd.DataFrame, tmp_path: Path) -> None:
    panel.to_parquet(tmp_path / "panel.parquet")
    given = ["--panel", str(tmp_path / "panel.parquet")]
    assert "must end in .parquet or .csv" in refused(score.main, *given, "--output", "x.txt")
    assert "does not exist" in refused(score.main, *given, "--output", "none/x.csv")
    assert "models:/drf-lstm-lrp@champion" in refused(score.main, *given, "--output", "x.csv")
    assert "no such file" in refused(score.main, "--panel", "none.parquet", "--output", "x.csv")
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.long
def test_a_reader_that_goes_away_ends_the_program_without_a_word(tmp_path: Path) -> None:
    SimulatedMarket(20, 24, seed=0).panel().to_csv(tmp_path / "panel.csv", index=False)
    words = [sys.executable, "-m", "drf", "data", "inspect", str(tmp_path / "panel.csv")]
    program = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert program.stdout is not None and program.stderr is not None
    program.stdout.close()  # as head does
    said = program.stderr.read()
    assert (program.wait(), said) == (141, "")
