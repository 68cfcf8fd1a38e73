"""Give the champion back to the version that it was taken from."""

from __future__ import annotations

import mlflow

from ..errors import InputError
from .decision import Decision
from .versions import CHAMPION, PREVIOUS, REJECTED, RegisteredVersions, mark


def roll_back(client: mlflow.MlflowClient, name: str, known: RegisteredVersions) -> Decision:
    """Give ``champion`` back to ``previous``, and reject the version that held it, so that it is not promoted again.

    Raises
    ------
    InputError
        If there is no version to go back to.
    """
    require_previous(name, known)
    previous = known.previous
    assert previous is not None
    # The verdict first: were the program stopped in between, the bad version would not be promoted again.
    if known.champion is not None:
        mark(client, name, known.champion, REJECTED, f"rolled back to version {previous}")
    client.set_registered_model_alias(name, CHAMPION, previous)
    client.delete_registered_model_alias(name, PREVIOUS)
    mark(client, name, previous, "promoted", f"rolled back from version {known.champion}")
    reason = f"rolled back: version {previous} is champion again, was version {known.champion}"
    return Decision(previous, None, None, reason, rolled_back=True)


def require_previous(name: str, known: RegisteredVersions) -> None:
    """Refuse to roll back where there is nothing to go back to.

    Raises
    ------
    InputError
        If no version has the alias previous, or the champion itself has it.
    """
    if known.previous in (None, known.champion):
        raise InputError(
            f"rollback=true: {name} has no version with the alias previous, other than champion, to go back to"
        )
