"""Trainings of other kinds as processes: of noise, of other rows and portfolios, ended early, without POSIX."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from drf.data.calendar import using
from drf.data.paper_descriptors import DESCRIPTORS, FACTORS
from drf.data.simulate import SimulatedMarket
from tests.programs.folders import (
    LINEAR,
    LINEAR_AND_LSTM,
    MARKET,
    client,
    fresh,
    make_experiment,
    newest_months,
    runs,
    without_mlflow,
)
from tests.programs.processes import ROOT, Program, run, start

pytestmark = pytest.mark.slow


@pytest.mark.long
def test_nothing_is_promoted_from_noise(tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path, empty_store)
    words = [word for word in LINEAR_AND_LSTM if "explained" not in word]
    run("train.py", *words, "data=noise", folder=folder)
    text = run("evaluate.py", *MARKET, "data.source.explained=0", folder=folder, expect=4)
    assert "There is no champion yet" in text
    assert "nothing was promoted: no version passed every gate" in text
    assert "champion" not in client(folder).get_registered_model("drf-lstm-lrp").aliases


def start_training(folder: Path) -> Program:
    """Start a training and wait until its parent run is open and rows are being worked on."""
    program = start(folder, "train.py", *LINEAR_AND_LSTM, "tuning.trials=200")
    while not ((folder / "optuna.journal").exists() and len(runs(folder, "trial")) > 2):
        assert program.runs, program.output
        time.sleep(0.1)
    return program


@pytest.mark.long
def test_a_terminated_training_ends_as_failed(tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path, empty_store)
    make_experiment(folder)
    program = start_training(folder)
    program.send(signal.SIGTERM)
    assert program.wait() == 128 + signal.SIGTERM
    statuses = [run.info.status for run in [*runs(folder, "comparison"), *runs(folder, "row")]]
    assert statuses == ["FAILED"] * 4


@pytest.mark.long
def test_ctrl_c_ends_a_training_with_one_line_and_no_worker_left(tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path, empty_store)
    make_experiment(folder)
    program = start_training(folder)
    os.killpg(program.pid, signal.SIGINT)  # as a terminal does: the workers receive it too
    assert program.wait() == 130
    last = program.output.splitlines()[-1]
    assert "interrupted: the same command goes on" in last and "Traceback" not in program.output
    assert {run.info.status for run in runs(folder, "comparison")} == {"FAILED"}


@pytest.mark.long
def test_a_killed_training_is_ignored_and_its_studies_go_on(tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path, empty_store)
    make_experiment(folder)
    start_training(folder).kill()
    assert runs(folder, "comparison")[0].info.status == "RUNNING"
    assert "no version to evaluate" in run("evaluate.py", *MARKET, folder=folder, expect=2)
    run("train.py", *LINEAR_AND_LSTM, "tuning.trials=6", folder=folder)
    earlier = [trial for trial in runs(folder, "trial") if trial.data.tags["from_earlier_run"] == "true"]
    assert len(earlier) > 2
    assert "promoted version 1" in run("evaluate.py", *MARKET, folder=folder)
    statuses = sorted(run.info.status for run in [*runs(folder, "comparison"), *runs(folder, "row")])
    assert statuses == ["FINISHED"] * 4 + ["KILLED"] * 4


@pytest.mark.long
def test_mlflow_run_works_under_its_own_run(tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path, empty_store)
    words, judging = " ".join([*LINEAR, "registry.row=linear"]), " ".join([*MARKET, "gate=research"])
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", "run", str(ROOT), "--env-manager=local", "-e", "main",
         "--experiment-name", "drf", "-P", f"overrides={words}", "-P", f"evaluation={judging}"],
        cwd=folder, capture_output=True, text=True,
        env={**without_mlflow(), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
             "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (parent,) = runs(folder, "comparison")
    assert parent.data.tags["mlflow.project.entryPoint"] == "main"
    assert parent.info.status == "FINISHED"
    assert {row.data.tags["mlflow.parentRunId"] for row in runs(folder, "row")} == {parent.info.run_id}
    (decision,) = runs(folder, "evaluation")
    assert decision.info.run_id != parent.info.run_id
    assert client(folder).get_model_version_by_alias("drf-lstm-lrp", "champion").tags["verdict"] == "champion"
    shutil.rmtree(ROOT / "mlruns", ignore_errors=True)


@pytest.mark.long
def test_relevance_finds_the_macro_series_that_drives_returns(tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path, empty_store)
    options = ["factors=paper16_macro", "data.source.stocks=300", "tuning.trials=0", "model=[linear,lstm]"]
    options += [
        "report.relevance=full",
        "model.lstm.seeds=1",
        "window.test_months=24",
        "window.refit_every=12",
        "compute.jobs=1",
    ]
    run("train.py", *options, folder=folder)
    (row,) = [row for row in runs(folder, "row") if row.info.run_name == "lstm_lrp"]
    assert row.data.metrics["truth/Macro"] > 0.5
    relevance = pd.read_parquet(client(folder).download_artifacts(row.info.run_id, "relevance.parquet")).drop(
        columns=["date", "asset"]
    )
    size = relevance.abs().mean()
    by_descriptor = size.groupby([name.rsplit("_lag", 1)[0] for name in size.index]).sum()
    assert set(by_descriptor.index) == {*DESCRIPTORS, "BETA_FX", "BETA_RATES", "BETA_CPI"}
    assert by_descriptor.idxmax() == "BETA_FX"


@pytest.mark.long
def test_macro_states_go_from_training_to_the_month_end(tmp_path: Path, empty_store: Path) -> None:
    """The evaluation and the month end know the states from the version, and make them from the same file."""
    folder = fresh(tmp_path, empty_store)
    SimulatedMarket(150, 100, seed=3).panel().to_parquet(folder / "panel.parquet")
    rng = np.random.default_rng(0)
    months = pd.DataFrame({"date": pd.date_range("1986-01-31", periods=180, freq="ME")})
    months.assign(TBL=rng.normal(size=180).cumsum(), TMS=rng.normal(size=180)).to_csv(folder / "macro.csv", index=False)
    data = ["data=panel", f"data.path={folder}/panel.parquet", f"data.macro.path={folder}/macro.csv"]
    words = ["data.macro.states=[TBL,TMS]", "data.macro.interactions=true", "samples.transform=zscore"]
    words += ["model=[linear,lstm]", "model.lstm.seeds=1", "model.lstm.epochs=20", "tuning.trials=0"]
    run("train.py", *data, *words, "window.test_months=24", "window.refit_every=12", folder=folder)
    assert "promoted version 1" in run("evaluate.py", *data, "gate=research", "audit=true", folder=folder)
    run("month-end", *data, "as_of=1999-04-01", "skip=[train,evaluate]", folder=folder)
    (row,) = [row for row in runs(folder, "row") if row.info.run_name == "lstm_lrp"]
    local = client(folder).download_artifacts(row.info.run_id, "contributions_by_stock.parquet")
    by_stock, forecasts = (
        pd.read_parquet(local),
        pd.read_parquet(folder / "month-end" / "1999-03" / "forecasts.parquet"),
    )
    assert {"STATE_TBL", "PER*STATE_TBL", "ILLIQ*STATE_TMS"} <= set(by_stock)
    factors = [*FACTORS, "States", "With TBL", "With TMS"]
    assert set(factors) <= set(forecasts)
    assert np.allclose(forecasts[[*factors, "bias"]].sum(axis=1), forecasts["prediction"], atol=1e-9)


@pytest.mark.long
def test_a_weekly_market_with_a_horizon_goes_from_training_to_its_record(tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path, empty_store)
    with using("weekly"):
        panel = SimulatedMarket(120, 220, seed=3).panel()
    weeks = sorted(panel["date"].unique())
    for file, last in (("panel", weeks[-4]), ("later", weeks[-3]), ("latest", weeks[-2])):
        known = panel[panel["date"] <= last]
        known.assign(ret_next=known["ret_next"].where(known["date"] < last)).to_parquet(folder / f"{file}.parquet")
    words = ["data=panel", "data.cap=log", "data.frequency=weekly", "registry.name=weekly"]
    options = ["model=[linear,lstm]", "model.lstm.seeds=1", "model.lstm.epochs=20", "tuning.trials=0"]
    options += ["window.horizon=4", "window.train_months=80", "window.test_months=40", "window.refit_every=20"]
    here = f"data.path={folder}/panel.parquet"
    text = run("train.py", here, *words, *options, folder=folder)
    assert "4 weeks, as the stock has no return then" in text and "the stock had no row that week" in text
    assert "promoted version 1" in run("evaluate.py", here, *words, "gate=research", "audit=true", folder=folder)
    refused = run("month-end", here, *words[:2], words[3], folder=folder, expect=2)
    assert "was trained on weekly data: set data.frequency=weekly" in refused
    for file, week in (("panel", weeks[-4]), ("later", weeks[-3]), ("latest", weeks[-2])):
        run("month-end", f"data.path={folder}/{file}.parquet", *words, f"as_of={week.date()}", folder=folder)
    pages = sorted(path.name for path in (folder / "month-end").iterdir() if path.is_dir())
    assert pages == [str(week.date()) for week in (weeks[-4], weeks[-3], weeks[-2])]
    (row,) = [row for row in runs(folder, "row") if row.info.run_name == "linear"]
    local = client(folder).download_artifacts(row.info.run_id, "predictions.parquet")
    predictions = pd.read_parquet(local)
    assert predictions["date"].nunique() == 40 and set(predictions["date"].dt.day_name()) == {"Friday"}
    both = predictions.merge(panel, on=["date", "asset"])
    excess = both["ret_next"] - both.groupby("date")["ret_next"].transform("mean")
    assert np.allclose(both["y_true"], excess, atol=1e-3)  # judged by the next week alone
    page = (folder / "month-end" / pages[-1] / "month.html").read_text()
    assert "Weeks" in page or "weeks" in page


@pytest.mark.long
def test_one_test_month_is_said_to_be_too_few(tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path, empty_store)
    output = run("train.py", *LINEAR_AND_LSTM, "window.test_months=1", "tuning.trials=0", folder=folder)
    assert "lstm_lrp: " in output
    assert "cannot be estimated, because there are only 1 periods (4 needed)" in output
    assert "Warning" not in output


@pytest.mark.long
def test_another_row_can_be_registered_gated_and_loaded(tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path, empty_store)
    said = run("train.py", *LINEAR, "registry.row=linear", folder=folder)
    assert "Registered: drf-lstm-lrp version 1" in said
    assert "promoted version 1" in run("evaluate.py", *MARKET, folder=folder)
    client(folder)
    model = mlflow.pyfunc.load_model("models:/drf-lstm-lrp@champion")
    forecasts = model.predict(newest_months())
    assert (forecasts[[*FACTORS, "bias"]].sum(axis=1) - forecasts["prediction"]).abs().max() < 1e-12
    said = run("train.py", *LINEAR, folder=folder)
    assert "Nothing registered: registry.row=lstm_lrp is of the family lstm, which was not trained." in said


@pytest.mark.long
def test_portfolios_may_be_weighted_by_value(tmp_path: Path, empty_store: Path) -> None:
    """The rule of the config is the one that rows, trials and gates are judged by."""
    folder = fresh(tmp_path, empty_store)
    words = [*LINEAR, "model=[linear,forest]", "registry.row=linear", "portfolio.weighting=value"]
    run("train.py", *words, folder=folder)
    here = client(folder)
    (parent,) = runs(folder, "comparison")
    table = pd.read_csv(here.download_artifacts(parent.info.run_id, "evidence/variants.csv")).set_index("variant")
    reported = table.loc[["as reported", "value-weighted"]].set_index("row", append=True)["sharpe"].unstack("variant")
    assert (reported["as reported"] == reported["value-weighted"]).all()
    for row in runs(folder, "row"):
        assert row.data.metrics["sharpe"] == reported["as reported"][row.info.run_name]
    said = run("evaluate.py", *MARKET, "portfolio.weighting=value", "gate=research", folder=folder)
    assert "Sharpe after costs" in said


@pytest.mark.long
def test_it_runs_where_posix_alone_has_modules_and_links(tmp_path: Path, empty_store: Path) -> None:
    """Without ``resource`` and without symbolic links, as on Windows; the memory is then not logged."""
    folder = fresh(tmp_path, empty_store)
    program = """
        import os, psutil, runpy, sys  # psutil has a form of its own for each system
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name in ("resource", "fcntl"):
                    raise ImportError(name)
        sys.meta_path.insert(0, Refuse())
        sys.modules.pop("resource", None)
        def no_links(*arguments, **settings):
            raise OSError("no symbolic links here")
        os.symlink = no_links
        sys.argv[0] = {program!r}
        runpy.run_path({program!r}, run_name="__main__")
    """
    text = textwrap.dedent(program).format(program=str(ROOT / "train.py"))
    done = subprocess.run(
        [sys.executable, "-c", text, *LINEAR, "model=[linear,forest]", "registry.row=linear"],
        cwd=folder, capture_output=True, text=True,
        env={**without_mlflow(), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (parent,) = runs(folder, "comparison")
    assert "seconds" in parent.data.metrics
    assert "peak_memory_mb" not in parent.data.metrics
