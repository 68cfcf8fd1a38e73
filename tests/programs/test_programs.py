"""The programs as processes, from training to a downstream job, on a small market."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from drf.data.paper_descriptors import DESCRIPTORS, FACTORS
from drf.data.simulate import SimulatedMarket
from drf.evaluation.metrics import METRICS
from tests.programs.folders import MARKET, ROWS, SMALL, client, fresh, newest_months, runs, without_mlflow
from tests.programs.processes import ROOT, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A folder in which train.py ran once, all families, tuning on."""
    folder = fresh(tmp_path_factory.mktemp("work"), empty_store)
    (folder / "train.log").write_text(run("train.py", *SMALL, "compute.jobs=2", folder=folder, patches={}))
    return folder


@pytest.fixture(scope="module")
def evaluated(work: Path) -> Path:
    """The same folder after evaluate.py."""
    (work / "evaluate.log").write_text(run("evaluate.py", *MARKET, folder=work))
    return work


def test_seven_rows_below_one_parent_with_every_metric(work: Path) -> None:
    (parent,) = runs(work, "comparison")
    rows = {row.info.run_name: row for row in runs(work, "row")}
    assert sorted(rows) == sorted(ROWS)
    for row in [parent, *rows.values()]:
        assert row.info.status == "FINISHED"
    for name, row in rows.items():
        assert row.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert set(METRICS) <= set(row.data.metrics), name
        history = client(work).get_metric_history(row.info.run_id, "monthly/long_short")
        assert [point.step for point in history] == list(range(24))


def test_artifacts_are_where_users_expect_them(work: Path) -> None:
    here = client(work)
    (parent,) = runs(work, "comparison")
    files = {a.path for a in here.list_artifacts(parent.info.run_id)}
    assert files == {"comparison.csv", "config.yaml", "evidence", "figures", "report.html"}
    assert len(here.list_artifacts(parent.info.run_id, "figures")) == 6
    table = pd.read_csv(here.download_artifacts(parent.info.run_id, "comparison.csv"))
    assert list(table["row"]) == ROWS
    for row in runs(work, "row"):
        name, files = row.info.run_name, {a.path for a in here.list_artifacts(row.info.run_id)}
        assert {"predictions.parquet", "forecast.parquet"} <= files
        predictions = pd.read_parquet(here.download_artifacts(row.info.run_id, "predictions.parquet"))
        assert list(predictions) == ["date", "asset", "y_true", "y_pred", "y_pred_raw"]
        assert predictions["date"].nunique() == 24
        assert float(table.loc[table["row"] == name, "sharpe"].iloc[0]) == row.data.metrics["sharpe"]
        assert ("relevance.parquet" in files) == (name in ("linear", "dnn_lrp", "lstm_lrp"))
        explained = name in ("linear", "dnn_lrp", "lstm_lrp")
        for artifact in (
            "figures",
            "contributions.parquet",
            "contributions_by_stock.parquet",
            "carried_forward.parquet",
        ):
            assert (artifact in files) == explained
        assert ("faithfulness.parquet" in files) == (explained and name != "linear")
        assert ("account/inputs" in row.data.metrics) == explained
        assert ("truth/Value" in row.data.metrics) == explained
        if explained and name != "linear":
            assert (
                "better than chance" in Path(here.download_artifacts(row.info.run_id, "faithfulness.txt")).read_text()
            )
            assert row.data.metrics["faithfulness/deletion_lrp"] < row.data.metrics["faithfulness/deletion_random"]


def test_the_evidence_is_on_the_parent_and_its_numbers_on_the_rows(work: Path) -> None:
    here = client(work)
    (parent,) = runs(work, "comparison")
    tables = {
        Path(a.path).stem: pd.read_csv(here.download_artifacts(parent.info.run_id, a.path))
        for a in here.list_artifacts(parent.info.run_id, "evidence")
    }
    assert set(tables) >= {"tests", "sharpe", "deflated", "confidence_set", "overfitting", "variants", "seeds"}
    assert set(tables["sharpe"]["row"]) == set(ROWS)
    # every trial and every row of the experiment is counted
    tried = len(runs(work, "trial")) + len(runs(work, "row"))
    assert (tables["deflated"]["trials"] == tried).all()
    assert parent.data.metrics["trials_counted"] == tried
    for row in runs(work, "row"):
        low, high = (row.data.metrics[f"evidence/sharpe_net_{end}"] for end in ("low", "high"))
        assert low < row.data.metrics["sharpe_net"] < high
        assert ("evidence/sharpe_sd_of_seeds" in row.data.metrics) == (row.data.tags["family"] in ("dnn", "lstm"))
    assert all("sharpe_net" in trial.data.metrics for trial in runs(work, "trial"))


