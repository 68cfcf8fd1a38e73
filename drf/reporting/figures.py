"""Figures for paper, each drawn from one table."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..models.catalogue import OTHER_COLOUR, row_named
from .document import Picture

FACTOR_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
"""Okabe and Ito's, which all eyes tell apart."""


def colour_of(row: object) -> str:
    """Return the colour of a row, the same in all figures."""
    known = row_named(str(row))
    return known.colour if known else OTHER_COLOUR


def is_dashed(row: object) -> bool:
    """Tell whether a row is linearised: it has its family's colour, and is drawn dashed or hatched."""
    known = row_named(str(row))
    return bool(known and known.linearised)


def _draw(axes: Axes, series: pd.Series, row: str, label: str) -> None:
    style = "--" if is_dashed(row) else "-"
    axes.plot(series.index, series, label=label, color=colour_of(row), linestyle=style, linewidth=1.6)


def _hatch(row: object) -> str | None:
    return "///" if is_dashed(row) else None


def _axes(title: str, ylabel: str = "", size: tuple[float, float] = (8.0, 4.2)) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def cumulative_long_short(returns: pd.DataFrame) -> Figure:
    """Draw the compounded long-short return. ``returns``: one row a month, one column a row, decimals."""
    figure, axes = _axes("Long-short portfolio, top less bottom quantile, before costs", "growth of 1")
    wealth = (1 + returns).cumprod()
    for row in wealth:
        _draw(axes, wealth[row], str(row), str(row))
    axes.axhline(1, color="black", linewidth=0.6)
    axes.legend(ncols=2, fontsize=8, frameon=False)
    return figure


def sharpe_intervals(intervals: pd.DataFrame) -> Figure:
    """Draw Sharpe ratios after costs with intervals. ``intervals``: ``row``, ``sharpe``, ``low``, ``high``."""
    figure, axes = _axes("Annualised Sharpe after costs with its 95 % interval")
    known = intervals.dropna(subset=["low", "high"])[::-1]
    for position, line in enumerate(known.to_dict("records")):
        colour = colour_of(line["row"])
        axes.plot([line["low"], line["high"]], [position, position], color=colour, linewidth=2.5, alpha=0.6)
        axes.plot(line["sharpe"], position, "o", color=colour)
        text = f"{line['sharpe']:.2f}"
        axes.annotate(text, (line["sharpe"], position), (0, 7), textcoords="offset points", ha="center", fontsize=8)
    axes.set_yticks(np.arange(len(known)), list(known["row"]))
    axes.set_ylim(-0.6, max(len(known), 1) - 0.2)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_xlabel("Sharpe")
    return figure


def sharpe_bars(comparison: pd.DataFrame) -> Figure:
    """Draw Sharpe ratios before and after costs. ``comparison``: ``row``, ``sharpe``, ``sharpe_net``."""
    figure, axes = _axes("Annualised Sharpe of the long-short portfolio", "Sharpe")
    position = np.arange(len(comparison))
    colours = [colour_of(row) for row in comparison["row"]]
    axes.bar(position - 0.2, comparison["sharpe"], 0.38, color=colours)
    axes.bar(position + 0.2, comparison["sharpe_net"], 0.38, color=colours, alpha=0.5)
    for x, name in ((-0.2, "sharpe"), (0.2, "sharpe_net")):
        for k, value in enumerate(comparison[name]):
            if np.isfinite(value):
                axes.annotate(
                    f"{value:.2f}", (k + x, value), ha="center", va="bottom" if value >= 0 else "top", fontsize=7
                )
    axes.set_xticks(position, comparison["row"])
    axes.axhline(0, color="black", linewidth=0.6)
    axes.legend(fontsize=8, frameon=False, title="full colour: before costs; pale: after", handles=[])
    return figure


def quantile_means(means: pd.DataFrame) -> Figure:
    """Draw the mean return of every quantile.

    ``means``: one row a quantile, one column a row of the comparison, decimals a year.
    """
    figure, axes = _axes("Mean return by quantile of the forecast (1 = lowest)", "% a year")
    width = 0.8 / len(means.columns)
    for k, row in enumerate(means):
        axes.bar(
            np.arange(len(means)) + (k - (len(means.columns) - 1) / 2) * width,
            100 * means[row],
            width,
            color=colour_of(row),
            hatch=_hatch(row),
            edgecolor="white",
            label=row,
        )
    axes.set_xticks(np.arange(len(means)), [str(quantile) for quantile in means.index])
    axes.axhline(0, color="black", linewidth=0.6)
    axes.legend(ncols=4, fontsize=8, frameon=False)
    return figure


def rank_ic_over_time(ic: pd.DataFrame) -> Figure:
    """Draw the cumulated monthly rank IC. ``ic``: one row a month, one column a row of the comparison."""
    figure, axes = _axes("Rank IC, cumulated over the months (its slope is the mean)", "sum of monthly rank IC")
    for row in ic:
        _draw(axes, ic[row].cumsum(), str(row), f"{row} (mean {ic[row].mean():.3f})")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.legend(ncols=2, fontsize=8, frameon=False)
    return figure


