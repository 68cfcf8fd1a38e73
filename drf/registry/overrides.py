"""Decisions of people: promote, roll back, hold, archive. They override the gates, and each is recorded."""

import mlflow

from ..errors import InputError
from ..tracking.user import user
from .aliases import Hold, Move, Standing, move, read_hold, set_hold
from .decision import Decision
from .evaluation_config import EvaluateConfig
from .loading import load_model
from .versions import ARCHIVED, GATES, REJECTED, VERDICT, RegisteredVersions, mark


def carry_out(
    client: mlflow.MlflowClient, config: EvaluateConfig, versions: RegisteredVersions, standing: Standing
) -> Decision:
    """Carry out a person's decision.

    Raises InputError if the decision is impossible; nothing is changed then.
    """
    name, reason = config.registry.name, config.reason or "no reason was given"
    if not versions.numbers:
        raise InputError(f"{name} has no version: run drf train first")
    if config.promote is not None:
        return _promote(client, name, versions, standing, str(config.promote), reason)
    if config.hold is not None:
        return _hold(client, name, standing, config.hold, reason)
    if config.archive is not None:
        return _archive(client, name, versions, standing, str(config.archive), reason)
    return _roll_back(client, name, versions, standing, config.rollback, reason)


def _promote(
    client: mlflow.MlflowClient, name: str, versions: RegisteredVersions, standing: Standing, number: str, reason: str
) -> Decision:
    _require(versions, name, number, f"promote={number}")
    if number == standing.champion and client.get_model_version(name, number).tags.get(VERDICT) == "champion":
        raise InputError(f"promote={number}: version {number} is champion already")
    load_model(f"models:/{name}/{number}")
    after = standing.promote(number)
    under = f"no gates, by {user()}: {reason}"
    tags = {VERDICT: "champion", "reason": reason, GATES: under}
    move(client, name, standing, Move(after, {number: tags}, grounds={**tags, "by": user()}))
    _take_from_archive(client, name, number)
    hold = read_hold(client, name)
    still = f"; the aliases stay {hold.in_words()}" if hold is not None else ""
    return Decision(standing, after, f"version {number} was made champion by {user()}: {reason}{still}")


def _take_from_archive(client: mlflow.MlflowClient, name: str, number: str) -> None:
    if ARCHIVED in client.get_model_version(name, number).tags:
        client.delete_model_version_tag(name, number, ARCHIVED)


def _roll_back(
    client: mlflow.MlflowClient,
    name: str,
    versions: RegisteredVersions,
    standing: Standing,
    to: bool | int,
    reason: str,
) -> Decision:
    """Roll the champion alias back to a version, reject the former champion, and hold the aliases there."""
    number = standing.previous if to is True else str(to)
    if number is None or number == standing.champion:
        raise InputError(
            f"rollback={str(to).lower()}: {name} has no earlier champion to return to "
            '(alias "previous"): name one (rollback=VERSION)'
        )
    _require(versions, name, number, f"rollback={str(to).lower()}")
    load_model(f"models:/{name}/{number}")
    after, gone = standing.back_to(number, versions.numbers), standing.champion
    what = f"rolled back from version {gone}: {reason}" if gone else f"rolled back: {reason}"
    marks = {number: {VERDICT: "champion", "reason": what}}
    if gone is not None:
        marks[gone] = {VERDICT: REJECTED, "reason": f"rolled back to version {number}: {reason}"}
    move(client, name, standing, Move(after, marks, Hold.now(what), grounds={"reason": what, "by": user()}))
    _take_from_archive(client, name, number)
    was = f", was version {gone}" if gone else ""
    words = f"rolled back: version {number} is champion again{was} ({reason})"
    return Decision(standing, after, f"{words}; {_held(client, name)}")


def _hold(client: mlflow.MlflowClient, name: str, standing: Standing, hold: bool, reason: str) -> Decision:
    before = read_hold(client, name)
    if not hold and before is None:
        raise InputError(f"hold=false: the aliases of {name} are not held")
    set_hold(client, name, reason if hold else None)
    words = f"let go by {user()}: {reason}" if not hold else _held(client, name)
    return Decision(standing, standing, words)


def _held(client: mlflow.MlflowClient, name: str) -> str:
    hold = read_hold(client, name)
    return f"the aliases are {hold.in_words()}" if hold else "the aliases are not held"


def _archive(
    client: mlflow.MlflowClient, name: str, versions: RegisteredVersions, standing: Standing, number: str, reason: str
) -> Decision:
    _require(versions, name, number, f"archive={number}")
    if number in (standing.champion, standing.previous):
        alias = "champion" if number == standing.champion else "previous"
        raise InputError(f"archive={number}: version {number} is {alias}: move the alias first")
    mark(client, name, number, {ARCHIVED: f"by {user()}: {reason}"})
    return Decision(standing, standing, f"version {number} was archived by {user()}: {reason}")


def _require(versions: RegisteredVersions, name: str, number: str, asked: str) -> None:
    if number not in versions.numbers:
        raise InputError(
            f"{asked}: {name} has no version {number}; there are {', '.join(sorted(versions.numbers, key=int))}"
        )
