"""Deep recurrent factor models: forecast stock returns, and account for every forecast.

From Python: ``from drf import plan, train, evaluate, score, monitor, month_end``, see :mod:`drf.workflows.api`.

Every folder is a room that imports only from the rooms below it. Their order is set in ``pyproject.toml``
(``tool.importlinter``); CONTRIBUTING.md has a picture.
"""

import importlib
from pathlib import Path
from typing import Any

__version__ = (Path(__file__).parent / "lrp" / "VERSION").read_text().strip()

__all__ = ["evaluate", "monitor", "month_end", "plan", "score", "train"]


def __getattr__(name: str) -> Any:
    # This file is part of the code that ships with a registered version, so nothing is imported before it is needed.
    if name in __all__:
        return getattr(importlib.import_module("drf.workflows.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
