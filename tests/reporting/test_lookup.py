"""The report as MLflow shows it, in a sandboxed frame, where a reader asks it; on paper and without scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Frame, Page, sync_playwright

from drf.comparison.evidence import gather
from drf.comparison.headline import Portrait, portray
from drf.comparison.rows import Judging, Row, comparison_table, drivers
from drf.evaluation.trials import Trials
from drf.reporting.comparison_report import Material, comparison_report
from drf.reporting.drawing import comparison_figures
from drf.reporting.html import render
from drf.reporting.paper import picture
from tests.making import rule
from tests.reporting.browser import CHROMIUM, needs_chromium
from tests.reporting.conftest import FACTORS

pytestmark = [pytest.mark.slow, pytest.mark.long, needs_chromium]

FRAME = """<!doctype html><body style="margin:0"><iframe sandbox="allow-scripts" style="width:100%%;height:880px">
</iframe><script>document.querySelector("iframe").srcdoc = %s</script>"""


@pytest.fixture(scope="module")
def portrait(rows: list[Row], judging: Judging) -> Portrait:
    return portray(rows[-1], judging)


@pytest.fixture(scope="module")
def page(rows: list[Row], judging: Judging, portrait: Portrait) -> str:
    return page_of(rows, judging, portrait)


def page_of(rows: list[Row], judging: Judging, portrait: Portrait) -> str:
    trials = Trials(pd.DataFrame({"sharpe": [0.1], "periods": [12]}), 1.0)
    evidence, table = gather(rows, judging, trials, {}, periods=None, seed=0), comparison_table(rows)
    drawn = comparison_figures(rows, table, evidence["sharpe"].query("returns == 'net'"), FACTORS, rule())
    material = Material(
        comparison=table, evidence=evidence, name="a training", headline="lstm_lrp", drivers=drivers(rows, "lstm_lrp"),
        figures={name: picture(figure) for name, figure in drawn.items()},
        series={row.name: row.series for row in rows}, portrait=portrait, factors=FACTORS, protocol=[],
        simulated=True, neutral=0.0, config="seed: 0", commit="abc",
    )  # fmt: skip
    return render(comparison_report(material))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def open_framed(browser: Browser, page: str, folder: Path, **look: object) -> tuple[Page, Frame, list[str]]:
    """The page in a frame as MLflow's; and what was asked for, or went wrong."""
    (folder / "framed.html").write_text(FRAME % json.dumps(page).replace("</", "<\\/"), encoding="utf-8")
    shown = browser.new_context(**look).new_page()  # type: ignore[arg-type]
    heard: list[str] = []
    shown.on("pageerror", lambda error: heard.append(str(error)))
    shown.on("console", lambda said: heard.append(said.text) if said.type == "error" else None)
    shown.on("request", lambda asked: heard.append(asked.url) if asked.url.startswith("http") else None)
    shown.goto(f"file://{folder / 'framed.html'}")
    frame = shown.frames[1]
    frame.wait_for_selector("html.live", timeout=30_000)
    return shown, frame, heard


def bars(frame: Frame) -> dict[str, float]:
    return dict(frame.evaluate("(() => { const t = document.getElementById('waterfall').data[0]; "
                               "return t.y.map((name, k) => [name, t.x[k]]); })()"))  # fmt: skip


def test_any_stock_is_asked_by_name_and_level(browser: Browser, page: str, portrait: Portrait, tmp_path: Path) -> None:
    shown, frame, heard = open_framed(browser, page, tmp_path, viewport={"width": 1366, "height": 900})
    assert portrait.cells is not None
    stock = portrait.holdings["asset"].iloc[7]
    frame.fill("#stock", stock.lower())
    frame.press("#stock", "Enter")
    frame.wait_for_function(f"document.getElementById('stock-words').textContent.startsWith('{stock}')")
    forecast = portrait.holdings["forecast"].iloc[7]
    found = bars(frame)
    assert found["forecast"] == pytest.approx(forecast, abs=1e-5)
    assert sum(found.values()) - found["forecast"] == pytest.approx(forecast, abs=1e-5)
    assert set(found) == {"intercept, rest", *FACTORS, "forecast"}
    for level, expected in (("descriptor", "PER"), ("lag", "lag 12")):
        frame.select_option("#level", level)
        cells = portrait.cells.iloc[7]
        of = [name for name in cells.index if expected.removeprefix("lag ") in name.split("_lag")]
        assert bars(frame)[expected] == pytest.approx(cells[of].sum(), abs=1e-5)
    frame.fill("#stock", "no such stock")
    frame.press("#stock", "Enter")
    frame.wait_for_function("document.getElementById('stock-words').textContent.includes('no such stock')")
    assert frame.evaluate("document.getElementById('waterfall').data") is None  # another stock's would mislead
    frame.click(".stocks td button >> nth=0")
    frame.wait_for_function(f"document.getElementById('stock').value === '{portrait.holdings['asset'].iloc[0]}'")
    frame.select_option("#factor", "Size")
    assert heard == []
    shown.close()


