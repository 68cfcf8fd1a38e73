"""Who gave the command."""

from __future__ import annotations

import getpass


def user() -> str:
    """The user's name in the system; ``unknown`` where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # as in some containers
        return "unknown"
