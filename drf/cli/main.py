"""The commands by their names: ``drf train window=paper``, ``drf month-end data=panel data.path=panel.parquet``."""

from __future__ import annotations

import importlib
import sys

from ..errors import nearest
from . import program
from .help import COMMANDS, overview


def main() -> None:
    """Run the command that the console script ``drf`` was given."""
    words = sys.argv[1:]
    if words[:1] in (["-h"], ["--help"]):
        print(overview())
        return
    if words[:1] == ["--version"]:
        from .. import __version__

        print(f"drf {__version__}")
        return
    if not words or words[0] not in COMMANDS:
        is_command = bool(words) and not words[0].startswith("-")
        asked = f"unknown command {words[0]}{nearest(words[0], COMMANDS)}: " if is_command else ""
        program.refuse(f"{asked}give one of {', '.join(COMMANDS)}; drf COMMAND --help says more")
    sys.argv = [f"drf {words[0]}", *words[1:]]
    importlib.import_module(f".{words[0].replace('-', '_')}", __package__).main()


def train() -> None:
    """Run ``train.py``."""
    from .train import main

    main()


def evaluate() -> None:
    """Run ``evaluate.py``."""
    from .evaluate import main

    main()
