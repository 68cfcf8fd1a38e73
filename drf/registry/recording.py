"""The record of a decision: tags of the versions, a run, and the reports of their trainings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd
from mlflow import MlflowClient

from ..report.html import with_verdict
from ..report.page import gates_section
from ..tracking.log import REPORT
from ..tracking.runs import RunLog, git_commit
from .decision import Decision, Judged
from .standing import user
from .versions import ARCHIVED, JUDGED, REJECTED, VERDICT, RegisteredVersions, Version, mark

HEALTH = "health"
"""The champion's tag: whether it passes its own gates."""


def write_verdicts(client: MlflowClient, name: str, known: RegisteredVersions, made: Decision, keep: int) -> None:
    """Write on every version what was found of it; the champion's card; archive what has been judged long ago."""
    for one in made.judged:
        champion = one.number == made.after.champion
        verdict = "champion" if champion else REJECTED if one.lasting and one.role != "previous" else "failed"
        verdict = "passed" if one.passed and not champion else verdict
        tags: dict[str, object] = {
            VERDICT: verdict,
            "reason": one.reason or made.reason,
            "scores": one.scores.to_dict(),
        }
        if one.settled and one.role not in ("champion", "previous"):
            tags[JUDGED] = made.asked
        if champion:
            tags[HEALTH] = made.alarm or "passes its gates"
        if one.number == made.promoted:
            tags["gates"] = made.asked
        mark(client, name, one.number, {key: value for key, value in tags.items() if value != ""})
    for number, newer in made.superseded.items():
        mark(client, name, number, {VERDICT: "superseded", "reason": f"by version {newer}", JUDGED: made.asked})
    for number in made.keeps(known, keep):
        mark(client, name, number, {ARCHIVED: f"judged, and not among the {keep} newest"})
    if made.promoted is not None:
        text = f"Promoted under {made.asked}.\n\n{made.reason}."
        client.update_model_version(name, made.promoted, description=text)


def log_decision(
    run: RunLog,
    config: Mapping[str, object],
    name: str,
    made: Decision,
    notices: Sequence[str] = (),
    audits: Sequence[pd.DataFrame] = (),
) -> None:
    """Log a decision of the registry: its tables, its words, the scores of the versions judged, the audits made for it.

    ``config``: the evaluation's settings under their dotted names. ``notices``: what was found of earlier moves.
    """
    run.params(config)
    run.tags(
        {
            "kind": "evaluation",
            "registered_model": name,
            "champion": made.after.champion or "none",
            "promoted": made.promoted or "none",
            "decision": made.reason[:4000],
            "decided_by": user(),
            **({"health": made.alarm[:4000] or "the champion passes its gates"} if made.asked else {}),
            "git_commit": git_commit(),
        }
    )
    scored = [one for one in made.judged if len(one.scores)]
    if scored:
        run.tables({"scores.csv": pd.DataFrame([{"version": one.number, **one.scores} for one in scored])})
        run.metrics({f"version_{one.number}/{key}": value for one in scored for key, value in one.scores.items()})
    tables = [one.table() for one in made.judged if one.verdicts]
    if tables:
        gates = pd.concat(tables, ignore_index=True)
        run.tables({"gates.csv": gates})
        run.metrics(
            {
                f"version_{row['version']}/gate/{_key(row['gate'])}{end}": float(row[name])
                for row in gates.to_dict("records")
                for name, end in (("value", ""), ("threshold", " threshold"), ("passed", " passed"))
            }
        )
    if audits:
        audit = pd.concat(audits, ignore_index=True)
        run.tables({"audit.csv": audit})
        run.metrics({"audit/checks": float(len(audit)), "audit/passed": float(audit["passed"].sum())})
    written = {
        "reason": made.reason,
        "alarm": made.alarm,
        "asked": made.asked,
        "notices": list(notices),
        "judged": {one.number: {"role": one.role, "passed": one.passed, "reason": one.reason} for one in made.judged},
        "restated": {one.number: one.restated for one in made.judged if one.restated},
        "superseded": dict(made.superseded),
        "left_aside": dict(made.left_aside),
    }
    run.text(json.dumps(written, indent=1), "decision.json")


def _key(gate: str) -> str:
    return gate.replace(",", "")  # MLflow takes no commas in names


def complete_reports(client: MlflowClient, known: RegisteredVersions, made: Decision) -> None:
    """Fill the verdict into the report of every training whose version was judged, or gained or lost its place."""
    moved = {made.before.champion, made.before.previous, made.after.champion, made.after.previous}
    found = {one.number: one for one in made.judged}
    for version in known.versions:
        one = found.get(version.number)
        if one is None and version.number not in moved:
            continue
        run = RunLog(client, version.parent_run)
        try:
            page = run.read_text(REPORT)
        except (
            Exception
        ):  # a run that is gone, a store of artifacts that cannot be reached: the verdict stands elsewhere
            continue
        if page is not None:
            asked = one.table() if one is not None else pd.DataFrame()
            words = f"Version {version.number} of {version.name}, judged under {made.asked}. Decision: {made.reason}."
            verdict = gates_section(asked, words) if len(asked) else None
            run.text(with_verdict(page, _status(version, one, made), verdict), REPORT)


def _status(version: Version, one: Judged | None, made: Decision) -> str:
    number, champion = version.number, made.after.champion
    if number == champion:
        under = (made.asked if number == made.promoted else None) or version.gates
        return f"Version {number} is champion{f', promoted under {under}' if under else ''}."
    now = f" The champion is version {champion}." if champion else ""
    if one is None or number == made.before.champion:
        return f"Version {number} was champion and is not any more.{now}"
    failed = [verdict.gate for verdict in one.verdicts if not verdict.passed]
    why = f" Gates not passed: {'; '.join(failed)}." if failed else " It passed every gate, and another is better."
    return f"Version {number} was not promoted.{why}{now}"