def test_trials_are_runs_below_their_familys_plain_row(work: Path) -> None:
    rows = {row.info.run_id: row.info.run_name for row in runs(work, "row")}
    families = [rows[trial.data.tags["mlflow.parentRunId"]] for trial in runs(work, "trial")]
    assert sorted(families) == sorted(2 * ["svr", "forest", "dnn", "lstm"])
    assert all("cv_rmse" in trial.data.metrics for trial in runs(work, "trial"))


def test_the_summary_shows_the_rows_and_how_to_go_on(work: Path) -> None:
    log = (work / "train.log").read_text()
    for part in [
        *ROWS,
        "walk-forward",
        "tuning",
        "Inputs set to the neutral rank",
        "models:/drf-lstm-lrp/1",
        "mlflow ui",
    ]:
        assert part in log


@pytest.mark.long
def test_the_numbers_do_not_depend_on_workers_or_on_tuning_anew(work: Path, tmp_path: Path, empty_store: Path) -> None:
    """The same seed in another folder, with one worker process: the same forecasts to the bit."""
    again = fresh(tmp_path, empty_store)
    run("train.py", *SMALL, folder=again)
    tables = []
    for folder in (work, again):
        here = client(folder)
        tables.append({
            row.info.run_name: pd.read_parquet(here.download_artifacts(row.info.run_id, "predictions.parquet"))
            for row in runs(folder, "row")
        })  # fmt: skip
    for name in ROWS:
        assert tables[0][name].equals(tables[1][name]), name


def test_the_best_version_becomes_champion(evaluated: Path) -> None:
    here = client(evaluated)
    version = here.get_model_version_by_alias("drf-lstm-lrp", "champion")
    assert str(version.version) == "1"
    for tag in ("data_fingerprint", "train_first", "train_last", "git_commit", "verdict"):
        assert version.tags[tag]
    (decision,) = runs(evaluated, "evaluation")
    assert decision.data.tags["promoted"] == "1"
    files = {a.path for a in here.list_artifacts(decision.info.run_id)}
    assert files == {"scores.csv", "gates.csv", "audit.csv", "decision.json", "report.html"}
    assert version.tags["gates"] == "strict"
    assert version.tags["health"] == "passes its gates"
    assert "promoted version 1" in (evaluated / "evaluate.log").read_text()


def test_every_gate_is_on_the_evaluation_and_in_the_report(evaluated: Path) -> None:
    here = client(evaluated)
    (decision,) = runs(evaluated, "evaluation")
    gates = pd.read_csv(here.download_artifacts(decision.info.run_id, "gates.csv"))
    assert len(gates) and gates["gate"].is_unique and gates["passed"].all()
    (judged,) = runs(evaluated, "judged")
    assert judged.data.tags["mlflow.parentRunId"] == decision.info.run_id
    assert judged.info.run_name.startswith("v1 new recipe 1996-0")
    for gate in gates.to_dict("records"):
        name = f"gate/{gate['gate'].replace(',', '')}"
        assert judged.data.metrics[name] == pytest.approx(gate["value"])
        assert judged.data.metrics[f"{name} threshold"] == pytest.approx(gate["threshold"])
    assert (judged.data.metrics["gates_passed"], judged.data.metrics["gates_failed"]) == (len(gates), 0)
    model = here.get_model_version("drf-lstm-lrp", "1").source.removeprefix("models:/")
    assert {metric.key for metric in here.get_logged_model(model).metrics} >= {"sharpe_net", "gates_passed"}
    (parent,) = runs(evaluated, "comparison")
    page = Path(here.download_artifacts(parent.info.run_id, "report.html")).read_text(encoding="utf-8")
    assert "Version 1 is champion, promoted under strict gates." in page
    assert "all 7 checks passed" in page


