"""Paper: the same charts as PNG pictures, for paper, for MLflow, and where scripts are off."""

import datetime
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ..data.calendar import in_force
from .document import Chart, Picture

_MONTH = re.compile(r"\d{4}-\d{2}(-\d{2})?")
_GROUP_WIDTH = 0.8


def picture(chart: Chart) -> Picture:
    """Return a chart as a PNG, with its description as the alternative text."""
    buffer = io.BytesIO()
    draw(chart).savefig(buffer, format="png", dpi=120)
    return Picture(buffer.getvalue(), chart.alt)


def draw(chart: Chart) -> Figure:
    """Draw a chart with matplotlib: lines, markers, bands, bars and heat maps."""
    layout = chart.layout
    figure = Figure(figsize=(8.0, layout.get("height", 420) / 100), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(chart.title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    bars = [trace for trace in chart.data if trace["type"] == "bar"]
    if bars:
        _draw_bars(axes, bars, layout.get("barmode", "group"))
    above: Mapping[str, Any] | None = None
    for trace in chart.data:
        if trace["type"] == "scatter":
            _draw_scatter(axes, trace, above)
            above = trace
        elif trace["type"] == "heatmap":
            _draw_heat(figure, axes, trace)
    if not any(trace["type"] == "heatmap" for trace in chart.data):
        _finish(axes, layout)
    return figure


def _draw_scatter(axes: Axes, trace: Mapping[str, Any], above: Mapping[str, Any] | None) -> None:
    x, y = _places(trace["x"]), _numbers(trace["y"]) if not _is_text(trace["y"]) else list(trace["y"])
    line, marker = trace.get("line", {}), trace.get("marker", {})
    colour, label = line.get("color") or marker.get("color"), trace.get("name") or "_"
    if "error_x" in trace:
        low, high = trace["error_x"]["arrayminus"], trace["error_x"]["array"]
        axes.errorbar(x, y, xerr=[low, high], fmt="o", color=colour, capsize=3)
        return
    style = ("--" if line.get("dash") == "dash" else "-") if "lines" in trace.get("mode", "lines") else "none"
    point = "o" if "markers" in trace.get("mode", "lines") else None
    alpha = trace.get("opacity", 1.0)
    axes.plot(x, y, color=colour, linestyle=style, marker=point, markersize=3, linewidth=1.6, label=label, alpha=alpha)
    if trace.get("fill") == "tozeroy":
        axes.fill_between(x, y, 0.0, color=colour, alpha=0.25, linewidth=0)
    elif trace.get("fill") == "tonexty" and above is not None:
        axes.fill_between(x, y, _numbers(above["y"]), color=colour, alpha=0.25, linewidth=0)


def _draw_bars(axes: Axes, traces: Sequence[Mapping[str, Any]], mode: str) -> None:
    """Draw bars next to one another (``group``) or stacked by sign (``relative``)."""
    in_time = _is_months(traces[0]["x"])
    places = _places(traces[0]["x"]) if in_time else np.arange(len(traces[0]["x"]))
    stacked = mode == "relative" or in_time
    width: Any = _width_of_a_period() if in_time else _GROUP_WIDTH / (1 if stacked else len(traces))
    base = {+1: np.zeros(len(places)), -1: np.zeros(len(places))}
    for k, trace in enumerate(traces):
        height = np.nan_to_num(_numbers(trace["y"]))
        style = {
            "color": trace["marker"]["color"],
            "hatch": "///" if trace["marker"].get("pattern") else None,
            "edgecolor": "white",
            "linewidth": 0.3,
            "alpha": trace.get("opacity", 1.0),
            "label": trace.get("name") or "_",
        }
        if stacked:
            bottom = np.where(height >= 0, base[+1], base[-1])
            axes.bar(places, height, width, bottom=bottom, **style)
            base[+1] = base[+1] + height.clip(min=0)
            base[-1] = base[-1] + height.clip(max=0)
        else:
            drawn = axes.bar(places + (k - (len(traces) - 1) / 2) * width, height, width, **style)
            if "text" in trace:
                axes.bar_label(drawn, list(trace["text"]), fontsize=7)
    if not in_time:
        axes.set_xticks(places, [str(name) for name in traces[0]["x"]])


def _draw_heat(figure: Figure, axes: Axes, trace: Mapping[str, Any]) -> None:
    values = np.array([_numbers(line) for line in trace["z"]])
    if not values.size:
        return
    colours = LinearSegmentedColormap.from_list("own", [colour for _, colour in trace["colorscale"]])
    limit = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    low = 0.0 if "zmid" not in trace else -limit
    image = axes.imshow(values, cmap=colours, aspect="auto", vmin=low, vmax=limit or 1.0)
    names = list(trace["x"])
    shown = range(0, len(names), max(1, len(names) // 12))
    axes.set_xticks(list(shown), [names[k] for k in shown], fontsize=8)
    axes.set_yticks(range(len(trace["y"])), list(trace["y"]), fontsize=8)
    for i, line in enumerate(trace.get("text", ())):
        for j, text in enumerate(line):
            axes.text(j, i, text, ha="center", va="center", fontsize=7)
    if "text" not in trace:
        figure.colorbar(image, ax=axes, shrink=0.8)


def _finish(axes: Axes, layout: Mapping[str, Any]) -> None:
    """Draw the zero lines; set the number format, the legend and the names of the plotted lines."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    if bottom < 0 < top:
        axes.axhline(0, color="black", linewidth=0.6)
    if left < 0 < right and "barmode" not in layout:  # bars with names are placed around 0
        axes.axvline(0, color="black", linewidth=0.6)
    how = layout.get("yaxis", {}).get("tickformat")
    if how:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:{how}}"))
    for label in layout.get("annotations", ()):
        axes.annotate(
            label["text"], (1, label["y"]), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            color=label["font"]["color"], fontsize=8, va="center", annotation_clip=False,
        )  # fmt: skip
    if layout.get("showlegend"):
        axes.legend(ncols=3, fontsize=8, frameon=False)


def _width_of_a_period() -> datetime.timedelta:
    return datetime.timedelta(days=round(0.85 * 365 / in_force().periods_a_year))


def _is_text(values: Sequence[Any]) -> bool:
    return any(isinstance(value, str) for value in values)


def _is_months(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) and _MONTH.fullmatch(value) for value in values)


def _places(values: Sequence[Any]) -> Any:
    """Return positions on an axis: dates for months, otherwise numbers or names."""
    if _is_months(values):
        return list(pd.to_datetime(list(values), format="ISO8601").to_pydatetime())
    return list(values) if _is_text(values) else _numbers(values)


def _numbers(values: Sequence[Any]) -> np.ndarray:
    return np.array([np.nan if value is None else float(value) for value in values], dtype=float)
