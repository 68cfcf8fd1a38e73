"""``drf data COMMAND``: look at a panel, or make one."""

from __future__ import annotations

import sys

from . import program


def main() -> None:
    command, words = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
    if command == "inspect":
        from .inspect import main as inspect

        inspect(words)
    elif command == "build":
        from .build import main as build

        build(words)
    elif command in ("-h", "--help"):
        print("drf data inspect PANEL                                     look at a panel before it is trusted")
        print("drf data build key=value ... --output panel.parquet        make a panel and keep it")
    else:
        program.refuse(f"{command}: must be inspect or build")
