"""Choice of the champion: a refresh of its recipe, a better recipe, or the current champion."""

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field

import mlflow
import numpy as np
import pandas as pd

from ..data.universe import largest
from ..errors import InputError
from ..evaluation.portfolio import PortfolioRule
from ..evaluation.trials import Trials
from .aliases import Hold, Standing
from .checkup import rank_agreement
from .decision import Decision, Evaluation
from .evaluation_config import Refresh
from .examine import Examination, examine
from .gates import (
    MONTHS,
    Thresholds,
    Verdict,
    failures,
    judge_artifact,
    judge_audit,
    judge_history,
    judge_refresh,
    judge_replacement,
    judge_skill,
)
from .market import compare_markets
from .scores import better_than, score
from .versions import SUPERSEDED, RegisteredVersions, Version, why_not_now

Audit = Callable[[Version], pd.DataFrame]
"""Function that runs the leak suite with a version's training settings, on the data used to judge it."""

NEW, REFRESH = "new recipe", "refresh"


@dataclass(frozen=True)
class Rules:
    """Rules by which versions are evaluated.

    Attributes:
        market: Panel in contract form, all stocks.
        universe: Number of largest stocks that count in each month; None: as many as the version was trained on.
        rule, limits: Portfolios and gates; ``asked`` names both.
        trials: All trials on the market.
        refresh: Rule for a newer version of the champion's recipe.
        audit: Leak suite; None if it is not required.
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
        """Key of all that a final verdict depends on, apart from the version; it is a tag of the version."""
        return f"{self.asked}; refresh {self.refresh}{'; audited' if self.audit else ''}"

    def panel(self, version: Version) -> pd.DataFrame:
        """Return the part of the market on which a version is evaluated."""
        return largest(self.market, self.universe or version.config.data.universe)


@dataclass
class Candidate:
    """A version under evaluation: its results, or why it cannot be judged, and the verdicts of the gates.

    ``comparison`` is the verdict of its comparison with the champion. For a refresh, the verdicts ``skill`` are
    reported and not required. ``other_inputs``: it was trained on other inputs than the champion of its recipe.
    """

    version: Version
    role: str
    examination: Examination | None = None
    problem: str = ""
    scores: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    artifact: list[Verdict] = field(default_factory=list)
    skill: list[Verdict] = field(default_factory=list)
    skill_decides: bool = True
    comparison: Verdict | None = None
    audit: Verdict | None = None
    other_inputs: bool = False

    @property
    def verdicts(self) -> list[Verdict]:
        """Verdicts that decide."""
        others = [verdict for verdict in (self.comparison, self.audit) if verdict is not None]
        return [*self.artifact, *(self.skill if self.skill_decides else []), *others]

    @property
    def passed(self) -> bool:
        return self.examination is not None and all(verdict.passed for verdict in self.verdicts)

    @property
    def supersedes(self) -> bool:
        """Tell whether older versions of the recipe need no evaluation: this one passed, or lacks only skill."""
        if self.other_inputs:
            return False
        excused = [*self.skill, *([self.comparison] if self.role == NEW else [])]
        return self.examination is not None and all(verdict.passed or verdict in excused for verdict in self.verdicts)


def decide(rules: Rules, versions: RegisteredVersions, standing: Standing, hold: Hold | None) -> Decision:
    """Judge the champion, ``previous`` and all waiting versions, each on its own months, and choose.

    Among a recipe's waiting versions, the newest sound one is judged and the others are superseded. A newer version of
    the champion's recipe is its refresh. Of new recipes that pass every gate, the one with the best Sharpe ratio after
    costs becomes champion, before any refresh.
    """
    champion = _holder(rules, versions, standing.champion, "champion")
    if champion is not None:
        _ask_audit(rules, champion)
    previous = _holder(rules, versions, standing.previous, "previous")
    groups, superseded, aside = _waiting(rules, versions, standing)
    candidates: list[Candidate] = []
    for group in groups:
        tried, left = _judge_newest(rules, group, standing.champion, champion)
        candidates += tried
        superseded |= left
    candidates.sort(key=lambda candidate: int(candidate.version.number))
    best = _best(candidates)
    after = standing.promote(best.version.number) if best and hold is None else standing
    holder = versions.get(after.champion)
    return Decision(
        before=standing,
        after=after,
        chosen=best.version.number if best else None,
        hold=hold,
        evaluations=tuple(
            _result(rules, candidate, champion)
            for candidate in (champion, previous, *candidates)
            if candidate is not None
        ),
        superseded=superseded,
        left_aside={**versions.left_aside, **aside},
        reason=_in_words(candidates, best, standing, hold),
        asked=rules.asked,
        audited=rules.audit is not None,
        promoted_under={version.number: version.gates for version in versions.versions if version.gates},
        overdue=f"the champion, {words}" if holder and (words := holder.overdue(rules.market)) else "",
    )


def _result(rules: Rules, candidate: Candidate, champion: Candidate | None) -> Evaluation:
    months = (
        candidate.examination.forecasts["date"]
        if candidate.examination is not None
        else pd.Series(dtype="datetime64[ns]")
    )
    return Evaluation(
        number=candidate.version.number,
        role=candidate.role,
        passed=candidate.passed,
        reason=candidate.problem or failures(candidate.verdicts),
        scores=candidate.scores,
        verdicts=tuple(candidate.verdicts),
        skill=() if candidate.skill_decides else tuple(candidate.skill),
        settled=_settled(rules, candidate, champion),
        restated=candidate.examination.restated.in_words() if candidate.examination else "",
        months=(months.min(), months.max()) if len(months) else None,
    )


def _settled(rules: Rules, candidate: Candidate, champion: Candidate | None) -> str:
    """Return the key of the rules under which the result is final; empty if a later result may differ.

    The check-up will not change. Verdicts on its forecasts are final once it has enough months on its own market. The
    comparison with the champion is valid as long as the champion's recipe is the same.
    """
    if candidate.role == REFRESH and rules.refresh == "never":
        return rules.key
    if candidate.examination is None:
        return ""
    failed = [verdict for verdict in candidate.verdicts if not verdict.passed and not np.isnan(verdict.value)]
    if any(verdict.lasting for verdict in failed):
        return rules.key
    if not len(candidate.examination.restated.standing) or any(verdict.gate == MONTHS for verdict in failed):
        return ""
    if any(verdict in candidate.skill for verdict in failed):
        return rules.key
    if candidate.role == NEW and candidate.comparison in failed and champion is not None:
        return _replacement_key(rules, champion.version.recipe)
    return ""


def _replacement_key(rules: Rules, recipe: str) -> str:
    return f"{rules.key}; beside recipe {recipe}"


def _waiting(
    rules: Rules, versions: RegisteredVersions, standing: Standing
) -> tuple[list[list[Version]], dict[str, str], dict[str, str]]:
    """Sort the waiting versions into those to evaluate, those superseded and those left aside.

    The versions to evaluate are listed by recipe, newest first. One dictionary gives each superseded version its
    successor, another gives each version left aside the reason.
    """
    champion = versions.get(standing.champion)
    done = {SUPERSEDED, rules.key, *([_replacement_key(rules, champion.recipe)] if champion is not None else [])}
    groups: list[list[Version]] = []
    superseded, aside = {}, {}
    for version in sorted(versions.versions, key=lambda version: version.age, reverse=True):
        if version.number in (standing.champion, standing.previous) or _is_done(version, champion, done):
            continue
        if champion is not None and version.is_like(champion) and version.age <= champion.age:
            superseded[version.number] = champion.number
        elif (why := why_not_now(rules.client, version)) is not None:
            aside[version.number] = why
        else:
            alike = next((group for group in groups if version.is_like(group[0])), None)
            groups.append([version]) if alike is None else alike.append(version)
    return groups, superseded, aside


def _is_done(version: Version, champion: Version | None, done: Set[str]) -> bool:
    """Tell whether a verdict is final. Another rule for refreshes reopens only the verdict of a refresh."""
    if version.judged is None or (champion is not None and version.is_like(champion)):
        return version.judged in done
    return any(_without_refresh(version.judged) == _without_refresh(key) for key in done)


def _without_refresh(key: str) -> str:
    return re.sub(r"; refresh \w+", "", key)


def _judge_newest(
    rules: Rules, versions: Sequence[Version], champion_number: str | None, champion: Candidate | None
) -> tuple[list[Candidate], dict[str, str]]:
    """Judge a recipe's versions, newest first, until one is sound; return the judged and the superseded."""
    tried: list[Candidate] = []
    for position, version in enumerate(versions):
        candidate = _judge(rules, version, champion_number, champion)
        tried.append(candidate)
        if candidate.supersedes:
            return tried, {older.number: version.number for older in versions[position + 1 :]}
    return tried, {}


