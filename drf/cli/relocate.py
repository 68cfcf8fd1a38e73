"""Put the paths of a moved or copied store right: ``python -m drf.cli.relocate mlflow.db``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..tracking.relocation import relocate
from . import program


@program.refusing
def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m drf.cli.relocate", description=__doc__)
    parser.add_argument("store", help="the sqlite file, where it lies now")
    file = Path(parser.parse_args().store).absolute()
    print(f"{relocate(file)} paths put right; the store as it was is {file.name}.before-relocation")


if __name__ == "__main__":
    main()
