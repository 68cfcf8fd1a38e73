"""Signed statements by the holder of the key: which version was registered, and which is champion.

A version's signature covers its files, but files can be moved. A version could point to another version's files, and an
alias to a version that nobody promoted. So a statement at registration names the version with its files, and a
statement with each decision names its grounds and the holders of the aliases. They are tags, each with its signature in
a second tag. Each decision names the one before it, so that a gap shows. Once a month was issued under a decision, no
older decision can take its place.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import mlflow
import pandas as pd
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from ..errors import InputError
from ..tracking.searches import decisions_on
from .manifest import digest_of
from .signing import is_signed, require_signature, signature_of, verifying

STATEMENT, SIGNATURE = "statement", "statement_signature"


def state_registration(client: mlflow.MlflowClient, name: str, number: str, manifest: str) -> None:
    """Sign a statement that the version of this name and number has these files, if a signing key is set."""
    text = json.dumps({"statement": "registered", "name": name, "number": number, "manifest": manifest})
    if (signature := signature_of(text)) is not None:
        client.set_model_version_tag(name, number, STATEMENT, text)
        client.set_model_version_tag(name, number, SIGNATURE, signature)


def require_registration(entry: ModelVersion, manifest: str) -> None:
    """Check that a version is the one that was registered under its name and number, if a verifying key is set.

    Raises ValueError if there is no statement, or it is of another version.
    """
    if not verifying():
        return
    text = entry.tags.get(STATEMENT, "")
    require_signature(text, entry.tags.get(SIGNATURE), "its registration")
    said = _read(text, "registered")
    if (said["name"], said["number"]) != (entry.name, str(entry.version)):
        raise ValueError(f"its files are those of version {said['number']} of {said['name']}")
    if said["manifest"] != manifest:
        raise ValueError("its manifest is not the one that was signed at its registration")


def state_decision(client: mlflow.MlflowClient, name: str, decision: Mapping[str, object]) -> None:
    """Sign a statement of who holds the aliases after a decision, since when, and on what grounds.

    It names the statement before it by its digest, so that the decisions form a chain. Without a signing key, the old
    statement is dropped.
    """
    before = client.get_registered_model(name).tags.get(STATEMENT)
    link = digest_of(before.encode()) if before else None
    text = json.dumps({"statement": "decided", "name": name, **decision, "before": link})
    signature = signature_of(text)
    if signature is not None:
        client.set_registered_model_tag(name, SIGNATURE, signature)
        client.set_registered_model_tag(name, STATEMENT, text)
    elif before is not None:
        client.delete_registered_model_tag(name, STATEMENT)


def utc_now() -> str:
    """Return the time of a decision, in UTC, as text that sorts in order of time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def last_decided(tags: Mapping[str, str]) -> str:
    """Return the time of the newest decision from the tags of its registered model; empty if none was signed."""
    try:
        return str(_read(tags[STATEMENT], "decided")["decided"])
    except (KeyError, ValueError, TypeError, RecursionError):
        return ""


def require_decision(client: mlflow.MlflowClient, name: str, champion: str, not_before: str = "") -> str:
    """Check that a signed decision made a version champion, if a verifying key is set; return when it was decided.

    ``not_before``: time of a decision known from elsewhere. If the newest decision is older, an earlier state was put
    back. Raises ValueError if the newest decision is unsigned, made another version champion, or is older than a known
    one.
    """
    if not verifying():
        return ""
    tags = client.get_registered_model(name).tags
    require_signature(tags.get(STATEMENT, ""), tags.get(SIGNATURE) if STATEMENT in tags else None, "the last decision")
    said = _read(tags[STATEMENT], "decided")
    if (said["name"], said["champion"]) != (name, champion):
        raise ValueError(f"the last signed decision made version {said['champion']} of {said['name']} champion")
    if said["decided"] < not_before:
        raise ValueError(
            f"its decision is of {said['decided']}, and a month was issued under one of {not_before}: an earlier state "
            "of the registry was put back"
        )
    return str(said["decided"])


def decision_tags(client: mlflow.MlflowClient, name: str) -> dict[str, str]:
    """Return the newest statement of a decision with its signature, as tags for the decision's run."""
    tags = client.get_registered_model(name).tags
    return {key: tags[key] for key in (STATEMENT, SIGNATURE)} if STATEMENT in tags and SIGNATURE in tags else {}


@dataclass(frozen=True)
class Decided:
    """A recorded decision: when, the champion after it (None if there is none), who decided, and the reason."""

    when: pd.Timestamp
    champion: str | None
    by: str
    reason: str
    run_id: str


def decided_by(run: Run) -> Decided | None:
    """Return the decision of an evaluation's run; None if a verifying key is set and it is not signed with that key.

    With a key, all but the run comes from the signed statement, because anybody can edit a run's tags.
    """
    tags = run.data.tags
    when, champion = pd.Timestamp(run.info.start_time, unit="ms", tz="UTC"), tags.get("champion", "none")
    by, reason = tags.get("decided_by", "unknown"), tags.get("decision", "")
    if verifying():
        try:
            require_signature(tags.get(STATEMENT, ""), tags.get(SIGNATURE), "it")
            said = _read(tags[STATEMENT], "decided")
            when, champion = pd.Timestamp(said["decided"]), said["champion"] or "none"
            by, reason = said["grounds"].get("by", "unknown"), said["grounds"].get("reason", "")
        except InputError:
            raise
        except (KeyError, ValueError, TypeError, AttributeError):
            return None
    known = None if champion == "none" else str(champion)
    return Decided(when, known, by, reason, run.info.run_id)


def gap_in_decisions(client: mlflow.MlflowClient, name: str) -> list[str]:
    """Follow the chain of signed decisions through the runs of evaluations, if a verifying key is set.

    Returns a sentence if a decision is in no run, else nothing.
    """
    tags = client.get_registered_model(name).tags
    if not verifying():
        return []
    text = tags.get(STATEMENT, "")
    in_runs = {run.data.tags[STATEMENT] for run in decisions_on(client, name) if STATEMENT in run.data.tags}
    if not is_signed(text, tags.get(SIGNATURE)):
        return ["the newest decision is not signed: it was removed or changed"] if text or in_runs else []
    known = {digest_of(statement.encode()): statement for statement in in_runs}
    while (before := _read(text, "decided")["before"]) is not None:
        if before not in known:
            when = _read(text, "decided")["decided"]
            return [f"the decision before that of {when} is in no run: the run was removed or changed, or never ended"]
        text = known[before]
    return []


def _read(text: str, kind: str) -> dict[str, Any]:
    """Return a signed statement after checking its kind, since whoever can write tags could swap kinds."""
    said = json.loads(text)
    if not isinstance(said, dict) or said.get("statement") != kind:
        raise ValueError(f"its signed statement does not say that a version was {kind}")
    return said
