"""Who is champion: the aliases, what the program last made of them, and whether people hold them.

MLflow moves one alias at a time and tells nobody who moved it. So a move is written down first, as a tag of the
registered model: one that was stopped half way is completed by the next command, and aliases that are neither what was
left nor what was intended were set by hand. They are a person's decision: respected, and held until someone lets go.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import tempfile
from collections.abc import Callable, Container, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
from filelock import FileLock, Timeout

from ..errors import InputError

CHAMPION, PREVIOUS = "champion", "previous"

_LEFT, _INTENDED, _HOLD = "standing", "intended", "hold"

_WAIT = 60  # seconds for another command on this machine to finish its move


@dataclass(frozen=True)
class Standing:
    """Who holds the aliases.

    Attributes
    ----------
    champion, previous
        Versions.
    line
        The champions so far, oldest first; the last is the champion, if there is one.
    """

    champion: str | None = None
    previous: str | None = None
    line: tuple[str, ...] = ()

    def promote(self, number: str) -> Standing:
        """The champion steps back to ``previous``."""
        return Standing(number, self.champion or self.previous, (*self.line, number))

    def back_to(self, number: str) -> Standing:
        """An earlier champion returns, and the one before it is ``previous``."""
        line = self.line[: _last(self.line, number) + 1] if number in self.line else (*self.line[:-1], number)
        return Standing(number, line[-2] if len(line) > 1 else None, line)


def _last(line: tuple[str, ...], number: str) -> int:
    return len(line) - 1 - line[::-1].index(number)


@dataclass(frozen=True)
class Hold:
    """A hold on the aliases: by whom, since when, and why."""

    by: str
    since: str
    reason: str

    def in_words(self) -> str:
        return (
            f"held by {self.by} since {self.since}: {self.reason}; nothing is promoted until evaluate.py hold=false "
            "reason=..."
        )


def read_standing(client: mlflow.MlflowClient, name: str) -> Standing:
    """Who holds the aliases now; nobody if there is no such model."""
    tags, aliases = _model(client, name)
    left = _parse(tags.get(_LEFT)) or Standing()
    champion = aliases.get(CHAMPION)
    line = left.line if champion is None or champion == left.champion else (*left.line, champion)
    return Standing(champion, aliases.get(PREVIOUS), line)


def read_hold(client: mlflow.MlflowClient, name: str) -> Hold | None:
    """The hold on a model, if there is one."""
    written = _model(client, name)[0].get(_HOLD)
    return Hold(**json.loads(written)) if written else None


def set_hold(client: mlflow.MlflowClient, name: str, reason: str | None, by: str | None = None) -> None:
    """Hold the aliases for a reason, or let go of them (None)."""
    if reason is None:
        client.delete_registered_model_tag(name, _HOLD)
        return
    hold = Hold(by or user(), f"{datetime.now(UTC):%Y-%m-%d}", reason)
    client.set_registered_model_tag(name, _HOLD, json.dumps(asdict(hold)))


def require_not_held(client: mlflow.MlflowClient, name: str) -> None:
    """Refuse to move aliases that somebody holds.

    Raises
    ------
    InputError
        Saying who does.
    """
    hold = read_hold(client, name)
    if hold is not None:
        raise InputError(f"the aliases of {name} are {hold.in_words()}; nothing was moved")


def user() -> str:
    """Who gave the command."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in the system, as in some containers
        return "unknown"


def settle(client: mlflow.MlflowClient, name: str, there: Container[str]) -> list[str]:
    """Complete a move that was stopped half way, and take note of aliases that were set by hand; say what was found.

    Parameters
    ----------
    there
        The versions there are.
    """
    with _lock(name):
        tags, aliases = _model(client, name)
        intended = _parse(tags.get(_INTENDED))
        left = _parse(tags.get(_LEFT))
        now = Standing(aliases.get(CHAMPION), aliases.get(PREVIOUS))
        if intended is not None and _is_between(now, left or Standing(), intended):
            _write(client, name, intended)
            champion = intended.champion or "none"
            return [f"a decision that was stopped half way was completed: champion is version {champion}"]
        if intended is not None:
            client.delete_registered_model_tag(name, _INTENDED)
        if left is None:  # nobody has decided yet, or an earlier release has
            return []
        return _by_hand(client, name, left, now, there)


def _is_between(now: Standing, left: Standing, intended: Standing) -> bool:
    return now.champion in (left.champion, intended.champion) and now.previous in (left.previous, intended.previous)


def _by_hand(client: mlflow.MlflowClient, name: str, left: Standing, now: Standing, there: Container[str]) -> list[str]:
    said = []
    for alias, before, after in ((CHAMPION, left.champion, now.champion), (PREVIOUS, left.previous, now.previous)):
        if before == after:
            continue
        if after is None and before not in there:
            said.append(f"version {before}, which was {alias}, was deleted in MLflow")
        else:
            said.append(f"the alias {alias} was moved in MLflow from version {before} to {after}")
    if said:
        if now.champion != left.champion and (now.champion or left.champion in there):
            set_hold(client, name, said[0], by="whoever moved it")
        line = left.line if now.champion in (None, left.champion) else (*left.line, now.champion)
        client.set_registered_model_tag(name, _LEFT, _text(replace(now, line=line)))
    return said


def move(
    client: mlflow.MlflowClient, name: str, before: Standing, after: Standing, first: Callable[[], None] | None = None
) -> None:
    """Move the aliases, if nobody else has since ``before`` was read; ``first`` is done before, and only then.

    Raises
    ------
    InputError
        If the aliases have moved meanwhile.
    """
    with _lock(name):
        now = read_standing(client, name)
        if (now.champion, now.previous) != (before.champion, before.previous):
            raise InputError(
                f"{name} was changed while this command ran: champion is version {now.champion or 'none'} now, and was "
                f"{before.champion or 'none'}: nothing was moved, give the command again"
            )
        if first is not None:
            first()
        client.set_registered_model_tag(name, _INTENDED, _text(after))
        _write(client, name, after)


def _write(client: mlflow.MlflowClient, name: str, after: Standing) -> None:
    for alias, number in ((PREVIOUS, after.previous), (CHAMPION, after.champion)):
        if number is not None:
            client.set_registered_model_alias(name, alias, number)
        else:
            client.delete_registered_model_alias(name, alias)
    client.set_registered_model_tag(name, _LEFT, _text(after))
    client.delete_registered_model_tag(name, _INTENDED)


@contextlib.contextmanager
def _lock(name: str) -> Iterator[None]:
    """Keep other commands on this machine from moving the same aliases."""
    store = hashlib.sha256(f"{mlflow.get_tracking_uri()} {name}".encode()).hexdigest()[:16]
    file = Path(tempfile.gettempdir()) / f"drf-{user()}-{store}.lock"
    try:
        with FileLock(file, timeout=_WAIT):
            yield
    except Timeout:
        raise InputError(
            f"{name} is being changed by another command: wait for it, then give the command again"
        ) from None


def _model(client: mlflow.MlflowClient, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Tags and aliases of a registered model; none if it is not there."""
    try:
        model = client.get_registered_model(name)
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}, {}
    return dict(model.tags), {alias: str(number) for alias, number in model.aliases.items()}


def _text(standing: Standing) -> str:
    return json.dumps(asdict(standing))


def _parse(text: str | None) -> Standing | None:
    if text is None:
        return None
    written = json.loads(text)
    return Standing(written["champion"], written["previous"], tuple(written["line"]))
