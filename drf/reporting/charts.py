"""Charts, each made from one table, as Plotly's JSON. :mod:`.paper` draws the same charts as pictures."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..data.calendar import in_force, named
from ..evaluation.annual import rolling_ratio
from ..evaluation.drawdowns import underwater
from ..models.catalogue import OTHER_COLOUR, row_named
from .document import Chart

FACTOR_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
"""Okabe and Ito's colours, which every reader can tell apart."""

_CONTRAST = [[0.0, "#D55E00"], [0.5, "#f7f7f7"], [1.0, "#0072B2"]]  # vermillion and blue: distinct to every reader


def colour_of(row: object) -> str:
    """Return the colour of a row, the same in all charts."""
    known = row_named(str(row))
    return known.colour if known else OTHER_COLOUR


def is_dashed(row: object) -> bool:
    """Tell whether a row is linearised: it has its family's colour, and is drawn dashed or hatched."""
    known = row_named(str(row))
    return bool(known and known.linearised)


def wealth(returns: pd.DataFrame) -> Chart:
    """Draw the growth of 1 after costs. ``returns``: one line per month, one column per row of the comparison,
    decimals."""
    grown = (1 + returns.fillna(0.0)).cumprod()
    alt = f"Growth of 1, long-short after costs; at the end {_told(grown.iloc[-1], '.2f')}."
    return _lines("Growth of 1 after costs", alt, grown, ".2f")


def sharpe_intervals(intervals: pd.DataFrame) -> Chart:
    """Draw Sharpe ratios after costs with intervals. ``intervals``: ``row``, ``sharpe``, ``low``, ``high``."""
    known = intervals.dropna(subset=["low", "high"])[::-1]
    data = [
        {
            "type": "scatter", "x": [line["sharpe"]], "y": [line["row"]], "mode": "markers", "showlegend": False,
            "marker": {"color": colour_of(line["row"]), "size": 10},
            "error_x": {"type": "data", "symmetric": False, "array": [line["high"] - line["sharpe"]],
                        "arrayminus": [line["sharpe"] - line["low"]], "color": colour_of(line["row"])},
            "hovertemplate": f"{line['row']}: {line['sharpe']:.2f} ({line['low']:.2f} to {line['high']:.2f})"
                             "<extra></extra>",
        }
        for line in known.to_dict("records")
    ]  # fmt: skip
    alt = f"Sharpe ratios after costs: {_told(known[::-1].set_index('row')['sharpe'], '.2f')}."
    return Chart("Sharpe ratio after costs, 95 % interval", alt, data)


def monthly_heat(returns: pd.Series, row: str) -> Chart:
    """Draw a heat map of months, one line a year. ``returns``: after costs, decimals, by the month in which they were
    earned."""
    dates = pd.DatetimeIndex(returns.index)
    table = pd.DataFrame({"year": dates.year, "month": dates.month, "r": returns.to_numpy()})
    table["growth"] = 1 + table["r"]
    compounded = table.groupby(["year", "month"])["growth"].prod(min_count=1) - 1  # of a month's weeks
    wide = compounded.unstack("month").reindex(columns=range(1, 13))
    text = [["" if v != v else f"{100 * v:.1f}" for v in line] for line in wide.to_numpy()]
    months = [f"{pd.Timestamp(2000, month, 1):%b}" for month in range(1, 13)]
    alt = f"Returns of {row} after costs by month: none is known."
    if returns.notna().any():
        known = returns.dropna().sort_values(kind="stable")
        ends = [f"{known.iloc[k]:.1%} in {named(known.index[k])}" for k in (0, -1)]
        alt = f"Returns of {row} after costs by month: worst {ends[0]}, best {ends[1]}."
    return _heat(
        f"{row}: return after costs, by when it was earned, %",
        alt,
        wide.set_axis(months, axis=1).set_axis(wide.index.astype(str)),
        text,
        ".1%",
    )


