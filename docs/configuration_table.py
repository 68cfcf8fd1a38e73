"""Write the tables of ``docs/reference/configuration.md``: every key with its kind, default and meaning.

Default and meaning come from the files of ``conf/``, the kind from the class that takes the key. Run it after a change:
``python docs/configuration_table.py``; a test compares the page with its result.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from drf.data.gkx import GKXMarket
from drf.data.simulate import SimulatedMarket
from drf.data.sources import PanelFile, RawTables, ResearchPanel
from drf.evaluation.portfolio import PortfolioRule
from drf.experiment.composing import CONFIG_DIR
from drf.experiment.schema import ComputeConfig, DataConfig, MacroConfig, TrainConfig
from drf.experiment.validation import wanted
from drf.live.month_end_config import MonthEndConfig
from drf.models.catalogue import FAMILIES
from drf.registry.evaluation_config import EvaluateConfig
from drf.registry.thresholds import Thresholds
from drf.samples.windows import WindowRule
from drf.tuning.rule import TuningRule

PAGE = Path(__file__).parent / "reference" / "configuration.md"
BEGIN, END = "<!-- begin tables -->", "<!-- end tables -->"

FILES: dict[str, tuple[str, tuple[type, ...]]] = {
    "config.yaml": ("", (TrainConfig,)),
    "data/common/file.yaml": ("data", (DataConfig, PanelFile)),
    "data/common/research.yaml": ("data", (ResearchPanel,)),
    "data/raw.yaml": ("data", (RawTables,)),
    "data/simulated.yaml": ("data", (DataConfig, SimulatedMarket)),
    "data/gkx_simulated.yaml": ("data", (DataConfig, GKXMarket)),
    "macro/series.yaml": ("data.macro", (MacroConfig,)),
    **{f"model/{name}.yaml": (f"model.{name}", (model,)) for name, model in FAMILIES.items()},
    "window/quick.yaml": ("window", (WindowRule,)),
    "tuning/walkforward.yaml": ("tuning", (TuningRule,)),
    "portfolio/quintile.yaml": ("portfolio", (PortfolioRule,)),
    "compute/local.yaml": ("compute", (ComputeConfig,)),
    "evaluation.yaml": ("", (EvaluateConfig,)),
    "gate/strict.yaml": ("gate", (Thresholds,)),
    "month_end.yaml": ("", (MonthEndConfig,)),
}
"""File of ``conf/`` -> prefix of its keys, and the classes that take them."""

OWN = {"seeds": "a whole number, at least 1", "space": "a group of search ranges"}


def keys(file: Path) -> Iterator[tuple[str, str, str]]:
    """Yield dotted key, default and meaning of every commented line of a file."""
    above: list[tuple[int, str]] = []
    for line in file.read_text().splitlines():
        found = re.fullmatch(r"( *)(\w+):(?: (.*?))??(?: # (.*))?", line)
        if not found or line.startswith("#"):
            continue
        depth, name, value, meaning = len(found[1]), found[2], found[3] or "", found[4]
        above = [part for part in above if part[0] < depth] + [(depth, name)]
        if above[0][1] in ("defaults", "hydra") or name == "defaults" or meaning is None:
            continue
        yield ".".join(part for _, part in above), value, meaning


def kind_of(key: str, classes: tuple[type, ...]) -> str:
    """Return the kind of a key in words, from the annotation of the class that takes it."""
    path = key.removeprefix("source.").split(".")
    takers = classes[1:] if key.startswith("source.") else classes
    return next((words for taker in takers if (words := kind_in(taker, path))), OWN.get(path[-1], ""))


def kind_in(taker: type, path: Sequence[str]) -> str:
    """Return the kind of a key of one class or of the dataclasses of its fields; empty where it has none."""
    hint: Any = get_type_hints(taker, include_extras=True).get(path[0])
    if hint is None:
        return ""
    if len(path) > 1:
        return kind_in(hint, path[1:]) if isinstance(hint, type) and is_dataclass(hint) else ""
    return wanted(hint)


def tables() -> str:
    """Return all tables as Markdown."""
    parts = []
    for name, (prefix, classes) in FILES.items():
        lines = [f"### `conf/{name}`", "", "| key | kind | default | meaning |", "|---|---|---|---|"]
        for key, default, meaning in keys(CONFIG_DIR / name):
            full = f"{prefix}.{key}" if prefix else key
            default = "required" if default == "???" else f"`{default}`" if default else ""
            cells = [f"`{full}`", kind_of(key, classes), default, meaning]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def page(text: str) -> str:
    """Return the page with its tables renewed."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    sys.exit(0)
