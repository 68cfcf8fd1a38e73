"""Month report: the champion's health, its forecasts and results, changes in the data, and the decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..data.calendar import in_force, named
from ..live.alarm import ALPHA
from ..live.issues import CHAMPION, issues_of_role
from ..live.orders import turnover
from ..live.outcome import Live, contributions_of, factors_of
from ..live.track_record import Record, totals
from ..registry.decision import Decision, Evaluation
from . import charts
from .document import Chart, Column, Document, Picture, Section, Table, as_sentence
from .live_figures import live_charts, live_pictures
from .lookup import stocks_asked
from .standing import at_alarm, promotion_in_words

_SHOWN = 10

_SIGNED, _PLAIN = "{:+.2%}", "{:.2%}"


@dataclass(frozen=True)
class Month:
    """Facts of a month end that its page shows.

    Attributes:
        name: Registered model.
        month: Month end at which the forecasts were made.
        champion: In words.
        orders: See :func:`~.orders.make_orders`; None if nothing was scored.
        record: Realised results; None if they were not computed.
        unusual: Unusual inputs; if there are any, nothing was issued unless somebody forced it.
        trained, decision: Sentence on the training; the evaluation's decision, or None if there was no evaluation.
        notes: Further sentences.
        config, commit: The configuration as YAML, and the code's commit.
    """

    name: str
    month: pd.Timestamp
    champion: str
    orders: pd.DataFrame | None
    record: Record | None
    unusual: Sequence[str]
    trained: str
    decision: Decision | None
    notes: Sequence[str]
    config: str
    commit: str


def month_document(month: Month) -> Document:
    """Return the page of a month end."""
    live = month.record.champion if month.record else None
    judged = _champion(month.decision)
    return Document(
        title=f"Month end {month.month:{in_force().title}}",
        subtitle=f"{month.champion}: what it says, how it has done, and whether it is what was promised",
        answers={
            "Is the champion healthy?": _health(month, live),
            "What does it say now?": _says(month.orders),
            "How has it done since promotion?": _done(live),
            "What changed in the data?": _changed(month, judged),
            "What did evaluation decide?": _decided(month.decision),
        },
        sections=[
            *_saying(month),
            *_doing(month, live),
            _data(month, judged),
            _deciding(month, judged),
            Section("How to read it", _CAVEATS),
        ],
        config=month.config,
        commit=month.commit,
        awaits_verdict=False,
        stocks=_stocks(month),
    )


_CAVEATS = (
    "Weights and trades are shares of the value of one side; turnover is what is traded over all that can be. "
    "Forecasts and contributions are of one month's return; reasons are the descriptors with the largest "
    "contributions, of either sign.",
    "What came true is of the weights as they were issued, after the costs of the model's own portfolio rule, and not "
    "of what was filled. A held stock whose return is not known counts as 0.",
    "The promise is the backtest's mean less one standard error, and less what chance gives the best of as many trials "
    "as were looked at. The alarm stands where the evidence reaches "
    f"{1 / ALPHA:.0f}: by chance it would in one of {1 / ALPHA:.0f} lives of a model that keeps its promise, were the "
    "backtest's mean and deviation the true ones and months independent; they are estimates, so somewhat more often.",
)


def _champion(decision: Decision | None) -> Evaluation | None:
    if decision is None:
        return None
    return next((item for item in decision.evaluations if item.number == decision.before.champion), None)


def _health(month: Month, live: Live | None) -> str:
    alarms = [
        *([f"{month.record.alarm}"] if month.record and month.record.alarm else []),
        *([month.decision.alarm] if month.decision and month.decision.alarm else []),
    ]
    if alarms:
        return f"ALARM: {'; '.join(alarms)}. What to do: {' '.join(at_alarm(month.name))}"
    words = []
    if month.decision is not None:
        words.append("it passes its gates")
    if live is not None and live.is_watched and len(live.months):
        words.append(f"evidence that its promise is not kept is {live.evidence:.2g} (an alarm from {1 / ALPHA:.0f} on)")
    if live is not None and live.raised:
        return f"There was an alarm in {', '.join(live.raised)}. Now {', and '.join(words)}."
    return f"Nothing speaks against it: {', and '.join(words)}." if words else "It was not looked at this time."


def _says(orders: pd.DataFrame | None) -> str:
    if orders is None:
        return "Nothing was scored this time."
    weight, first = orders["weight"], orders.sort_values("rank").iloc[0]
    return (
        f"Long {(weight > 0).sum()}, short {(weight < 0).sum()} of {orders['prediction'].notna().sum()} stocks; "
        f"turnover {turnover(orders):.0%}. First is {first['asset']} ({first['prediction']:+.2%}: {first['reasons']})."
    )


def _done(live: Live | None) -> str:
    if live is None or live.months.empty:
        return "No month has come true yet."
    means, first = totals(live), named(live.months["month"].iloc[0])
    return (
        f"{len(live.months)} month(s) since {first}: {live.months['net'].sum():+.1%} after costs, "
        f"{means['net']:+.2%} a month (backtest {means['backtest/net']:+.2%}); rank IC {means['rank_ic']:.3f} "
        f"(backtest {means['backtest/rank_ic']:.3f})."
    )


def _decided(decision: Decision | None) -> str:
    if decision is None:
        return "It was left out this time."
    return as_sentence(promotion_in_words(decision))


def _changed(month: Month, judged: Evaluation | None) -> str:
    parts = []
    if month.unusual:
        parts.append(f"{len(month.unusual)} number(s) of the newest month are unusual, and were let pass.")
    if judged is not None and judged.restated:
        parts.append(as_sentence(judged.restated))
    return " ".join(parts) or "Nothing unusual in the newest month, and no restatement was found."


def _saying(month: Month) -> list[Section]:
    orders = month.orders
    if orders is None:
        return []
    columns = [
        Column("asset", "stock"), Column("rank", "rank"), Column("prediction", "forecast", _SIGNED),
        Column("weight", "weight", _SIGNED), Column("trade", "trade", _SIGNED),
        Column("reasons", "its largest contributions, of either sign", text=True),
    ]  # fmt: skip
    ranked = orders.dropna(subset=["prediction"]).sort_values("rank")
    largest = orders.loc[orders["trade"].abs().sort_values(ascending=False, kind="stable").index[:_SHOWN]]
    trades = f"{(orders['trade'].abs() > 0).sum()} trades in all; every one is in forecasts.parquet."
    sections = [
        Section(
            "Top and bottom",
            [f"The {_SHOWN} highest forecasts, then the {_SHOWN} lowest."],
            [Table(ranked.head(_SHOWN), columns), Table(ranked.tail(_SHOWN), columns)],
            stocks=True,
        ),
        Section("Largest trades", [trades], [Table(largest, columns)]),
    ]
    record = month.record
    if record is None or record.contributions.empty:
        return sections
    words = (
        "Forecast of the long less the short side by factor, and its exposures (mean rank of the long less that of the "
        "short side, -2 to 2), beside up to twelve months before."
    )
    drifts = [_drift(record.contributions, "factor", _SIGNED), _drift(record.exposures, "descriptor", "{:+.2f}")]
    mine = issues_of_role(record.issued, CHAMPION)
    drawn = [charts.contributions(contributions_of(mine), "issued", "contributions to the forecast, long less short")]
    return [*sections, Section("What drives the portfolio", [words], drifts, charts=drawn)]


def _stocks(month: Month) -> Mapping[str, object] | None:
    """Return every stock's forecast by factor, and its earlier issued forecasts."""
    if month.orders is None:
        return None
    now = month.orders.dropna(subset=["prediction"]).sort_values("rank", kind="stable").reset_index(drop=True)
    issued = issues_of_role(month.record.issued, CHAMPION) if month.record else []
    before = [item.orders.dropna(subset=["prediction"]) for item in issued if item.issue.month < month.month]
    factors = [str(name) for name in factors_of(now)]
    every = pd.concat(
        [table[["date", "asset", "prediction", *factors]] for table in [*before, now] if set(factors) <= set(table)]
    )
    return stocks_asked(
        now.rename(columns={"prediction": "forecast", "trade": "change"}),
        now[factors],
        {"factor": factors},
        every.rename(columns={"prediction": "forecast"}).assign(earned=float("nan")),
        factors,
        month.month,
        changed="trade",
    )


