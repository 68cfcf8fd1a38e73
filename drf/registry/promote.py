"""Decide which version is champion, and move the aliases."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import mlflow
import pandas as pd

from ..errors import first_line
from ..evaluation.portfolio import PortfolioRule
from .decision import Decision
from .gates import Checkup, Thresholds, Verdict, audit_verdict, judge, score
from .versions import (
    CHAMPION,
    PREVIOUS,
    REJECTED,
    VERDICT,
    Shelf,
    Version,
    check_up,
    trials_behind,
    unseen_forecasts,
)

Audit = Callable[[Version], pd.DataFrame]
"""Runs the leak suite on the data and configuration that a version was trained with."""


def decide(
    client: mlflow.MlflowClient,
    shelf: Shelf,
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
    left_aside = dict(shelf.left_aside)
    forecasts: dict[str, pd.DataFrame] = {}
    checkups: dict[str, Checkup] = {}
    for version in shelf.versions:
        try:
            made = unseen_forecasts(client, version, panel)
            checkups[version.number] = check_up(version, panel)
        except (mlflow.MlflowException, OSError, ImportError, ValueError) as error:
            left_aside[version.number] = f"cannot be used on this panel: {first_line(error)}"
            continue
        months = made["date"].nunique()
        if months < limits.min_months:
            left_aside[version.number] = (
                f"has {months} month(s) out of sample on this panel, needed are {limits.min_months}"
            )
        else:
            forecasts[version.number] = made
    if shelf.champion is not None and shelf.champion not in forecasts:
        why = left_aside.get(shelf.champion, "was not found")
        return Decision(
            shelf.champion,
            shelf.previous,
            None,
            f"the champion, version {shelf.champion}, cannot be compared: it {why}. To judge versions of other data, "
            "register them under a name of their own (registry.name=...)",
            left_aside=left_aside,
        )
    if not forecasts:
        return Decision(shelf.champion, shelf.previous, None, "no version can be judged", left_aside=left_aside)

    common = set.intersection(*(set(made["date"]) for made in forecasts.values()))
    if len(common) < limits.min_months:
        return Decision(
            shelf.champion,
            shelf.previous,
            None,
            f"only {len(common)} month(s) are out of sample for all versions, needed are {limits.min_months}",
            left_aside=left_aside,
        )

    trials = trials_behind(client, shelf.versions[0].name)
    scores = score(
        {number: made[made["date"].isin(common)] for number, made in forecasts.items()}, trials, shelf.champion, rule
    )
    verdicts = {
        number: judge(scores.T[number], checkups[number], shelf.champion, limits)
        for number in forecasts
        if number != shelf.champion
    }
    for version in shelf.versions:
        asked = verdicts.get(version.number)
        if audit is not None and asked is not None and all(verdict.passed for verdict in asked):
            asked.append(audit_verdict(audit(version)))
    rejected = {
        number: _reasons([v for v in asked if v.lasting and not v.passed])
        for number, asked in verdicts.items()
        if any(v.lasting and not v.passed for v in asked) and number != shelf.previous
    }
    passed = [number for number, asked in verdicts.items() if all(v.passed for v in asked)]
    best = max(passed, key=lambda number: float(scores["sharpe_net"][number])) if passed else None
    return Decision(
        champion=best or shelf.champion,
        previous=shelf.champion if best and shelf.champion else shelf.previous,
        promoted=best,
        reason=_in_words(best, verdicts, shelf.champion),
        months=(min(common), max(common)),
        rejected=rejected,
        scores=scores.reset_index(),
        gates=pd.DataFrame([{"version": n, **vars(verdict)} for n, asked in verdicts.items() for verdict in asked]),
        left_aside=left_aside,
    )


def _reasons(failed: list[Verdict]) -> str:
    return "; ".join(f"{verdict.gate}: {verdict.reason}" for verdict in failed)


def _in_words(best: str | None, verdicts: Mapping[str, list[Verdict]], champion: str | None) -> str:
    if best is not None:
        over = f" over version {champion}" if champion else ""
        return f"version {best} passed every gate and has the best Sharpe after costs of those that did{over}"
    if not verdicts:
        return f"there is no other version than the champion, version {champion}"
    failed = {n: _reasons([v for v in asked if not v.passed]) for n, asked in verdicts.items()}
    return "no version passed every gate: " + " | ".join(f"version {n}: {reason}" for n, reason in failed.items())


def carry_out(client: mlflow.MlflowClient, name: str, decision: Decision) -> None:
    """Move the aliases and mark the versions as decided."""
    for number, reason in decision.rejected.items():
        _mark(client, name, number, REJECTED, reason)
    if decision.promoted is not None:
        # previous first: were the program stopped in between, there would still be a champion
        if decision.previous is not None:
            client.set_registered_model_alias(name, PREVIOUS, decision.previous)
        client.set_registered_model_alias(name, CHAMPION, decision.promoted)
        _mark(client, name, decision.promoted, "promoted", decision.reason)


def roll_back(client: mlflow.MlflowClient, name: str, shelf: Shelf) -> Decision:
    """Give ``champion`` back to ``previous``, and reject the version that held it, so that it is not promoted again."""
    assert shelf.previous is not None
    # The verdict first: were the program stopped in between, the bad version would not be promoted again.
    if shelf.champion is not None:
        _mark(client, name, shelf.champion, REJECTED, f"rolled back to version {shelf.previous}")
    client.set_registered_model_alias(name, CHAMPION, shelf.previous)
    client.delete_registered_model_alias(name, PREVIOUS)
    _mark(client, name, shelf.previous, "promoted", f"rolled back from version {shelf.champion}")
    return Decision(
        shelf.previous,
        None,
        None,
        f"rolled back: version {shelf.previous} is champion again, was version {shelf.champion}",
        rolled_back=True,
    )


def _mark(client: mlflow.MlflowClient, name: str, number: str, verdict: str, reason: str) -> None:
    client.set_model_version_tag(name, number, VERDICT, verdict)
    client.set_model_version_tag(name, number, "reason", reason)
