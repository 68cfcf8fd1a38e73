"""The commands by their names: ``drf month-end data=panel data.path=panel.parquet``, ``drf score --panel ...``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from . import program

COMMANDS = ("train", "evaluate", "score", "monitor", "month-end", "data")


def main() -> None:
    """What the console script ``drf`` calls."""
    words = sys.argv[1:]
    if words[:1] in (["-h"], ["--help"]):
        print(f"{__doc__}\nCommands: {', '.join(COMMANDS)}. `drf COMMAND --help` says more.")
        return
    if not words or words[0] not in COMMANDS:
        asked = f"{words[0]} is no command: " if words and not words[0].startswith("-") else ""
        program.refuse(f"{asked}give one of {', '.join(COMMANDS)}, and --help after it says more")
    command = words[0]
    sys.argv = [f"drf {command}", *words[1:]]
    by_hydra = {"train": train, "evaluate": evaluate, "month-end": month_end}
    if command in by_hydra:
        by_hydra[command]()
    else:
        importlib.import_module(f".{command}", __package__).main()


def train() -> None:
    """Fit the families walk-forward, put their rows side by side in MLflow, register the newest models."""
    from .train import train

    _run("config", lambda config: train(config, HydraConfig.get().overrides.task))


def evaluate() -> None:
    """Judge the champion and the versions that wait to be judged, and promote what passes."""
    from .evaluate import evaluate

    _run("evaluation", lambda config: evaluate(config, HydraConfig.get().runtime.choices))


def month_end() -> None:
    """Forecast the newest month, say what came true, train and evaluate if it is time, and show all on a page."""
    from .month_end import month_end

    _run("month_end", lambda config: month_end(config, HydraConfig.get().runtime.choices))


def _run(config_name: str, task: Callable[[DictConfig], object]) -> None:
    """Compose a config and call what takes it; its module is imported by then, and with it the config's schema."""
    composing = hydra.main(version_base="1.3", config_path=str(program.CONFIG_DIR), config_name=config_name)
    program.run(composing(program.refusing(task)), config_name)
