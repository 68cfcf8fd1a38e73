"""Evaluation report: the champion and why, the versions side by side, and every gate."""

import pandas as pd

from ..registry.decision import Decision, Evaluation
from . import charts
from .comparison_report import gates_section
from .document import Column, Document, Section, Table, as_sentence
from .standing import alarm_in_words, promotion_in_words


def decision_report(name: str, decision: Decision, settings: str, commit: str) -> Document:
    """Return the report of an evaluation.

    Args:
        name: Name of the registered model.
        settings: Settings of the evaluation, as YAML.
        commit: Commit of the code.
    """
    after = decision.after
    judged = ", ".join(f"version {evaluation.number} ({evaluation.role})" for evaluation in decision.evaluations)
    aside = len(decision.left_aside) + len(decision.superseded)
    return Document(
        title=f"Evaluation of {name}",
        subtitle="Which version is champion, why, and what each was asked",
        answers={
            "Who is champion?": f"Version {after.champion or 'none'}; before: {decision.before.champion or 'none'}. "
            f"A rollback would return to version {after.previous or 'none'}.",
            "Why?": as_sentence(promotion_in_words(decision)),
            "Is the champion healthy?": as_sentence(
                alarm_in_words(decision)
                or ("It passes its gates" if decision.asked else "The gates were not applied: a person decided")
            ),
            "What was judged?": f"{judged or 'Nothing'}. Left aside: {aside}.",
        },
        sections=[
            *_side_by_side(decision),
            *[_gates(evaluation) for evaluation in decision.evaluations],
            *_not_judged(decision),
        ],
        config=settings,
        commit=commit,
        awaits_verdict=False,
    )


def _title(evaluation: Evaluation) -> str:
    return f"v{evaluation.number} {evaluation.role}"


def _side_by_side(decision: Decision) -> list[Section]:
    scored = [evaluation for evaluation in decision.evaluations if len(evaluation.scores)]
    if not scored:
        return []
    lines = [
        {"row": _title(evaluation), "why": evaluation.reason or "passed all that it was asked", **evaluation.scores}
        for evaluation in decision.evaluations
    ]
    frame = pd.DataFrame(lines)
    columns = [
        Column("row", "Version"), Column("months", "Months", "{:.0f}"), Column("sharpe_net", "Sharpe net", "{:.2f}"),
        Column("sharpe_low", "95 % from", "{:.2f}"), Column("sharpe_high", "to", "{:.2f}"),
        Column("deflated", "Deflated", "{:.3f}"), Column("rank_ic", "Rank IC", "{:.3f}"),
        Column("turnover", "Turnover", "{:.0%}"), Column("max_drawdown", "Drawdown", "{:.1%}"),
        Column("better_than_linear", "Better than linear", "{:.2f}"), Column("why", "What was found", text=True),
    ]  # fmt: skip
    net = frame[["row", "sharpe_net", "sharpe_low", "sharpe_high"]].set_axis(["row", "sharpe", "low", "high"], axis=1)
    words = "Months out of sample, each version on its own; better than linear is a probability."
    champion = next((_title(evaluation) for evaluation in scored if evaluation.number == decision.after.champion), None)
    return [
        Section(
            "The versions side by side",
            [words, *([f"Asked for: {decision.asked}."] if decision.asked else [])],
            [Table(frame, columns, champion)],
            charts=[charts.sharpe_intervals(net)],
        )
    ]


def _gates(evaluation: Evaluation) -> Section:
    verdict = "passed all that it was asked." if evaluation.passed else f"failed: {evaluation.reason}."
    restated = f" {as_sentence(evaluation.restated)}" if evaluation.restated else ""
    section = gates_section(evaluation.table() if evaluation.verdicts else pd.DataFrame(), f"It {verdict}{restated}")
    return Section(f"Version {evaluation.number}, judged as {evaluation.role}", section.paragraphs, section.tables)


def _not_judged(decision: Decision) -> list[Section]:
    lines = [{"version": number, "why": why} for number, why in decision.left_aside.items()]
    lines += [
        {"version": number, "why": f"superseded by version {newer}"} for number, newer in decision.superseded.items()
    ]
    if not lines:
        return []
    columns = [Column("version", "Version"), Column("why", "Why", text=True)]
    return [Section("Not judged", [], [Table(pd.DataFrame(lines), columns)])]
