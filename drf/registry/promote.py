"""Decide which version is champion: a refresh of its recipe, a better recipe, or the one that it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import mlflow
import numpy as np
import pandas as pd

from ..data.universe import largest
from ..errors import InputError
from ..evaluation.portfolio import PortfolioRule
from ..evaluation.trials import Trials
from .checkup import rank_agreement
from .decision import Decision, Judged
from .examine import Seen, examine
from .gates import (
    MONTHS,
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
from .versions import SUPERSEDED, RegisteredVersions, Version, why_not_now

Audit = Callable[[Version], pd.DataFrame]
"""Runs the leak suite with a version's training settings, on the data that it is judged on."""

NEW, REFRESH = "new recipe", "refresh"


@dataclass(frozen=True)
class Court:
    """What versions are judged by.

    Attributes
    ----------
    market
        In contract form, all stocks.
    universe
        So many of the largest stocks a month count; None: as many as the version was trained on.
    rule, limits
        Portfolios and gates; ``asked`` names both.
    trials
        Everything that was tried on the market.
    refresh
        What becomes of a newer version of the champion's recipe.
    audit
        None: the leak suite is not asked.
    """

    client: mlflow.MlflowClient
    market: pd.DataFrame
    universe: int | None
    rule: PortfolioRule
    limits: Thresholds
    asked: str
    trials: Trials
    refresh: Refresh
    audit: Audit | None

    @property
    def key(self) -> str:
        """All that a verdict for good depends on beside the version: what is written on it."""
        return f"{self.asked}; refresh {self.refresh}{'; audited' if self.audit else ''}"

    def panel(self, version: Version) -> pd.DataFrame:
        """The part of the market that a version is judged on."""
        return largest(self.market, self.universe or version.config.data.universe)


@dataclass
class _Case:
    """A version before the court: what it shows, or why it cannot be judged; what the gates say of it.

    ``beside`` is its verdict beside the champion, and ``skill`` what of a refresh is said and not asked.
    """

    version: Version
    role: str
    seen: Seen | None = None
    problem: str = ""
    scores: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    artifact: list[Verdict] = field(default_factory=list)
    skill: list[Verdict] = field(default_factory=list)
    skill_decides: bool = True
    beside: Verdict | None = None
    audit: Verdict | None = None

    @property
    def verdicts(self) -> list[Verdict]:
        """What decides."""
        others = [verdict for verdict in (self.beside, self.audit) if verdict is not None]
        return [*self.artifact, *(self.skill if self.skill_decides else []), *others]

    @property
    def passed(self) -> bool:
        return self.seen is not None and all(verdict.passed for verdict in self.verdicts)

    @property
    def supersedes(self) -> bool:
        """Whether older versions of its recipe need not be looked at: it passed, or lacks nothing but skill."""
        excused = [*self.skill, *([self.beside] if self.role == NEW else [])]
        return self.seen is not None and all(verdict.passed or verdict in excused for verdict in self.verdicts)


def decide(court: Court, known: RegisteredVersions, standing: Standing, hold: Hold | None) -> Decision:
    """Judge the champion, ``previous`` and what waits to be judged, each on its own months, and choose.

    Of a recipe's waiting versions the newest sound one is judged; the others are superseded. A newer version of the
    champion's recipe is its refresh. Of new recipes that pass every gate, the one with the best Sharpe ratio after
    costs becomes champion, before any refresh.
    """
    champion = _sit(court, known, standing.champion, "champion")
    if champion is not None:
        _ask_audit(court, champion)
    previous = _sit(court, known, standing.previous, "previous")
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
        judged=tuple(_made(court, case, champion) for case in (champion, previous, *cases) if case is not None),
        superseded=superseded,
        left_aside={**known.left_aside, **aside},
        reason=_in_words(cases, best, standing, hold),
        asked=court.asked,
        promoted_under={version.number: version.gates for version in known.versions if version.gates},
    )


def _made(court: Court, case: _Case, champion: _Case | None) -> Judged:
    months = case.seen.made["date"] if case.seen is not None else pd.Series(dtype="datetime64[ns]")
    return Judged(
        number=case.version.number,
        role=case.role,
        passed=case.passed,
        reason=case.problem or failures(case.verdicts),
        scores=case.scores,
        verdicts=tuple(case.verdicts),
        skill=() if case.skill_decides else tuple(case.skill),
        settled=_settled(court, case, champion),
        restated=case.seen.restated.in_words() if case.seen else "",
        months=(months.min(), months.max()) if len(months) else None,
    )


def _settled(court: Court, case: _Case, champion: _Case | None) -> str:
    """The key under which a version need not be judged again; empty if another time may say otherwise.

    What it is will not change. What it has shown counts for good once it has its months, on its own market. Beside the
    champion it counts as long as the champion's recipe is the same.
    """
    if case.role == REFRESH and court.refresh == "never":
        return court.key
    if case.seen is None:
        return ""
    failed = [verdict for verdict in case.verdicts if not verdict.passed and not np.isnan(verdict.value)]
    if any(verdict.lasting for verdict in failed):
        return court.key
    if not len(case.seen.restated.standing) or any(verdict.gate == MONTHS for verdict in failed):
        return ""
    if any(verdict in case.skill for verdict in failed):
        return court.key
    if case.role == NEW and case.beside in failed and champion is not None:
        return _beside_key(court, champion.version.recipe)
    return ""