def top_quantile_contributions(percentages: pd.DataFrame, date: pd.Timestamp) -> Figure:
    """Draw the factor contributions in the top quantile, models side by side.

    One row a model, one column a factor, in per cent.
    """
    figure, axes = _axes(
        f"Factor contributions, top quantile, {date.date()}", "% of the sum of absolute contributions, signed"
    )
    width = 0.8 / len(percentages)
    for k, row in enumerate(percentages.index):
        bars = axes.bar(
            np.arange(percentages.shape[1]) + (k - (len(percentages) - 1) / 2) * width,
            percentages.loc[row],
            width,
            color=colour_of(row),
            hatch=_hatch(row),
            edgecolor="white",
            label=row,
        )
        axes.bar_label(bars, fmt="%.0f", fontsize=7)
    axes.set_xticks(np.arange(percentages.shape[1]), percentages.columns)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.legend(fontsize=8, frameon=False)
    return figure


def contributions_over_time(contributions: pd.DataFrame, row: str) -> Figure:
    """Draw the factor contributions of the top quantile month by month.

    One row a month, one column a factor, decimals a month.
    """
    figure, axes = _axes(f"{row}: factor contributions to the forecast of the top quantile", "% a month")
    base = {+1: np.zeros(len(contributions)), -1: np.zeros(len(contributions))}
    for factor, colour in zip(contributions, itertools.cycle(FACTOR_COLOURS)):
        values = 100 * contributions[factor].to_numpy()
        for sign, part in ((+1, values.clip(min=0)), (-1, values.clip(max=0))):
            axes.bar(contributions.index, part, 26, bottom=base[sign], color=colour, label=factor if sign > 0 else None)
            base[sign] = base[sign] + part
    axes.plot(contributions.index, 100 * contributions.sum(axis=1), color="black", linewidth=1, label="sum")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.legend(ncols=3, fontsize=8, frameon=False)
    return figure


def change_since_last_month(risk: pd.DataFrame, row: str) -> Figure:
    """Draw the newest factor contributions of the spread with those of the month before, from a risk table."""
    newest = risk[(risk["date"] == risk["date"].max()) & (risk["portfolio"] == "spread") & (risk["level"] == "factor")]
    title = f"{row}: contributions to top less bottom quantile, {newest['date'].iloc[0].date()}"
    figure, axes = _axes(title, "basis points a month")
    position = np.arange(len(newest))
    now, change = 1e4 * newest["signed"].to_numpy(), 1e4 * newest["change"].to_numpy()
    bars = {"month before": (-0.2, now - change, "#bdbdbd"), "newest month": (0.2, now, colour_of(row))}
    for label, (x, height, colour) in bars.items():
        axes.bar_label(axes.bar(position + x, height, 0.38, color=colour, label=label), fmt="%.0f", fontsize=7)
    axes.set_xticks(position, newest["name"])
    axes.axhline(0, color="black", linewidth=0.6)
    axes.legend(fontsize=8, frameon=False)
    return figure


def relevance_heatmap(size: pd.DataFrame, row: str) -> Figure:
    """Draw the mean absolute relevance. ``size``: one row a descriptor, one column a lag, decimals a month."""
    figure, axes = _axes(f"{row}: mean absolute relevance, bp a month", size=(6.4, 5.6))
    points = 1e4 * size
    image = axes.imshow(points, cmap="Oranges", aspect="auto", vmin=0)
    axes.set_xticks(np.arange(points.shape[1]), [f"{lag}" for lag in points.columns])
    axes.set_yticks(np.arange(len(points)), list(points.index))
    axes.set_xlabel("lag in months")
    middle = points.to_numpy().max() / 2
    for (i, j), value in np.ndenumerate(points.to_numpy()):
        axes.text(
            j, i, f"{value:.1f}", ha="center", va="center", fontsize=7, color="white" if value > middle else "black"
        )
    figure.colorbar(image, ax=axes, shrink=0.8)
    return figure


_LIVE, _PROMISED = "#0072B2", "#999999"


def live_beside_promise(months: pd.DataFrame) -> Figure:
    """Draw the issued portfolios' cumulated return after costs with the backtest's promise.

    ``months``: one row a month, ``cumulated``, ``cumulated_promised``, ``cumulated_low``, ``cumulated_high``; decimals.
    """
    figure, axes = _axes("Issued portfolios after costs, summed over the months", "%")
    if months["cumulated_low"].notna().any():
        axes.fill_between(
            months.index, 100 * months["cumulated_low"], 100 * months["cumulated_high"], color=_PROMISED, alpha=0.25,
            linewidth=0, label="90 % of what the backtest leaves open",
        )  # fmt: skip
        axes.plot(months.index, 100 * months["cumulated_promised"], color=_PROMISED, label="promised")
    axes.plot(months.index, 100 * months["cumulated"], color=_LIVE, marker="o", markersize=3, label="came true")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.legend(fontsize=8, frameon=False)
    return figure


def live_rank_ic(rank_ic: pd.Series, promised: float) -> Figure:
    """Draw the monthly rank IC of issued forecasts with the backtest's mean."""
    figure, axes = _axes("Rank IC of the issued forecasts")
    axes.bar(rank_ic.index, rank_ic, 22, color=_LIVE, label=f"by month (mean {rank_ic.mean():.3f})")
    if np.isfinite(promised):
        axes.axhline(promised, color=_PROMISED, linestyle="--", label=f"backtest's mean {promised:.3f}")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.legend(fontsize=8, frameon=False)
    return figure


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def picture(figure: Figure) -> Picture:
    """Return a figure as a PNG; its title and axis labels become the alternative text."""
    axes = figure.axes[0]
    beside = [text for text in (axes.get_xlabel(), axes.get_ylabel()) if text]
    return Picture(png(figure), "; ".join([axes.get_title(loc="left"), *beside]))
