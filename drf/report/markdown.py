"""Markdown for MLflow's descriptions: tables, and links to its pages."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .html import Column


def table(frame: pd.DataFrame, columns: Sequence[Column]) -> str:
    """A table of some columns; NaN is shown as a dash."""
    lines = [
        "| " + " | ".join(column.heading for column in columns) + " |",
        "|" + "|".join("---" if column.text else "---:" for column in columns) + "|",
    ]
    for values in frame.to_dict("records"):
        cells = [_cell(values.get(column.name), column.format) for column in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: object, how: str) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "—"
    return how.format(value).replace("|", "\\|").replace("\n", " ")
