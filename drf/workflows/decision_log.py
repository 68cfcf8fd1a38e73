"""The record of a decision: tags of the versions, a run, and the reports of their trainings."""

import contextlib
import json
from collections.abc import Mapping, Sequence

import pandas as pd
from mlflow import MlflowClient
from mlflow.data.dataset import Dataset

from ..data.calendar import named
from ..registry.aliases import Move
from ..registry.decision import Decision, Evaluation
from ..registry.gates import REPLACEMENT
from ..registry.statements import decision_tags
from ..registry.versions import (
    ARCHIVED,
    GATES,
    HEALTH,
    HEALTHY,
    JUDGED,
    SUPERSEDED,
    VERDICT,
    RegisteredVersions,
    Version,
    mark,
)
from ..reporting.comparison_report import gates_section
from ..reporting.evaluation_report import decision_report
from ..reporting.html import render, with_verdict
from ..reporting.standing import standing_of
from ..reporting.version_cards import decision_card, judged_card
from ..tracking.runs import REPORT, RunLog, RunTree, git_commit
from ..tracking.user import user
from .version_descriptions import write_cards

CHALLENGER = "challenger"
"""The alias of a version that passed its own gates and is not champion."""


def promotion(decision: Decision, versions: RegisteredVersions, data: str = "") -> Move:
    """Return the move that a decision asks for, with the tags of the new champion in the same step.

    A refresh inherits the gates of the champion that it refreshes, because the recipe was promoted under those gates.
    ``data``: the panel's fingerprint, for the signed statement.
    """
    number, old = decision.after.champion, versions.get(decision.before.champion)
    assert number is not None
    is_refresh = any(
        evaluation.number == number and evaluation.role == "refresh" for evaluation in decision.evaluations
    )
    under = old.gates if is_refresh and old is not None and old.gates else decision.asked
    tags = {VERDICT: "champion", "reason": decision.reason, GATES: under}
    scores = next(evaluation.scores for evaluation in decision.evaluations if evaluation.number == number)
    grounds = {**tags, "by": user(), "data": data, "scores": {str(key): float(value) for key, value in scores.items()}}
    return Move(decision.after, {number: tags}, unless_held=True, grounds=grounds)


def write_verdicts(
    client: MlflowClient, name: str, versions: RegisteredVersions, decision: Decision, keep: int
) -> None:
    """Write each version's findings and the champion's card, and archive versions judged long ago."""
    for evaluation in decision.evaluations:
        tags: dict[str, object] = {"scores": evaluation.scores.to_dict()}
        if evaluation.number == decision.after.champion:
            tags[HEALTH] = decision.alarm or HEALTHY
        else:
            tags[VERDICT] = "passed" if evaluation.passed else "failed"
            tags["reason"] = evaluation.reason or "passed what it was asked"
        if evaluation.settled and evaluation.role not in ("champion", "previous"):
            tags[JUDGED] = evaluation.settled
        mark(client, name, evaluation.number, tags)
    for number, newer in decision.superseded.items():
        mark(client, name, number, {VERDICT: SUPERSEDED, "reason": f"by version {newer}", JUDGED: SUPERSEDED})
    for number in decision.to_archive(versions, keep):
        mark(client, name, number, {ARCHIVED: f"judged, and not among the {keep} newest"})
    if decision.promoted is not None and decision.before.champion is not None:
        with contextlib.suppress(Exception):  # the tag may have been deleted, or may never have existed
            client.delete_model_version_tag(name, decision.before.champion, HEALTH)
    under = promotion(decision, versions).marks[decision.promoted][GATES] if decision.promoted is not None else ""
    write_cards(client, name, versions, decision, under)
    _name_challenger(client, name, decision)


def _name_challenger(client: MlflowClient, name: str, decision: Decision) -> None:
    """Set the alias ``challenger`` to the newest evaluated version that passed its own gates and is not champion.

    A version that fails only the comparison with the champion is a challenger too. The alias stays until there is
    another challenger, or until its version becomes champion.
    """
    after, model = decision.after, client.get_registered_model(name)
    aliased = (after.champion, after.previous)
    able = [
        evaluation.number
        for evaluation in decision.evaluations
        if evaluation.number not in aliased and _lacks_at_most_the_champion(evaluation)
    ]
    if able:
        client.set_registered_model_alias(name, CHALLENGER, max(able, key=int))
    elif str(model.aliases.get(CHALLENGER)) in aliased:
        client.delete_registered_model_alias(name, CHALLENGER)


def _lacks_at_most_the_champion(evaluation: Evaluation) -> bool:
    return bool(evaluation.verdicts) and all(
        verdict.passed or verdict.gate == REPLACEMENT for verdict in evaluation.verdicts
    )


