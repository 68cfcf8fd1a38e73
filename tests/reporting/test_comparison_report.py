"""The report of a comparison: its page, and how a browser shows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drf.comparison.rows import Row, comparison_table
from drf.data.paper_descriptors import FACTORS
from drf.registry.gates import Verdict
from drf.reporting.comparison_report import comparison_report, gates_section
from drf.reporting.document import Picture
from drf.reporting.drawing import comparison_figures
from drf.reporting.html import render, with_verdict
from drf.reporting.paper import picture
from tests.reporting.browser import look_at, needs_chromium
from tests.reporting.compared import DRIVERS, RULE, SKILL, compared_evidence, compared_rows, material


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return compared_rows()


@pytest.fixture(scope="module")
def evidence() -> dict[str, pd.DataFrame]:
    return compared_evidence()


@pytest.fixture(scope="module")
def page(rows: list[Row], evidence: dict[str, pd.DataFrame]) -> str:
    table, net = comparison_table(rows), evidence["sharpe"].query("returns == 'net'")
    drawn = {name: picture(figure) for name, figure in comparison_figures(rows, table, net, FACTORS, RULE).items()}
    return render(comparison_report(material(rows, evidence, drivers=DRIVERS, figures=drawn)))


def test_the_page_holds_everything_itself(page: str) -> None:
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "url(" not in page and "@import" not in page
    assert page.count('src="data:image/png;base64,') >= 5
    assert "Panel: &lt;tiny&gt; &amp; made up." in page
    for row in SKILL:
        assert row in page


class Outline(HTMLParser):
    """What stands on a page: texts by tag, tables as lists of rows, rows that stand out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[tuple[str, str]] = []
        self.tables: list[list[list[str]]] = []
        self.strong: list[str] = []
        self.pictures: list[str] = []
        self._tag, self._strong = "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
            self._strong = ("class", "strong") in attributes
        if tag == "img":
            self.pictures.append(str(dict(attributes)["alt"]))

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if not data.strip():
            return
        self.texts.append((self._tag, data.strip()))
        if self._tag in ("td", "th"):
            if self._strong and not self.tables[-1][-1]:
                self.strong.append(data.strip())
            self.tables[-1][-1].append(data.strip())

    def all(self, tag: str) -> list[str]:
        return [text for of, text in self.texts if of == tag]


HEADINGS = [
    [
        "Row", "Sharpe net", "95 % interval", "less linear's", "95 % of that", "Deflated", "Rank IC", "its t", "MAE",
        "RMSE", "R²",
    ],
    [
        "Portfolio", "Return a year", "Volatility", "Sharpe gross", "Return's t", "Drawdown", "Hit rate", "Turnover",
        "Break-even, bp",
    ],
    ["Factor of lstm_lrp", "Forecast a year", "Earned a year, before costs", "Months above 0"],
    ["Exposure", "linear", "forest", "lstm", "lstm_lrp"],
    ["Stock", "Forecast", "Weight", "Change", *FACTORS],
    ["Stock", "Forecast", "Weight", "Change", *FACTORS],
    ["Row", "In the confidence set by error, p", "by return, p", "Sharpe above 0", "Best of chance", "Months needed"],
    ["Mean return by quantile", "1", "2", "3", "4", "5", "Not rising, p"],
    ["Row", "Earned", "Promised", "before shrinking", "R²", "before shrinking", "Shrunk to, mean", "newest"],
    ["Variant", "Row", "Sharpe gross", "net", "Rank IC", "t"],
    ["Forecasts made", "Row", "Months", "Sharpe gross", "net", "Rank IC", "R²"],
    ["One seed alone", "Seed", "MAE", "Rank IC", "Sharpe gross", "net"],
]  # fmt: skip


def assert_in_order(found: list[Any], wanted: list[Any]) -> None:
    """All that is wanted is found in its order; there may be more between."""
    rest = iter(found)
    assert all(any(one == other for other in rest) for one in wanted), found


