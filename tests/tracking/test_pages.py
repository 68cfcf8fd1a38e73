"""What MLflow's pages tell: names, cards, links, views."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from drf.errors import InputError
from drf.experiment.schema import TrackingConfig
from drf.experiment.validation import make
from drf.reporting.document import Column, Table
from drf.reporting.markdown import markdown_table
from drf.reporting.training_cards import training_card
from drf.tracking import pages
from drf.tracking.naming import short_source, training_name
from drf.tracking.runs import RunTree
from drf.tracking.views import VIEWS, key_of_rows, save_views


def experiment(**changes: Any) -> Any:
    about = {
        "source": "/data/japan/panel.parquet", "universe": 500, "name": None, "families": ["linear", "lstm"],
        "seed": 0, "expanding": False, **changes,
    }  # fmt: skip
    return SimpleNamespace(
        config=SimpleNamespace(
            tracking=SimpleNamespace(name=about["name"]),
            data=SimpleNamespace(source=SimpleNamespace(name=about["source"]), universe=about["universe"]),
            window=SimpleNamespace(train_months=36, refit_every=12, expanding=about["expanding"]),
            seed=about["seed"],
        ),
        families=[SimpleNamespace(name=name) for name in about["families"]],
        rows=about["families"],
        samples=SimpleNamespace(dates=pd.date_range("2020-01-31", periods=3, freq="ME")),
    )


def test_trainings_of_other_data_or_seeds_differ_in_the_letters_that_a_list_shows() -> None:
    assert training_name(experiment()) == "2020-03 s0 panel 500, linear lstm, train 36 refit 12"
    others = [experiment(seed=3), experiment(universe=None), experiment(source="/data/us/market.parquet")]
    assert len({training_name(one)[:20] for one in [experiment(), *others]}) == 4
    assert training_name(experiment(expanding=True)).endswith("train 36+ refit 12")
    assert "7 rows" in training_name(experiment(families=list("abcdefg")))
    assert training_name(experiment(name="the committee's")) == "the committee's"
    assert short_source("made from /a/prices.csv and books.csv") == "made from prices and books"
    assert short_source("simulated market 0") == "simulated market 0"


@pytest.mark.parametrize("name", ["", " ", "x" * 251])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="must be a name of 1 to 250 characters"):
        make(TrackingConfig, {"experiment": "drf", "name": name}, "tracking")


def test_a_table_in_markdown_cannot_be_broken_by_what_stands_in_it() -> None:
    frame = pd.DataFrame({"row": ["a|b", "c\nd"], "value": [1.234, np.nan]})
    text = markdown_table(Table(frame, [Column("row", "row", text=True), Column("value", "Sharpe", "{:.2f}")]))
    assert text.splitlines() == ["| row | Sharpe |", "|---|---:|", "| a\\|b | 1.23 |", "| c d | — |"]


def test_links_open_the_pages_of_trainings() -> None:
    for link in (
        pages.run("1", "abc"), pages.artifact("1", "abc", "report.html"), pages.version("drf-lstm-lrp", "3"),
        pages.view("1", key_of_rows("abc"), charts=True), pages.experiment("1"), pages.view("1", "rows"),
    ):  # fmt: skip
        assert link.startswith("#/") and "workflowType=machine_learning" in link and " " not in link and "'" not in link
    assert pages.base("sqlite:////a/mlflow.db") == "http://127.0.0.1:5000"
    assert pages.base("https://mlflow.example/") == "https://mlflow.example"


def test_a_training_card_has_the_best_row_first() -> None:
    comparison = pd.DataFrame(
        {"row": ["linear", "lstm"], "sharpe_net": [0.5, 1.0], "rank_ic": 0.05, "turnover": 0.3, "max_drawdown": 0.1}
    )
    net = pd.DataFrame({"low": [0.1, 0.2], "high": [0.9, 1.8]}, index=["linear", "lstm"])
    card = training_card(comparison, net, {"Which model?": "lstm."}, ["Panel: x."], {"the report": "#/r"})
    assert card.index("| lstm |") < card.index("| linear |")
    assert "[the report](#/r)" in card and "**Which model?** lstm." in card and "* Panel: x." in card


def test_views_are_saved_once_and_what_people_changed_stays(store: str) -> None:
    client = MlflowClient()
    experiment_id = client.get_experiment_by_name("drf").experiment_id
    save_views(client, experiment_id)
    tags = client.get_experiment(experiment_id).tags
    for key, state in VIEWS.items():
        view = json.loads(tags[f"mlflow.sharedViewState.{key}"])
        assert view["name"] == key.replace("-", " ") and json.loads(view["state"]) == state
    client.set_experiment_tag(experiment_id, "mlflow.sharedViewState.rows", "mine")
    save_views(client, experiment_id)
    assert client.get_experiment(experiment_id).tags["mlflow.sharedViewState.rows"] == "mine"


def test_a_run_can_be_renamed_and_described(store: str) -> None:
    with RunTree("evaluate") as tree:
        tree.parent.rename("champion v2, was v1")
        tree.parent.describe("x" * 9000)
    run = MlflowClient().get_run(tree.parent.run_id)
    assert run.info.run_name == "champion v2, was v1"
    assert len(run.data.tags["mlflow.note.content"]) == 8000
