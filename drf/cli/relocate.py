"""``drf relocate``: correct the paths of an MLflow store that was moved or copied."""

import argparse
import sys
from pathlib import Path

from ..tracking.relocation import relocate
from . import program


@program.refusing
def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="drf relocate", description="Correct the paths of an MLflow store that was moved or copied."
    )
    parser.add_argument("store", help="sqlite file of the store, where it lies now")
    file = Path(parser.parse_args(sys.argv[1:]).store).absolute()
    print(f"{relocate(file)} paths corrected; the store as it was is {file.name}.before-relocation")


if __name__ == "__main__":
    main()
