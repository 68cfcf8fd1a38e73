"""Register a version of an earlier release again, with the evidence that this one asks for; nothing is trained.

``python -m drf.cli.reregister VERSION``, in the folder in which it was trained, or where MLFLOW_TRACKING_URI leads to
its store.
"""

from __future__ import annotations

import argparse

from ..tracking.store import connect
from . import program


@program.refusing
def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m drf.cli.reregister", description=__doc__)
    parser.add_argument("version", type=int)
    parser.add_argument("--name", default="drf-lstm-lrp", help="of the registered model")
    arguments = parser.parse_args()
    connect("drf")

    from mlflow import MlflowClient  # takes seconds to import, and is not needed to refuse a store

    from ..registry.reregister import register_again

    number = register_again(MlflowClient(), arguments.name, str(arguments.version))
    print(
        f"Registered: {arguments.name} version {number}, the same model as version {arguments.version}. If that was "
        f"champion: python evaluate.py promote={number} reason='registered again'"
    )


if __name__ == "__main__":
    main()
