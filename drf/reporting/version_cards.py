"""Cards of models, versions and decisions, as Markdown for MLflow's pages."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ..errors import first_few
from ..experiment.factors import descriptors_of, make_factors
from ..experiment.schema import TrainConfig
from ..registry.decision import Decision, Judged
from ..registry.versions import DRIVERS, GATES, Version
from ..tracking import pages
from .document import Column, Table
from .markdown import markdown_table
from .protocol import window_in_words

_GATES = [
    Column("gate", "gate", text=True), Column("verdict", "verdict", text=True), Column("reason", "why", text=True)
]  # fmt: skip


def decision_card(name: str, made: Decision) -> str:
    """Return the description of an evaluation's run."""
    verb = f"Promoted version {made.promoted}" if made.promoted else "Nothing was promoted"
    lines = [f"**{verb}**: {made.reason}." if made.asked else f"**{made.reason}.**"]
    if made.alarm:
        lines.insert(0, f"**ALARM**: {made.alarm}.")
    champion = made.after.champion
    if champion:
        lines.append(f"[Version {champion} of {name}]({pages.version(name, champion)}) is champion.")
    judged = [
        {"version": f"{one.number} ({one.role})", "passed": "passed" if one.passed else "failed",
         "sharpe_net": one.scores.get("sharpe_net"), "low": one.scores.get("sharpe_low"),
         "rank_ic": one.scores.get("rank_ic"), "why": one.reason or "all that it was asked"}
        for one in made.judged
    ]  # fmt: skip
    columns = [
        Column("version", "version", text=True), Column("passed", "verdict", text=True),
        Column("sharpe_net", "Sharpe after costs", "{:.2f}"), Column("low", "95 % from", "{:.2f}"),
        Column("rank_ic", "rank IC", "{:.3f}"), Column("why", "why", text=True),
    ]  # fmt: skip
    if judged:
        lines.append(markdown_table(Table(pd.DataFrame(judged), columns)))
    if made.asked:
        lines.append(f"Asked for: {made.asked}.")
    return "\n\n".join(lines)


def judged_card(one: Judged) -> str:
    """Return the description of an evaluated version's run."""
    lines = [f"Version {one.number}, judged as {one.role}: {'passed' if one.passed else 'failed'}."]
    if one.verdicts:
        lines.append(_gates(one))
    elif one.reason:
        lines.append(f"It was not judged: {one.reason}.")
    if one.restated:
        lines.append(f"{one.restated[0].upper()}{one.restated[1:]}.")
    return "\n\n".join(lines)


def _gates(one: Judged) -> str:
    gates = one.table().assign(verdict=lambda made: made["passed"].map({True: "pass", False: "**FAIL**"}))
    return markdown_table(Table(gates, _GATES))


SECTION = "\n\n### "
"""Heading of every section of a version's card but the first."""

HEADS = ("**Champion**", "**Previous**", "**Not promoted**", "**Not in production**")
"""Words with which every card begins."""


def decided_card(number: str, made: Decision) -> str:
    if number == made.after.champion:
        return f"**Champion**, by a person's decision and not by gates: {made.reason}."
    if number == made.after.previous:
        return f"**Previous** champion: what a rollback returns to. A person decided: {made.reason}."
    return f"**Not in production** any more. A person decided: {made.reason}."


@dataclass(frozen=True)
class Training:
    """Name and experiment of a version's training in MLflow."""

    name: str
    experiment: str


def model_card(name: str, made: Decision) -> str:
    """Return the description of a registered model."""
    after = made.after
    holders = [f"**{alias}**: [version {number}]({pages.version(name, number)})"
               for alias, number in (("champion", after.champion), ("previous", after.previous)) if number]  # fmt: skip
    return "\n\n".join(
        [
            "Forecasts of next month's stock returns, each an exact sum of factor contributions.",
            " · ".join(holders) or "There is no champion.",
            f"Last decision: {made.reason}.",
            f'Load the champion: `mlflow.pyfunc.load_model("models:/{name}@champion").predict(panel)`.',
        ]
    )