def _drift(frame: pd.DataFrame, what: str, how: str) -> Table:
    headings = {"now": "now", "before": "mean before", "low": "lowest", "high": "highest"}
    columns = [Column(what, what), *[Column(name, heading, how) for name, heading in headings.items()]]
    return Table(frame.reset_index(names=what), columns)


def _doing(month: Month, live: Live | None) -> list[Section]:
    if month.record is None or month.record.outcomes.empty:
        return []
    columns = [
        Column("role", "role"), Column("version", "version"), Column("first", "from", in_force().column),
        Column("last", "to", in_force().column), Column("months", "months"), Column("rank_ic", "rank IC", "{:.3f}"),
        Column("gross", "gross", _SIGNED), Column("net", "net", _SIGNED), Column("promised", "forecast", _SIGNED),
        Column("hit_rate", "months above 0", "{:.0%}"), Column("turnover", "turnover", "{:.0%}"),
    ]  # fmt: skip
    figures: Mapping[str, Picture] = {}
    drawn: list[Chart] = []
    tables = [Table(month.record.by_version, columns)]
    if live is not None and len(live.months):
        figures = live_pictures(live)
        drawn = list(live_charts(live).values())
        tables.append(_by_month(live.months))
    return [
        Section(
            "How it has done",
            [
                "By version: returns summed over the months, the rest their mean. Then the newest twelve months.",
                *map(as_sentence, (*month.record.notes, *month.record.restated)),
            ],
            tables,
            figures,
            drawn,
        )
    ]