def drawdowns(returns: pd.Series, row: str) -> Chart:
    """Draw the drawdown. ``returns``: after costs, decimals."""
    loss = underwater(returns)
    alt = (
        f"Losses of {row} from the peak before: at most {-loss.min():.1%}." if loss.notna().any() else "Nothing known."
    )
    data = [_line(loss, row, colour_of(row), ".1%") | {"fill": "tozeroy"}]
    return Chart(f"{row}: loss from the peak, after costs", alt, data, {"yaxis": {"tickformat": ".1%"}})


def rolling_sharpe(returns: pd.DataFrame) -> Chart:
    """Draw the Sharpe ratio after costs over the past year. ``returns``: one line per month, one column per row."""
    rolled = returns.apply(rolling_ratio)
    return _lines(
        "Sharpe ratio after costs of the last year", f"Rolling Sharpe ratios: {_ranges(rolled)}.", rolled, ".2f"
    )


def rolling_rank_ic(ic: pd.DataFrame) -> Chart:
    """Draw the mean rank IC over the past year. ``ic``: one line per month, one column per row."""
    rolled = ic.rolling(in_force().periods_a_year).mean()
    return _lines("Rank IC, mean of the last year", f"Rolling rank IC: {_ranges(rolled)}.", rolled, ".3f")


def quantile_wealth(quantiles: pd.DataFrame, row: str) -> Chart:
    """Draw the growth of each quantile before costs. ``quantiles``: one row a month, columns from 1 (lowest) up."""
    grown = (1 + quantiles.fillna(0.0)).cumprod()
    shade = np.linspace(0, 1, max(grown.shape[1], 2))
    colours = [_between("#E69F00", "#0072B2", part) for part in shade]
    data = [_line(grown[name], str(name), colour, ".2f") for name, colour in zip(grown, colours, strict=False)]
    ends = _told(grown.iloc[-1], ".2f")
    alt = f"Growth of 1 in the quantiles of {row}, 1 the lowest forecasts, before costs; at the end {ends}."
    return Chart(f"{row}: growth of 1 by quantile, before costs", alt, data, {"annotations": _labels(grown, colours)})


def turnover(traded: pd.DataFrame) -> Chart:
    """Draw the turnover. ``traded``: one line per month, one column per row."""
    later = traded.iloc[1:] if len(traded) > 1 else traded
    alt = f"Mean turnover after the first month: {_told(later.mean(), '.0%')}."
    return _lines("Turnover a month, after the first, which sets up", alt, later, ".0%")


def exposures(ranks: pd.DataFrame, row: str) -> Chart:
    """Draw the exposures. ``ranks``: mean rank long less short, one row a month, one column a descriptor."""
    mean = ranks.mean().dropna().sort_values(key=np.abs, ascending=False).head(3)
    return _heat(
        f"{row}: exposure, mean rank long less short",
        f"Exposures of {row} through time; the largest on average: {_told(mean, '+.2f')}.",
        ranks.T.set_axis(_months(ranks.index), axis=1),
        None,
        "+.2f",
    )


def contributions(parts: pd.DataFrame, row: str, title: str) -> Chart:
    """Draw contributions stacked by factor, and their sum. ``parts``: one row a month, one column a part; decimals."""
    data: list[dict[str, Any]] = [
        {
            "type": "bar", "name": str(name), "x": _months(parts.index), "y": _numbers(parts[name]),
            "marker": {"color": colour}, "hovertemplate": "%{x}: %{y:+.2%}",
        }
        for name, colour in zip(parts, itertools.cycle(FACTOR_COLOURS))
    ]  # fmt: skip
    data.append(_line(parts.sum(axis=1), "sum", "#000000", "+.2%"))
    mean = _told(parts.mean(), "+.2%")
    layout = {"barmode": "relative", "showlegend": True, "yaxis": {"tickformat": ".1%"}}
    return Chart(f"{row}: {title}", f"{row}, {title}; means a month: {mean}.", data, layout)