def test_the_page_has_its_sections_tables_and_pictures_in_order(
    rows: list[Row], evidence: Mapping[str, pd.DataFrame]
) -> None:
    figures = {name: Picture(b"1", f"{name} in words") for name in ("sharpe", "lstm_lrp/heat", "rank_ic")}
    told = material(rows, evidence, figures=figures, drivers=DRIVERS)
    page = Outline(render(comparison_report(told)))
    assert page.all("title") == page.all("h1") == ["Deep recurrent factor models: comparison"]
    assert page.all("b") == ["Which model?", "How sure?", "How right?", "What drives it?", "Is it in production?"]
    assert_in_order(page.all("h2"), [
        "The rows side by side", "Data and protocol", "How the rows have done", "lstm_lrp month by month",
        "What drives the forecasts", "The newest month", "Ask a stock",
        "Can it be told from chance?", "Promised and earned", "Is it robust to other choices?", "Caveats",
        "Configuration",
    ])  # fmt: skip
    assert page.pictures == ["sharpe in words", "rank_ic in words", "lstm_lrp/heat in words"]
    assert_in_order([lines[0] for lines in page.tables], HEADINGS)
    assert set(page.strong) == {"lstm_lrp", "all"}
    of_rows = [table for table in page.tables if [line[0] for line in table].count("lstm_lrp") == 1]
    assert page.strong.count("lstm_lrp") == len(of_rows) > 0
    words = " ".join(page.all("p"))
    assert "Superior predictive ability, by squared error: p " in words
    assert "Probability that tuning lstm overfitted: " in words
    nothing = Outline(render(comparison_report(material(rows, evidence))))
    assert "No row has contributions." in [text for _, text in nothing.texts]


def test_the_tables_of_the_page_hold_the_numbers(rows: list[Row], evidence: Mapping[str, pd.DataFrame]) -> None:
    page = Outline(render(comparison_report(material(rows, evidence))))
    known = {tuple(lines[0]): lines[1:] for lines in page.tables if lines[0][0] != "Stock"}
    wanted = [tuple(heads) for heads in HEADINGS if heads[0] not in ("Stock", "Factor of lstm_lrp")]
    sure, portfolio, exposures, chance, quantiles, scales, variants, periods, seeds = (known[heads] for heads in wanted)
    net = evidence["sharpe"].query("returns == 'net'").set_index("row")
    deflated = evidence["deflated"].set_index("row")
    by = {b: part.set_index("row") for b, part in evidence["confidence_set"].groupby("by")}
    wide = evidence["quantiles"].pivot(index="row", columns="quantile", values="annual_return")
    rise = evidence["quantiles"].groupby("row")["p_not_rising"].first()
    for k, row in enumerate(rows):
        m, interval, chances = row.metrics, net.loc[row.name], deflated.loc[row.name]
        apart = ["—", "—"]
        if row.name != "linear":
            span = f"{interval['difference_low']:.2f} to {interval['difference_high']:.2f}"
            apart = [f"{interval['difference']:+.2f}", span]
        assert sure[k] == [
            row.name, f"{m['sharpe_net']:.2f}", f"{interval['low']:.2f} to {interval['high']:.2f}", *apart,
            f"{chances['deflated']:.3f}", f"{m['rank_ic']:.3f}", f"{m['rank_ic_t']:.1f}", f"{m['mae']:.5f}",
            f"{m['rmse']:.5f}", f"{m['r2']:.3%}",
        ]  # fmt: skip
        assert scales[k] == [
            row.name, f"{m['annual_return']:.1%}", f"{m['promised_return']:.1%}", f"{m['promised_return_raw']:.1%}",
            f"{m['r2']:.3%}", f"{m['r2_raw']:.3%}", "1.00", "1.00",
        ]  # fmt: skip
        assert portfolio[k] == [
            row.name, f"{m['annual_return']:.1%}", f"{m['annual_volatility']:.1%}", f"{m['sharpe']:.2f}",
            f"{m['spread_t']:.1f}", f"{m['max_drawdown']:.1%}", f"{m['hit_rate']:.0%}", f"{m['turnover']:.0%}",
            f"{m['breakeven_bps']:.0f}",
        ]  # fmt: skip
        months = chances["min_track_record"]
        assert chance[k] == [
            row.name, f"{by['squared error'].loc[row.name, 'p']:.2f}",
            f"{by['return after costs'].loc[row.name, 'p']:.2f}",
            f"{chances['probabilistic']:.3f}", f"{chances['best_of_chance']:.2f}",
            "—" if np.isnan(months) else f"{months:.0f}",
        ]  # fmt: skip
        assert quantiles[k] == [row.name, *(f"{v:.1%}" for v in wide.loc[row.name]), f"{rise[row.name]:.3f}"]
    assert exposures == [
        [line["descriptor"], *(f"{line[row.name]:+.2f}" for row in rows)]
        for line in evidence["exposures"].to_dict("records")
    ]
    shown = evidence["variants"][evidence["variants"]["row"].isin({"lstm_lrp", "linear"})]
    formats = {"sharpe": "{:.2f}", "sharpe_net": "{:.2f}", "rank_ic": "{:.3f}", "rank_ic_t": "{:.1f}"}
    for cells, line in zip(variants, shown.to_dict("records"), strict=True):
        numbers = ["—" if np.isnan(line[name]) else how.format(line[name]) for name, how in formats.items()]
        assert cells == [line["variant"], line["row"], *numbers, *([line["note"]] if line["note"] else [])]
    assert [line[:3] for line in periods] == [
        [f"{line['first']:%Y-%m} to {line['last']:%Y-%m}", line["row"], str(line["periods"])]
        for line in evidence["periods"].sort_values(["first", "row"], kind="stable").to_dict("records")
        if line["row"] in ("linear", "lstm_lrp")
    ]
    each = evidence["seeds"].query("row == 'lstm_lrp'")
    assert [line[:2] for line in seeds] == each[["row", "seed"]].to_numpy().tolist()
    first = each.iloc[0]
    assert seeds[0][2:] == [
        f"{first['mae']:.5f}", f"{first['rank_ic']:.4f}", f"{first['sharpe']:.2f}", f"{first['sharpe_net']:.2f}",
    ]  # fmt: skip


