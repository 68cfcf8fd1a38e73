"""Cards of models, versions and decisions, in Markdown: what MLflow shows on their pages."""

from __future__ import annotations

import contextlib

import mlflow
import pandas as pd

from ..errors import first_few
from ..experiment.factors import descriptors_of, make_factors
from ..experiment.protocol import portfolio_in_words, window_in_words
from ..experiment.schema import TrainConfig
from ..report.html import Column
from ..report.markdown import table
from ..tracking import pages
from .decision import Decision, Judged
from .versions import DRIVERS, GATES, RegisteredVersions, Version

_GATES = [
    Column("gate", "gate", text=True), Column("verdict", "verdict", text=True), Column("reason", "why", text=True)
]  # fmt: skip


def decision_card(name: str, made: Decision) -> str:
    """The description of an evaluation's run."""
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
        lines.append(table(pd.DataFrame(judged), columns))
    if made.asked:
        lines.append(f"Asked for: {made.asked}.")
    return "\n\n".join(lines)


def judged_card(one: Judged) -> str:
    """The description of the run of a version that was judged."""
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
    return table(gates, _GATES)


def write_cards(client: mlflow.MlflowClient, name: str, known: RegisteredVersions, made: Decision, under: str) -> None:
    """Write the cards of the registered model and of every version that was judged.

    ``under``: the gates under which the recipe of a version that becomes champion now was promoted.
    """
    client.update_registered_model(name, description=model_card(name, made))
    experiments: dict[str, str] = {}
    for one in made.judged:
        version = known.get(one.number)
        if version is None:
            continue
        if version.parent_run not in experiments:
            experiments[version.parent_run] = _experiment_of(client, version.parent_run)
        card = version_card(version, one, made, experiments[version.parent_run], under)
        client.update_model_version(name, one.number, description=card)


def rewrite_cards(client: mlflow.MlflowClient, name: str, made: Decision) -> None:
    """Say on the cards what a person has decided: of the model, and at the head of every version that it touched.

    What gates and months have shown of a version stays below.
    """
    client.update_registered_model(name, description=model_card(name, made))
    before, after = made.before, made.after
    for number in dict.fromkeys((after.champion, after.previous, before.champion, before.previous)):
        if number is None:
            continue
        with contextlib.suppress(mlflow.MlflowException):  # it may have been deleted
            _, opening, sections = (client.get_model_version(name, number).description or "").partition(_SECTION)
            card = f"{_decided(number, made)}{opening}{sections}"
            client.update_model_version(name, number, description=card)


_SECTION = "\n\n### "


def _decided(number: str, made: Decision) -> str:
    if number == made.after.champion:
        return f"**Champion**. Last decision, by a person: {made.reason}."
    if number == made.after.previous:
        return f"**Previous** champion: what a rollback returns to. Last decision, by a person: {made.reason}."
    return f"**Not in production** any more. Last decision, by a person: {made.reason}."


def _experiment_of(client: mlflow.MlflowClient, run_id: str) -> str:
    """The experiment of a run; empty if the run is gone."""
    with contextlib.suppress(mlflow.MlflowException):
        return str(client.get_run(run_id).info.experiment_id)
    return ""


def model_card(name: str, made: Decision) -> str:
    """The description of the registered model."""
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


def version_card(version: Version, one: Judged, made: Decision, experiment: str, under: str = "") -> str:
    """The model card of a version, rewritten by every decision about it.

    ``experiment``: of its training; empty if that is gone. ``under``: see :func:`write_cards`.
    """
    config = version.config
    role = _standing(version, one, made, under)
    universe = config.data.universe
    stocks = "all stocks of the panel" if universe is None else f"the {universe} largest stocks of each month by CAP"
    of_training = f"{version.tags.get('train_first', '?')} to {version.train_last:%Y-%m-%d}"
    parts = {
        "": role,
        "What it is": f"The row {version.row.name} of a training on {config.data.source.name}: forecasts of the return "
        f"over the next month of {stocks}, from ranks of {len(_descriptors(config))} descriptors at "
        f"{first_few(config.window.lags, 9)} months back.",
        "Use": "Ranking stocks and building portfolios, with the factors that make up each forecast. Not a price "
        "target; not for another universe, another vendor's definitions, or horizons other than a month.",
        "Training": f"Returns of {of_training}; {window_in_words(config.window)} Data fingerprint "
        f"`{version.tags.get('data_fingerprint', '?')}`, recipe `{version.recipe}`, code "
        f"`{version.tags.get('git_commit', '?')[:12]}`.",
        "What it has shown": _shown(one, config),
        "Drivers": version.tags.get(DRIVERS) or "Not recorded by its training.",
        "Gates": _gates(one) if one.verdicts else f"It was not judged: {one.reason}.",
        "Limits": "Months out of sample are few and were looked at by every trial counted above; a good record may be "
        "luck. Contributions explain the forecast, not the return. "
        + (f"{one.restated[0].upper()}{one.restated[1:]}." if one.restated else ""),
        "Load": f'`mlflow.pyfunc.load_model("models:/{version.name}/{version.number}").predict(panel)`: `date`, '
        "`asset`, `prediction`, a column a factor and `bias`, which sum to it.",
        "Lineage": _lineage(version, experiment),
    }
    return "\n\n".join(f"### {title}\n{text}" if title else text for title, text in parts.items())


def _descriptors(config: TrainConfig) -> list[str]:
    return descriptors_of(make_factors(config.factors, config.data.descriptors))


def _standing(version: Version, one: Judged, made: Decision, under: str) -> str:
    if version.number == made.after.champion:
        gates = under or version.tags.get(GATES) or made.asked
        return f"**Champion**, promoted under {gates}; judged under {made.asked}. Last decision: {made.reason}."
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
        f"{portfolio_in_words(config.portfolio)}"
    )


def _lineage(version: Version, experiment: str) -> str:
    if not experiment:
        return f"Its training's run `{version.parent_run}` is gone."
    return (
        f"[its training]({pages.run(experiment, version.parent_run)}) · "
        f"[the report]({pages.artifact(experiment, version.parent_run, 'report.html')}) · "
        f"[the row's run]({pages.run(experiment, version.row_run)})"
    )
