"""Evaluation report: the champion and why, the versions side by side, and every gate."""

from __future__ import annotations

import pandas as pd

from ..registry.decision import Decision, Judged
from . import charts
from .comparison_report import gates_section
from .document import Column, Document, Section, Table


def decision_report(name: str, made: Decision, settings: str, commit: str) -> Document:
    """Return the report of an evaluation.

    Parameters
    ----------
    name
        Of the registered model.
    settings
        Of the evaluation, as YAML.
    commit
        Of the code.
    """
    after = made.after
    verb = f"Version {made.promoted} was promoted" if made.promoted else "Nothing was promoted"
    judged = ", ".join(f"version {one.number} ({one.role})" for one in made.judged)
    return Document(
        title=f"Evaluation of {name}",
        subtitle="Which version is champion, why, and what each was asked",
        answers={
            "Who is champion?": f"Version {after.champion or 'none'}; before: {made.before.champion or 'none'}. "
            f"A rollback would return to version {after.previous or 'none'}.",
            "Why?": f"{verb}: {made.reason}." if made.asked else f"{made.reason}.",
            "Is the champion healthy?": f"ALARM: {made.alarm}." if made.alarm else _healthy(made),
            "What was judged?": f"{judged or 'Nothing'}. Left aside: {len(made.left_aside) + len(made.superseded)}.",
        },
        sections=[*_side_by_side(made), *[_gates(one) for one in made.judged], *_not_judged(made)],
        config=settings,
        commit=commit,
        awaits_verdict=False,
    )


def _healthy(made: Decision) -> str:
    return "It passes its gates." if made.asked else "It was not asked: a person decided."


def _title(one: Judged) -> str:
    return f"v{one.number} {one.role}"


def _side_by_side(made: Decision) -> list[Section]:
    scored = [one for one in made.judged if len(one.scores)]
    if not scored:
        return []
    known = [
        {"row": _title(one), "why": one.reason or "passed all that it was asked", **one.scores} for one in made.judged
    ]
    frame = pd.DataFrame(known)
    columns = [
        Column("row", "Version"), Column("months", "Months", "{:.0f}"), Column("sharpe_net", "Sharpe net", "{:.2f}"),
        Column("sharpe_low", "95 % from", "{:.2f}"), Column("sharpe_high", "to", "{:.2f}"),
        Column("deflated", "Deflated", "{:.3f}"), Column("rank_ic", "Rank IC", "{:.3f}"),
        Column("turnover", "Turnover", "{:.0%}"), Column("max_drawdown", "Drawdown", "{:.1%}"),
        Column("better_than_linear", "Better than linear", "{:.2f}"), Column("why", "What was found", text=True),
    ]  # fmt: skip
    net = frame[["row", "sharpe_net", "sharpe_low", "sharpe_high"]].set_axis(["row", "sharpe", "low", "high"], axis=1)
    words = "Months out of sample, each version on its own; better than linear is a probability."
    champion = next((_title(one) for one in scored if one.number == made.after.champion), None)
    return [
        Section(
            "The versions side by side",
            [words, *([f"Asked for: {made.asked}."] if made.asked else [])],
            [Table(frame, columns, champion)],
            charts=[charts.sharpe_intervals(net)],
        )
    ]


def _gates(one: Judged) -> Section:
    verdict = "passed all that it was asked." if one.passed else f"failed: {one.reason}."
    restated = f" {one.restated[0].upper()}{one.restated[1:]}." if one.restated else ""
    found = gates_section(one.table() if one.verdicts else pd.DataFrame(), f"It {verdict}{restated}")
    return Section(f"Version {one.number}, judged as {one.role}", found.paragraphs, found.tables)


def _not_judged(made: Decision) -> list[Section]:
    lines = [{"version": number, "why": why} for number, why in made.left_aside.items()]
    lines += [{"version": number, "why": f"superseded by version {newer}"} for number, newer in made.superseded.items()]
    if not lines:
        return []
    columns = [Column("version", "Version"), Column("why", "Why", text=True)]
    return [Section("Not judged", [], [Table(pd.DataFrame(lines), columns)])]
