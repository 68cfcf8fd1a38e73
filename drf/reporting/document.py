"""Document: everything that a person reads, before it is HTML, Markdown or text.

A document holds sentences, tables and charts. Each renderer (:mod:`.html`, :mod:`.markdown`, :mod:`.terminal`) writes
the same document in its own form.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ..data.calendar import in_words


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Column of the frame.
        heading: Heading that a reader sees.
        format: Format of its values.
        text: True if it holds text, which is set to the left.
    """

    name: str
    heading: str
    format: str = "{}"
    text: bool = False

    def cell(self, value: object) -> str:
        """Return a value as it is shown; a dash where it is unknown."""
        if value is None or (isinstance(value, float) and value != value):
            return "—"
        return self.format.format(value)


@dataclass(frozen=True)
class Table:
    """A table of some columns of a frame.

    Attributes:
        frame, columns: Values, and the columns that are shown.
        strong: Value in the first column of the row that is emphasised.
        summary: Caption of a fold that hides the table until a reader opens it; empty: no fold.
    """

    frame: pd.DataFrame
    columns: Sequence[Column]
    strong: str | None = None
    summary: str = ""

    @property
    def lines(self) -> list[tuple[bool, list[str]]]:
        """Rows as shown: for each, whether it is emphasised and the texts of its cells."""
        first = self.columns[0].name
        return [
            (str(values[first]) == self.strong, [column.cell(values.get(column.name)) for column in self.columns])
            for values in self.frame.to_dict("records")
        ]


@dataclass(frozen=True)
class Picture:
    """A PNG, with a description of what it shows."""

    png: bytes
    alt: str


@dataclass(frozen=True)
class Chart:
    """A chart, as Plotly's JSON, which :mod:`.html` makes interactive and :mod:`.paper` draws on paper.

    Attributes:
        title: Heading.
        alt: Description of what it shows.
        data, layout: Traces, and the part of the layout that is the chart's own; colours and margins follow the page.
        wide: True if it takes the whole width of the page.
    """

    title: str
    alt: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any] = field(default_factory=dict)
    wide: bool = False

    def __post_init__(self) -> None:
        """Name the periods as the calendar in force does; pictures and pages are made of the same chart."""
        for name in ("title", "alt", "data", "layout"):
            object.__setattr__(self, name, _in_words(getattr(self, name)))


def _in_words(value: Any) -> Any:
    """Return a value with all texts within it in the words of the calendar in force."""
    if isinstance(value, str):
        return in_words(value)
    if isinstance(value, Mapping):
        return {key: _in_words(part) for key, part in value.items()}
    return [_in_words(part) for part in value] if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, tables, pictures and charts, in this order.

    Attributes:
        figures: Pictures that stand in for the charts on paper, and where scripts are off.
        stocks: True if a stock can be looked up below it; its tables name stocks in their first column.
        factors: True if a factor can be looked up below it.
    """

    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Mapping[str, Picture] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    stocks: bool = False
    factors: bool = False

    @property
    def anchor(self) -> str:
        """Name of the section in the page's address."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Document:
    """A report.

    Attributes:
        title, subtitle: Head of the first screen.
        answers: Question -> answer: the first screen.
        sections: Sections in order; the registry's verdict is placed just before the last.
        config, commit: Configuration as YAML, and commit of the code.
        awaits_verdict: True if the registry's verdict is filled in later.
        stocks, factors: Tables for looking up a stock or a factor, see :mod:`.lookup`; None: none can be looked up.
    """

    title: str
    subtitle: str
    answers: Mapping[str, str]
    sections: Sequence[Section]
    config: str
    commit: str
    awaits_verdict: bool = True
    stocks: Mapping[str, Any] | None = None
    factors: Mapping[str, Any] | None = None


def as_sentence(text: str) -> str:
    """Return a text with a capital at its head and one full stop at its end."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
