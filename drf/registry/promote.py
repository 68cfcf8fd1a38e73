"""Decide which version is champion: a refresh of its recipe, a better recipe, or the one that it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import mlflow
import pandas as pd

from ..errors import InputError
from ..evaluation.portfolio import PortfolioRule
from ..evaluation.trials import Trials
from .checkup import rank_agreement
from .decision import Decision, Judged
from .examine import Seen, examine
from .gates import (
    Thresholds,
    Verdict,
    failures,
    judge_artifact,
    judge_audit,
    judge_refresh,
    judge_replacement,
    judge_skill,
)
from .scores import better_than, score
from .settings import Refresh
from .standing import Hold, Standing
from .versions import RegisteredVersions, Version, why_not_now

Audit = Callable[[Version], pd.DataFrame]
"""Runs the leak suite with a version's training settings, on the data that it is judged on."""

NEW, REFRESH = "new recipe", "refresh"


@dataclass(frozen=True)
class Court:
    """What versions are judged by.

    Attributes
    ----------
    panel
        In contract form.
    rule, limits
        Portfolios and gates; ``asked`` names both.
    trials
        Everything that was tried on the panel's market.
    refresh
        What becomes of a newer version of the champion's recipe.
    audit
        None: the leak suite is not asked.
    """

    client: mlflow.MlflowClient
    panel: pd.DataFrame
    rule: PortfolioRule
    limits: Thresholds
    asked: str
    trials: Trials
    refresh: Refresh
    audit: Audit | None


