"""What train.py and evaluate.py print at their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ..comparison.rows import RAW_METRICS
from ..evaluation.metrics import METRICS, MORE_METRICS
from ..experiment.experiment import Experiment
from ..experiment.protocol import learned
from ..registry.decision import Decision, Judged
from ..registry.versions import ARCHIVED, REJECTED


def printed(table: pd.DataFrame) -> str:
    """The main metrics of a comparison as text, errors and R² with five decimals, others with three; then its notes."""
    shown = table[[name for name in table if name not in (*MORE_METRICS, *RAW_METRICS, "note")]]
    five = ("mae", "rmse", "r2")
    formats = {name: ("{:.5f}" if name in five else "{:.3f}").format for name in METRICS if name in shown}
    text = shown.to_string(index=False, formatters=formats, na_rep="unknown")
    notes = [f"{row}: {note}" for row, note in zip(table["row"], table["note"], strict=True) if note]
    return "\n".join([text, *notes])


def training_summary(experiment: Experiment, table: pd.DataFrame, store: str, run_id: str, version: str | None) -> str:
    """The rows, what was filled, where the runs are, and how to go on; ``version``: the registered one, if any was."""
    samples, months, absent = experiment.samples, experiment.schedule.test_months, experiment.left_out
    first, last = samples.dates[months.start], samples.dates[months.stop - 1]
    one_per_cent, absent_rows = samples.x.size / 100, samples.missing_months * len(samples.descriptors)
    lines = [
        "",
        printed(table),
        "",
        learned(experiment),
        f"Forecasts made {first.date()} to {last.date()}; returns are decimals a year, of top less bottom quantile.",
        f"Inputs set to the neutral rank: {samples.missing_values / one_per_cent:.2f} % because the descriptor was "
        f"missing, {absent_rows / one_per_cent:.2f} % because the stock had no row that month.",
        *([f"The panel has been used without {', '.join(absent)} (data.descriptors)."] if absent else []),
        f"Runs: parent {run_id} in {store}",
        f"Look: mlflow ui --backend-store-uri {store}" if store.startswith("sqlite") else f"Look: {store}",
    ]
    registry = experiment.config.registry
    if version is None:
        lines.append(
            f"Nothing registered: registry.row={registry.row} is of the family {experiment.registered_row.family}, "
            "which was not trained."
        )
    else:
        lines += [
            f"Registered: {registry.name} version {version}. Next: python evaluate.py",
            f'Load the champion: mlflow.pyfunc.load_model("models:/{registry.name}@champion")',
        ]
    return "\n".join(lines)


def decision_summary(name: str, made: Decision, audits: Sequence[pd.DataFrame], store: str, run_id: str) -> str:
    """What is wrong, what was found, what was decided."""
    lines = ["", *([f"ALARM: {made.alarm}", ""] if made.alarm else [])]
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
    if made.hold is not None and made.chosen is None:
        lines += [f"note: the aliases are {made.hold.in_words()}"]
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
    """The newest versions that could not be judged, and why; how many others there are."""
    done = [number for number, reason in made.left_aside.items() if reason.startswith((REJECTED, ARCHIVED))]
    aside = [(number, reason) for number, reason in made.left_aside.items() if number not in done]
    shown = [f"version {number} left aside: {reason}" for number, reason in aside[-_SHOWN_ASIDE:]]
    older = len(aside) - len(shown)
    return [
        *([f"{len(done)} version(s) rejected or archived before, see decision.json"] if done else []),
        *([f"{older} older version(s) left aside, see decision.json"] if older else []),
        *shown,
    ]


def _verdicts(lines: Sequence[Mapping[str, object]], what: str) -> list[str]:
    return [f"  {'pass' if line['passed'] else 'FAIL'}  {line[what]}: {line['reason']}" for line in lines]


def _scores(scored: Sequence[Judged]) -> str:
    """One column a version."""
    months = [f"{one.months[0]:%Y-%m} to {one.months[1]:%Y-%m}" if one.months else "" for one in scored]
    table = pd.DataFrame({f"{one.number} ({one.role})": one.scores for one in scored})
    text = table.to_string(float_format="{:.3f}".format, na_rep="cannot be estimated")
    return f"Scored on months out of sample, each version on its own ({'; '.join(dict.fromkeys(months))}):\n{text}"
