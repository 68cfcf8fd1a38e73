"""Signed statements by the holder of the key: which version was registered, and which is champion.

A version's signature covers its files, but files can be moved. A version could point to another version's files, and an
alias to a version that nobody promoted. So a statement at registration names the version with its files, and a
statement with each decision names the holders of the aliases. They are tags, each with its signature in a second tag.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import mlflow
from mlflow.entities.model_registry import ModelVersion

from .signing import require_signature, signature_of, verifying

STATEMENT, SIGNATURE = "statement", "statement_signature"


def state_registration(client: mlflow.MlflowClient, name: str, number: str, manifest: str) -> None:
    """Sign a statement that the version of this name and number has these files, if a signing key is set."""
    text = json.dumps({"statement": "registered", "name": name, "number": number, "manifest": manifest})
    if (signature := signature_of(text)) is not None:
        client.set_model_version_tag(name, number, STATEMENT, text)
        client.set_model_version_tag(name, number, SIGNATURE, signature)


def require_registration(entry: ModelVersion, manifest: str) -> None:
    """Check that a version is the one that was registered under its name and number, if a verifying key is set.

    Raises
    ------
    ValueError
        If there is no statement, or it is of another version.
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


def state_standing(client: mlflow.MlflowClient, name: str, standing: Mapping[str, object]) -> None:
    """Sign a statement of who holds the aliases after a decision; without a signing key, drop the old one."""
    text = json.dumps({"statement": "decided", "name": name, **standing})
    signature = signature_of(text)
    if signature is not None:
        client.set_registered_model_tag(name, SIGNATURE, signature)
        client.set_registered_model_tag(name, STATEMENT, text)
    elif STATEMENT in client.get_registered_model(name).tags:
        client.delete_registered_model_tag(name, STATEMENT)


def require_standing(client: mlflow.MlflowClient, name: str, champion: str) -> None:
    """Check that a signed decision made a version champion, if a verifying key is set.

    Raises
    ------
    ValueError
        If the newest decision is unsigned, or made another version champion.
    """
    if not verifying():
        return
    tags = client.get_registered_model(name).tags
    require_signature(tags.get(STATEMENT, ""), tags.get(SIGNATURE) if STATEMENT in tags else None, "the last decision")
    said = _read(tags[STATEMENT], "decided")
    if (said["name"], said["champion"]) != (name, champion):
        raise ValueError(f"the last signed decision made version {said['champion']} of {said['name']} champion")


def _read(text: str, kind: str) -> dict[str, str]:
    """Return a signed statement after checking its kind, since whoever can write tags could swap kinds."""
    said: dict[str, str] = json.loads(text)
    if said.get("statement") != kind:
        raise ValueError(f"its statement is not one of a version that was {kind}")
    return said