def promised_and_earned(promised: pd.DataFrame, earned: pd.DataFrame, row: str) -> Chart:
    """Draw monthly means by factor. Both tables: one row a month, one column a factor; ``earned`` also has the column
    ``specific``."""
    names = list(earned)
    means = {"forecast": promised.mean().reindex(names), "earned": earned.mean()}
    colours = {"forecast": "#999999", "earned": colour_of(row)}
    data = [
        {
            "type": "bar", "name": label, "x": names, "y": _numbers(values), "marker": {"color": colours[label]},
            "hovertemplate": "%{x}: %{y:+.2%}",
        }
        for label, values in means.items()
    ]  # fmt: skip
    words = "; ".join(f"{label} {_told(values, '+.2%')}" for label, values in means.items())
    layout = {"barmode": "group", "showlegend": True, "yaxis": {"tickformat": ".1%"}}
    title = "what was forecast of each factor and what it earned, mean a month"
    return Chart(f"{row}: {title}", f"{row}, means a month: {words}.", data, layout)


def relevance(size: pd.DataFrame, row: str) -> Chart:
    """Draw the mean absolute relevance. ``size``: one row a descriptor, one column a lag, decimals a month."""
    points = 1e4 * size
    place = np.unravel_index(int(np.argmax(points.to_numpy())), points.shape)
    descriptor, lag = points.index[int(place[0])], points.columns[int(place[1])]
    return _heat(
        f"{row}: mean absolute relevance, basis points a month, by lag in months",
        f"Relevance of {row} by descriptor and lag; the largest is {descriptor} of {lag} months before.",
        points.set_axis([f"lag {lag}" for lag in points.columns], axis=1),
        [[f"{value:.1f}" for value in line] for line in points.to_numpy()],
        ".1f",
        one_sided=True,
        wide=False,
    )


def cumulative_long_short(returns: pd.DataFrame) -> Chart:
    """Draw the compounded long-short return before costs. ``returns``: one line per month, one column per row,
    decimals."""
    grown = (1 + returns.fillna(0.0)).cumprod()
    alt = f"Growth of 1, long-short before costs; at the end {_told(grown.iloc[-1], '.2f')}."
    return _lines("Long-short portfolio, top less bottom quantile, before costs: growth of 1", alt, grown, ".2f")


def cumulated_rank_ic(ic: pd.DataFrame) -> Chart:
    """Draw the cumulated monthly rank IC. ``ic``: one line per month, one column per row of the comparison."""
    title = "Rank IC, cumulated over the months; the slope is the mean"
    return _lines(title, f"Mean monthly rank IC: {_told(ic.mean(), '.3f')}.", ic.fillna(0.0).cumsum(), ".1f")


def sharpe_bars(comparison: pd.DataFrame) -> Chart:
    """Draw Sharpe ratios before and after costs. ``comparison``: ``row``, ``sharpe``, ``sharpe_net``."""
    rows, colours = list(comparison["row"]), [colour_of(row) for row in comparison["row"]]
    data = [
        _bars(label, rows, comparison[name], colours, ".2f") | {"opacity": opacity}
        for label, name, opacity in (("before costs", "sharpe", 1.0), ("after costs (pale)", "sharpe_net", 0.5))
    ]
    alt = f"Sharpe ratios before costs: {_told(comparison.set_index('row')['sharpe'], '.2f')}."
    layout = {"barmode": "group", "showlegend": False}
    return Chart("Sharpe ratio before costs, and after (pale)", alt, data, layout)


def quantile_means(means: pd.DataFrame) -> Chart:
    """Draw the mean return of every quantile. ``means``: one line per quantile, one column per row, decimals a year."""
    quantiles = [str(quantile) for quantile in means.index]
    data = [_hatched(row, _bars(str(row), quantiles, means[row], colour_of(row))) for row in means]
    alt = f"Mean return a year of the highest quantile: {_told(means.iloc[-1], '.1%')}."
    layout = {"barmode": "group", "showlegend": True, "yaxis": {"tickformat": ".0%"}}
    return Chart("Mean return a year by quantile of the forecast, 1 the lowest", alt, data, layout)


