"""HTML: a document as one self-contained page that loads nothing and, but for its charts, needs no script.

With scripts, a reader can explore the charts and look up a stock or a factor. Without scripts, and on paper, pictures
or words take their place. Scripts and data are packed into the page, and the scripts also run in a sandboxed frame.

The registry's verdict is known only after the page is written: :func:`with_verdict` fills it into two marked places.
"""

import base64
import gzip
import json
import re
from functools import cache, partial
from importlib import resources

import jinja2
from markupsafe import Markup

from ..data.calendar import Frequency, in_force, in_words
from .document import Document, Picture, Section


def render(document: Document) -> str:
    """Return the whole page."""
    charts = [chart for section in document.sections for chart in section.charts]
    asked = {
        "charts": [{"data": chart.data, "layout": chart.layout} for chart in charts],
        "stocks": document.stocks,
        "factors": document.factors,
    }
    scripts = {
        "plotly": _packed_plotly(),
        "asked": _packed(json.dumps(asked, separators=(",", ":"), allow_nan=False).encode()),
        "page": Markup(in_words(_static("page.js").decode())),
    }
    template = _environment().get_template("report.html.j2")
    return template.render(report=document, marked=_marked, data=_data_uri, scripts=scripts if charts else None)


def _static(name: str) -> bytes:
    return resources.files("drf.reporting").joinpath("static", name).read_bytes()


def _packed(content: bytes) -> Markup:
    return Markup(base64.b64encode(gzip.compress(content, mtime=0)).decode())


@cache
def _packed_plotly() -> Markup:
    return _packed(_static("plotly-cartesian.min.js"))


def with_verdict(page: str, status: str, verdict: Section | None) -> str:
    """Return the page with the registry's verdict, which replaces any verdict filled in before.

    Args:
        page: Page, as :func:`render` or this function returned it.
        status: Sentence for the first screen.
        verdict: ``None``: the section that was filled in before stays.
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


def _environment() -> jinja2.Environment:
    return _environment_of(in_force().name)


@cache
def _environment_of(frequency: Frequency) -> jinja2.Environment:
    """Return the templates, in the words of a frequency, which is that of the calendar in force."""

    def source(name: str) -> str:
        return in_words(resources.files("drf.reporting").joinpath("templates", name).read_text(encoding="utf-8"))

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: in_words(value) if type(value) is str else value,
    )
