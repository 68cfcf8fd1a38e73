"""A decision of the registry: its record, as tags, as a run and as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from mlflow import MlflowClient

from ..report.html import with_verdict
from ..report.page import gates_section
from ..tracking.log import REPORT
from ..tracking.runs import RunLog, git_commit
from .gates import Verdict
from .standing import Hold, Standing, user
from .versions import ARCHIVED, JUDGED, REJECTED, VERDICT, RegisteredVersions, Version, mark

HEALTH = "health"
"""The champion's tag: whether it passes its own gates."""

_MONTHS = "months out of sample"


@dataclass(frozen=True)
class Judged:
    """What was found of a version.

    Attributes
    ----------
    role
        ``champion``, ``previous``, ``refresh`` or ``new recipe``.
    passed, reason
        Whether it passed all that its role is asked, and what it did not.
    scores, verdicts, months
        See :mod:`.scores` and :mod:`.gates`; empty where it was not asked. First and last month scored.
    restated
        How the market's history has changed since it was trained, in words; empty if it has not.
    """

    number: str
    role: str
    passed: bool
    reason: str
    scores: pd.Series
    verdicts: tuple[Verdict, ...]
    restated: str
    months: tuple[pd.Timestamp, pd.Timestamp] | None

    @property
    def lasting(self) -> bool:
        """Whether it failed for good."""
        return any(verdict.lasting and not verdict.passed for verdict in self.verdicts)

    @property
    def settled(self) -> bool:
        """Whether it need not be judged by the same gates again: neither more months nor a champion would help it."""
        failed = [verdict for verdict in self.verdicts if not verdict.passed]
        return any(verdict.gate != _MONTHS and not np.isnan(verdict.value) for verdict in failed)

    def table(self) -> pd.DataFrame:
        """One row a gate."""
        return pd.DataFrame([{"version": self.number, **vars(verdict)} for verdict in self.verdicts])


@dataclass(frozen=True)
class Decision:
    """What was decided and why.

    Attributes
    ----------
    before, after
        Who holds the aliases.
    chosen
        The version that passed and would be champion, or is now; None if there is none.
    hold
        Why nothing was moved, if the aliases are held.
    judged
        What was found, the champion first.
    superseded, left_aside
        Versions that were not judged: by which newer one, and why.
    reason
        In words.
    asked
        Gates and portfolios, in words.
    promoted_under
        Version -> the gates under which it became champion, where it did.
    """

    before: Standing
    after: Standing
    reason: str
    chosen: str | None = None
    hold: Hold | None = None
    judged: tuple[Judged, ...] = ()
    superseded: Mapping[str, str] = field(default_factory=dict)
    left_aside: Mapping[str, str] = field(default_factory=dict)
    asked: str = ""
    promoted_under: Mapping[str, str] = field(default_factory=dict)

    @property
    def promoted(self) -> str | None:
        """The version that became champion now, if one did."""
        return self.after.champion if self.after.champion != self.before.champion else None

    @property
    def alarm(self) -> str:
        """What is wrong with the champion after the decision; empty if nothing is, or if a person decided."""
        champion = self.after.champion
        if not self.asked:
            return ""
        if champion is None:
            return "there is no champion"
        found = next((one for one in self.judged if one.number == champion), None)
        if found is None:
            why = self.left_aside.get(champion, "it was not found")
            return f"the champion, version {champion}, cannot be judged: {why}"
        if found.passed:
            return ""
        verb = "fails its gates" if found.verdicts else "cannot be judged"
        return f"the champion, version {champion}, {verb}: {found.reason}"

    def keeps(self, known: RegisteredVersions, keep: int) -> list[str]:
        """The versions to be archived: judged or superseded, without an alias, and older than the ``keep`` newest."""
        held = {self.after.champion, self.after.previous, self.chosen}
        done = {one.number for one in self.judged if one.settled} | set(self.superseded)
        old = [version for version in known.versions if version.judged is not None or version.number in done]
        old = [version for version in old if version.number not in held]
        return [version.number for version in old[: max(0, len(old) - keep)]]


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


def decision_summary(
    name: str, made: Decision, notices: Sequence[str], audits: Sequence[pd.DataFrame], store: str, run_id: str
) -> str:
    """What is wrong, what was found, what was decided."""
    lines = ["", *([f"ALARM: {made.alarm}", ""] if made.alarm else [])]
    lines += [f"note: {notice}" for notice in notices]
    scored = [one for one in made.judged if len(one.scores)]
    if scored:
        lines += [_scores(scored), ""]
    for audit in audits:
        lines += ["Audit:", *_verdicts([dict(line) for _, line in audit.iterrows()], "check"), ""]
    for one in made.judged:
        lines += _found(one)
    lines += _counted(made)
    under = made.promoted_under.get(str(made.after.champion))
    if under and made.asked and under != made.asked and made.promoted is None:
        lines += [f"note: the champion was promoted under {under}; asked for now: {made.asked}"]
    verb = f"promoted version {made.promoted}: " if made.promoted else "nothing promoted: "
    lines += [
        f"Decision: {verb if made.asked else ''}{made.reason}",
        f"champion: {made.after.champion or 'none'}, previous: {made.after.previous or 'none'}",
        f"Run: {run_id} in {store}",
    ]
    if made.after.champion:
        lines.append(f'Load the champion: mlflow.pyfunc.load_model("models:/{name}@champion")')
    return "\n".join(lines)


def _found(one: Judged) -> list[str]:
    """What was found of a version: every gate of one that waited, those not passed of one that is known."""
    known = one.role in ("champion", "previous")
    shown = [vars(verdict) for verdict in one.verdicts if not (known and verdict.passed)]
    lines = [f"version {one.number}: {one.restated}"] if one.restated else []
    if not one.verdicts:
        return [*lines, f"version {one.number} ({one.role}) was not judged: {one.reason}", ""]
    if known:
        passed = f"{len(one.verdicts) - len(shown)} of its {len(one.verdicts)} gates"
        lines.append(f"version {one.number} ({one.role}) passes {passed}")
        return [*lines, *_verdicts(shown, "gate"), ""]
    return [*lines, f"Gates of version {one.number} ({one.role}):", *_verdicts(shown, "gate"), ""]


_SHOWN_ASIDE = 5


def _counted(made: Decision) -> list[str]:
    """The newest versions that were left aside, and how many others."""
    aside = list(made.left_aside.items())
    shown = [f"version {number} left aside: {reason}" for number, reason in aside[-_SHOWN_ASIDE:]]
    rest = (
        [f"{len(aside) - len(shown)} older version(s) left aside, see decision.json"] if len(aside) > len(shown) else []
    )
    return [*rest, *shown]


def _verdicts(lines: Sequence[Mapping[str, object]], what: str) -> list[str]:
    return [f"  {'pass' if line['passed'] else 'FAIL'}  {line[what]}: {line['reason']}" for line in lines]


def _scores(scored: Sequence[Judged]) -> str:
    """One column a version."""
    months = [f"{one.months[0]:%Y-%m} to {one.months[1]:%Y-%m}" if one.months else "" for one in scored]
    table = pd.DataFrame({f"{one.number} ({one.role})": one.scores for one in scored})
    text = table.to_string(float_format="{:.3f}".format, na_rep="cannot be estimated")
    return f"Scored on months out of sample, each version on its own ({'; '.join(dict.fromkeys(months))}):\n{text}"
