"""Errors that the program explains to its user, and the words that they share."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Refused input. The message is one line that says what is wrong, where, and what to do; the exit code is 2."""


class TryAgainError(InputError):
    """Work that another command is doing, or a store that cannot be reached; the exit code of a month end is 75."""


class ChampionError(InputError):
    """A champion that cannot be judged; the exit code is 4."""


def first_line(error: BaseException) -> str:
    """Return the message of an exception in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def cause_of(error: BaseException) -> BaseException | None:
    """Return the error that caused another; None if there was none."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a question that suggests the known name closest to a misspelt name; empty if no name is close."""
    upper = {candidate.upper(): candidate for candidate in known}
    match = get_close_matches(name.upper(), upper, n=1)
    return f" (did you mean {upper[match[0]]}?)" if match and upper[match[0]] != name else ""


def first_few(items: Iterable[object], most: int = 3) -> str:
    """List the first few items and count the rest, so that a message stays one line."""
    shown = [str(item) for item in items]
    rest = len(shown) - most
    return ", ".join(shown[:most]) + (f" and {rest} more" if rest > 0 else "")
