"""Champion of a registered model on a past day: its version, who decided it, and why."""

from dataclasses import dataclass

import pandas as pd
from mlflow import MlflowClient

from ..errors import InputError
from ..registry.statements import Decided, decided_by
from ..tracking.searches import decisions_on
from ..tracking.store import connect


@dataclass(frozen=True)
class Holder:
    """Champion of a registered model on a day.

    Attributes:
        name, day: Registered model, and the day, of which the end counts (UTC).
        decision: Decision that was in force; None if nothing had been decided.
        since: First decision of the unbroken line that named this champion; None likewise.
        unsigned: Number of decisions left aside because their signature is missing or wrong.
    """

    name: str
    day: pd.Timestamp
    decision: Decided | None
    since: Decided | None
    unsigned: int


def who(name: str, day: pd.Timestamp) -> Holder:
    """Return who was champion at the end of a day, from the recorded decisions, deleted runs included.

    With ``DRF_VERIFYING_KEY`` only decisions with a valid signature count.

    Raises InputError if nothing was ever decided about the model.
    """
    connect()
    runs = decisions_on(MlflowClient(), name)
    if not runs:
        raise InputError(f"nothing was decided about {name}: give name=MODEL, as in MLflow's list of models")
    every = [decided_by(run) for run in runs]
    believed = sorted((one for one in every if one is not None), key=lambda one: one.when)
    before = [one for one in believed if one.when < day.tz_localize("UTC") + pd.Timedelta(days=1)]
    since = None
    for one in before:
        since = since if since is not None and since.champion == one.champion else one
    return Holder(name, day, before[-1] if before else None, since, len(every) - len(believed))
