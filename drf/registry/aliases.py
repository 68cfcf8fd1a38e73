"""Aliases: the versions that have them, the program's last move, and holds set by people.

MLflow moves one alias at a time and does not record who moved it. So each move is first recorded as a tag of the
registered model, and the next command completes an interrupted one. Aliases that match neither the last state nor the
intended one were set by hand. They are a person's decision, which is respected: the aliases are held until someone
releases the hold.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import mlflow

from ..errors import InputError
from ..tracking.locks import store_lock
from ..tracking.user import user
from .signing import is_signed, signature_of
from .statements import last_decided, state_decision, utc_now

CHAMPION, PREVIOUS = "champion", "previous"

_LEFT, _INTENDED, _SIGNED, _HOLD = "standing", "intended", "intended_signature", "hold"

T = TypeVar("T")

_WAIT = 60  # seconds for another command on this machine to finish its move


@dataclass(frozen=True)
class Standing:
    """Holders of the aliases.

    Attributes:
        champion, previous: Versions.
        line: The champions so far, oldest first; the last is the champion, if there is one.
    """

    champion: str | None = None
    previous: str | None = None
    line: tuple[str, ...] = ()

    def promote(self, number: str) -> Standing:
        """Return the standing after a promotion; the champion becomes ``previous``, unless it is only confirmed."""
        if number == self.champion:
            return replace(self, previous=None if self.previous == number else self.previous)
        return Standing(number, self.champion or self.previous, (*self.line, number))

    def back_to(self, number: str, existing: Container[str]) -> Standing:
        """Return the standing after a rollback; the returning champion's predecessor becomes ``previous``."""
        line = self.line[: _last(self.line, number) + 1] if number in self.line else (*self.line[:-1], number)
        line = tuple(version for version in line if version in existing)
        earlier = [version for version in line if version != number]
        return Standing(number, earlier[-1] if earlier else None, line)


def _last(line: tuple[str, ...], number: str) -> int:
    return len(line) - 1 - line[::-1].index(number)


@dataclass(frozen=True)
class Hold:
    """A hold on the aliases: person, date and reason."""

    by: str
    since: str
    reason: str

    @classmethod
    def now(cls, reason: str, by: str | None = None) -> Hold:
        return cls(by or user(), f"{datetime.now(UTC):%Y-%m-%d}", reason)

    def in_words(self) -> str:
        return (
            f"held by {self.by} since {self.since}: {self.reason}; nothing is promoted until drf evaluate hold=false "
            "reason=..."
        )


def read_standing(client: mlflow.MlflowClient, name: str) -> Standing:
    """Return the holders of the aliases; nobody if there is no such model."""
    tags, aliases = _model(client, name)
    left = _written(tags.get(_LEFT), _standing_of) or Standing()
    champion = aliases.get(CHAMPION)
    line = left.line if champion is None or champion == left.champion else (*left.line, champion)
    return Standing(champion, aliases.get(PREVIOUS), line)


def read_hold(client: mlflow.MlflowClient, name: str) -> Hold | None:
    """Return the hold on a model; None if there is none."""
    written = _model(client, name)[0].get(_HOLD)
    if written is None:
        return None
    return _written(written, _hold_of) or Hold("somebody", "some time", written)  # a tag set by hand is also a hold


def set_hold(client: mlflow.MlflowClient, name: str, reason: str | None, by: str | None = None) -> None:
    """Hold the aliases for a reason, or release them (None)."""
    if reason is None:
        client.delete_registered_model_tag(name, _HOLD)
        return
    client.set_registered_model_tag(name, _HOLD, json.dumps(asdict(Hold.now(reason, by))))


@dataclass(frozen=True)
class Move:
    """A move of the aliases; it is written down before it is made.

    Attributes:
        after: Aliases after the move.
        marks: Version -> tags that are written on it with the move.
        hold: Hold that begins with the move, if there is one.
        unless_held: True if a hold prevents the move; people's decisions ignore a hold.
        grounds: Reasons of the decision, for its signed statement.
        decided: Time of the decision; a move that is completed later keeps it.
    """

    after: Standing
    marks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    hold: Hold | None = None
    unless_held: bool = False
    grounds: Mapping[str, object] = field(default_factory=dict)
    decided: str = field(default_factory=utc_now)


def settle(client: mlflow.MlflowClient, name: str, existing: Container[str]) -> list[str]:
    """Complete an interrupted move, take note of aliases that were set by hand, and report what was found.

    ``existing``: versions that exist.
    """
    with _lock(name):
        tags, aliases = _model(client, name)
        written, left = tags.get(_INTENDED), _written(tags.get(_LEFT), _standing_of)
        intended = _written(written, lambda move: _move_of(move, name, last_decided(tags)))
        intended = intended if written and is_signed(written, tags.get(_SIGNED)) else None
        now = Standing(aliases.get(CHAMPION), aliases.get(PREVIOUS))
        held = intended is not None and intended.unless_held and _HOLD in tags
        if intended is not None and not held and _is_between(now, left or Standing(), intended.after):
            after = _of_those(intended.after, existing)
            _make(client, name, replace(intended, after=after), existing)
            return [
                f"a decision that was stopped half way was completed: champion is version {after.champion or 'none'}"
            ]
        if _INTENDED in tags:
            client.delete_registered_model_tag(name, _INTENDED)
        if left is None:  # nobody has decided yet
            return []
        return _by_hand(client, name, left, now, existing)