EMPTY = "<!-- gates --><!-- /gates -->"
"""The marked place of the verdict, in a page without anything else."""


def test_the_gates_of_a_version_as_a_table() -> None:
    gates = pd.DataFrame([vars(Verdict("rank IC", 0.123456, 0.5, False, False, "too low"))]).assign(version="3")
    section = gates_section(gates, "Decision: no.")
    page = Outline(with_verdict(EMPTY, "", section))
    assert section.title == "Gates"
    assert page.all("p") == ["Decision: no."]
    assert page.tables == [[
        ["Gate", "Version", "Value", "Threshold", "Verdict", "In words"],
        ["rank IC", "3", "0.1235", "0.5", "FAIL", "too low"],
    ]]  # fmt: skip
    small = with_verdict(EMPTY, "", gates_section(gates.assign(value=1e-15), ""))
    assert "<td>1e-15</td>" in small
    assert not gates_section(gates[:0], "Nothing.").tables


def test_the_verdict_is_filled_in_and_replaced(page: str) -> None:
    gates = pd.DataFrame(
        {"version": "1", "gate": "audit", "value": 6.0, "threshold": 6.0, "passed": [True], "reason": r"all \1 <ok>"}
    )
    assert "Not judged yet" in page
    once = with_verdict(page, "Version 1 is champion.", gates_section(gates, "Decision: promoted."))
    assert "Not judged yet" not in once
    assert r"all \1 &lt;ok&gt;" in once
    twice = with_verdict(
        once, "Version 1 was not promoted.", gates_section(gates.assign(passed=False), "Decision: no.")
    )
    assert "is champion" not in twice
    assert twice.count("<h2>Gates</h2>") == 1
    assert "FAIL" in twice


@pytest.mark.long
@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [1366, 390])
def test_a_browser_shows_it_whole_on_laptop_and_phone(page: str, width: int, tmp_path: Path) -> None:
    look = look_at(page, width, tmp_path)
    assert look["heading"] == "Deep recurrent factor models: comparison"
    assert len(look["figures"]) >= 5 and all(look["figures"])
    assert look["asked"] == []
    assert look["wide"] <= width
    assert look["answers"] < (768 if width > 1000 else 844)
