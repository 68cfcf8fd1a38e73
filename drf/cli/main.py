"""The commands by their names: ``drf train window=paper``, ``drf month-end data=panel data.path=panel.parquet``."""

import importlib
import sys

from ..errors import nearest
from .help import COMMANDS, GROUPS, command_help, overview


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
        from . import program

        program.refuse(f"{asked}give one of {', '.join(COMMANDS)}; drf COMMAND --help says more")
    sys.argv = [f"drf {words[0]}", *words[1:]]
    _run(words[0])


def train() -> None:
    """Run ``train.py``."""
    _run("train")


def evaluate() -> None:
    """Run ``evaluate.py``."""
    _run("evaluate")


def _run(command: str) -> None:
    """Run a command; if help is asked for, print it before anything heavy is imported."""
    if command in GROUPS and {"-h", "--help"} & set(sys.argv[1:]):
        print(command_help(command))
    else:
        importlib.import_module(f".{command.replace('-', '_')}", __package__).main()