def test_the_pages_of_mlflow_say_what_they_show(evaluated: Path) -> None:
    here, (parent,), (decision,) = client(evaluated), runs(evaluated, "comparison"), runs(evaluated, "evaluation")
    assert parent.info.run_name == "1996-05 s0 simulated market 0, 7 rows, train 20 refit 8"
    assert "**Which model?** lstm_lrp" in parent.data.tags["mlflow.note.content"]
    for row in runs(evaluated, "row"):
        assert row.data.tags["mlflow.note.content"].startswith("Sharpe ratio after costs ")
    assert decision.info.run_name == "champion v1, to 1996-04"
    assert "**Promoted version 1: " in decision.data.tags["mlflow.note.content"]
    assert "### What it has shown" in here.get_model_version("drf-lstm-lrp", "1").description
    model = here.get_registered_model("drf-lstm-lrp").description
    assert "**champion**: [version 1](#/models/drf-lstm-lrp/versions/1?workflowType=machine_learning)" in model
    said = (evaluated / "train.log").read_text()
    assert "Rows side by side: http://127.0.0.1:5000/#/experiments/1/runs?viewStateShareKey=rows-of-" in said
    assert "tags.kind" in here.get_experiment(parent.info.experiment_id).tags["mlflow.note.content"]


def test_numbers_name_the_data_and_the_model_that_they_are_of(evaluated: Path) -> None:
    (parent,) = runs(evaluated, "comparison")
    panel, source = (
        parent.data.tags["data_fingerprint"],
        client(evaluated).get_model_version("drf-lstm-lrp", "1").source,
    )
    for kind in ("evaluation", "judged", "row"):
        for run_ in runs(evaluated, kind):
            (used,) = run_.inputs.dataset_inputs
            assert (used.dataset.name, used.dataset.digest) == ("panel", panel)
            assert [tag.value for tag in used.tags] == ["evaluation"]
    (judged,) = runs(evaluated, "judged")
    numbers = client(evaluated).get_logged_model(str(source).removeprefix("models:/")).metrics
    row = next(row for row in runs(evaluated, "row") if row.info.run_name == "lstm_lrp")
    for run_id, names in {
        judged.info.run_id: {"sharpe_net", "rank_ic", "gates_passed"},
        row.info.run_id: {"sharpe_net", "mae"},
    }.items():
        of_model = [number for number in numbers if number.run_id == run_id]
        assert names <= {number.key for number in of_model}
        assert {(number.dataset_name, number.dataset_digest) for number in of_model} == {("panel", panel)}


@pytest.mark.long
def test_a_dry_run_writes_nothing(evaluated: Path) -> None:
    here, before = client(evaluated), len(runs(evaluated, "evaluation"))
    tags = here.get_model_version("drf-lstm-lrp", "1").tags
    said = run("evaluate.py", *MARKET, "dry_run=true", "gate.audit=false", folder=evaluated)
    assert (
        "nothing was promoted: nothing waits to be judged" in said and "Dry run: nothing was moved or written." in said
    )
    assert len(runs(evaluated, "evaluation")) == before
    assert here.get_model_version("drf-lstm-lrp", "1").tags == tags
    assert "hold=true: dry_run=true cannot be combined with it" in run(
        "evaluate.py", *MARKET, "dry_run=true", "hold=true", "reason=x", folder=evaluated, expect=2
    )


@pytest.mark.long
def test_the_audit_runs_when_asked_whatever_the_gate(evaluated: Path) -> None:
    text = run("evaluate.py", *MARKET, "audit=true", "gate=research", folder=evaluated)
    assert text.count("  pass  ") == 7
    assert "nothing waits to be judged beside the champion, version 1" in text
    assert (
        "the champion was promoted under strict; asked for now: research: gate.min_fidelity=0.95 (strict: 0.99)" in text
    )


