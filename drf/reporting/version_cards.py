"""Cards of models, versions and decisions, as Markdown for MLflow's pages."""

from dataclasses import dataclass

import pandas as pd

from ..data.calendar import named
from ..errors import first_few
from ..experiment.factors import descriptors_of, make_factors
from ..experiment.schema import TrainConfig
from ..registry.decision import Decision, Evaluation
from ..registry.versions import DRIVERS, GATES, MARKET_NAME, Version
from ..tracking import pages
from .document import Column, Table, as_sentence
from .markdown import markdown_table, plain
from .protocol import window_in_words
from .standing import alarm_in_words, promotion_in_words, standing_of

_GATES = [
    Column("gate", "gate", text=True), Column("verdict", "verdict", text=True), Column("reason", "why", text=True)
]  # fmt: skip


def decision_card(name: str, decision: Decision) -> str:
    """Return the description of an evaluation's run."""
    lines = [f"**{plain(as_sentence(promotion_in_words(decision)))}**"]
    if words := alarm_in_words(decision):
        lines.insert(0, f"**{words}.**")
    champion = decision.after.champion
    if champion:
        lines.append(f"[Version {champion} of {name}]({pages.version(name, champion)}) is champion.")
    judged = [
        {"version": f"{evaluation.number} ({evaluation.role})", "passed": "passed" if evaluation.passed else "failed",
         "sharpe_net": evaluation.scores.get("sharpe_net"), "low": evaluation.scores.get("sharpe_low"),
         "rank_ic": evaluation.scores.get("rank_ic"), "why": evaluation.reason or "all that it was asked"}
        for evaluation in decision.evaluations
    ]  # fmt: skip
    columns = [
        Column("version", "version", text=True), Column("passed", "verdict", text=True),
        Column("sharpe_net", "Sharpe after costs", "{:.2f}"), Column("low", "95 % from", "{:.2f}"),
        Column("rank_ic", "rank IC", "{:.3f}"), Column("why", "why", text=True),
    ]  # fmt: skip
    if judged:
        lines.append(markdown_table(Table(pd.DataFrame(judged), columns)))
    if decision.asked:
        lines.append(f"Asked for: {decision.asked}.")
    return "\n\n".join(lines)


def judged_card(evaluation: Evaluation) -> str:
    """Return the description of an evaluated version's run."""
    lines = [
        f"Version {evaluation.number}, judged as {evaluation.role}: {'passed' if evaluation.passed else 'failed'}."
    ]
    if evaluation.verdicts:
        lines.append(_gates(evaluation))
    elif evaluation.reason:
        lines.append(f"It was not judged: {plain(evaluation.reason)}.")
    if evaluation.restated:
        lines.append(as_sentence(evaluation.restated))
    return "\n\n".join(lines)


def _gates(evaluation: Evaluation) -> str:
    gates = evaluation.table().assign(
        verdict=lambda decision: decision["passed"].map({True: "pass", False: "**FAIL**"})
    )
    return markdown_table(Table(gates, _GATES))


SECTION = "\n\n### "
"""Heading of every section of a version's card but the first."""


@dataclass(frozen=True)
class Training:
    """Name and experiment of a version's training in MLflow."""

    name: str
    experiment: str


def model_card(name: str, decision: Decision) -> str:
    """Return the description of a registered model."""
    after = decision.after
    holders = [f"**{alias}**: [version {number}]({pages.version(name, number)})"
               for alias, number in (("champion", after.champion), ("previous", after.previous)) if number]  # fmt: skip
    return "\n\n".join(
        [
            "Forecasts of next month's stock returns, each an exact sum of factor contributions.",
            " · ".join(holders) or "There is no champion.",
            f"Last decision: {plain(decision.reason)}.",
            f'Load the champion: `mlflow.pyfunc.load_model("models:/{name}@champion").predict(panel)`.',
        ]
    )


