"""The record of a decision: tags of the versions, a run, and the reports of their trainings."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence

import pandas as pd
from mlflow import MlflowClient

from ..report.html import with_verdict
from ..report.page import gates_section
from ..tracking.locks import user
from ..tracking.log import REPORT
from ..tracking.runs import RunLog, git_commit
from .decision import Decision, Judged
from .standing import Move
from .versions import ARCHIVED, GATES, JUDGED, SUPERSEDED, VERDICT, RegisteredVersions, Version, mark

HEALTH = "health"
"""The champion's tag: whether it passes its own gates."""


def promotion(made: Decision, known: RegisteredVersions) -> Move:
    """The move that a decision asks for, with what is written on the new champion in the same step.

    A refresh has its gates from the champion that it refreshes: they are what its recipe was promoted under.
    """
    number, old = made.after.champion, known.get(made.before.champion)
    assert number is not None
    is_refresh = any(one.number == number and one.role == "refresh" for one in made.judged)
    under = old.gates if is_refresh and old is not None and old.gates else made.asked
    tags = {VERDICT: "champion", "reason": made.reason, GATES: under}
    return Move(made.after, {number: tags}, unless_held=True)


def write_verdicts(client: MlflowClient, name: str, known: RegisteredVersions, made: Decision, keep: int) -> None:
    """Write on every version what was found of it; the champion's card; archive what has been judged long ago."""
    for one in made.judged:
        tags: dict[str, object] = {"scores": one.scores.to_dict()}
        if one.number == made.after.champion:
            tags[HEALTH] = made.alarm or "passes its gates"
        else:
            tags[VERDICT] = "passed" if one.passed else "failed"
            tags["reason"] = one.reason or "passed what it was asked"
        if one.settled and one.role not in ("champion", "previous"):
            tags[JUDGED] = one.settled
        mark(client, name, one.number, tags)
    for number, newer in made.superseded.items():
        mark(client, name, number, {VERDICT: SUPERSEDED, "reason": f"by version {newer}", JUDGED: SUPERSEDED})
    for number in made.to_archive(known, keep):
        mark(client, name, number, {ARCHIVED: f"judged, and not among the {keep} newest"})
    if made.promoted is not None:
        if made.before.champion is not None:
            with contextlib.suppress(Exception):  # it may have been deleted, or never have had one
                client.delete_model_version_tag(name, made.before.champion, HEALTH)
        client.update_model_version(name, made.promoted, description=_card(made, known))


def _card(made: Decision, known: RegisteredVersions) -> str:
    under = promotion(made, known).marks[str(made.promoted)][GATES]
    how = f"Promoted under {under}" if under == made.asked else f"Its recipe was promoted under {under}"
    return f"{how}; judged under {made.asked}.\n\n{made.reason}."


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
    metrics = {f"version_{one.number}/{key}": float(value) for one in scored for key, value in one.scores.items()}
    if scored:
        run.tables({"scores.csv": pd.DataFrame([{"version": one.number, **one.scores} for one in scored])})
    tables = [one.table() for one in made.judged if one.verdicts]
    if tables:
        gates = pd.concat(tables, ignore_index=True)
        run.tables({"gates.csv": gates})
        metrics |= {
            f"version_{row['version']}/gate/{_key(row['gate'])}{end}": float(row[name])
            for row in gates.to_dict("records")
            for name, end in (("value", ""), ("threshold", " threshold"), ("passed", " passed"))
        }
    if audits:
        audit = pd.concat(audits, ignore_index=True)
        run.tables({"audit.csv": audit})
        metrics |= {"audit/checks": float(len(audit)), "audit/passed": float(audit["passed"].sum())}
    run.metrics(metrics)
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


def complete_reports(client: MlflowClient, known: RegisteredVersions, made: Decision) -> list[str]:
    """Fill the verdict into the report of every training whose version was judged, or gained or lost its place.

    Returns
    -------
    In words, the reports that could not be completed.
    """
    moved = {made.before.champion, made.before.previous, made.after.champion, made.after.previous}
    found = {one.number: one for one in made.judged}
    failed = []
    for version in known.versions:
        one = found.get(version.number)
        if one is None and version.number not in moved:
            continue
        run = RunLog(client, version.parent_run)
        try:
            if (page := run.read_text(REPORT)) is not None:
                run.text(_completed(page, version, one, made), REPORT)
        except Exception as error:  # each kind of store has exceptions of its own
            failed.append(f"the report of version {version.number} was not completed ({type(error).__name__})")
    return failed


def _completed(page: str, version: Version, one: Judged | None, made: Decision) -> str:
    asked = one.table() if one is not None else pd.DataFrame()
    words = f"Version {version.number} of {version.name}, judged under {made.asked}. Decision: {made.reason}."
    verdict = gates_section(asked, words) if len(asked) else None
    return with_verdict(page, _status(version, one, made), verdict)


def _status(version: Version, one: Judged | None, made: Decision) -> str:
    number, champion = version.number, made.after.champion
    if number == champion:
        return f"Version {number} is champion{f', promoted under {version.gates}' if version.gates else ''}."
    now = f" The champion is version {champion}." if champion else ""
    if one is None or number == made.before.champion:
        return f"Version {number} was champion and is not any more.{now}"
    if not one.passed:
        return f"Version {number} was not promoted: {one.reason}.{now}"
    if number == made.chosen:
        return f"Version {number} passed every gate and was not promoted: {made.reason}.{now}"
    if one.role == "previous":
        return f"Version {number} was champion before, and passes its gates.{now}"
    return f"Version {number} was not promoted. It passed every gate, and another is better.{now}"
