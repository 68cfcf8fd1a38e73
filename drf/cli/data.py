"""``drf data COMMAND``: look at a panel, or make one."""

import sys

from ..data.paper_descriptors import DESCRIPTORS
from . import program

_ABOUT = f"""drf data inspect PANEL                                look at a panel before it is trusted
drf data build key=value ... --output panel.parquet   make a panel and keep it

A panel has one row per month and stock, in a Parquet or CSV file:
  date      last day of the month
  asset     name of the stock
  ...       the descriptors, known at date: {" ".join(DESCRIPTORS[:8])}
            {" ".join(DESCRIPTORS[8:])}, or others by the config factors
  ret_next  simple decimal return over the month after date; empty in the newest month

docs/how-to/data.md says how to make one from vendors' files."""


def main() -> None:
    command, words = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
    if command == "inspect":
        from .inspect import main as inspect

        inspect(words)
    elif command == "build":
        from .build import main as build

        build(words)
    elif command in ("-h", "--help"):
        print(_ABOUT)
    else:
        program.refuse(f"{command}: must be inspect or build")
