"""Terminal: what commands print, as text."""

import shlex
from collections.abc import Mapping, Sequence

import pandas as pd

from ..comparison.rows import RAW_METRICS
from ..data.calendar import named
from ..evaluation.metrics import METRICS, MORE_METRICS
from ..experiment.experiment import Experiment
from ..experiment.plan import TrainingPlan
from ..live.alarm import ALPHA
from ..live.input_watch import Watch
from ..live.issuance import Issuance
from ..live.orders import turnover
from ..live.outcome import Live
from ..live.track_record import Record, totals
from ..registry.decision import Decision, Evaluation
from ..registry.versions import ARCHIVED, REJECTED
from ..tracking import pages
from ..tracking.runs import REPORT, RunPlace
from ..tracking.views import key_of_rows
from .protocol import learned
from .standing import alarm_in_words, promotion_in_words


def printed(table: pd.DataFrame) -> str:
    """Return the main metrics of a comparison as text, then its notes; errors and R² have five decimals."""
    shown = table[[name for name in table if name not in (*MORE_METRICS, *RAW_METRICS, "note")]]
    five = ("mae", "rmse", "r2")
    formats = {name: ("{:.5f}" if name in five else "{:.3f}").format for name in METRICS if name in shown}
    text = shown.to_string(index=False, formatters=formats, na_rep="unknown")
    notes = [f"{row}: {note}" for row, note in zip(table["row"], table["note"], strict=True) if note]
    return "\n".join([text, *notes])


def plan_text(plan: TrainingPlan) -> str:
    """Return a plan as text: one line per family, then time and memory of the whole."""
    lines = [
        {
            "family": one.family,
            "fits": one.fits,
            "tuning fits": one.trials,
            "samples": f"{one.samples:,}",
            "seconds a fit": f"{one.seconds:.1f}",
            "processor minutes": f"{one.work / 60:.1f}",
        }
        for one in plan.families
    ]
    fits = "" if plan.memory <= plan.free else "; that does not fit: test fewer months, fewer stocks or fewer rows"
    return "\n".join(
        [
            pd.DataFrame(lines).to_string(index=False),
            "",
            f"All fits take about {plan.minutes:.1f} minutes in {plan.jobs} worker(s), judged by one fit of each "
            "family on the newest window. Warm starts and pruned trials take less.",
            f"Memory at most about {plan.memory / 2**30:.1f} GB; {plan.free / 2**30:.1f} GB are free{fits}.",
            "Nothing was trained or logged: leave plan=true out to start.",
        ]
    )


def training_text(
    experiment: Experiment,
    table: pd.DataFrame,
    version: str | None,
    place: RunPlace,
    notices: Sequence[str],
    next_command: str,
) -> str:
    """Return a training's closing text: its rows, what was filled, where its runs are, and how to go on.

    Args:
        table: One line per row, with its metrics.
        version: Number of the registered version, if one was registered.
        next_command: Command that judges it.
    """
    run_id, where, home = place.run_id, place.experiment_id, pages.base(place.store)
    samples, months, absent = experiment.samples, experiment.schedule.test_months, experiment.left_out
    first, last = samples.dates[months.start], samples.dates[months.stop - 1]
    one_per_cent, absent_rows = samples.x.size / 100, samples.missing_months * len(samples.descriptors)
    lines = [
        *notices,
        "",
        printed(table),
        "",
        learned(experiment),
        f"Forecasts made {first.date()} to {last.date()}; returns are decimals a year, of top less bottom quantile.",
        f"Inputs set to the neutral rank: {samples.missing_values / one_per_cent:.2f} % because the descriptor was "
        f"missing, {absent_rows / one_per_cent:.2f} % because the stock had no row that month.",
        *([f"The panel was used without {', '.join(absent)} (data.descriptors)."] if absent else []),
        f"Runs: parent {run_id} in {place.store}",
        *([f"Look: mlflow ui --backend-store-uri {place.store}, then"] if home == pages.NO_SERVER else []),
        f"Rows side by side: {home}/{pages.view(where, key_of_rows(run_id))}",
        f"Report: {home}/{pages.artifact(where, run_id, REPORT)}",
    ]
    registry = experiment.config.registry
    following = f"{next_command} {shlex.join(experiment.data_words)}".strip()
    if version is None:
        lines.append(
            f"Nothing registered: registry.row={registry.row} is of the family {experiment.registered_row.family}, "
            "which was not trained."
        )
    else:
        lines += [
            f"Registered: {registry.name} version {version}. Next: {following}",
            f'Load it: mlflow.pyfunc.load_model("models:/{registry.name}/{version}"); once promoted: @champion',
        ]
    return "\n".join(lines)


def evaluation_text(
    name: str, decision: Decision, audits: Sequence[pd.DataFrame], place: RunPlace | None, notices: Sequence[str]
) -> str:
    """Return an evaluation's closing text: notices, findings, decision, and where it was written.

    ``place``: None for a dry run, which writes nothing.
    """
    lines = [*[f"note: {notice}" for notice in notices], decision_summary(decision, audits)]
    lines.append("Dry run: nothing was moved or written." if place is None else decision_places(name, decision, place))
    return "\n".join(lines)


