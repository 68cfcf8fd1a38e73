"""The report: one page of HTML that needs nothing else, no network and, but for its charts, no script.

With scripts the charts can be asked, and so can every stock; without them, and on paper, pictures stand in their place,
or words.
The scripts and their data lie in the page packed, and need nothing that a sandboxed frame forbids.

The registry's verdict comes after the report was written. Two places are marked for it and filled in afterwards by
:func:`with_verdict`.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import resources
from typing import Any

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
class Picture:
    """A PNG, and what it shows, in words for those who do not see it."""

    png: bytes
    alt: str


@dataclass(frozen=True)
class Chart:
    """A figure that can be asked, as Plotly's JSON; colours and margins follow the page.

    Attributes
    ----------
    title
        Above it.
    alt
        What it shows, in words for those who do not see it.
    data, layout
        Traces, and what of the layout is the chart's own.
    wide
        Whether it takes the whole width of the page.
    """

    title: str
    alt: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any] = field(default_factory=dict)
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """A heading, then paragraphs, tables, and charts (without scripts: pictures), in this order.

    Attributes
    ----------
    stocks
        Whether its tables name stocks in their first column, which can then be asked below it.
    factors
        Whether a factor can be asked below it.
    """

    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Markup] = ()
    figures: Mapping[str, Picture] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    stocks: bool = False
    factors: bool = False

    @property
    def anchor(self) -> str:
        """Its name in the page's address."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


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
    stocks, factors
        What the page knows of every stock and factor, see :mod:`drf.report.stocks`; None: none can be asked.
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


def render(report: Report) -> str:
    """The whole page."""
    charts = [chart for section in report.sections for chart in section.charts]
    asked = {
        "charts": [{"data": chart.data, "layout": chart.layout} for chart in charts],
        "stocks": report.stocks,
        "factors": report.factors,
    }
    scripts = {
        "plotly": _packed_plotly(),
        "asked": _packed(json.dumps(asked, separators=(",", ":"), allow_nan=False).encode()),
        "page": Markup(_static("page.js").decode()),
    }
    template = _environment().get_template("report.html.j2")
    return template.render(report=report, marked=_marked, data=_data_uri, scripts=scripts if charts else None)


def _static(name: str) -> bytes:
    return resources.files("drf.report").joinpath("static", name).read_bytes()


def _packed(content: bytes) -> Markup:
    return Markup(base64.b64encode(gzip.compress(content, mtime=0)).decode())


@cache
def _packed_plotly() -> Markup:
    return _packed(_static("plotly-cartesian.min.js"))


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


def _data_uri(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png).decode()


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("drf.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
