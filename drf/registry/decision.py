"""A decision of the registry: its record, as a run and as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
from omegaconf import DictConfig

from ..config import flatten
from ..tracking.runs import RunLog, git_commit


@dataclass(frozen=True)
class Decision:
    """What was decided and why.

    Attributes
    ----------
    champion, previous
        Versions that hold the aliases after the decision, if any.
    promoted
        The version that became champion now, if one did.
    rejected
        Versions that failed a gate for good, with the reason.
    scores
        One row a version compared.
    gates
        One row a version and gate.
    left_aside
        Versions that were not compared, with the reason.
    reason
        In words.
    months
        First and last month that was scored.
    rolled_back
        Whether the champion was given back on request.
    """

    champion: str | None
    previous: str | None
    promoted: str | None
    reason: str
    months: tuple[pd.Timestamp, pd.Timestamp] | None = None
    rolled_back: bool = False
    rejected: Mapping[str, str] = field(default_factory=dict)
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    gates: pd.DataFrame = field(default_factory=pd.DataFrame)
    left_aside: Mapping[str, str] = field(default_factory=dict)


def log_decision(run: RunLog, config: DictConfig, name: str, made: Decision) -> None:
    """Log a decision of the registry: its tables, its words, and the scores of what was promoted."""
    run.params(flatten(config))
    run.tags(
        {
            "kind": "evaluation",
            "registered_model": name,
            "champion": made.champion or "none",
            "promoted": made.promoted or "none",
            "decision": made.reason[:4000],
            "git_commit": git_commit(),
        }
    )
    if len(made.scores):
        run.table(made.scores, "scores.csv")
        run.metrics(
            {
                f"version_{row['version']}/{key}": value
                for row in made.scores.to_dict("records")
                for key, value in row.items()
                if key != "version"
            }
        )
    if len(made.gates):
        run.table(made.gates, "gates.csv")
    run.text(
        json.dumps(
            {"left_aside": dict(made.left_aside), "rejected": dict(made.rejected), "reason": made.reason}, indent=1
        ),
        "decision.json",
    )


def decision_summary(name: str, decision: Decision, store: str, run_id: str) -> str:
    """What was compared, each gate's verdict, and what was decided."""
    lines = [""]
    if decision.months is not None:
        first, last = decision.months
        lines += [f"Scored on {first.date()} to {last.date()}, out of sample for all:", _rounded(decision.scores), ""]
    if len(decision.gates):
        gates = decision.gates[["version", "gate", "passed", "reason"]].replace(
            {"passed": {True: "pass", False: "FAIL"}}
        )
        lines += [gates.to_string(index=False, justify="left"), ""]
    lines += [f"version {number} left aside: {reason}" for number, reason in decision.left_aside.items()]
    verb = f"promoted version {decision.promoted}: " if decision.promoted else "nothing promoted: "
    verb = "" if decision.rolled_back else verb
    lines += [
        f"Decision: {verb}{decision.reason}",
        f"champion: {decision.champion or 'none'}, previous: {decision.previous or 'none'}",
        f"Run: {run_id} in {store}",
    ]
    if decision.champion:
        lines.append(f'Load the champion: mlflow.pyfunc.load_model("models:/{name}@champion")')
    return "\n".join(lines)


def _rounded(table: pd.DataFrame) -> str:
    return table.to_string(index=False, float_format="{:.3f}".format, na_rep="cannot be estimated")