def decision_summary(decision: Decision, audits: Sequence[pd.DataFrame]) -> str:
    """Return alarm, scores, failed gates and decision of an evaluation."""
    lines = ["", *([words, ""] if (words := alarm_in_words(decision)) else [])]
    scored = [evaluation for evaluation in decision.evaluations if len(evaluation.scores)]
    if scored:
        lines += [_scores(scored), ""]
    for audit in audits:
        lines += ["Audit:", *_verdicts([dict(line) for _, line in audit.iterrows()], "check"), ""]
    for evaluation in decision.evaluations:
        lines += _found(evaluation)
    lines += _counted(decision)
    under = decision.promoted_under.get(str(decision.after.champion))
    if under and decision.asked and under != decision.asked and decision.promoted is None:
        lines += [f"note: the champion was promoted under {under}; asked for now: {decision.asked}"]
    if decision.hold is not None and decision.chosen is None:
        lines += [f"note: the aliases are {decision.hold.in_words()}"]
    if decision.asked and not decision.audited:
        lines += ["note: the leak suite was not run (gate.audit=false); audit=true runs it"]
    lines += [
        f"Decision: {promotion_in_words(decision)}",
        f"champion: {decision.after.champion or 'none'}, previous: {decision.after.previous or 'none'}",
    ]
    return "\n".join(lines)


def decision_places(name: str, decision: Decision, place: RunPlace) -> str:
    """Return where a decision was written, and where the champion is."""
    home = pages.base(place.store)
    lines = [
        f"Run: {place.run_id} in {place.store}",
        f"Look: {home}/{pages.run(place.experiment_id, place.run_id)}",
        f"Report: {home}/{pages.artifact(place.experiment_id, place.run_id, REPORT)}",
    ]
    if decision.after.champion:
        lines.append(f"Champion: {home}/{pages.version(name, decision.after.champion)}")
        lines.append(f'Load the champion: mlflow.pyfunc.load_model("models:/{name}@champion")')
    return "\n".join(lines)


def _found(evaluation: Evaluation) -> list[str]:
    """Return a version's gates: all of them if it is waiting, only the failed ones if it holds an alias."""
    aliased = evaluation.role in ("champion", "previous")
    shown = [vars(verdict) for verdict in evaluation.verdicts if not (aliased and verdict.passed)]
    lines = [f"version {evaluation.number}: {evaluation.restated}"] if evaluation.restated else []
    if not evaluation.verdicts:
        return [*lines, f"version {evaluation.number} ({evaluation.role}) was not judged: {evaluation.reason}", ""]
    if aliased:
        passed = f"{len(evaluation.verdicts) - len(shown)} of its {len(evaluation.verdicts)} gates"
        lines.append(f"version {evaluation.number} ({evaluation.role}) passes {passed}")
        return [*lines, *_verdicts(shown, "gate"), ""]
    return [*lines, f"Gates of version {evaluation.number} ({evaluation.role}):", *_verdicts(shown, "gate"), ""]


_SHOWN_ASIDE = 5


def _counted(decision: Decision) -> list[str]:
    """Return the newest versions left aside with their reasons, and how many others there are."""
    done = [number for number, reason in decision.left_aside.items() if reason.startswith((REJECTED, ARCHIVED))]
    aside = [(number, reason) for number, reason in decision.left_aside.items() if number not in done]
    shown = [f"version {number} left aside: {reason}" for number, reason in aside[-_SHOWN_ASIDE:]]
    older = len(aside) - len(shown)
    return [
        *([f"{len(done)} version(s) rejected or archived before, see decision.json"] if done else []),
        *([f"{older} older version(s) left aside, see decision.json"] if older else []),
        *shown,
    ]


def _verdicts(lines: Sequence[Mapping[str, object]], what: str) -> list[str]:
    return [f"  {'pass' if line['passed'] else 'FAIL'}  {line[what]}: {line['reason']}" for line in lines]


def _scores(scored: Sequence[Evaluation]) -> str:
    """Return the scores as text, one column a version."""
    months = [
        f"{named(evaluation.months[0])} to {named(evaluation.months[1])}" if evaluation.months else ""
        for evaluation in scored
    ]
    table = pd.DataFrame({f"{evaluation.number} ({evaluation.role})": evaluation.scores for evaluation in scored})
    text = table.to_string(float_format="{:.3f}".format, na_rep="cannot be estimated")
    return f"Scored on months out of sample, each version on its own ({'; '.join(dict.fromkeys(months))}):\n{text}"


_SHOWN_TRADES = 10


def watch_text(watch: Watch, month: pd.Timestamp) -> str:
    """Return what is unusual in a month, or why it was not watched; empty if neither."""
    lines = [f"note: the inputs are not watched: {watch.not_watched}"] if watch.not_watched else []
    lines += [f"unusual in {named(month)}: {text}" for text in watch.unusual]
    return "\n".join(lines)