def _of_those(standing: Standing, existing: Container[str]) -> Standing:
    """Return the standing without versions that were deleted."""
    champion, previous = (number if number in existing else None for number in (standing.champion, standing.previous))
    return Standing(champion, previous, tuple(number for number in standing.line if number in existing))


def _is_between(now: Standing, left: Standing, intended: Standing) -> bool:
    return now.champion in (left.champion, intended.champion) and now.previous in (left.previous, intended.previous)


def _by_hand(
    client: mlflow.MlflowClient, name: str, left: Standing, now: Standing, existing: Container[str]
) -> list[str]:
    notices = []
    for alias, before, after in ((CHAMPION, left.champion, now.champion), (PREVIOUS, left.previous, now.previous)):
        if before == after:
            continue
        if after is None and before not in existing:
            notices.append(f"version {before}, which was {alias}, was deleted in MLflow")
        else:
            notices.append(f"the alias {alias} was moved in MLflow from version {before} to {after}")
    if notices:
        if now.champion != left.champion and (now.champion or left.champion in existing):
            set_hold(client, name, notices[0], by="whoever moved it")
        line = left.line if now.champion in (None, left.champion) else (*left.line, now.champion)
        if now.champion is not None and now.champion == now.previous:
            now = replace(now, previous=_other_previous(client, name, left, existing))
        client.set_registered_model_tag(name, _LEFT, json.dumps(asdict(replace(now, line=line))))
    return notices


def _other_previous(client: mlflow.MlflowClient, name: str, left: Standing, existing: Container[str]) -> str | None:
    """Give ``previous`` to the former champion if the champion alias was moved by hand to the previous version."""
    if left.champion is not None and left.champion != left.previous and left.champion in existing:
        client.set_registered_model_alias(name, PREVIOUS, left.champion)
        return left.champion
    client.delete_registered_model_alias(name, PREVIOUS)
    return None


def move(client: mlflow.MlflowClient, name: str, before: Standing, intended: Move) -> None:
    """Move the aliases, unless somebody else has moved them since ``before`` was read.

    Raises InputError if the aliases have moved meanwhile, or are held and the move respects a hold.
    """
    with _lock(name):
        now, hold = read_standing(client, name), read_hold(client, name)
        if (now.champion, now.previous) != (before.champion, before.previous):
            raise InputError(
                f"{name} was changed while this command ran: champion is version {now.champion or 'none'} now, and was "
                f"{before.champion or 'none'}: nothing was moved, give the command again"
            )
        if intended.unless_held and hold is not None:
            raise InputError(f"the aliases of {name} are {hold.in_words()}; nothing was moved")
        text = json.dumps({"name": name, **asdict(intended)})
        if (signature := signature_of(text)) is not None:
            client.set_registered_model_tag(name, _SIGNED, signature)
        client.set_registered_model_tag(name, _INTENDED, text)
        _make(client, name, intended, None)


def _make(client: mlflow.MlflowClient, name: str, intended: Move, existing: Container[str] | None) -> None:
    if intended.hold is not None:
        client.set_registered_model_tag(name, _HOLD, json.dumps(asdict(intended.hold)))
    for number, tags in intended.marks.items():
        for key, value in tags.items() if existing is None or number in existing else ():
            client.set_model_version_tag(name, number, key, value)
    for alias, holder in ((PREVIOUS, intended.after.previous), (CHAMPION, intended.after.champion)):
        if holder is not None:
            client.set_registered_model_alias(name, alias, holder)
        else:
            client.delete_registered_model_alias(name, alias)
    state_decision(client, name, {**asdict(intended.after), "decided": intended.decided, "grounds": intended.grounds})
    client.set_registered_model_tag(name, _LEFT, json.dumps(asdict(intended.after)))
    client.delete_registered_model_tag(name, _INTENDED)
    if _SIGNED in client.get_registered_model(name).tags:
        client.delete_registered_model_tag(name, _SIGNED)


def _lock(name: str) -> contextlib.AbstractContextManager[None]:
    return store_lock(name, "registry", _WAIT)


def _model(client: mlflow.MlflowClient, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return tags and aliases of a registered model; none if it is absent."""
    try:
        model = client.get_registered_model(name)
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}, {}
    return dict(model.tags), {alias: str(number) for alias, number in model.aliases.items()}


def _written(text: str | None, read: Callable[[Any], T]) -> T | None:
    """Return the content of a tag; None if it is absent, or was not written by this program."""
    try:
        return None if text is None else read(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _standing_of(written: Any) -> Standing:
    champion, previous = (
        None if number is None else str(number) for number in (written["champion"], written["previous"])
    )
    return Standing(champion, previous, tuple(str(number) for number in written["line"]))


def _move_of(written: Any, name: str, last: str) -> Move:
    if written["name"] != name or written["decided"] <= last:
        raise ValueError("is a move of another model, or a move that was already made")
    hold = _hold_of(written["hold"]) if written["hold"] else None
    marks = {
        str(number): {str(key): str(text) for key, text in tags.items()} for number, tags in written["marks"].items()
    }
    rest = bool(written["unless_held"]), dict(written["grounds"]), str(written["decided"])
    return Move(_standing_of(written["after"]), marks, hold, *rest)


def _hold_of(written: Any) -> Hold:
    return Hold(written["by"], written["since"], written["reason"])
