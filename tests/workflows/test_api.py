"""The workflows from Python: results are objects, nothing is printed, and nothing exits."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import drf
from drf import evaluate, train
from drf.errors import InputError

SMALL = """
"data.source.stocks=60", "data.source.months=66", "data.source.explained=0.12", "model=[linear]",
"registry.row=linear", "tuning.trials=0", "window.train_months=24", "window.test_months=24", "window.refit_every=12"
"""

PROGRAM = f"""
import io, os, sys
out = os.dup(1)
os.dup2(os.open("/dev/full", os.O_WRONLY), 1)  # whoever prints fails
class Refusing(io.TextIOBase):
    def write(self, text):
        raise OSError("something was printed")
sys.stdout = Refusing()
from drf import evaluate, score, train
result = train({SMALL})
table = result.table.set_index("row")
assert list(table.index) == ["linear"] and table["rank_ic"].notna().all()
assert result.version == "1" and result.place.run_id and len(result.evidence["sharpe"])
judged = evaluate("gate=research", *result.experiment.data_words)
assert judged.decision.evaluations[0].number == "1" and judged.place.run_id
result.experiment.panel.to_parquet("panel.parquet")
from drf.errors import InputError
own = result.experiment.data_words
calls = [lambda: train("windw=paper"), lambda: train("data=panel"), lambda: evaluate("promote=9", "reason=x", *own)]
for call in calls:
    try:
        call()
    except InputError as error:
        os.write(out, f"{{error}}\\n".encode())
"""


@pytest.mark.slow
@pytest.mark.long
def test_workflows_run_from_python_with_stdout_closed(tmp_path: Path) -> None:
    root = str(Path(drf.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert len(lines) == 3, lines
    assert (
        "windw" in lines[0] and "data.path has no value: add data.path=..." in lines[1] and "no version 9" in lines[2]
    )


def test_a_misspelt_word_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown config key tuning\.trails \(did you mean tuning\.trials\?\)"):
        train("tuning.trails=3")
    with pytest.raises(InputError, match="gate"):
        evaluate("gate=strickt")


def test_no_room_below_the_command_line_prints_or_exits() -> None:
    """Only ``cli`` prints: the other rooms return results, or log."""
    package = Path(drf.__file__).parent
    found = []
    for file in package.rglob("*.py"):
        if file.relative_to(package).parts[0] == "cli":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            raised = node.exc if isinstance(node, ast.Raise) else None
            exits = "SystemExit" in ast.dump(raised) if raised is not None else False
            if name == "print" or exits:
                found.append(f"{file.relative_to(package)}:{node.lineno}")
    assert found == []


def test_what_is_offered_is_there() -> None:
    assert all(callable(getattr(drf, name)) for name in drf.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = drf.trian  # type: ignore[attr-defined]