def test_names_that_differ_in_case_alone_are_two_stocks(
    browser: Browser, rows: list[Row], judging: Judging, portrait: Portrait, tmp_path: Path
) -> None:
    assert portrait.history is not None
    first, second = portrait.holdings["asset"].iloc[:2]
    names = {first: "abc", second: "ABC"}
    holdings, history = (
        table.assign(asset=table["asset"].replace(names)) for table in (portrait.holdings, portrait.history)
    )
    page = page_of(rows, judging, replace(portrait, holdings=holdings, history=history))
    shown, frame, _ = open_framed(browser, page, tmp_path, viewport={"width": 1366, "height": 900})
    for k, name in enumerate(("abc", "ABC")):
        frame.fill("#stock", name)
        frame.press("#stock", "Enter")
        frame.wait_for_function(f"document.getElementById('stock-words').textContent.startsWith('{name},')")
        assert bars(frame)["forecast"] == pytest.approx(portrait.holdings["forecast"].iloc[k], abs=1e-5)
    frame.fill("#stock", "Abc")
    frame.press("#stock", "Enter")
    frame.wait_for_function("document.getElementById('stock-words').textContent === 'Which one? abc, ABC'")
    shown.close()


def test_contents_lead_to_their_sections_and_charts_are_drawn_there(
    browser: Browser, page: str, tmp_path: Path
) -> None:
    shown, frame, heard = open_framed(browser, page, tmp_path, viewport={"width": 1366, "height": 900})
    for link in frame.query_selector_all("nav a"):
        link.click()
        target = str(link.get_attribute("href"))[1:]
        frame.wait_for_function(f"Math.abs(document.getElementById('{target}').getBoundingClientRect().top) < 900")
    frame.evaluate("document.querySelectorAll('[data-chart]').forEach(chart => chart.scrollIntoView())")
    for chart in frame.query_selector_all("[data-chart]"):
        chart.scroll_into_view_if_needed()
    frame.wait_for_function("[...document.querySelectorAll('[data-chart]')].every(chart => chart.data)")
    assert frame.evaluate("document.querySelectorAll('[data-chart]').length") >= 12
    assert frame.evaluate("[...document.querySelectorAll('[role=img]')].every(one => one.ariaLabel)")
    assert heard == []
    shown.close()


@pytest.mark.parametrize("width", [1366, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_screen_and_dark_is_dark(
    browser: Browser, page: str, tmp_path: Path, width: int, scheme: str
) -> None:
    size = {"width": width, "height": 900}
    shown, frame, heard = open_framed(browser, page, tmp_path, viewport=size, color_scheme=scheme)
    assert frame.evaluate("document.documentElement.scrollWidth") <= width
    light = frame.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (scheme == "light")
    assert heard == []
    shown.close()


def test_without_scripts_and_on_paper_pictures_stand_in_place_of_charts(
    browser: Browser, page: str, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    still = browser.new_context(java_script_enabled=False).new_page()
    still.goto(f"file://{tmp_path / 'page.html'}")
    assert all(image.is_visible() for image in still.query_selector_all("img"))
    assert not any(one.is_visible() for one in still.query_selector_all(".asked"))
    paper = browser.new_page()
    paper.goto(f"file://{tmp_path / 'page.html'}")
    paper.wait_for_selector("html.live", timeout=30_000)
    assert not paper.query_selector("img").is_visible()  # type: ignore[union-attr]
    paper.emulate_media(media="print")
    assert all(image.is_visible() for image in paper.query_selector_all("img"))
    assert not any(one.is_visible() for one in paper.query_selector_all(".asked"))
