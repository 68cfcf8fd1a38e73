"""An experiment of conf/experiment is one command, and its tables are another."""

from __future__ import annotations

from pathlib import Path

import pytest

from drf.data.simulate import SimulatedMarket
from tests.programs.folders import client, fresh
from tests.programs.processes import run

pytestmark = pytest.mark.slow

QUICK = [
    "window.refit_every=10",
    "model.lstm.epochs=2",
    "model.lstm.seeds=2",
    "model.dnn.epochs=2",
    "model.dnn.seeds=1",
]


def test_japan_trains_on_both_universes_and_tells_the_opened_months_apart(tmp_path: Path, empty_store: Path) -> None:
    fresh(tmp_path, empty_store)
    SimulatedMarket(stocks=60, months=78, start="2012-03", seed=0).panel().to_parquet(tmp_path / "panel.parquet")
    run("train.py", "experiment=japan", "data.path=panel.parquet", "compute.jobs=1", *QUICK, folder=tmp_path)
    here = client(tmp_path)
    experiment = here.get_experiment_by_name("japan").experiment_id
    parents = here.search_runs([experiment], "tags.kind = 'comparison'")
    assert {parent.data.params["data.universe"] for parent in parents} == {"500", "1000"}
    assert {parent.info.status for parent in parents} == {"FINISHED"}
    printed = run("benchmarks/japan.py", "japan", folder=tmp_path)
    for universe in (500, 1000):
        for months in ("development", "opened"):
            assert f"**{universe} largest, {months} months**" in printed
    lines = [line for line in printed.splitlines() if line.startswith("| lstm_lrp")]
    assert len(lines) == 4