def _holder(rules: Rules, versions: RegisteredVersions, number: str | None, role: str) -> Candidate | None:
    """Evaluate the holder of an alias by its own gates; None if it is absent or cannot be read."""
    version = versions.get(number)
    if version is None:
        return None
    candidate = _examined(rules, version, role)
    _judge_skill(rules, candidate)
    return candidate


def _examined(rules: Rules, version: Version, role: str) -> Candidate:
    try:
        examination = examine(rules.client, version, rules.panel(version), rules.market)
    except InputError as error:
        return Candidate(version, role, problem=str(error))
    artifact = [*judge_artifact(examination.checkup, rules.limits), judge_history(examination.kept, rules.limits)]
    return Candidate(version, role, examination, artifact=artifact)


def _judge(rules: Rules, version: Version, champion_number: str | None, champion: Candidate | None) -> Candidate:
    """Evaluate a waiting version as its role demands; ``champion_number``: a champion that may be unreadable."""
    role = REFRESH if champion is not None and version.is_like(champion.version) else NEW
    candidate = _examined(rules, version, role)
    if role == REFRESH and _on_other_inputs(candidate, champion):
        candidate.role, candidate.other_inputs = NEW, True
    elif role == REFRESH and rules.refresh == "never":
        return Candidate(
            version, role, problem="refreshes of the champion's recipe are not promoted (registry.refresh=never)"
        )
    candidate.skill_decides = candidate.role == NEW or rules.refresh == "gated"
    _judge_skill(rules, candidate)
    if champion_number is not None and candidate.examination is not None:
        candidate.comparison = _compare(rules, candidate, champion_number, champion)
    if candidate.passed:
        _ask_audit(rules, candidate)
    return candidate


