"""Pictures of relevance over time and inputs, for one sample or a batch.

They take what numpy can read: tensors, arrays, or pandas frames, whose index and columns then label the axes. They need
numpy and matplotlib; the rest of ``drf.lrp`` needs neither. Red marks what raises the output, blue what lowers it.
"""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .account import PARTS, Account

UP, DOWN, OTHER = "#b2182b", "#2166ac", "#7f7f7f"


def heat_map(
    relevance: Any,
    steps: Sequence[object] | None = None,
    names: Sequence[object] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw the relevance of one sample, or a mean over samples, (steps, inputs): inputs down, time to the right."""
    values, steps, names = _table(relevance, steps, names)
    axes = axes or _axes(1.6 + 0.45 * values.shape[0], 1.2 + 0.3 * values.shape[1])
    limit = float(np.abs(values).max()) or 1.0
    image = axes.imshow(values.T, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    _label_steps(axes, steps)
    axes.set_yticks(range(len(names)), [str(name) for name in names])
    _figure(axes).colorbar(image, ax=axes, label="relevance")
    return axes


def waterfall(
    account: Account, sample: int = 0, names: Sequence[object] | None = None, largest: int = 8, axes: Axes | None = None
) -> Axes:
    """Draw one output as a sum: from the baseline over its inputs and the absorbed rest to f(x).

    Args:
        account: Account of one input and one target, (n, ..., inputs); it is summed over the axes between.
        names: Names of the inputs on the last axis.
        largest: Number of inputs with a bar of their own; the others share one.
    """
    by_input = _array(account.relevance)[sample]
    by_input = by_input.sum(tuple(range(by_input.ndim - 1)))
    labels = [str(name) for name in (names if names is not None else range(len(by_input)))]
    order = np.argsort(-np.abs(by_input))
    bars = [(labels[k], float(by_input[k])) for k in order[:largest]]
    if len(order) > largest:
        bars.append((f"{len(order) - largest} others", float(by_input[order[largest:]].sum())))
    absorbed = {kind: float(getattr(account, kind)[sample]) for kind in PARTS[1:-2]}
    bars += [(kind.replace("_", " "), value) for kind, value in absorbed.items() if value]
    start, end = float(account.baseline[sample]), float(account.output[sample])

    axes = axes or _axes(7.0, 1.4 + 0.32 * len(bars))
    place = start
    for row, (_, value) in enumerate(bars):
        axes.barh(row, value, left=place, color=UP if value >= 0 else DOWN, height=0.7)
        label = axes.annotate(
            f"{value:+.3g}",
            (max(place, place + value), row),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
        place += value
    axes.axvline(start, color=OTHER, linewidth=0.8, linestyle=":")
    axes.axvline(end, color="black", linewidth=0.8)
    axes.set_yticks(range(len(bars)), [label for label, _ in bars])
    axes.invert_yaxis()
    axes.use_sticky_edges = False
    axes.margins(x=0.12)
    axes.set_xlabel(f"from {start:.3g} (dotted) to f(x) = {end:.3g}")
    _clean(axes)
    return axes


def ranking(relevance: Any, names: Sequence[object] | None = None, largest: int = 20, axes: Axes | None = None) -> Axes:
    """Draw the mean size of relevance over a batch (n, ..., inputs), largest on top, with its variation."""
    values = _array(relevance)
    if hasattr(relevance, "columns"):
        names = list(relevance.columns) if names is None else names
    sizes = np.abs(values.reshape(len(values), -1, values.shape[-1]).sum(1))
    labels = [str(name) for name in (names if names is not None else range(sizes.shape[1]))]
    order = np.argsort(-sizes.mean(0))[:largest]
    axes = axes or _axes(7.0, 1.2 + 0.28 * len(order))
    rows = np.arange(len(order))
    low, high = np.percentile(sizes[:, order], (10, 90), axis=0)
    axes.hlines(rows, low, high, color=OTHER, linewidth=1)
    axes.plot(sizes[:, order].mean(0), rows, "o", color=UP)
    axes.set_yticks(rows, [labels[k] for k in order])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(f"mean |relevance| over {len(values)} samples; line: 10th to 90th percentile")
    _clean(axes)
    return axes


def over_time(
    relevance: Any,
    steps: Sequence[object] | None = None,
    names: Sequence[object] | None = None,
    largest: int = 6,
    axes: Axes | None = None,
) -> Axes:
    """Draw the relevance by step of the most relevant inputs, (steps, inputs), and of all together."""
    values, steps, names = _table(relevance, steps, names)
    axes = axes or _axes(7.0, 3.6)
    at = np.arange(len(steps))
    order = np.argsort(-np.abs(values).sum(0))[:largest]
    for rank, k in enumerate(order):
        axes.plot(
            at, values[:, k], label=str(names[k]), color=_LINES[rank % len(_LINES)], marker=_MARKS[rank % len(_MARKS)]
        )
    axes.plot(at, values.sum(1), color="black", linewidth=2, label="all inputs")
    axes.axhline(0, color=OTHER, linewidth=0.8)
    _label_steps(axes, steps)
    axes.set_ylabel("relevance")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _clean(axes)
    return axes


_LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito, told apart by all eyes
_MARKS = "os^Dv*"


def _array(values: Any) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)


def _table(
    relevance: Any, steps: Sequence[object] | None, names: Sequence[object] | None
) -> tuple[np.ndarray, Sequence[object], Sequence[object]]:
    """Return a table (steps, inputs) and labels of both.

    Raises ValueError if it does not have two axes.
    """
    values = _array(relevance)
    if values.ndim != 2:
        raise ValueError(f"relevance has shape {values.shape}, needed is (steps, inputs): pick a sample or take a mean")
    if hasattr(relevance, "columns"):
        steps = list(relevance.index) if steps is None else steps
        names = list(relevance.columns) if names is None else names
    return (
        values,
        range(values.shape[0]) if steps is None else steps,
        range(values.shape[1]) if names is None else names,
    )


def _axes(width: float, height: float) -> Axes:
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def _label_steps(axes: Axes, steps: Sequence[object]) -> None:
    """Place labels horizontally where short, slanted where not, without overlap."""
    short = max(len(str(step)) for step in steps) <= 3
    every = max(1, len(steps) // 30)
    places = range(0, len(steps), every)
    slant: dict[str, Any] = {} if short else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(places, [str(steps[k]) for k in places], **slant)
    if short:
        axes.set_xlabel("step")


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    return figure


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def text(tokens: Sequence[object], relevance: Any) -> str:
    """Return HTML of a text whose tokens are coloured by their relevance, (tokens,) or (tokens, features)."""
    values = _array(relevance)
    values = values.sum(-1) if values.ndim > 1 else values
    limit = float(np.abs(values).max()) or 1.0
    spans = []
    for token, value in zip(tokens, values, strict=True):
        colour, strength = UP if value > 0 else DOWN, round(255 * abs(float(value)) / limit)
        style = f"background:{colour}{strength:02x}"
        spans.append(f'<span title="{float(value):+.4g}" style="{style}">{html.escape(str(token))}</span>')
    return f'<p style="line-height:1.8">{" ".join(spans)}</p>'
