"""The wheel: it brings its configs, and its commands run where there is no checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drf.data.simulate import SimulatedMarket
from tests.programs.folders import LINEAR, fresh
from tests.programs.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed, without what it requires."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / "source" / name, follow_symlinks=False)
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(folder / "source"),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder / "site"),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "site"


def python(*module: str) -> None:
    subprocess.run([sys.executable, "-m", *module], check=True, capture_output=True)


def drf(site: Path, folder: Path, *words: str, expect: int = 0) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-m", "drf", *words], cwd=folder, env={**clean, "PYTHONPATH": str(site)}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == expect, done.stderr[-3000:]
    return done.stdout


def test_every_command_runs_from_it(site: Path, tmp_path: Path, empty_store: Path) -> None:
    folder = fresh(tmp_path / "work", empty_store)
    SimulatedMarket(stocks=60, months=66, seed=0, explained=0.12, style=0.0).panel().to_parquet(
        folder / "panel.parquet"
    )
    words = [word for word in LINEAR if not word.startswith(("data.", "tuning.", "registry."))]
    data = ["data=panel", "data.path=panel.parquet"]
    said = drf(site, folder, "train", *words, *data, "tuning.trials=0", "registry.row=linear")
    assert "Registered: drf-lstm-lrp-panel version 1" in said
    assert "promoted version 1" in drf(site, folder, "evaluate", *data, "gate=research", "gate.audit=false")
    assert "1996-05" in drf(site, folder, "data", "inspect", "panel.parquet")
    score = ["--panel", "panel.parquet", "--output", "f.parquet", "--as-of", "1996-05-31"]
    assert "forecasts by version 1 (champion), issued" in drf(site, folder, "score", *score)
    told = drf(site, folder, "month-end", *data, "as_of=1996-05-31", "skip=[evaluate]")
    assert '"status": "done"' in told.splitlines()[-1]
    assert "no returns for any issued month yet" in drf(site, folder, "monitor", "--panel", "panel.parquet")