def _by_month(months: pd.DataFrame) -> Table:
    columns = [
        Column("month", "month", in_force().column), Column("version", "version"),
        Column("rank_ic", "rank IC", "{:+.3f}"),
        Column("gross", "gross", _SIGNED), Column("net", "net", _SIGNED), Column("promised", "forecast", _SIGNED),
        Column("turnover", "turnover", "{:.0%}"), Column("evidence", "evidence", "{:.3g}"),
        Column("unknown", "returns not known"),
    ]  # fmt: skip
    return Table(months.tail(12).iloc[::-1], columns)


def _data(month: Month, judged: Evaluation | None) -> Section:
    return Section(
        "What changed in the data",
        [
            *([as_sentence(words) for words in month.unusual] or ["Nothing was unusual in the newest month."]),
            *([as_sentence(judged.restated)] if judged is not None and judged.restated else []),
            *[as_sentence(note) for note in month.notes],
        ],
    )


def _deciding(month: Month, judged: Evaluation | None) -> Section:
    words = [f"Training: {month.trained}."]
    if month.decision is None:
        return Section("What evaluation decided", [*words, "It was left out this time."])
    after = month.decision.after
    words += [
        _decided(month.decision),
        f"Champion: version {after.champion or 'none'}, previous: {after.previous or 'none'}.",
    ]
    if judged is None or not judged.verdicts:
        return Section("What evaluation decided", words)
    gates = judged.table().assign(passed=lambda made: made["passed"].map({True: "pass", False: "FAIL"}))
    columns = [
        Column("gate", f"gate of version {judged.number}"),
        Column("passed", "verdict"),
        Column("reason", "why", text=True),
    ]
    return Section("What evaluation decided", words, [Table(gates, columns)])