def _beside_key(court: Court, recipe: str) -> str:
    return f"{court.key}; beside recipe {recipe}"


def _waiting(
    court: Court, known: RegisteredVersions, standing: Standing
) -> tuple[list[list[Version]], dict[str, str], dict[str, str]]:
    """The versions to be judged now, a list a recipe, newest first; those older than the champion of their recipe, and
    by which they are superseded; those that cannot be judged, and why."""
    held = known.get(standing.champion)
    done = {SUPERSEDED, court.key, *([_beside_key(court, held.recipe)] if held is not None else [])}
    groups: list[list[Version]] = []
    superseded, aside = {}, {}
    for version in sorted(known.versions, key=lambda version: version.age, reverse=True):
        if version.number in (standing.champion, standing.previous) or version.judged in done:
            continue
        if held is not None and version.is_like(held) and version.age <= held.age:
            superseded[version.number] = held.number
        elif (why := why_not_now(court.client, version)) is not None:
            aside[version.number] = why
        else:
            alike = next((group for group in groups if version.is_like(group[0])), None)
            groups.append([version]) if alike is None else alike.append(version)
    return groups, superseded, aside


def _judge_newest(
    court: Court, versions: Sequence[Version], held: str | None, champion: _Case | None
) -> tuple[list[_Case], dict[str, str]]:
    """Judge the newest sound version of a recipe; what was judged on the way, and the older ones that it supersedes."""
    tried: list[_Case] = []
    for position, version in enumerate(versions):
        case = _judge(court, version, held, champion)
        tried.append(case)
        if case.supersedes:
            return tried, {older.number: version.number for older in versions[position + 1 :]}
    return tried, {}


def _sit(court: Court, known: RegisteredVersions, number: str | None, role: str) -> _Case | None:
    """A version that holds an alias, judged by its own gates; None if it is not there, or cannot be read."""
    version = known.get(number)
    if version is None:
        return None
    case = _open(court, version, role)
    _judge_skill(court, case)
    return case


def _open(court: Court, version: Version, role: str) -> _Case:
    try:
        seen = examine(court.client, version, court.panel(version))
    except InputError as error:
        return _Case(version, role, problem=str(error))
    return _Case(version, role, seen, artifact=judge_artifact(seen.checkup, court.limits))


def _judge(court: Court, version: Version, held: str | None, champion: _Case | None) -> _Case:
    """Ask a waiting version what its role asks of it; ``held``: the champion, which may be beyond reading."""
    role = REFRESH if champion is not None and version.is_like(champion.version) else NEW
    if role == REFRESH and court.refresh == "never":
        return _Case(
            version, role, problem="refreshes of the champion's recipe are not promoted (registry.refresh=never)"
        )
    case = _open(court, version, role)
    case.skill_decides = role == NEW or court.refresh == "gated"
    _judge_skill(court, case)
    if held is not None and case.seen is not None:
        case.beside = _beside(court, case, held, champion)
    if case.passed:
        _ask_audit(court, case)
    return case


def _judge_skill(court: Court, case: _Case) -> None:
    if case.seen is None:
        return
    if case.seen.made.empty:
        why = f"0 on this panel, needed at least {court.limits.min_months}"
        case.skill = [Verdict(MONTHS, 0.0, court.limits.min_months, False, False, why)]
        return
    case.scores = score(case.seen.made, court.market, court.rule, court.trials)
    case.skill = judge_skill(case.scores, court.limits)


def _beside(court: Court, case: _Case, number: str, champion: _Case | None) -> Verdict:
    """A waiting version beside the champion, which may be beyond judging: then nothing can be said."""
    seen, other = case.seen, champion.seen if champion else None
    assert seen is not None
    if case.role == REFRESH:
        agreement = rank_agreement(seen.newest, other.newest) if other else float("nan")
        return judge_refresh(agreement, number, court.limits)
    better = better_than(seen.made, other.made, court.market, court.rule) if other else float("nan")
    return judge_replacement(better, number, court.limits)


def _ask_audit(court: Court, case: _Case) -> None:
    if court.audit is not None and case.seen is not None:
        case.audit = judge_audit(court.audit(case.version))


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
        number, sharpe = best.version.number, f"{float(best.scores['sharpe_net']):.2f}" if len(best.scores) else ""
        over = f"; it takes the place of version {champion}" if champion else ""
        why = f"version {number} passed every gate, with the best Sharpe after costs ({sharpe}) of those that did{over}"
        if best.role == REFRESH:
            why = f"version {number} is a newer version of the champion's recipe, and sound"
        return why if hold is None else f"{why}; but the aliases are {hold.in_words()}"
    if not cases:
        return f"nothing waits to be judged beside the champion, version {champion}" if champion else "no version waits"
    failed = [f"version {case.version.number}: {case.problem or failures(case.verdicts)}" for case in cases]
    return f"no version passed every gate: {' | '.join(failed)}"
