"""The one exception for input that the program refuses."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Input was refused. The message is one line that names the culprit and the remedy; the exit code is 2."""


class TryAgainError(InputError):
    """Nothing is wrong with the input: another command is at the same work, or the store is away."""


def first_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name a misspelt one probably meant, or nothing when none is close."""
    upper = {candidate.upper(): candidate for candidate in known}
    match = get_close_matches(name.upper(), upper, n=1)
    return f" (did you mean {upper[match[0]]}?)" if match and upper[match[0]] != name else ""


def first_few(items: Iterable[object], most: int = 3) -> str:
    """List the first few items and count the rest, so that a message stays one line."""
    shown = [str(item) for item in items]
    rest = len(shown) - most
    return ", ".join(shown[:most]) + (f" and {rest} more" if rest > 0 else "")