def version_card(version: Version, one: Judged, made: Decision, training: Training | None, under: str = "") -> str:
    """Return the model card of a version, as every decision about it rewrites it.

    ``training``: None if that is gone. ``under``: see :func:`write_cards`.
    """
    config = version.config
    role = _standing(version, one, made, under)
    universe = config.data.universe
    stocks = "all stocks of the panel" if universe is None else f"the {universe} largest stocks of each month by CAP"
    of_training = f"{version.tags.get('train_first', '?')} to {version.train_last:%Y-%m-%d}"
    parts = {
        "": role,
        "What it is": f"The row {version.row.name} of {_named(training)} on {config.data.source.name}: forecasts of "
        f"the return over the next month of {stocks}, from ranks of {len(_descriptors(config))} descriptors at "
        f"{first_few(config.window.lags, 9)} months back.",
        "Use": "Ranking stocks and building portfolios, with the factors that make up each forecast. Not a price "
        "target; not for another universe, another vendor's definitions, or horizons other than a month.",
        "Training": f"Returns of {of_training}; {window_in_words(config.window)} Data fingerprint "
        f"`{version.tags.get('data_fingerprint', '?')}`, recipe `{version.recipe}`, code "
        f"`{version.tags.get('git_commit', '?')[:12]}`.",
        "What it has shown": _shown(one, config),
        "Drivers": version.tags.get(DRIVERS) or "Not recorded by its training.",
        "Gates": f"{_gates(one)}\n\nAsked for: {made.asked}." if one.verdicts else f"It was not judged: {one.reason}.",
        "Limits": "Months out of sample are few and were looked at by every trial counted above; a good record may be "
        "luck. Contributions explain the forecast, not the return. "
        + (f"{one.restated[0].upper()}{one.restated[1:]}." if one.restated else ""),
        "Load": f'`mlflow.pyfunc.load_model("models:/{version.name}/{version.number}").predict(panel)`: `date`, '
        "`asset`, `prediction`, a column a factor and `bias`, which sum to it.",
        "Lineage": _lineage(version, training),
    }
    return "\n\n".join(f"### {title}\n{text}" if title else text for title, text in parts.items())


def _descriptors(config: TrainConfig) -> list[str]:
    return descriptors_of(make_factors(config.factors, config.data.descriptors))


def _standing(version: Version, one: Judged, made: Decision, under: str) -> str:
    if version.number == made.after.champion:
        gates = under or version.tags.get(GATES) or made.asked
        now = f"; judged now under {short_gates(made.asked)}" if made.asked != gates else ""
        return f"**Champion**, promoted under {short_gates(gates)}{now}. Last decision: {made.reason}."
    if version.number == made.after.previous:
        return f"**Previous** champion: what a rollback returns to. Last decision: {made.reason}."
    return f"**Not promoted**: {one.reason or made.reason}."


def _shown(one: Judged, config: TrainConfig) -> str:
    if not len(one.scores):
        return "No months out of sample could be scored."
    scores, span = one.scores, f"{one.months[0]:%Y-%m} to {one.months[1]:%Y-%m}" if one.months else ""
    return (
        f"{scores['months']:.0f} months out of sample ({span}): Sharpe ratio after costs {scores['sharpe_net']:.2f} "
        f"a year (95 %: {scores['sharpe_low']:.2f} to {scores['sharpe_high']:.2f}), rank IC {scores['rank_ic']:.3f}, "
        f"turnover {scores['turnover']:.0%}, largest drawdown {scores['max_drawdown']:.0%}. Probability of beating the "
        f"best that chance would show in {scores['trials']:.0f} trials: {scores['deflated']:.2f}. "
        f"{config.portfolio.words}"
    )


def _named(training: Training | None) -> str:
    return f"the training *{training.name}*" if training else "a training"


def short_gates(gates: str) -> str:
    """Return the name of the gates, without the list of differences from the strict ones."""
    return gates if gates.startswith("no gates") else gates.partition(":")[0] + " gates"


def _lineage(version: Version, training: Training | None) -> str:
    if training is None:
        return f"Its training's run `{version.parent_run}` is gone."
    return (
        f"[its training]({pages.run(training.experiment, version.parent_run)}) · "
        f"[the report]({pages.artifact(training.experiment, version.parent_run, 'report.html')}) · "
        f"[the row's run]({pages.run(training.experiment, version.row_run)})"
    )
