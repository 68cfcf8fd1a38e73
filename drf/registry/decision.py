"""A decision of the registry: its record, as a run and as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from mlflow import MlflowClient

from ..report.html import with_verdict
from ..report.page import gates_section
from ..tracking.log import REPORT
from ..tracking.runs import RunLog, git_commit
from .versions import RegisteredVersions


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


def log_decision(
    run: RunLog, config: Mapping[str, object], name: str, made: Decision, audits: Sequence[pd.DataFrame] = ()
) -> None:
    """Log a decision of the registry: its tables, its words, the scores of all versions, and the audits made for it.

    ``config``: the evaluation's settings under their dotted names.
    """
    run.params(config)
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
        run.tables({"scores.csv": made.scores})
        run.metrics(
            {
                f"version_{row['version']}/{key}": value
                for row in made.scores.to_dict("records")
                for key, value in row.items()
                if key != "version"
            }
        )
    if len(made.gates):
        run.tables({"gates.csv": made.gates})
        run.metrics(
            {
                f"version_{row['version']}/gate/{_key(row['gate'])}{end}": float(row[name])
                for row in made.gates.to_dict("records")
                for name, end in (("value", ""), ("threshold", " threshold"), ("passed", " passed"))
            }
        )
    if audits:
        audit = pd.concat(audits, ignore_index=True)
        run.tables({"audit.csv": audit})
        run.metrics({"audit/checks": float(len(audit)), "audit/passed": float(audit["passed"].sum())})
    run.text(
        json.dumps(
            {"left_aside": dict(made.left_aside), "rejected": dict(made.rejected), "reason": made.reason}, indent=1
        ),
        "decision.json",
    )


def _key(gate: str) -> str:
    return gate.replace(",", "")  # MLflow takes no commas in names


def complete_reports(client: MlflowClient, known: RegisteredVersions, made: Decision) -> None:
    """Fill the verdict into the report of every training whose version was judged, or gained or lost its place."""
    moved = {known.champion, known.previous, made.champion, made.previous}
    for version in known.versions:
        asked = made.gates[made.gates["version"] == version.number] if len(made.gates) else made.gates
        if not len(asked) and version.number not in moved:
            continue
        run = RunLog(client, version.parent_run)
        if (page := run.read_text(REPORT)) is not None:
            words = f"Version {version.number} of {version.name}. Decision: {made.reason}."
            verdict = gates_section(asked, words) if len(asked) else None
            run.text(with_verdict(page, _status(version.number, asked, made), verdict), REPORT)


def _status(number: str, asked: pd.DataFrame, made: Decision) -> str:
    if number == made.champion:
        return f"Version {number} is champion."
    now = f" The champion is version {made.champion}." if made.champion else ""
    if not len(asked):
        return f"Version {number} was champion and is not any more.{now}"
    failed = asked.loc[~asked["passed"], "gate"].tolist()
    why = f" Gates not passed: {'; '.join(failed)}." if failed else " It passed every gate, and another is better."
    return f"Version {number} was not promoted.{why}{now}"


def decision_summary(name: str, decision: Decision, audits: Sequence[pd.DataFrame], store: str, run_id: str) -> str:
    """What was compared, each check of the audit, each gate's verdict, and what was decided."""
    lines = [""]
    if decision.months is not None:
        first, last = decision.months
        lines += [f"Scored on {first.date()} to {last.date()}, out of sample for all:", _rounded(decision.scores), ""]
    for audit in audits:
        lines += ["Audit:", *_verdicts(audit, "check"), ""]
    for number, gates in decision.gates.groupby("version") if len(decision.gates) else ():
        lines += [f"Gates of version {number}:"]
        lines += [*_verdicts(gates, "gate"), ""]
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


def _verdicts(table: pd.DataFrame, what: str) -> list[str]:
    lines = table.to_dict("records")
    return [f"  {'pass' if line['passed'] else 'FAIL'}  {line[what]}: {line['reason']}" for line in lines]


def _rounded(table: pd.DataFrame) -> str:
    """One column a version."""
    columns = table.set_index("version").T.rename_axis(columns="version")
    return columns.to_string(float_format="{:.3f}".format, na_rep="cannot be estimated")