def _on_other_inputs(candidate: Candidate, champion: Candidate | None) -> bool:
    """Tell whether a version was trained on other inputs than the champion, as after a change of vendor.

    Although it has the champion's recipe, such a version is no refresh: it must show skill and be better.
    """
    own, other = candidate.examination, champion.examination if champion else None
    if own is None or other is None or own.history.empty or other.history.empty:
        return False
    return bool(compare_markets(other.history, own.history).other_inputs)


def _judge_skill(rules: Rules, candidate: Candidate) -> None:
    if candidate.examination is None:
        return
    if candidate.examination.forecasts.empty:
        why = f"0 on this panel, needed at least {rules.limits.min_months}"
        candidate.skill = [Verdict(MONTHS, 0.0, rules.limits.min_months, False, False, why)]
        return
    candidate.scores = score(candidate.examination.forecasts, rules.market, rules.rule, rules.trials)
    candidate.skill = judge_skill(candidate.scores, rules.limits)


def _compare(rules: Rules, candidate: Candidate, number: str, champion: Candidate | None) -> Verdict:
    """Compare a waiting version with the champion; the value is unknown where the champion cannot be evaluated."""
    own, other = candidate.examination, champion.examination if champion else None
    assert own is not None
    if candidate.role == REFRESH:
        agreement = rank_agreement(own.newest, other.newest) if other else float("nan")
        return judge_refresh(agreement, number, rules.limits)
    better = better_than(own.forecasts, other.forecasts, rules.market, rules.rule) if other else float("nan")
    return judge_replacement(better, number, rules.limits)


def _ask_audit(rules: Rules, candidate: Candidate) -> None:
    if rules.audit is not None and candidate.examination is not None:
        candidate.audit = judge_audit(rules.audit(candidate.version))


def _best(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the new recipe that passed with the best Sharpe ratio after costs; if there is none, a passed refresh."""
    passed = [candidate for candidate in candidates if candidate.passed]
    new = [candidate for candidate in passed if candidate.role == NEW]
    if new:
        return max(new, key=lambda candidate: float(candidate.scores["sharpe_net"]))
    return passed[0] if passed else None


def _in_words(candidates: Sequence[Candidate], best: Candidate | None, standing: Standing, hold: Hold | None) -> str:
    champion = standing.champion
    if best is not None:
        number, sharpe = best.version.number, f"{float(best.scores['sharpe_net']):.2f}" if len(best.scores) else ""
        over = f"; it takes the place of version {champion}" if champion else ""
        why = f"version {number} passed every gate, with the best Sharpe after costs ({sharpe}) of those that did{over}"
        if best.role == REFRESH:
            why = f"version {number} is a newer version of the champion's recipe, and sound"
        return why if hold is None else f"{why}; but the aliases are {hold.in_words()}"
    if not candidates:
        return f"nothing waits to be judged beside the champion, version {champion}" if champion else "no version waits"
    failed = [
        f"version {candidate.version.number}: {candidate.problem or failures(candidate.verdicts)}"
        for candidate in candidates
    ]
    return f"no version passed every gate: {' | '.join(failed)}"
