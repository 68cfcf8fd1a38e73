"""Sections on the headline row: its months, its drivers, its newest portfolio."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ..comparison.headline import Portrait
from ..data.calendar import in_force, named
from ..evaluation.attribution import SPECIFIC
from ..evaluation.drawdowns import drawdown_periods
from . import charts
from .document import Chart, Column, Picture, Section, Table

_SHOWN, _MOST = 10, 400
_SIGNED = "{:+.2%}"


def month_by_month(portrait: Portrait, returns: pd.Series) -> Section:
    """Return the section on the row's months. ``returns``: returns of its long-short portfolio, after costs."""
    row = portrait.row
    returns = returns.set_axis(in_force().shift(returns.index, 1))  # the months in which they were earned
    periods = drawdown_periods(returns)
    spans = {end: periods[end].map(lambda date: named(date)) for end in ("first", "bottom", "last")}
    recovered = periods["recovered"].map({True: "yes", False: "not yet"})
    columns = [
        Column("first", "Below the peak from"), Column("bottom", "deepest"), Column("last", "until"),
        Column("months", "months"), Column("loss", "loss", "{:.1%}"), Column("recovered", "made good"),
    ]  # fmt: skip
    shown = [
        charts.monthly_heat(returns, row),
        charts.drawdowns(returns, row),
        charts.quantile_wealth(portrait.quantiles, row),
        charts.exposures(portrait.exposures, row),
    ]
    found = [Table(periods.assign(**spans, recovered=recovered), columns)] if len(periods) else []
    words = [f"Of {row}, after costs. The deepest losses from a peak. Months are those in which returns were earned."]
    return Section(f"{row} month by month", words, found, charts=shown)


def drivers_charts(portrait: Portrait) -> list[Chart]:
    """Draw forecast and earned contributions of the factors; nothing for a row without contributions."""
    if portrait.promised is None or portrait.earned is None or portrait.by_lag is None:
        return []
    row = portrait.row
    return [
        charts.contributions(portrait.promised, row, "contributions to the forecast, long less short, a month"),
        charts.contributions(portrait.earned, row, "what the factors earned, before costs, a month"),
        charts.promised_and_earned(portrait.promised, portrait.earned, row),
        charts.relevance(portrait.by_lag, row),
    ]


EARNED = (
    "Earned: each month's returns are regressed on the factors' contributions to the forecasts. What a factor earned "
    "is the portfolio's contribution times that slope, and the rest is specific to the stocks. The parts sum to the "
    "portfolio's return before costs."
)


def earned_table(portrait: Portrait) -> list[Table]:
    """Return forecast and earned return a year by factor; nothing for a row without contributions."""
    if portrait.promised is None or portrait.earned is None or portrait.earned.empty:
        return []
    year = in_force().periods_a_year
    lines = [
        {
            "factor": name,
            "promised": year * portrait.promised[name].mean() if name != SPECIFIC else float("nan"),
            "earned": year * portrait.earned[name].mean(),
            "kept": float((portrait.earned[name] > 0).mean()),
        }
        for name in portrait.earned
    ]
    total = portrait.earned.sum(axis=1)
    lines.append(
        {
            "factor": "all",
            "promised": year * portrait.promised.sum(axis=1).mean(),
            "earned": year * total.mean(),
            "kept": float((total > 0).mean()),
        }
    )
    columns = [
        Column("factor", f"Factor of {portrait.row}"),
        Column("promised", "Forecast a year", "{:+.1%}"),
        Column("earned", "Earned a year, before costs", "{:+.1%}"),
        Column("kept", "Months above 0", "{:.0%}"),
    ]
    return [Table(pd.DataFrame(lines), columns, "all")]


def newest_month(holdings: pd.DataFrame, row: str, month: pd.Timestamp, factors: Sequence[str]) -> Section:
    """Return the section on the newest portfolio.

    ``holdings``: ``asset``, ``forecast``, ``weight``, ``change``, and one column per factor; highest forecasts first.
    """
    held = holdings[holdings["weight"] != 0]
    long, short = held[held["weight"] > 0], held[held["weight"] < 0][::-1]
    columns = [
        Column("asset", "Stock"), Column("forecast", "Forecast", _SIGNED), Column("weight", "Weight", _SIGNED),
        Column("change", "Change", _SIGNED), *(Column(name, name, _SIGNED) for name in factors),
    ]  # fmt: skip
    words = (
        f"Forecasts of {row} at the end of {month:{in_force().title}}: long {len(long)}, short {len(short)} of "
        f"{len(holdings)} stocks. Weights are shares of one side; the change is since the month before. "
        f"First the {_SHOWN} highest forecasts, then the {_SHOWN} lowest; with contributions of the factors."
    )
    first = pd.concat([long.head(_SHOWN), short.head(_SHOWN)])
    tables = [Table(first, columns)]
    if len(held) > len(first):
        every = pd.concat([long.head(_MOST // 2), short.head(_MOST // 2)])
        what = "All that is held" if len(every) == len(held) else f"The first {_MOST // 2} of either side"
        tables.append(Table(every, columns, summary=what))
    return Section("The newest month", [words], tables, stocks=True)


def newest_by_factor(portrait: Portrait, factors: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the newest holdings with a column for each factor, where the row has contributions."""
    cells = portrait.cells
    if cells is None:
        return portrait.holdings
    of = factor_of(cells, factors)
    return portrait.holdings.assign(
        **{name: cells.loc[:, [one == name for one in of]].sum(axis=1, min_count=1) for name in factors}
    )


def factor_of(cells: pd.DataFrame, factors: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the factor of each column ``<descriptor>_lag<months>``."""
    known = {descriptor: factor for factor, names in factors.items() for descriptor in names}
    return [known[str(column).rsplit("_lag", 1)[0]] for column in cells]


def stills(figures: Mapping[str, Picture], of_rows: bool) -> dict[str, Picture]:
    """Return the pictures of one row, named ``<row>/<name>``, or those of all rows together."""
    return {name: picture for name, picture in figures.items() if ("/" in name) == of_rows}
