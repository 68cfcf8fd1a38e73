"""Every command on the documentation's pages is run, here or where its page says; links between pages hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from drf.data.simulate import SimulatedMarket
from tests.programs.folders import without_mlflow
from tests.programs.processes import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (run|tested|not run|command)(?:: ([^>]+))? -->\n\Z")

SMALL = (
    "model=[linear] registry.row=linear tuning.trials=0 window=quick window.train_months=20 "
    "window.test_months=24 window.refit_every=8"
)
SHIM = """#!/usr/bin/env bash
# The page's own command, on a small market: settings that come last win.
case "$1" in
    train) exec {python} -m drf "$@" {small} ;;
    evaluate) exec {python} -m drf "$@" gate=research gate.audit=false ;;
    month-end) exec {python} -m drf "$@" gate.audit=false as_of=1996-06-02 ;;
    *) exec {python} -m drf "$@" ;;
esac
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and what the comment above it says of it."""

    page: Path
    language: str
    code: str
    mark: str
    about: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.code.splitlines()[0]}"


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in FENCE.finditer(text):
            mark = MARK.search(text[: fence.start()])
            kind, about = (mark[1], mark[2] or "") if mark else ("", "")
            found.append(Block(page, fence[1], fence[2], kind, about))
    return found


def is_directive(block: Block) -> bool:
    return block.language.startswith("{")  # what the site makes of itself: tutorials' cells run while it is built


@pytest.mark.parametrize("block", [block for block in blocks() if not is_directive(block)], ids=lambda one: one.place)
def test_every_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.mark, f"{block.place}: say above it <!-- run -->, <!-- tested: file --> or <!-- not run: why -->"
    if block.mark == "tested":
        assert (ROOT / block.about).is_file(), block.place
    if block.mark == "not run":
        assert block.about, block.place


def test_links_between_pages_hold() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path, _, anchor = target.partition("#")
            if re.match(r"\w+:", target):
                continue
            place = (page.parent / path).resolve() if path else page
            assert place.exists(), f"{page.name}: {target}"
            if anchor and place.suffix == ".md":
                headings = re.findall(r"^#+ (.+)$", place.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {_slug(heading) for heading in headings}, f"{page.name}: {target}"


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.slow
@pytest.mark.long
def test_commands_run_in_the_order_of_their_pages(tmp_path: Path) -> None:
    panel = SimulatedMarket(stocks=60, months=66, seed=0, explained=0.12, style=0.0).panel()
    panel.loc[panel["date"] == panel["date"].max(), "ret_next"] = None
    panel.to_parquet(tmp_path / "panel.parquet", index=False)
    for name in ("train.py", "evaluate.py", "conf", "drf", "MLproject", "python_env.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "drf").write_text(SHIM.format(python=sys.executable, small=SMALL))
    (tmp_path / "bin" / "drf").chmod(0o755)
    environment = {**without_mlflow(), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{tmp_path}/mlflow.db"
    demo = Block(ROOT / "README.md", "bash", "drf train && drf evaluate", "run", "")  # as its first command does
    ran = [demo, *(block for block in blocks() if block.mark == "run")]
    assert len(ran) >= 5
    for block in ran:
        words = ["bash", "-euo", "pipefail", "-c"] if block.language == "bash" else [sys.executable, "-c"]
        done = subprocess.run([*words, block.code], cwd=tmp_path, env=environment, capture_output=True, text=True)
        # a month end that was done before ends with 99, and says the same
        assert done.returncode in (0, 99), f"{block.place}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