def log_decision(
    tree: RunTree,
    config: Mapping[str, object],
    name: str,
    decision: Decision,
    dataset: Dataset | None = None,
    notices: Sequence[str] = (),
    audits: Sequence[pd.DataFrame] = (),
) -> None:
    """Log a registry decision: its texts and tables to the parent run, each judged version to a run below it.

    Args:
        config: The evaluation's settings under their dotted names.
        dataset: The panel on which versions were judged, if any was.
        notices: Sentences on earlier moves.
    """
    run = tree.parent
    if dataset is not None:
        run.input(dataset, "evaluation")
    run.params(config)
    run.tags(
        {
            "kind": "evaluation",
            "registered_model": name,
            "champion": decision.after.champion or "none",
            "promoted": decision.promoted or "none",
            "decision": decision.reason[:4000],
            "decided_by": user(),
            **({"health": decision.alarm[:4000] or "the champion passes its gates"} if decision.asked else {}),
            "git_commit": git_commit(),
            **decision_tags(tree.client, name),
        }
    )
    scored = [evaluation for evaluation in decision.evaluations if len(evaluation.scores)]
    if scored:
        run.tables(
            {"scores.csv": pd.DataFrame([{"version": evaluation.number, **evaluation.scores} for evaluation in scored])}
        )
    tables = [evaluation.table() for evaluation in decision.evaluations if evaluation.verdicts]
    if tables:
        run.tables({"gates.csv": pd.concat(tables, ignore_index=True)})
    if audits:
        audit = pd.concat(audits, ignore_index=True)
        run.tables({"audit.csv": audit})
        run.metrics({"audit/checks": float(len(audit)), "audit/passed": float(audit["passed"].sum())})
    for evaluation in decision.evaluations:
        _log_judged(tree, name, evaluation, dataset)
    written = {
        "reason": decision.reason,
        "alarm": decision.alarm,
        "asked": decision.asked,
        "notices": list(notices),
        "judged": {
            evaluation.number: {"role": evaluation.role, "passed": evaluation.passed, "reason": evaluation.reason}
            for evaluation in decision.evaluations
        },
        "restated": {
            evaluation.number: evaluation.restated for evaluation in decision.evaluations if evaluation.restated
        },
        "superseded": dict(decision.superseded),
        "left_aside": dict(decision.left_aside),
    }
    run.text(json.dumps(written, indent=1), "decision.json")
    settings = "\n".join(f"{key}: {value}" for key, value in config.items())
    run.text(render(decision_report(name, decision, settings, git_commit())), REPORT)
    run.rename(str(config.get("tracking.name") or _title(decision)))
    run.describe(decision_card(name, decision))


def _title(decision: Decision) -> str:
    """Return the name of an evaluation, made from the present and the previous champion."""
    if not decision.asked:
        return decision.reason[:100]
    champion, before = decision.after.champion, decision.before.champion
    months = [evaluation.months[1] for evaluation in decision.evaluations if evaluation.months]
    to = f", to {named(max(months))}" if months else ""
    if decision.promoted is None:
        return f"champion v{champion} stays{to}" if champion else f"no champion{to}"
    return f"champion v{champion}{f', was v{before}' if before else ''}{to}"


def _log_judged(tree: RunTree, name: str, evaluation: Evaluation, dataset: Dataset | None) -> None:
    """Log an evaluated version as a run below the evaluation: its scores and gates under plain names."""
    month = f" {named(evaluation.months[1])}" if evaluation.months else ""
    tags = {
        "kind": "judged",
        "registered_model": name,
        "version": evaluation.number,
        "role": evaluation.role,
        "verdict": "passed" if evaluation.passed else "failed",
        **({"reason": evaluation.reason[:4000]} if evaluation.reason else {}),
    }
    run = tree.child(f"v{evaluation.number} {evaluation.role}{month}", tags)
    if dataset is not None:
        run.input(dataset, "evaluation")
    # MLflow takes no commas in names.
    gates = {f"gate/{verdict.gate.replace(',', '')}": verdict for verdict in evaluation.verdicts}
    source = tree.client.get_model_version(name, evaluation.number).source or ""
    model = source.removeprefix("models:/") if source.startswith("models:/m-") else None
    run.metrics(
        {
            **{str(key): float(value) for key, value in evaluation.scores.items()},
            **{key: verdict.value for key, verdict in gates.items()},
            **{f"{key} threshold": verdict.threshold for key, verdict in gates.items()},
            "gates_passed": float(sum(verdict.passed for verdict in evaluation.verdicts)),
            "gates_failed": float(sum(not verdict.passed for verdict in evaluation.verdicts)),
        },
        model,
    )
    run.describe(judged_card(evaluation))
    tree.close(run)


def complete_reports(client: MlflowClient, versions: RegisteredVersions, decision: Decision) -> list[str]:
    """Add the verdict to the training report of every version that was judged, or gained or lost an alias.

    Returns sentences that name the reports that could not be completed.
    """
    moved = {decision.before.champion, decision.before.previous, decision.after.champion, decision.after.previous}
    evaluations = {evaluation.number: evaluation for evaluation in decision.evaluations}
    failed = []
    for version in versions.versions:
        evaluation = evaluations.get(version.number)
        if evaluation is None and version.number not in moved:
            continue
        run = RunLog(client, version.parent_run)
        try:
            if (page := run.read_text(REPORT)) is not None:
                run.text(_completed(page, version, evaluation, decision), REPORT)
        except Exception as error:  # each kind of store has exceptions of its own
            failed.append(f"the report of version {version.number} was not completed ({type(error).__name__})")
    return failed


def _completed(page: str, version: Version, evaluation: Evaluation | None, decision: Decision) -> str:
    asked = evaluation.table() if evaluation is not None else pd.DataFrame()
    words = f"Version {version.number} of {version.name}, judged under {decision.asked}. Decision: {decision.reason}."
    verdict = gates_section(asked, words) if len(asked) else None
    standing = standing_of(version.number, decision, evaluation, version.gates).sentence(version.number)
    return with_verdict(page, standing, verdict)
