"""Report of a comparison: its sections, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..comparison.evidence import BENCHMARK
from ..comparison.headline import Portrait
from ..data.calendar import named
from ..models.catalogue import linearised
from . import charts, findings
from .document import Chart, Column, Document, Picture, Section, Table
from .lookup import MOST_CELLS, factors_asked, stocks_asked
from .row_sections import (
    EARNED,
    drivers_charts,
    earned_table,
    factor_of,
    month_by_month,
    newest_by_factor,
    newest_month,
    stills,
)

SHARPE = "{:.2f}"
PER_CENT = "{:.1%}"


@dataclass(frozen=True)
class Material:
    """Facts that the report of a training is made from.

    Attributes:
        comparison: One line per row, with its metrics.
        evidence: See :func:`drf.comparison.evidence.gather`.
        name: Name of the training.
        headline: The row that can be promoted.
        drivers: The row whose forecasts are explained, and its mean contributions to the forecast spread by factor.
        figures: Pictures by name; a picture named ``<row>/<name>`` shows one row.
        series: Row -> its monthly series, see :func:`drf.evaluation.metrics.monthly_series`.
        portrait: Row that is shown in detail: the row of ``drivers``, or ``headline``.
        factors: The descriptors of each factor.
        protocol: Data and protocol in sentences.
        simulated: True if the market is simulated.
        neutral: Per cent of the inputs that were missing.
        config, commit: The configuration as YAML, and the code's commit.
    """

    comparison: pd.DataFrame
    evidence: Mapping[str, pd.DataFrame]
    name: str
    headline: str
    drivers: tuple[str, pd.Series] | None
    figures: Mapping[str, Picture]
    series: Mapping[str, pd.DataFrame]
    portrait: Portrait
    factors: Mapping[str, Sequence[str]]
    protocol: Sequence[str]
    simulated: bool
    neutral: float
    config: str
    commit: str


def comparison_report(material: Material) -> Document:
    """Return the report of a training."""
    comparison, evidence, drivers = material.comparison, material.evidence, material.drivers
    best = findings.headline_row(comparison, material.headline)
    answers = {
        "Which model?": findings.which_model(comparison, best),
        "How sure?": findings.how_sure(evidence, best),
        "How right?": findings.how_right(comparison, best),
        "What drives it?": findings.what_drives(drivers[1], drivers[0]) if drivers else "No row has contributions.",
    }
    portrait = material.portrait
    net = material.series[portrait.row]["long_short_net"]
    return Document(
        title="Deep recurrent factor models: comparison",
        subtitle=f"{material.name}: which return model is worth its place, how sure is that, and what drives it?",
        answers=answers,
        sections=[
            Section("The rows side by side", [_legend(comparison)], _rows(comparison, evidence, best)),
            Section("Data and protocol", material.protocol),
            Section("How the rows have done", figures=stills(material.figures, False), charts=_of_all_rows(material)),
            month_by_month(portrait, net),
            Section(
                "What drives the forecasts",
                [
                    "Contributions of the factors to the forecast; over all stocks and lags they sum to it.",
                    EARNED,
                    "Exposure is the mean rank of the long side less that of the short side, from -2 to 2.",
                ],
                [*earned_table(portrait), _exposures(evidence["exposures"])],
                stills(material.figures, True),
                drivers_charts(portrait),
                factors=portrait.promised is not None,
            ),
            newest_month(
                newest_by_factor(portrait, material.factors),
                portrait.row,
                portrait.month,
                list(material.factors) if portrait.cells is not None else [],
            ),
            Section("Can it be told from chance?", _chance_words(evidence, best), _chance_tables(evidence, best)),
            Section("Promised and earned", [_PROMISED], [_scales(evidence["scales"], best)]),
            Section(
                "Is it robust to other choices?",
                [],
                [
                    _variants(evidence["variants"], best),
                    _periods(evidence["periods"], best),
                    *_seeds(evidence["seeds"]),
                ],
            ),
            Section("Caveats", findings.caveats(evidence, comparison, best, material.simulated, material.neutral)),
        ],
        config=material.config,
        commit=material.commit,
        stocks=_stocks(portrait, material.factors),
        factors=factors_asked(portrait.promised, portrait.earned)
        if portrait.promised is not None and portrait.earned is not None
        else None,
    )


def _of_all_rows(material: Material) -> list[Chart]:
    """Return the charts that compare all rows."""
    monthly = {
        name: pd.DataFrame({row: series[name] for row, series in material.series.items()})
        for name in ("long_short_net", "rank_ic", "turnover")
    }
    return [
        charts.sharpe_intervals(material.evidence["sharpe"].query("returns == 'net'")),
        charts.wealth(monthly["long_short_net"]),
        charts.rolling_sharpe(monthly["long_short_net"]),
        charts.rolling_rank_ic(monthly["rank_ic"]),
        charts.turnover(monthly["turnover"]),
    ]


def _stocks(portrait: Portrait, factors: Mapping[str, Sequence[str]]) -> Mapping[str, object] | None:
    cells, history = portrait.cells, portrait.history
    if cells is None or history is None:
        return None
    parts = [str(column).rsplit("_lag", 1) for column in cells]
    if cells.size > MOST_CELLS:  # lags would make the page too large
        cells = cells.T.groupby([descriptor for descriptor, _ in parts], sort=False).sum(min_count=1).T
        of = {"factor": factor_of(cells, factors), "descriptor": list(map(str, cells))}
        return stocks_asked(portrait.holdings, cells, of, history, list(factors), portrait.month)
    levels = {
        "factor": factor_of(cells, factors),
        "descriptor": [descriptor for descriptor, _ in parts],
        "lag": [f"lag {lag}" for _, lag in parts],
    }
    return stocks_asked(portrait.holdings, cells, levels, history, list(factors), portrait.month)


def _legend(comparison: pd.DataFrame) -> str:
    return (
        f"{len(comparison)} rows on the same months. Sharpe ratios are annualised, of the top less the bottom quantile "
        "after costs, with 95 % intervals. R² is against a forecast of nothing. Deflated: probability of beating the "
        "best that chance would show in as many trials. Break-even: cost in basis points a side that would take all of "
        "the return. MAE and RMSE are of decimal returns a month."
    )


def _rows(comparison: pd.DataFrame, evidence: Mapping[str, pd.DataFrame], best: str | None) -> list[Table]:
    net = evidence["sharpe"].query("returns == 'net'").set_index("row").drop(columns=["sharpe", "note"])
    deflated = evidence["deflated"].set_index("row")[["deflated"]]
    frame = comparison.join(net, on="row").join(deflated, on="row")
    frame["interval"] = [_span(*pair) for pair in zip(frame["low"], frame["high"], strict=True)]
    if "difference" in frame:
        frame["apart"] = [_span(*pair) for pair in zip(frame["difference_low"], frame["difference_high"], strict=True)]
    to_linear = (
        [Column("difference", "less linear's", "{:+.2f}"), Column("apart", "95 % of that")]
        if "difference" in frame
        else []
    )
    sure = [
        Column("row", "Row"),
        Column("sharpe_net", "Sharpe net", SHARPE),
        Column("interval", "95 % interval"),
        *to_linear,
        Column("deflated", "Deflated", "{:.3f}"),
        Column("rank_ic", "Rank IC", "{:.3f}"),
        Column("rank_ic_t", "its t", "{:.1f}"),
        Column("mae", "MAE", "{:.5f}"),
        Column("rmse", "RMSE", "{:.5f}"),
        Column("r2", "R²", "{:.3%}"),
    ]
    portfolio = [
        Column("row", "Portfolio"),
        Column("annual_return", "Return a year", PER_CENT),
        Column("annual_volatility", "Volatility", PER_CENT),
        Column("sharpe", "Sharpe gross", SHARPE),
        Column("spread_t", "Return's t", "{:.1f}"),
        Column("max_drawdown", "Drawdown", PER_CENT),
        Column("hit_rate", "Hit rate", "{:.0%}"),
        Column("turnover", "Turnover", "{:.0%}"),
        Column("breakeven_bps", "Break-even, bp", "{:.0f}"),
    ]
    return [Table(frame, sure, best), Table(frame, portfolio, best)]


def _span(low: float, high: float) -> str:
    return "—" if low != low else f"{low:.2f} to {high:.2f}"


def _exposures(exposures: pd.DataFrame) -> Table:
    rows = [name for name in exposures.columns if name != "descriptor"]
    return Table(exposures, [Column("descriptor", "Exposure"), *(Column(row, row, "{:+.2f}") for row in rows)])


def _chance_words(evidence: Mapping[str, pd.DataFrame], best: str | None) -> list[str]:
    pairs = evidence["pairs"]
    words = [findings.errors_against(pairs, best, name) for name in findings.rivals_of(pairs, best)] if best else []
    for line in evidence["superior_ability"].to_dict("records"):
        if line["note"]:
            words.append(f"Superior predictive ability {line['note']}.")
        else:
            words.append(
                f"Superior predictive ability, by {line['by']}: {findings.p_value(line['p'])} that no row "
                f"beats {line['benchmark']}."
            )
    for line in evidence["overfitting"].to_dict("records"):
        known = f"{100 * line['pbo']:.0f} % over {line['trials']} trials and {line['periods']} months"
        words.append(f"Probability that tuning {line['study']} overfitted: {line['note'] or known}.")
    return words


def _chance_tables(evidence: Mapping[str, pd.DataFrame], best: str | None) -> list[Table]:
    by_error, by_return = (
        evidence["confidence_set"].query("by == @by").set_index("row") for by in ("squared error", "return after costs")
    )
    deflated = evidence["deflated"].set_index("row")
    frame = pd.DataFrame(
        {
            "row": by_error.index,
            "error_p": by_error["p"].to_numpy(),
            "return_p": by_return["p"].to_numpy(),
            "probabilistic": deflated["probabilistic"].to_numpy(),
            "best_of_chance": deflated["best_of_chance"].to_numpy(),
            "min_track_record": deflated["min_track_record"].to_numpy(),
        }
    )
    sure = [
        Column("row", "Row"),
        Column("error_p", "In the confidence set by error, p", "{:.2f}"),
        Column("return_p", "by return, p", "{:.2f}"),
        Column("probabilistic", "Sharpe above 0", "{:.3f}"),
        Column("best_of_chance", "Best of chance", SHARPE),
        Column("min_track_record", "Months needed", "{:.0f}"),
    ]
    quantiles = evidence["quantiles"]
    wide = quantiles.pivot_table(index="row", columns="quantile", values="annual_return", sort=False)
    wide.columns = [f"q{quantile}" for quantile in wide.columns]
    rise = quantiles.groupby("row")["p_not_rising"].first()
    quantile_columns = [
        Column("row", "Mean return by quantile"),
        *(Column(name, name[1:], PER_CENT) for name in wide.columns),
        Column("p", "Not rising, p", "{:.3f}"),
    ]
    return [Table(frame, sure, best), Table(wide.assign(p=rise).reset_index(), quantile_columns, best)]


def _variants(variants: pd.DataFrame, best: str | None) -> Table:
    columns = [
        Column("variant", "Variant"),
        Column("row", "Row"),
        Column("sharpe", "Sharpe gross", SHARPE),
        Column("sharpe_net", "net", SHARPE),
        Column("rank_ic", "Rank IC", "{:.3f}"),
        Column("rank_ic_t", "t", "{:.1f}"),
        Column("note", ""),
    ]
    shown = variants[variants["row"].isin({best, BENCHMARK})]
    return Table(shown, columns)


_PROMISED = (
    "Models promise too much. So every row's forecasts are spread around their month's mean by one factor a month, "
    "learned from earlier months out of sample alone; no rank, no portfolio and no Sharpe ratio changes. Promised is "
    "the forecast of the long less the short side, a year, before costs."
)


def _scales(scales: pd.DataFrame, best: str | None) -> Table:
    columns = [
        Column("row", "Row"),
        Column("earned_return", "Earned", PER_CENT),
        Column("promised_return", "Promised", PER_CENT),
        Column("promised_return_raw", "before shrinking", PER_CENT),
        Column("r2", "R²", "{:.3%}"),
        Column("r2_raw", "before shrinking", "{:.3%}"),
        Column("scale_mean", "Shrunk to, mean", "{:.2f}"),
        Column("scale_newest", "newest", "{:.2f}"),
    ]
    return Table(scales, columns, best)


def _periods(periods: pd.DataFrame, best: str | None) -> Table:
    shown = periods[periods["row"].isin({best, BENCHMARK})].sort_values(["first", "row"], kind="stable")
    shown = shown.assign(span=[f"{named(a)} to {named(b)}" for a, b in zip(shown["first"], shown["last"], strict=True)])
    columns = [
        Column("span", "Forecasts made"),
        Column("row", "Row"),
        Column("periods", "Months", "{:.0f}"),
        Column("sharpe", "Sharpe gross", SHARPE),
        Column("sharpe_net", "net", SHARPE),
        Column("rank_ic", "Rank IC", "{:.3f}"),
        Column("r2", "R²", "{:.3%}"),
        Column("note", ""),
    ]
    return Table(shown, columns)


def _seeds(seeds: pd.DataFrame) -> list[Table]:
    if seeds.empty:
        return []
    columns = [
        Column("row", "One seed alone"),
        Column("seed", "Seed"),
        Column("mae", "MAE", "{:.5f}"),
        Column("rank_ic", "Rank IC", "{:.4f}"),
        Column("sharpe", "Sharpe gross", SHARPE),
        Column("sharpe_net", "net", SHARPE),
    ]
    return [Table(seeds[linearised(seeds["row"].tolist())], columns)]


def gates_section(gates: pd.DataFrame, decision: str) -> Section:
    """Return the registry's verdict: its reason in words and every gate's value, threshold and verdict."""
    shown = gates.assign(verdict=gates["passed"].map({True: "pass", False: "FAIL"})) if len(gates) else gates
    columns = [
        Column("gate", "Gate"),
        Column("version", "Version"),
        Column("value", "Value", "{:.4g}"),
        Column("threshold", "Threshold", "{:.4g}"),
        Column("verdict", "Verdict"),
        Column("reason", "In words"),
    ]
    return Section("Gates", [decision], [Table(shown, columns)] if len(gates) else [])