def issue_text(issuance: Issuance) -> str:
    """Return the issue of a month as text: holdings, turnover, and the largest trades with reasons."""
    issue, orders = issuance.issued.issue, issuance.issued.orders
    forecasts, weight = int(orders["prediction"].notna().sum()), orders["weight"]
    setting_up = not (orders["held"] != 0).any()
    by = f"version {issue.version} ({issue.role})" if issue.version else "an unregistered model"
    lines = [
        f"{named(issue.month)}: {forecasts:,} forecasts by {by}, {_state(issuance)}"
        + ("" if issue.role == "champion" else "; a shadow is watched only: place no orders from it"),
        f"Long {(weight > 0).sum():,} and short {(weight < 0).sum():,} stocks; turnover {turnover(orders):.1%}"
        + (", set up anew" if setting_up else "")
        + f"; {orders['inputs'].mean():.1%} of the inputs are known",
    ]
    if issuance.unknown:
        lines.append(f"note: {issuance.unknown} return(s) of held stocks are unknown and count as 0")
    if issue.afterwards:
        lines.append("note: most of its returns could be known by now, so this month does not count as live")
    largest = orders.loc[orders["trade"].abs().sort_values(ascending=False, kind="stable").index[:_SHOWN_TRADES]]
    table = largest[["asset", "rank", "prediction", "held", "weight", "trade", "reasons"]].rename(
        columns={"prediction": "forecast"}
    )
    per_cent = dict.fromkeys(("forecast", "held", "weight", "trade"), "{:+.2%}".format)
    text = table.to_string(index=False, formatters=per_cent, na_rep="none")
    return "\n".join([*lines, "Largest trades, in shares of one side's value:", text])


def _state(issuance: Issuance) -> str:
    if issuance.is_new:
        return f"issued anew ({'; '.join(issuance.other)})" if issuance.other else "issued"
    if not issuance.run_id:
        return "made"
    return "issued already, and would differ" if issuance.other else "issued already, and the same"


_SHOWN_MONTHS = 12


def record_text(record: Record) -> str:
    """Return the live record as text: months and versions with the backtest, the alarm, and gaps."""
    live = record.champion
    lines = ["", *([f"ALARM: {record.alarm}", ""] if record.alarm else [])]
    if live is not None and len(live.months):
        lines += [_months_in_text(live.months.tail(_SHOWN_MONTHS)), "", *_beside_backtest(live), ""]
    elif record.issued:
        lines += [f"Issued: {len(record.issued)}, the newest for {named(record.issued[-1].issue.month)}.", ""]
    if len(record.outcomes):
        by_version = record.by_version.assign(**{end: record.by_version[end].map(named) for end in _ENDS})
        per_cent = dict.fromkeys(("gross", "net", "promised"), "{:+.2%}".format)
        formats = {**per_cent, "rank_ic": "{:+.3f}".format, "hit_rate": "{:.0%}".format, "turnover": "{:.0%}".format}
        text = by_version.to_string(index=False, formatters=formats)
        lines += ["By version, returns summed over its months, the rest their mean:", text, ""]
    else:
        lines += ["The panel has no returns for any issued month yet.", ""]
    return "\n".join([*lines, *[f"note: {note}" for note in (*record.notes, *record.restated)]]).rstrip()


_ENDS = ("first", "last")


def _months_in_text(months: pd.DataFrame) -> str:
    shown = months[["month", "version", "rank_ic", "gross", "net", "promised", "turnover", "cumulated", "evidence"]]
    per_cent = dict.fromkeys(("gross", "net", "promised", "turnover", "cumulated"), "{:+.2%}".format)
    formats = {**per_cent, "rank_ic": "{:+.3f}".format, "evidence": "{:.3g}".format, "month": named}
    return shown.to_string(index=False, formatters=formats, na_rep="none")


def _beside_backtest(live: Live) -> list[str]:
    """Return the live months next to the backtest, with the evidence."""
    means, n = totals(live), len(live.months)
    lines = [
        f"Since {named(live.since)}, {n} month(s): rank IC {means['rank_ic']:.3f} (backtest "
        f"{means['backtest/rank_ic']:.3f} over {len(live.promise)} months), net "
        f"{means['net']:+.2%} a month (backtest {means['backtest/net']:+.2%}), "
        f"{means['hit_rate']:.0%} of the months above 0."
    ]
    if not live.is_watched:
        return [*lines, "note: the backtest has too few months to promise anything; no alarm watches over it"]
    last = live.months.iloc[-1]
    lines.append(
        f"Evidence that the promise is not kept: {live.evidence:.3g} (rank IC {last['evidence_rank_ic']:.3g}, net "
        f"return {last['evidence_net']:.3g}); an alarm from {1 / ALPHA:.0f} on."
    )
    if live.raised and not live.alarm:
        lines.append(f"note: there was an alarm in {', '.join(live.raised)}")
    return lines