def version_card(
    version: Version, evaluation: Evaluation, decision: Decision, training: Training | None, under: str = ""
) -> str:
    """Return the model card of a version, which every decision about the version rewrites.

    ``training``: None if the training is gone. ``under``: see :func:`write_cards`.
    """
    config = version.config
    gates = under or version.tags.get(GATES)
    role = plain(standing_of(version.number, decision, evaluation, gates).card)
    universe = config.data.universe
    stocks = "all stocks of the panel" if universe is None else f"the {universe} largest stocks of each month by CAP"
    source, market = plain(config.data.source.name), plain(version.tags[MARKET_NAME])
    of_training = f"{version.tags.get('train_first', '?')} to {version.train_last:%Y-%m-%d}"
    parts = {
        "": role,
        "What it is": f"The row {version.row.name} of {_named(training)} on {source}: forecasts of "
        f"the return over the next month of {stocks}, from ranks of {len(_descriptors(config))} descriptors at "
        f"{first_few(config.window.lags, 9)} months back.",
        "Use": "Ranking stocks and building portfolios, with the factors that make up each forecast. Not a price "
        "target; not for another universe, another vendor's definitions, or horizons other than a month.",
        "Training": f"Market: {market}. Returns of {of_training}; {window_in_words(config.window)} "
        f"Data fingerprint `{version.tags.get('data_fingerprint', '?')}`, recipe `{version.recipe}`, code "
        f"`{version.tags.get('git_commit', '?')[:12]}`.",
        "What it has shown": _shown(evaluation, config),
        "Drivers": version.tags.get(DRIVERS) or "Not recorded by its training.",
        "Gates": f"{_gates(evaluation)}\n\nAsked for: {decision.asked}."
        if evaluation.verdicts
        else f"It was not judged: {plain(evaluation.reason)}.",
        "Limits": "Months out of sample are few and were looked at by every trial counted above; a good record may be "
        "luck. Contributions explain the forecast, not the return. "
        + (as_sentence(evaluation.restated) if evaluation.restated else ""),
        "Load": f'`mlflow.pyfunc.load_model("models:/{version.name}/{version.number}").predict(panel)`: `date`, '
        "`asset`, `prediction`, a column a factor and `bias`, which sum to it.",
        "Lineage": _lineage(version, training),
    }
    return "\n\n".join(f"### {title}\n{text}" if title else text for title, text in parts.items())


def _descriptors(config: TrainConfig) -> list[str]:
    return descriptors_of(make_factors(config.factors, config.data))


def _shown(evaluation: Evaluation, config: TrainConfig) -> str:
    if not len(evaluation.scores):
        return "No months out of sample could be scored."
    scores, span = (
        evaluation.scores,
        f"{named(evaluation.months[0])} to {named(evaluation.months[1])}" if evaluation.months else "",
    )
    return (
        f"{scores['months']:.0f} months out of sample ({span}): Sharpe ratio after costs {scores['sharpe_net']:.2f} "
        f"a year (95 %: {scores['sharpe_low']:.2f} to {scores['sharpe_high']:.2f}), rank IC {scores['rank_ic']:.3f}, "
        f"turnover {scores['turnover']:.0%}, largest drawdown {scores['max_drawdown']:.0%}. Probability of beating the "
        f"best that chance would show in {scores['trials']:.0f} trials: {scores['deflated']:.2f}. "
        f"{config.portfolio.words}"
    )


def _named(training: Training | None) -> str:
    return f"the training *{plain(training.name)}*" if training else "a training"


def _lineage(version: Version, training: Training | None) -> str:
    if training is None:
        return f"Its training's run `{version.parent_run}` is gone."
    return (
        f"[its training]({pages.run(training.experiment, version.parent_run)}) · "
        f"[the report]({pages.artifact(training.experiment, version.parent_run, 'report.html')}) · "
        f"[the row's run]({pages.run(training.experiment, version.row_run)})"
    )
