"""Decide which version is champion, and move the aliases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import mlflow
import pandas as pd

from ..errors import first_line
from ..evaluation.attributes import equipped
from ..evaluation.portfolio import PortfolioRule
from .decision import Decision
from .gates import Checkup, Thresholds, Verdict, audit_verdict, judge, score
from .versions import (
    CHAMPION,
    PREVIOUS,
    REJECTED,
    RegisteredVersions,
    Version,
    check_up,
    mark,
    trials_behind,
    unseen_forecasts,
)

Audit = Callable[[Version], pd.DataFrame]
"""Runs the leak suite with a version's training settings, on the data that it is judged on."""

Verdicts = Mapping[str, list[Verdict]]
"""Version -> what the gates say of it."""


@dataclass
class _Examined:
    """What versions show on a panel: version -> forecasts of unseen months, and checkup; why others are left aside."""

    forecasts: dict[str, pd.DataFrame] = field(default_factory=dict)
    checkups: dict[str, Checkup] = field(default_factory=dict)
    left_aside: dict[str, str] = field(default_factory=dict)

    @property
    def common(self) -> set[pd.Timestamp]:
        """The months that are out of sample for every version."""
        months = [set(made["date"]) for made in self.forecasts.values()]
        return set.intersection(*months) if months else set()


def decide(
    client: mlflow.MlflowClient,
    known: RegisteredVersions,
    panel: pd.DataFrame,
    rule: PortfolioRule,
    limits: Thresholds,
    audit: Audit | None,
) -> Decision:
    """Score all versions on the months that are out of sample for every one of them, and choose.

    A version with fewer such months than ``limits.min_months`` on this panel is left aside, lest it leave the others
    too few to be judged on. The champion is never left aside: without months in common with it nothing is promoted.
    The audit is asked last, of those that passed everything else.
    """
    seen = _examine(client, known, panel, limits.min_months)
    if why := _why_nothing(seen, known.champion, limits.min_months):
        return Decision(known.champion, known.previous, None, why, left_aside=seen.left_aside)
    judged = {
        number: equipped(made[made["date"].isin(seen.common)], panel, rule) for number, made in seen.forecasts.items()
    }
    scores = score(judged, trials_behind(client, known.versions[0].name), known.champion, rule)
    verdicts = {
        number: judge(scores.T[number], seen.checkups[number], known.champion, limits)
        for number in judged
        if number != known.champion
    }
    if audit is not None:
        _ask_audit(audit, known.versions, verdicts)
    best = _best(scores, verdicts)
    return Decision(
        champion=best or known.champion,
        previous=known.champion if best and known.champion else known.previous,
        promoted=best,
        reason=_in_words(best, verdicts, known.champion),
        months=(min(seen.common), max(seen.common)),
        rejected=_rejected(verdicts, known.previous),
        scores=scores.reset_index(),
        gates=pd.DataFrame([{"version": n, **vars(verdict)} for n, asked in verdicts.items() for verdict in asked]),
        left_aside=seen.left_aside,
    )


def _examine(client: mlflow.MlflowClient, known: RegisteredVersions, panel: pd.DataFrame, min_months: int) -> _Examined:
    """Let every version forecast; those that cannot, or for too few months, are left aside."""
    seen = _Examined(left_aside=dict(known.left_aside))
    for version in known.versions:
        try:
            made = unseen_forecasts(client, version, panel)
            checkup = check_up(version, panel)
        except (mlflow.MlflowException, OSError, ImportError, ValueError) as error:
            seen.left_aside[version.number] = f"it cannot be used on this panel: {first_line(error)}"
            continue
        months = made["date"].nunique()
        if months < min_months:
            seen.left_aside[version.number] = (
                f"it has {months} month(s) out of sample on this panel, needed are {min_months}"
            )
        else:
            seen.forecasts[version.number], seen.checkups[version.number] = made, checkup
    return seen


def _why_nothing(seen: _Examined, champion: str | None, min_months: int) -> str:
    """Why versions cannot be compared; empty if they can."""
    if champion is not None and champion not in seen.forecasts:
        why = seen.left_aside.get(champion, "it was not found")
        return (
            f"the champion, version {champion}, cannot be compared: {why}. To judge versions of other data, "
            "register them under a name of their own (registry.name=...)"
        )
    if not seen.forecasts:
        return "no version can be judged"
    if len(seen.common) < min_months:
        return f"only {len(seen.common)} month(s) are out of sample for all versions, needed are {min_months}"
    return ""


def _ask_audit(audit: Audit, versions: Sequence[Version], verdicts: Verdicts) -> None:
    """Add the audit's verdict to those of the versions that passed everything else."""
    for version in versions:
        asked = verdicts.get(version.number)
        if asked is not None and all(verdict.passed for verdict in asked):
            asked.append(audit_verdict(audit(version)))


def _best(scores: pd.DataFrame, verdicts: Verdicts) -> str | None:
    """Of the versions that passed every gate the one with the best Sharpe ratio after costs."""
    passed = [number for number, asked in verdicts.items() if all(verdict.passed for verdict in asked)]
    return max(passed, key=lambda number: float(scores["sharpe_net"][number])) if passed else None


def _rejected(verdicts: Verdicts, previous: str | None) -> dict[str, str]:
    """Versions that failed a gate for good, with the reason; never ``previous``, so that it can be gone back to."""
    failed = {n: [v for v in asked if v.lasting and not v.passed] for n, asked in verdicts.items() if n != previous}
    return {number: _reasons(lasting) for number, lasting in failed.items() if lasting}


def _reasons(failed: list[Verdict]) -> str:
    return "; ".join(f"{verdict.gate}: {verdict.reason}" for verdict in failed)


def _in_words(best: str | None, verdicts: Verdicts, champion: str | None) -> str:
    if best is not None:
        over = f" over version {champion}" if champion else ""
        return f"version {best} passed every gate and has the best Sharpe after costs of those that did{over}"
    if not verdicts:
        return f"there is no other version than the champion, version {champion}"
    failed = {n: _reasons([v for v in asked if not v.passed]) for n, asked in verdicts.items()}
    return "no version passed every gate: " + " | ".join(f"version {n}: {reason}" for n, reason in failed.items())


def apply(client: mlflow.MlflowClient, name: str, decision: Decision) -> None:
    """Move the aliases and mark the versions as decided."""
    for number, reason in decision.rejected.items():
        mark(client, name, number, REJECTED, reason)
    if decision.promoted is not None:
        # previous first: were the program stopped in between, there would still be a champion
        if decision.previous is not None:
            client.set_registered_model_alias(name, PREVIOUS, decision.previous)
        client.set_registered_model_alias(name, CHAMPION, decision.promoted)
        mark(client, name, decision.promoted, "promoted", decision.reason)
