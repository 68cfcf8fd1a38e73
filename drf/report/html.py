"""The report of a comparison: one page of HTML that needs nothing else, neither a network nor a script.

The registry's verdict comes after the report was written. Two places are marked for it and filled in afterwards by
:func:`with_verdict`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial

import jinja2
import pandas as pd
from markupsafe import Markup


@dataclass(frozen=True)
class Column:
    """A column of a table: its name in the frame, its heading, how its numbers are written, and whether it is text."""

    name: str
    heading: str
    format: str = "{}"
    text: bool = False


@dataclass(frozen=True)
class Section:
    """A heading, then paragraphs, tables and figures (name and PNG), in this order."""

    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Markup] = ()
    figures: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What the page shows.

    Attributes
    ----------
    title, subtitle
        In its head.
    answers
        Question -> answer: the first screen.
    sections
        In order; the registry's verdict stands between the last but one and the last.
    config, commit
        The configuration as YAML, and the code's commit.
    awaits_verdict
        Whether the registry's verdict is filled in later.
    """

    title: str
    subtitle: str
    answers: Mapping[str, str]
    sections: Sequence[Section]
    config: str
    commit: str
    awaits_verdict: bool = True


def render(report: Report) -> str:
    """The whole page."""
    return _environment().get_template("report.html.j2").render(report=report, marked=_marked, data=_data_uri)


def table(frame: pd.DataFrame, columns: Sequence[Column], strong: str | None = None) -> Markup:
    """A table of some columns; rows whose first column is ``strong`` stand out. NaN is shown as a dash."""
    lines = [
        (str(values[columns[0].name]) == strong, [_cell(values.get(column.name), column.format) for column in columns])
        for values in frame.to_dict("records")
    ]
    template = _environment().get_template("table.html.j2")
    return Markup(template.render(columns=columns, lines=lines))


def _cell(value: object, how: str) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "—"
    return how.format(value)


def with_verdict(page: str, status: str, verdict: Section | None) -> str:
    """The page with the registry's verdict filled in, in place of what stood there before.

    Parameters
    ----------
    page
        As :func:`render` or this function returned it.
    status
        In a sentence, for the first screen.
    verdict
        ``None``: what was filled in before stays.
    """
    texts = {"status": str(jinja2.filters.escape(status))}
    if verdict is not None:
        texts["gates"] = _environment().get_template("section.html.j2").render(section=verdict, data=_data_uri)
    for mark, text in texts.items():
        pattern = re.compile(f"(<!-- {mark} -->).*?(<!-- /{mark} -->)", re.DOTALL)
        page = pattern.sub(partial(_filled, text), page)
    return page


def _filled(text: str, marks: re.Match[str]) -> str:
    return marks[1] + text + marks[2]


def _marked(mark: str, text: str) -> Markup:
    return Markup(f"<!-- {mark} -->") + text + Markup(f"<!-- /{mark} -->")


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("drf.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
