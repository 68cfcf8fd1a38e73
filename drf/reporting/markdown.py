"""Markdown: tables of a document for MLflow's descriptions."""

import re

from .document import Table


def plain(text: str) -> str:
    """Return a text without active links, pictures and HTML, since people may have written parts of a description."""
    return re.sub(r"([\[\]<!])", r"\\\1", text)


def markdown_table(table: Table) -> str:
    """Return a table as Markdown; an unknown value is a dash."""
    columns = table.columns
    lines = [
        "| " + " | ".join(column.heading for column in columns) + " |",
        "|" + "|".join("---" if column.text else "---:" for column in columns) + "|",
    ]
    lines += ["| " + " | ".join(_escaped(cell) for cell in cells) + " |" for _, cells in table.lines]
    return "\n".join(lines)


def _escaped(cell: str) -> str:
    return plain(cell).replace("|", "\\|").replace("\n", " ")
