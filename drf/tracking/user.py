"""User: the name of the person who gave the command."""

import getpass


def user() -> str:
    """Return the user's name in the system; ``unknown`` where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # as in some containers
        return "unknown"