def top_quantile_contributions(percentages: pd.DataFrame, date: pd.Timestamp) -> Chart:
    """Draw the factor contributions in the top quantile. ``percentages``: one row a model, one column a factor."""
    factors = [str(factor) for factor in percentages]
    data = [
        _hatched(row, _bars(str(row), factors, percentages.loc[row], colour_of(row), ".0f"))
        for row in percentages.index
    ]
    words = "; ".join(f"{row}: {_told(percentages.loc[row], '.0f')}" for row in percentages.index)
    title = f"Factor contributions, top quantile, {date.date()}: % of the sum of their sizes"
    layout = {"barmode": "group", "showlegend": True}
    return Chart(title, f"Signed shares in per cent, {words}.", data, layout)


def change_since_last_month(risk: pd.DataFrame, row: str) -> Chart:
    """Draw the newest factor contributions to the spread next to the previous month's, from a risk table."""
    newest = risk[(risk["date"] == risk["date"].max()) & (risk["portfolio"] == "spread") & (risk["level"] == "factor")]
    factors = [str(name) for name in newest["name"]]
    now, change = 1e4 * newest["signed"], 1e4 * newest["change"]
    data = [
        _bars("month before", factors, now - change, "#bdbdbd", ".0f"),
        _bars("newest month", factors, now, colour_of(row), ".0f"),
    ]
    alt = f"Contributions of the newest month, basis points: {_told(now.set_axis(factors), '.0f')}."
    title = f"{row}: contributions to top less bottom quantile, basis points a month, {newest['date'].iloc[0].date()}"
    return Chart(title, alt, data, {"barmode": "group", "showlegend": True})


def live_beside_promise(months: pd.DataFrame) -> Chart:
    """Draw the issued portfolios' cumulated return after costs with the backtest's promise.

    ``months``: one row per month with ``cumulated``, ``cumulated_promised``, ``cumulated_low`` and ``cumulated_high``;
    decimals.
    """
    band = {
        **_line(months["cumulated_high"], "90 % of what the backtest leaves open", "#999999", ".1%"),
        "opacity": 0.5,
    }
    lower = _line(months["cumulated_low"], "", "#999999", ".1%") | {"fill": "tonexty", "showlegend": False}
    data = [
        band,
        lower,
        _line(months["cumulated_promised"], "promised", "#999999", ".1%", dashed=True),
        _line(months["cumulated"], "came true", "#0072B2", ".1%") | {"mode": "lines+markers"},
    ]
    last = months[["cumulated", "cumulated_promised"]].iloc[-1].set_axis(["came true", "promised"])
    alt = f"Issued portfolios after costs, summed: {_told(last, '+.1%')}."
    layout = {"showlegend": True, "yaxis": {"tickformat": ".0%"}}
    return Chart("Issued portfolios after costs, summed over the months", alt, data, layout)


def live_rank_ic(rank_ic: pd.Series, promised: float) -> Chart:
    """Draw the monthly rank IC of issued forecasts with the backtest's mean."""
    data: list[dict[str, Any]] = [
        {
            "type": "bar", "name": "by month", "x": _months(rank_ic.index), "y": _numbers(rank_ic),
            "marker": {"color": "#0072B2"}, "hovertemplate": "%{x}: %{y:.3f}",
        }
    ]  # fmt: skip
    if np.isfinite(promised):
        data.append(_line(pd.Series(promised, rank_ic.index), "backtest's mean", "#999999", ".3f", dashed=True))
    means = pd.Series({"of the issued forecasts": rank_ic.mean(), "of the backtest": promised})
    alt = f"Mean rank IC: {_told(means, '.3f')}."
    return Chart("Rank IC of the issued forecasts", alt, data, {"showlegend": True})


def _bars(name: str, x: Sequence[str], y: pd.Series, colour: str | list[str], text: str = "") -> dict[str, Any]:
    """Return a trace of bars; ``text``: format of the numbers above them, if any."""
    shown = {"text": [f"{value:{text}}" if np.isfinite(value) else "" for value in y]} if text else {}
    return {"type": "bar", "name": name, "x": list(x), "y": _numbers(y), "marker": {"color": colour}, **shown}


