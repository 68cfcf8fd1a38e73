"""The record of a decision: tags of the versions, a run, and the reports of their trainings."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence

import pandas as pd
from mlflow import MlflowClient
from mlflow.data.dataset import Dataset

from ..registry.aliases import Move
from ..registry.decision import Decision, Judged
from ..registry.gates import REPLACEMENT
from ..registry.versions import ARCHIVED, GATES, JUDGED, SUPERSEDED, VERDICT, RegisteredVersions, Version, mark
from ..reporting.comparison_report import gates_section
from ..reporting.evaluation_report import decision_report
from ..reporting.html import render, with_verdict
from ..reporting.version_cards import decision_card, judged_card, short_gates
from ..tracking.runs import REPORT, RunLog, RunTree, git_commit
from ..tracking.user import user
from .version_descriptions import write_cards

CHALLENGER = "challenger"
"""The alias of a version that passed its own gates and is not champion."""

HEALTH = "health"
"""The champion's tag: whether it passes its own gates."""


def promotion(made: Decision, known: RegisteredVersions) -> Move:
    """Return the move that a decision asks for, with the tags of the new champion in the same step.

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
    if made.promoted is not None and made.before.champion is not None:
        with contextlib.suppress(Exception):  # it may have been deleted, or never have had one
            client.delete_model_version_tag(name, made.before.champion, HEALTH)
    under = promotion(made, known).marks[made.promoted][GATES] if made.promoted is not None else ""
    write_cards(client, name, known, made, under)
    _name_challenger(client, name, made)


def _name_challenger(client: MlflowClient, name: str, made: Decision) -> None:
    """Set the alias ``challenger`` to the newest evaluated version that passed its own gates and is not champion.

    One that lacks nothing but to be better than the champion is a challenger too. It stays until there is another, or
    until it becomes champion.
    """
    after, model = made.after, client.get_registered_model(name)
    held = (after.champion, after.previous)
    able = [one.number for one in made.judged if one.number not in held and _lacks_at_most_the_champion(one)]
    if able:
        client.set_registered_model_alias(name, CHALLENGER, max(able, key=int))
    elif str(model.aliases.get(CHALLENGER)) in held:
        client.delete_registered_model_alias(name, CHALLENGER)


def _lacks_at_most_the_champion(one: Judged) -> bool:
    return bool(one.verdicts) and all(verdict.passed or verdict.gate == REPLACEMENT for verdict in one.verdicts)


def log_decision(
    tree: RunTree,
    config: Mapping[str, object],
    name: str,
    made: Decision,
    dataset: Dataset | None = None,
    notices: Sequence[str] = (),
    audits: Sequence[pd.DataFrame] = (),
) -> None:
    """Log a decision of the registry: its words and tables to the parent run, every judged version to one below it.

    Parameters
    ----------
    config
        The evaluation's settings under their dotted names.
    dataset
        The panel on which versions were judged, if any was.
    notices
        What was found of earlier moves.
    """
    run = tree.parent
    if dataset is not None:
        run.input(dataset, "evaluation")
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
    tables = [one.table() for one in made.judged if one.verdicts]
    if tables:
        run.tables({"gates.csv": pd.concat(tables, ignore_index=True)})
    if audits:
        audit = pd.concat(audits, ignore_index=True)
        run.tables({"audit.csv": audit})
        run.metrics({"audit/checks": float(len(audit)), "audit/passed": float(audit["passed"].sum())})
    for one in made.judged:
        _log_judged(tree, name, one, dataset)
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
    settings = "\n".join(f"{key}: {value}" for key, value in config.items())
    run.text(render(decision_report(name, made, settings, git_commit())), REPORT)
    run.rename(str(config.get("tracking.name") or _title(made)))
    run.describe(decision_card(name, made))


def _title(made: Decision) -> str:
    """Return the name of an evaluation: the champion now, and the one before."""
    if not made.asked:
        return made.reason[:100]
    champion, before = made.after.champion, made.before.champion
    months = [one.months[1] for one in made.judged if one.months]
    to = f", to {max(months):%Y-%m}" if months else ""
    if made.promoted is None:
        return f"champion v{champion} stays{to}" if champion else f"no champion{to}"
    return f"champion v{champion}{f', was v{before}' if before else ''}{to}"


def _log_judged(tree: RunTree, name: str, one: Judged, dataset: Dataset | None) -> None:
    """Log an evaluated version as a run below the evaluation: its scores and gates under plain names."""
    month = f" {one.months[1]:%Y-%m}" if one.months else ""
    tags = {
        "kind": "judged",
        "registered_model": name,
        "version": one.number,
        "role": one.role,
        "verdict": "passed" if one.passed else "failed",
        **({"reason": one.reason[:4000]} if one.reason else {}),
    }
    run = tree.child(f"v{one.number} {one.role}{month}", tags)
    if dataset is not None:
        run.input(dataset, "evaluation")
    gates = {f"gate/{_key(verdict.gate)}": verdict for verdict in one.verdicts}
    source = tree.client.get_model_version(name, one.number).source or ""
    model = source.removeprefix("models:/") if source.startswith("models:/m-") else None
    run.metrics(
        {
            **{str(key): float(value) for key, value in one.scores.items()},
            **{key: verdict.value for key, verdict in gates.items()},
            **{f"{key} threshold": verdict.threshold for key, verdict in gates.items()},
            "gates_passed": float(sum(verdict.passed for verdict in one.verdicts)),
            "gates_failed": float(sum(not verdict.passed for verdict in one.verdicts)),
        },
        model,
    )
    run.describe(judged_card(one))
    tree.close(run)


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
        under = f", promoted under {short_gates(version.gates)}" if version.gates else ""
        return f"Version {number} is champion{under}."
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
