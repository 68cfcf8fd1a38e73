"""The comparison with the papers: published numbers as published, orderings decided by the table alone."""

from __future__ import annotations

import pandas as pd
import pytest

from drf.experiment.families import make_families
from drf.reporting.papers_table import ORDERINGS, PUBLISHED, orderings, papers_table, papers_text
from tests.experiment.composing import settings_of

NAMES = ["linear", "svr", "forest", "dnn", "dnn_lrp", "dnn_deep", "dnn_deep_lrp", "lstm", "lstm_lrp"]


def table(**changes: dict[str, float]) -> pd.DataFrame:
    """A table in which every ordering of the 2019 paper holds, unless it is changed."""
    error = {"linear": 9, "svr": 12, "forest": 10, "dnn": 7, "dnn_lrp": 8, "dnn_deep": 8, "dnn_deep_lrp": 9}
    sharpe = {
        "linear": 1.0,
        "svr": 0.5,
        "forest": 0.6,
        "dnn": 1.2,
        "dnn_lrp": 1.3,
        "dnn_deep": 1.2,
        "dnn_deep_lrp": 1.3,
    }
    lines = {
        name: {
            "mae": error.get(name, {"lstm": 5, "lstm_lrp": 6}.get(name, 0)) / 100,
            "rmse": error.get(name, {"lstm": 5, "lstm_lrp": 6}.get(name, 0)) / 80,
            "sharpe": sharpe.get(name, {"lstm": 1.4, "lstm_lrp": 1.5}.get(name, 0)),
            "annual_return": 0.1,
            "annual_volatility": 0.1,
            **changes.get(name, {}),
        }
        for name in NAMES
    }
    return pd.DataFrame(lines).T.rename_axis("row").reset_index()


def test_published_numbers_stand_beside_the_rows_own() -> None:
    shown = papers_table(table())
    assert shown.loc["dnn_deep", "sharpe published"] == 1.50
    assert shown.loc["forest", "annual_return published"] == 0.0012
    assert shown.loc["lstm", [f"{name} published" for name in PUBLISHED]].isna().all()
    for row, line in PUBLISHED.iterrows():  # each published ratio is that of the published return and volatility
        assert line["sharpe"] == pytest.approx(line["annual_return"] / line["annual_volatility"], abs=0.011), row
    assert "order of the rows can be compared" in papers_text(table())


@pytest.mark.parametrize(
    ("broken", "changes"),
    [
        (0, {"dnn_deep": {"mae": 0.01}}),
        (1, {"dnn_lrp": {"sharpe": 9.0}}),
        (2, {"linear": {"sharpe": 1.25}}),
        (3, {"dnn": {"rmse": 0.05}}),
        (4, {"dnn_lrp": {"sharpe": 1.6}}),
        (5, {"lstm_lrp": {"mae": 0.04}}),
    ],
)
def test_each_ordering_holds_or_fails_by_the_numbers(broken: int, changes: dict[str, dict[str, float]]) -> None:
    assert all(orderings(table()).values()) and len(orderings(table())) == len(ORDERINGS)
    assert not list(orderings(table(**changes)).values())[broken]


def test_an_ordering_of_rows_that_were_not_trained_is_left_out() -> None:
    few = table().query("row in ['linear', 'dnn', 'dnn_lrp']")
    assert orderings(few) == {}
    assert "Beside the papers" in papers_text(few)


def test_the_experiment_is_the_papers_protocol_in_one_word() -> None:
    settings = settings_of("experiment=paper")
    config = settings.config
    assert settings.choices["experiment"] == "paper"
    assert (config.window.train_months, config.window.refit_every, config.window.label) == (60, 1, "return")
    assert not config.window.shrink and config.tuning.trials == 0
    families = {family.name: family.settings for family in make_families(config.model, tuned=False)}
    for name in ("dnn", "dnn_deep", "lstm"):
        made = families[name]
        assert made["signal_bias"] and made["linearisation"] == "plain" and not made["warm_start"], name
    assert (families["dnn"]["hidden"], families["dnn_deep"]["hidden"]) == ("80-50-10", "80-80-50-50-10-10")
    assert families["forest"]["n_estimators"] == 10
    assert settings_of("experiment=paper", "data=panel", "data.path=x.csv").config.data.source.name == "x.csv"