def test_a_downstream_job_loads_the_champion(evaluated: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{evaluated}/mlflow.db")
    model = mlflow.pyfunc.load_model("models:/drf-lstm-lrp@champion")
    panel = newest_months()
    forecasts = model.predict(panel)
    assert list(forecasts) == ["date", "asset", "prediction", *FACTORS, "bias"]
    assert forecasts["date"].unique() == panel["date"].max()
    assert (forecasts[[*FACTORS, "bias"]].sum(axis=1) - forecasts["prediction"]).abs().max() < 1e-6
    details = model.predict(panel, params={"detail": "descriptors"})
    assert list(details)[3:-1] == list(DESCRIPTORS)
    assert np.allclose(details["prediction"], forecasts["prediction"])
    example = model.input_example if hasattr(model, "input_example") else None
    example = model.metadata.load_input_example() if example is None else example
    assert len(model.predict(example, params={"allow_small": True})) > 0
    row = next(row for row in runs(evaluated, "row") if row.info.run_name == "lstm_lrp")
    logged = pd.read_parquet(client(evaluated).download_artifacts(row.info.run_id, "forecast.parquet"))
    both = logged.merge(forecasts, on=["date", "asset"])
    assert len(both) == len(logged) == len(forecasts)
    assert np.allclose(both["y_pred"], both["prediction"], atol=1e-6)


def test_every_familys_newest_model_is_loaded_from_its_rows_run(evaluated: Path) -> None:
    here, panel = client(evaluated), newest_months()
    kept = [row for row in runs(evaluated, "row") if row.info.run_name not in ("dnn", "lstm")]  # theirs is the +LRP's
    assert len(kept) == 5
    for row in kept:
        model = mlflow.pyfunc.load_model(f"runs:/{row.info.run_id}/model")
        forecasts = model.predict(panel)
        explained = row.info.run_name not in ("svr", "forest")
        assert list(forecasts) == ["date", "asset", "prediction", *([*FACTORS, "bias"] if explained else [])]
        logged = pd.read_parquet(here.download_artifacts(row.info.run_id, "forecast.parquet"))
        both = logged.merge(forecasts, on=["date", "asset"])
        assert len(both) == len(logged) == len(forecasts)
        assert np.allclose(both["y_pred"], both["prediction"], atol=1e-6), row.info.run_name
        files = [file for file in Path(here.download_artifacts(row.info.run_id, "")).rglob("*") if file.is_file()]
        assert not [file for file in files if file.suffix in (".pkl", ".pickle", ".joblib")]
        if not explained:
            with pytest.raises(ValueError, match="have no contributions"):
                model.predict(panel, params={"detail": "descriptors"})
    registered = here.get_model_version("drf-lstm-lrp", "1")
    assert not {"config", "market_returns"} & set(registered.tags)  # long walls in MLflow's table


@pytest.mark.long
def test_score_writes_forecasts_with_contributions(evaluated: Path, tmp_path: Path) -> None:
    newest_months().to_parquet(tmp_path / "panel.parquet")
    uri = f"sqlite:///{evaluated}/mlflow.db"
    arguments = ["--panel", "panel.parquet", "--output", "forecasts.parquet", "--as-of", "1996-05-31"]
    done = subprocess.run(
        [sys.executable, "-m", "drf.score", *arguments], cwd=tmp_path, capture_output=True, text=True,
        env={**without_mlflow(), "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": uri},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "forecasts by version 1 (champion), issued" in done.stdout
    assert "note: the inputs are not watched: the panel has 11 months before the newest" in done.stdout
    assert set(FACTORS) < set(pd.read_parquet(tmp_path / "forecasts.parquet"))
    newest_months().drop(columns="PCFR").to_parquet(tmp_path / "panel.parquet")
    text = run("drf.cli.score", *arguments, folder=tmp_path, expect=2, MLFLOW_TRACKING_URI=uri)
    assert "column PCFR missing" in text
    assert text.count("\n") == 1


@pytest.mark.long
def test_nothing_is_forecast_from_an_unusual_month_unless_forced(evaluated: Path, tmp_path: Path) -> None:
    panel = SimulatedMarket(60, 66, 0, explained=0.12, style=0.0).panel()
    panel.to_parquet(tmp_path / "panel.parquet")
    newest = panel.index[panel["date"] == panel["date"].max()]
    panel.loc[newest, "PER"] *= -1
    panel.to_parquet(tmp_path / "turned.parquet")
    uri = {"MLFLOW_TRACKING_URI": f"sqlite:///{evaluated}/mlflow.db"}
    score = ["--output", "forecasts.parquet", "--as-of", "1996-06-02", "--panel"]
    said = run("drf.cli.score", *score, "turned.parquet", folder=tmp_path, expect=3, **uri)
    assert "unusual in 1996-05: PER: rank correlation with its own last month is -" in said
    assert "nothing was issued: correct the panel, or give --force" in said
    assert not (tmp_path / "forecasts.parquet").exists()
    said = run("drf.cli.score", *score, "turned.parquet", "--force", "--replace", folder=tmp_path, **uri)
    assert "unusual in 1996-05: PER" in said
    (tmp_path / "forecasts.parquet").unlink()
    said = run("drf.cli.score", *score, "panel.parquet", folder=tmp_path, expect=2, **uri)
    assert "1996-05 was issued already, by version 1 at " in said and "give --replace" in said
    said = run("drf.cli.score", *score, "panel.parquet", "--replace", folder=tmp_path, **uri)
    assert "unusual" not in said and "issued anew (the data have changed; " in said
    assert (tmp_path / "forecasts.parquet").exists()