def _hatched(row: object, trace: dict[str, Any]) -> dict[str, Any]:
    """Hatch the bars of a linearised row."""
    return {**trace, "marker": {**trace["marker"], "pattern": {"shape": "/"}}} if is_dashed(row) else trace


def _lines(title: str, alt: str, table: pd.DataFrame, how: str) -> Chart:
    """Draw one line per row of the comparison, in the row's colour, with the row's name at the line's end."""
    colours = [colour_of(row) for row in table]
    data = [
        _line(table[row], str(row), colour, how, dashed=is_dashed(row))
        for row, colour in zip(table, colours, strict=True)
    ]
    layout = {"annotations": _labels(table, colours), "yaxis": {"tickformat": how}}
    return Chart(title, alt, data, layout)


def _line(values: pd.Series, name: str, colour: str, how: str, dashed: bool = False) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": _months(values.index), "y": _numbers(values),
        "line": {"color": colour, "dash": "dash" if dashed else "solid", "width": 2},
        "hovertemplate": f"%{{x}}: %{{y:{how}}}",
    }  # fmt: skip


def _labels(table: pd.DataFrame, colours: Sequence[str]) -> list[dict[str, Any]]:
    """Return the lines' names at their right ends, moved apart where they would overlap."""
    ends = table.ffill().iloc[-1]
    known = [k for k in np.argsort(ends.to_numpy()) if ends.iloc[k] == ends.iloc[k]]
    room = 0.07 * float(table.max().max() - table.min().min()) if known else 0.0
    place, labels = -np.inf, []
    for k in known:
        place = max(float(ends.iloc[k]), place + room)
        labels.append(
            {
                "x": 1, "xref": "paper", "xanchor": "left", "xshift": 4, "y": place, "yref": "y", "showarrow": False,
                "text": str(ends.index[k]), "font": {"color": colours[k], "size": 11},
            }
        )  # fmt: skip
    return labels


def _heat(
    title: str,
    alt: str,
    table: pd.DataFrame,
    text: list[list[str]] | None,
    how: str,
    one_sided: bool = False,
    wide: bool = True,
) -> Chart:
    values = [_numbers(line) for _, line in table.iterrows()]
    trace: dict[str, Any] = {
        "type": "heatmap", "x": [str(name) for name in table], "y": [str(name) for name in table.index], "z": values,
        "hovertemplate": f"%{{y}} %{{x}}: %{{z:{how}}}<extra></extra>", "xgap": 1, "ygap": 1, "showscale": text is None,
        "colorscale": [[0.0, "#f7f7f7"], [1.0, "#E69F00"]] if one_sided else _CONTRAST,
        **({} if one_sided else {"zmid": 0}),
        **({"text": text, "texttemplate": "%{text}"} if text is not None else {}),
    }  # fmt: skip
    grid = {"type": "category", "showgrid": False}
    layout = {"yaxis": {**grid, "autorange": "reversed"}, "xaxis": grid}
    return Chart(title, alt, [trace], {**layout, "height": max(320, 22 * len(table) + 90)}, wide=wide)


def _told(values: pd.Series, how: str) -> str:
    """Return each name with its number, as text."""
    return ", ".join(f"{name} {value:{how}}" for name, value in values.items() if np.isfinite(value)) or "nothing known"


def _months(index: Iterable[Any]) -> list[str]:
    return [named(date) for date in pd.DatetimeIndex(list(index))]


def _numbers(values: Iterable[Any]) -> list[float | None]:
    """Round to six digits, more than a screen shows; unknown values become null."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]


def _ranges(table: pd.DataFrame) -> str:
    parts: Mapping[Any, tuple[float, float]] = {row: (table[row].min(), table[row].max()) for row in table}
    known = [f"{row} {low:.2f} to {high:.2f}" for row, (low, high) in parts.items() if low == low]
    return ", ".join(known) or "there are too few months"


def _between(one: str, other: str, part: float) -> str:
    """Return a colour between two."""
    ends = [[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in (one, other)]
    mixed = [round((1 - part) * a + part * b) for a, b in zip(*ends, strict=True)]
    return "#" + "".join(f"{value:02x}" for value in mixed)
