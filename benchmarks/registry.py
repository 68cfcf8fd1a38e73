"""Does the registry survive what happens to programs? Real processes on a small market, in registry/ of the folder.

python benchmarks/registry.py kills 20       evaluate.py killed (SIGKILL) at so many random moments
python benchmarks/registry.py trainings 20   train.py, registration included, killed at so many random moments
python benchmarks/registry.py race 20        two evaluations and a rollback at once, so many times

After each, the champion must be loadable, and the next evaluation must put right whatever was left half done.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
from tqdm import tqdm

from drf.data.simulate import SimulatedMarket
from drf.registry.aliases import CHAMPION, PREVIOUS, Move, Standing, move, read_hold, read_standing, set_hold
from drf.registry.loading import load_model

ROOT = Path(__file__).resolve().parent.parent
NAME = "drf-lstm-lrp-panel"
FOLDER = Path("registry")
TRAIN = [
    "train.py", "data=panel", "data.path=panel.parquet", "model=[linear,lstm]", "window.train_months=20",
    "window.test_months=24", "window.refit_every=12", "tuning.trials=0", "compute.jobs=1", "model.lstm.epochs=8",
    "model.lstm.seeds=1", "model.lstm.batch_size=256",
]  # fmt: skip
EVALUATE = ["evaluate.py", "data=panel", "data.path=panel.parquet", "gate.audit=false"]


BEGIN = Standing("2", "1", ("1", "2"))


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / words[0]), *words[1:]]
    return subprocess.Popen(
        command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def run(*words: str) -> str:
    program = start(*words)
    said, _ = program.communicate()
    if program.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {program.returncode}: {said[-2000:]}")
    return said


def write_panel(months: int) -> None:
    panel = SimulatedMarket(stocks=60, months=68, seed=0, explained=0.12, style=0.0).panel()
    dates = sorted(panel["date"].unique())[:months]
    panel = panel[panel["date"].isin(dates)].copy()
    panel.loc[panel["date"] == dates[-1], "ret_next"] = None
    panel.to_parquet(FOLDER / "panel.parquet", index=False)


def begin() -> mlflow.MlflowClient:
    """A champion, version 2, with version 1 as previous, and its refresh, version 3, that waits."""
    if not FOLDER.exists():
        FOLDER.mkdir()
        for months in (66, 67, 68):
            write_panel(months)
            run(*TRAIN)
            if months < 68:
                run(*EVALUATE)
    mlflow.set_tracking_uri(f"sqlite:///{FOLDER.absolute()}/mlflow.db")
    return mlflow.MlflowClient()


def reset(client: mlflow.MlflowClient, standing: Standing) -> None:
    """As if nothing had been decided since ``standing``."""
    now = read_standing(client, NAME)
    if now != standing:
        move(client, NAME, now, Move(standing))
    if read_hold(client, NAME) is not None:
        set_hold(client, NAME, None)
    for entry in client.search_model_versions(f"name='{NAME}'"):
        for tag in {"verdict", "judged", "archived"} & set(entry.tags):
            client.delete_model_version_tag(NAME, str(entry.version), tag)


def check(client: mlflow.MlflowClient) -> None:
    """The champion can be loaded; the program's memory and the aliases agree; nothing is left half done."""
    load_model(f"models:/{NAME}@{CHAMPION}")
    model = client.get_registered_model(NAME)
    assert "intended" not in model.tags
    assert (read_standing(client, NAME).champion, read_standing(client, NAME).previous) == (
        str(model.aliases[CHAMPION]),
        str(model.aliases[PREVIOUS]) if PREVIOUS in model.aliases else None,
    )


def open_runs(client: mlflow.MlflowClient) -> int:
    experiment = client.get_experiment_by_name("drf").experiment_id
    return len(client.search_runs([experiment], "attributes.status = 'RUNNING'"))


def kills(times: int, rng: random.Random) -> None:
    client = begin()
    reset(client, BEGIN)
    began = time.perf_counter()
    run(*EVALUATE)
    lasts = time.perf_counter() - began
    repaired = 0
    for _ in tqdm(range(times), desc="kills"):
        reset(client, BEGIN)
        kill(start(*EVALUATE), rng.uniform(0, lasts))
        load_model(f"models:/{NAME}@{CHAMPION}")
        repaired += "stopped half way was completed" in run(*EVALUATE)
        assert read_standing(client, NAME).champion == "3"
        check(client)
        assert open_runs(client) == 0
    print(f"{times} evaluations killed within {lasts:.0f} s: the champion could always be loaded, the next evaluation "
          f"always ended as an undisturbed one; {repaired} moves were completed by it")  # fmt: skip


def trainings(times: int, rng: random.Random) -> None:
    client = begin()
    reset(client, BEGIN)
    began = time.perf_counter()
    run(*TRAIN)
    lasts = time.perf_counter() - began
    for _ in tqdm(range(times), desc="trainings"):
        kill(start(*TRAIN), rng.uniform(0, lasts))
        load_model(f"models:/{NAME}@{CHAMPION}")
        before = len(client.search_model_versions(f"name='{NAME}'"))
        run(*EVALUATE)
        run(*TRAIN)
        assert len(client.search_model_versions(f"name='{NAME}'")) == before + 1
        run(*EVALUATE)
        check(client)
        assert open_runs(client) == 0
    print(
        f"{times} trainings killed within {lasts:.0f} s: the champion could always be loaded, the next ones ended well"
    )


def race(times: int, rng: random.Random) -> None:
    client = begin()
    counted: dict[str, int] = {}
    for _ in tqdm(range(times), desc="races"):
        reset(client, BEGIN)
        programs = [start(*EVALUATE), start(*EVALUATE)]
        time.sleep(rng.uniform(0, 6))
        programs.append(start(*EVALUATE[:3], "rollback=true"))
        said = [program.communicate()[0] for program in programs]
        codes = [program.returncode for program in programs]
        assert all(code in (0, 2) for code in codes), said
        assert all("Traceback" not in text for text in said), said
        check(client)
        champion, hold = read_standing(client, NAME).champion, read_hold(client, NAME)
        if codes[2] == 0:  # the version that was rolled back is not champion, and no other has taken its place
            assert champion in ("1", "2") and hold is not None
            assert hold.reason.startswith(f"rolled back from version {int(champion) + 1}")
        else:  # the aliases moved between its two looks
            assert (champion, hold) == ("3", None)
        outcome = f"evaluations {sorted(codes[:2])}, rollback {codes[2]}, champion {champion}"
        counted[outcome] = counted.get(outcome, 0) + 1
    print(f"{times} races of two evaluations and a rollback, each ended as if one had come after the other: {counted}")


def kill(program: subprocess.Popen[str], after: float) -> None:
    time.sleep(after)
    if program.poll() is None:
        os.killpg(program.pid, signal.SIGKILL)
    program.communicate()


if __name__ == "__main__":
    what, times = sys.argv[1], int(sys.argv[2])
    {"kills": kills, "trainings": trainings, "race": race}[what](times, random.Random(0))
