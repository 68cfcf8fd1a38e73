"""MLflow's own pages in a browser, as a user opens them: which training is which, and why a version became champion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from drf.tracking import pages
from drf.tracking.views import key_of_rows
from tests.programs.folders import LINEAR, MARKET, client, fresh, make_experiment, runs
from tests.programs.processes import run
from tests.programs.servers import Server
from tests.reporting.browser import CHROMIUM, needs_chromium

pytestmark = [pytest.mark.slow, pytest.mark.long, needs_chromium]

NAME = "drf-lstm-lrp"
TRAIN = [*(word for word in LINEAR if not word.startswith("tuning.")), "tuning.trials=0", "registry.row=linear"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Two trainings that differ in their seed, one of other data, and two evaluations."""
    made = fresh(tmp_path_factory.mktemp("ui"), empty_store)
    make_experiment(made)
    run("train.py", *TRAIN, folder=made)
    run("evaluate.py", *MARKET, "gate=research", "gate.audit=false", folder=made)
    run("train.py", *TRAIN, "seed=1", folder=made)
    run("train.py", *TRAIN, "data.seed=1", "tracking.name=another market", folder=made)
    run("evaluate.py", *MARKET, "gate=research", "gate.audit=false", folder=made)
    return made


Open = Callable[[str], Page]


@pytest.fixture(scope="module")
def at(folder: Path) -> Iterator[Open]:
    """Opens a page by its address below the server's."""
    server = Server(folder, f"sqlite:///{folder}/mlflow.db")
    server.start()
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1500, "height": 1200})

            def opened(address: str) -> Page:
                page.goto("about:blank")  # an address that differs after its sign alone would not be loaded
                page.goto(f"{server.uri}/{address}")
                return page

            yield opened
            browser.close()
    finally:
        server.stop()


def see(page: Page, *texts: str) -> None:
    for text in texts:
        page.get_by_text(text).first.wait_for(timeout=60_000)


def experiment_of(folder: Path) -> str:
    found = client(folder).get_experiment_by_name("drf")
    assert found is not None
    return str(found.experiment_id)


def test_the_list_tells_which_training_is_which(folder: Path, at: Open) -> None:
    page = at(pages.experiment(experiment_of(folder)))
    see(
        page,
        "s0 simulated market 0",
        "s1 simulated market 0",
        "another market",
        "champion v1",
        "Return models of stocks",
    )


def test_the_saved_views_open_with_their_columns(folder: Path, at: Open) -> None:
    page = at(pages.view(experiment_of(folder), "rows"))
    see(page, "tags.kind = 'row'", "sharpe_net", "3 matching runs")
    see(page, "another market")  # of which training a row is
    page = at(pages.view(experiment_of(folder), "rows", charts=True))
    see(page, "numbers", "month by month")
    page = at(pages.view(experiment_of(folder), "gates-through-time"))
    see(page, "gates_passed", "new recipe 1996-")
    page.get_by_text("gates through time").first.click()  # the menu of views, named by the one that is shown
    see(page, "champion through time", "trials")


def test_the_links_of_a_training_open_its_rows_and_its_report(folder: Path, at: Open) -> None:
    training = next(one for one in runs(folder, "comparison") if one.info.run_name == "another market")
    page = at(pages.view(experiment_of(folder), key_of_rows(training.info.run_id)))
    see(page, "1 matching run", "sharpe_net", "max_drawdown")
    page = at(pages.run(experiment_of(folder), training.info.run_id))
    see(page, "Which model?", "the rows side by side")
    page = at(pages.artifact(experiment_of(folder), training.info.run_id, "report.html"))
    page.frame_locator("iframe").get_by_text("Deep recurrent factor models: comparison").first.wait_for(timeout=60_000)


def test_a_version_shows_its_card_and_an_evaluation_why(folder: Path, at: Open) -> None:
    champion = str(client(folder).get_registered_model(NAME).aliases["champion"])
    page = at(pages.version(NAME, champion))
    see(page, "promoted under research", "What it has shown", "months out of sample", "champion")
    first = runs(folder, "evaluation")[-1]
    page = at(pages.run(experiment_of(folder), first.info.run_id))
    see(page, "Promoted version 1", "v1 new recipe")