@dataclass
class _Case:
    """A version before the court: what it shows, or why it cannot be judged; what the gates say of it."""

    version: Version
    role: str
    seen: Seen | None = None
    problem: str = ""
    scores: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether it is what its training said, whatever it has shown."""
        return self.seen is not None and not any(verdict.lasting and not verdict.passed for verdict in self.verdicts)

    @property
    def passed(self) -> bool:
        return self.seen is not None and all(verdict.passed for verdict in self.verdicts)

    def made(self) -> Judged:
        months = self.seen.made["date"] if self.seen is not None else None
        return Judged(
            number=self.version.number,
            role=self.role,
            passed=self.passed,
            reason=self.problem or failures(self.verdicts),
            scores=self.scores,
            verdicts=tuple(self.verdicts),
            restated=self.seen.restated.in_words() if self.seen else "",
            months=(months.min(), months.max()) if months is not None and len(months) else None,
        )


def decide(court: Court, known: RegisteredVersions, standing: Standing, hold: Hold | None) -> Decision:
    """Judge the champion, ``previous`` and what waits to be judged, each on its own months, and choose.

    Of a recipe's waiting versions the newest is judged; the others are superseded. A newer version of the champion's
    recipe is its refresh. Of new recipes that pass every gate, the one with the best Sharpe ratio after costs becomes
    champion, before any refresh.
    """
    champion = _sit(court, known, standing.champion, "champion")
    if champion is not None:
        _judge_skill(court, champion)
        _ask_audit(court, champion)
    previous = _sit(court, known, standing.previous, "previous")
    if previous is not None:
        _judge_skill(court, previous)
    groups, superseded, aside = _waiting(court, known, standing)
    cases: list[_Case] = []
    for versions in groups:
        tried, left = _judge_newest(court, versions, standing.champion, champion)
        cases += tried
        superseded |= left
    cases.sort(key=lambda case: int(case.version.number))
    best = _best(cases)
    return Decision(
        before=standing,
        after=standing.promote(best.version.number) if best and hold is None else standing,
        chosen=best.version.number if best else None,
        hold=hold,
        judged=tuple(case.made() for case in (champion, previous, *cases) if case is not None),
        superseded=superseded,
        left_aside={**known.left_aside, **aside},
        reason=_in_words(cases, best, standing, hold),
        asked=court.asked,
        promoted_under={version.number: version.gates for version in known.versions if version.gates},
    )


def _waiting(
    court: Court, known: RegisteredVersions, standing: Standing
) -> tuple[list[list[Version]], dict[str, str], dict[str, str]]:
    """The versions to be judged now, a list a recipe, newest first; those older than the champion of their recipe, and
    by which they are superseded; those that cannot be judged, and why."""
    held = known.get(standing.champion)
    groups: dict[str, list[Version]] = {}
    superseded, aside = {}, {}
    for version in sorted(known.versions, key=lambda version: version.age, reverse=True):
        if version.number in (standing.champion, standing.previous) or version.judged == court.asked:
            continue
        if held is not None and version.recipe == held.recipe and version.age <= held.age:
            superseded[version.number] = held.number
        elif (why := why_not_now(court.client, version)) is not None:
            aside[version.number] = why
        else:
            groups.setdefault(version.recipe, []).append(version)
    return list(groups.values()), superseded, aside


def _judge_newest(
    court: Court, versions: Sequence[Version], held: str | None, champion: _Case | None
) -> tuple[list[_Case], dict[str, str]]:
    """Judge the newest sound version of a recipe; what was judged on the way, and the older ones that it supersedes."""
    tried: list[_Case] = []
    for position, version in enumerate(versions):
        case = _judge(court, version, held, champion)
        tried.append(case)
        if case.sound:
            return tried, {older.number: version.number for older in versions[position + 1 :]}
    return tried, {}


def _sit(court: Court, known: RegisteredVersions, number: str | None, role: str) -> _Case | None:
    """A version that holds an alias; None if it is not there, or cannot be read."""
    version = known.get(number)
    return None if version is None else _open(court, version, role)


def _open(court: Court, version: Version, role: str) -> _Case:
    try:
        seen = examine(court.client, version, court.panel)
    except InputError as error:
        return _Case(version, role, problem=str(error))
    return _Case(version, role, seen, verdicts=judge_artifact(seen.checkup, court.limits))


def _judge(court: Court, version: Version, held: str | None, champion: _Case | None) -> _Case:
    """Ask a waiting version what its role asks of it; ``held``: the champion, which may be beyond reading."""
    role = REFRESH if champion is not None and version.recipe == champion.version.recipe else NEW
    if role == REFRESH and court.refresh == "never":
        return _Case(
            version, role, problem="refreshes of the champion's recipe are not promoted (registry.refresh=never)"
        )
    case = _open(court, version, role)
    if case.seen is None:
        return case
    if role == NEW or court.refresh == "gated":
        _judge_skill(court, case)
    if held is not None and case.seen is not None:
        case.verdicts.append(_beside(court, case, role, held, champion))
    if case.passed:
        _ask_audit(court, case)
    return case


def _judge_skill(court: Court, case: _Case) -> None:
    if case.seen is None:
        return
    if case.seen.made.empty:
        case.problem, case.seen = f"it has no month out of sample on this panel: {case.seen.restated.in_words()}", None
        return
    case.scores = score(case.seen.made, court.panel, court.rule, court.trials)
    case.verdicts += judge_skill(case.scores, court.limits)


def _beside(court: Court, case: _Case, role: str, number: str, champion: _Case | None) -> Verdict:
    """A waiting version beside the champion, which may be beyond judging: then nothing can be said."""
    seen, other = case.seen, champion.seen if champion else None
    assert seen is not None
    if role == REFRESH:
        agreement = rank_agreement(seen.newest, other.newest) if other else float("nan")
        return judge_refresh(agreement, number, court.limits)
    better = better_than(seen.made, other.made, court.panel, court.rule) if other else float("nan")
    return judge_replacement(better, number, court.limits)


def _ask_audit(court: Court, case: _Case) -> None:
    if court.audit is not None and case.seen is not None:
        case.verdicts.append(judge_audit(court.audit(case.version)))


def _best(cases: Sequence[_Case]) -> _Case | None:
    """The new recipe with the best Sharpe ratio after costs of those that passed; without one, a passed refresh."""
    passed = [case for case in cases if case.passed]
    new = [case for case in passed if case.role == NEW]
    if new:
        return max(new, key=lambda case: float(case.scores["sharpe_net"]))
    return passed[0] if passed else None


def _in_words(cases: Sequence[_Case], best: _Case | None, standing: Standing, hold: Hold | None) -> str:
    champion = standing.champion
    if best is not None:
        over = f" over version {champion}" if champion else ""
        number = best.version.number
        why = f"version {number} passed every gate and has the best Sharpe after costs of those that did{over}"
        if best.role == REFRESH:
            why = f"version {number} is a newer version of the champion's recipe, and sound"
        return why if hold is None else f"{why}; but the aliases are {hold.in_words()}"
    if not cases:
        return f"nothing waits to be judged beside the champion, version {champion}" if champion else "no version waits"
    failed = [f"version {case.version.number}: {case.problem or failures(case.verdicts)}" for case in cases]
    return f"no version passed every gate: {' | '.join(failed)}"
