"""A registry lived with, month after month: who is champion, why, and what it costs to ask.

python benchmarks/lifecycle.py auto|gated|never [MONTHS [good|poor]]
python benchmarks/lifecycle.py month-end [MONTHS [DIES]]

A simulated market grows by a month; the champion's recipe is trained anew and evaluated. On the way other recipes come:
a worse one (a network that hardly learns) and a near-twin (another seed). A life that begins ``poor`` begins with the
worse one, promoted under research, and meets the good one in its seventh month. One line a month: versions, trials
counted and what they are worth, the decision, seconds of evaluate.py, lines that it prints, megabytes of the store.

``month-end``: after the first promotion all is done by that one command, once a month; the signal may die in a month of
that life. One line a month: what came true beside what was promised, the evidence against the promise, the exit code.
In lifecycle/ of the working directory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pandas as pd
from tqdm import tqdm

from drf.data.panel import check_panel
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.simulate import SimulatedMarket
from drf.live.track_record import read_record

ROOT = Path(__file__).resolve().parent.parent
FIRST = 66  # months of the first panel
NAME = "drf-lstm-lrp-panel"
PANEL = ["data=panel", "data.path=panel.parquet"]

SMALL = [
    *PANEL, "model=[linear,lstm]", "window.train_months=20", "window.test_months=24",
    "window.refit_every=8", "tuning.trials=2", "tuning.folds=2", "tuning.validation_months=12", "tuning.batch=2",
    "compute.jobs=1", "model.lstm.seeds=2", "model.lstm.batch_size=256",
]  # fmt: skip
GOOD = [*SMALL, "model.lstm.epochs=8"]
POOR = [*SMALL, "model.lstm.epochs=1", "model.lstm.hidden=2", "model.lstm.learning_rate=0.0005", "tuning.trials=0"]
TWIN = [*GOOD, "seed=1"]

# month of the life -> recipes trained in it, in this order
LIVES = {
    "good": {month: [GOOD] for month in range(1000)} | {5: [GOOD, POOR], 11: [GOOD, TWIN], 17: [GOOD, POOR, TWIN]},
    "poor": {month: [POOR] for month in range(6)} | {6: [POOR, GOOD]} | {month: [GOOD] for month in range(7, 1000)},
}
LABELS = {id(GOOD): "good", id(POOR): "poor", id(TWIN): "twin"}


def live(folder: Path, refresh: str, months: int, life: str) -> pd.DataFrame:
    """Train and evaluate once a month; one line each."""
    folder.mkdir(parents=True)
    whole = SimulatedMarket(stocks=60, months=FIRST + months, seed=0, explained=0.12, style=0.0).panel()
    lines, recipes = [], {}
    for month in tqdm(range(months), desc=refresh):
        date = write(folder, whole, FIRST + month)
        for recipe in LIVES[life][month]:
            run(folder, "train.py", *recipe, expected=(0,))
            recipes[len(recipes) + 1] = LABELS[id(recipe)]
        began = time.perf_counter()
        gates = "research" if life == "poor" and month == 0 else "strict"
        code, said = run(folder, "evaluate.py", *PANEL, f"registry.refresh={refresh}", f"gate={gates}", expected=(0, 4))
        seconds = time.perf_counter() - began
        lines.append({"month": f"{date:%Y-%m}", **found(folder, recipes), "code": code,
                      "seconds": seconds, "lines": said.count("\n"), "megabytes": size(folder)})  # fmt: skip
    return pd.DataFrame(lines)


def live_by_month_end(folder: Path, months: int, dies: int | None) -> pd.DataFrame:
    """Promote once, then let the one command do everything, once a month and a second time."""
    folder.mkdir(parents=True)
    market = SimulatedMarket(
        stocks=60, months=FIRST + months, seed=0, explained=0.12, style=0.0, dies=dies and FIRST + dies - 1
    )
    whole, lines = market.panel(), []
    for month in tqdm(range(months), desc="month-end"):
        date = write(folder, whole, FIRST + month)
        if month == 0:
            run(folder, "train.py", *GOOD, expected=(0,))
            run(folder, "evaluate.py", *PANEL, "gate.audit=false", expected=(0,))
        words = [*PANEL, "gate.audit=false", f"as_of={date:%Y-%m-%d}"]
        began = time.perf_counter()
        code, said = run(folder, "-m", "drf", "month-end", *words, expected=(0, 4))
        seconds = time.perf_counter() - began
        told = json.loads(said.splitlines()[-1])
        again, said = run(folder, "-m", "drf", "month-end", *words, expected=(4, 99))
        assert json.loads(said.splitlines()[-1]) == told and again == (code or 99)
        done = {"month": f"{date:%Y-%m}", "issued by": told["champion"]["issued_by"], "trained": told["trained"][:9]}
        lines.append({**done, "code": code, "seconds": seconds, "megabytes": size(folder)})
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    record = read_record(client, NAME, check_panel(whole, DESCRIPTORS, 5)).champion
    assert record is not None
    beside = ["rank_ic", "net", "cumulated", "cumulated_promised", "cumulated_low", "cumulated_high", "evidence"]
    return pd.concat([pd.DataFrame(lines), record.months[beside]], axis=1)


def write(folder: Path, whole: pd.DataFrame, months: int) -> pd.Timestamp:
    """Write the market's first months as they were known at the end of the last; return that."""
    dates = sorted(whole["date"].unique())[:months]
    panel = whole[whole["date"] <= dates[-1]].copy()
    panel.loc[panel["date"] == dates[-1], "ret_next"] = None
    panel.to_parquet(folder / "panel.parquet", index=False)
    return dates[-1]


IN_TIME = (
    "import sys, runpy, drf.live.input_watch as watch; watch.is_half_over = lambda month: False; "
    "sys.argv[:2] = ['drf']; runpy.run_module('drf', run_name='__main__')"
)
"""The command as if the clock stood at each month's end, years ago."""


def run(folder: Path, program: str, *words: str, expected: tuple[int, ...]) -> tuple[int, str]:
    called = ["-c", IN_TIME] if program == "-m" else [str(ROOT / program)]
    done = subprocess.run([sys.executable, *called, *words], cwd=folder, capture_output=True, text=True)
    if done.returncode not in expected:
        raise SystemExit(f"{program} {' '.join(words)}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.returncode, done.stdout


def found(folder: Path, recipes: dict[int, str]) -> dict[str, object]:
    """What the newest decision was."""
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("drf").experiment_id
    decision = client.search_runs([experiment], "tags.kind = 'evaluation'", max_results=1)[0]
    champion = decision.data.tags["champion"]
    below = f"tags.kind = 'judged' and tags.`mlflow.parentRunId` = '{decision.info.run_id}'"
    judged = {run.data.tags["version"]: run.data.metrics for run in client.search_runs([experiment], below)}
    scores = next(iter(judged.values()), {})
    label = recipes[int(champion)] if champion != "none" else ""
    own = judged.get(champion, {}).get("sharpe_net")
    return {
        "versions": len(recipes), "champion": f"{champion} {label}", "promoted": decision.data.tags["promoted"],
        "net Sharpe": own, "trials": scores.get("trials"), "worth": scores.get("independent"),
        "decision": decision.data.tags["decision"][:70],
    }  # fmt: skip


def size(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


if __name__ == "__main__":
    what, *more = sys.argv[1:]
    months = int(more[0]) if more else 24
    life = more[1] if len(more) > 1 else "good"
    folder = Path("lifecycle") / f"{what}-{life}"
    if what == "month-end":
        result = live_by_month_end(folder.absolute(), months, int(more[1]) if len(more) > 1 else None)
    else:
        result = live(folder, what, months, life)
    print(result.to_string(index=False, float_format="{:.2f}".format))
