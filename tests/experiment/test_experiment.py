"""What follows from a config, and that nothing is written before all of it could be made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drf.data.panel import fingerprint
from drf.errors import InputError
from drf.experiment.experiment import Experiment, prepare
from drf.reporting.protocol import protocol
from tests.experiment.composing import settings_of

SMALL = ("data.source.stocks=30", "data.source.months=48", "window.train_months=12", "window.test_months=6")
SMALL += ("tuning.validation_months=6", "tuning.folds=2")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(*overrides: str) -> Experiment:
    words = [*SMALL, *overrides]
    return prepare(settings_of(*words))


def test_all_that_follows_from_a_config_fits_together(tmp_path: Path) -> None:
    experiment = made("model=[linear,lstm]", "data.universe=20", "model.lstm.hidden=4")
    assert experiment.panel.groupby("date").size().max() == 20
    assert experiment.data == fingerprint(experiment.panel)
    assert [row.name for row in experiment.rows] == ["linear", "lstm", "lstm_lrp"]
    assert experiment.registered_row.name == "lstm_lrp"
    assert "hidden" not in experiment.families[1].space  # what stood on the command line is not tuned
    assert len(experiment.schedule.test_months) == 6
    plan = experiment.tuning_plan()
    assert [len(window.test) for window in plan.windows] == [3, 3]
    assert plan.windows[-1].test.stop == experiment.schedule.test_months.start
    truth = experiment.truth
    assert truth is not None
    assert set(experiment.factors) <= set(truth.columns)
    assert [file.name for file in tmp_path.iterdir()] in ([], ["optuna.journal"])


def test_without_tuning_there_is_no_study(tmp_path: Path) -> None:
    plan = made("tuning.trials=0", "tuning.journal=/nowhere/journal").tuning_plan()
    assert plan.storage is None
    assert list(plan.windows) == []
    assert not any(tmp_path.iterdir())


def test_checkpoints_belong_to_what_their_numbers_depend_on() -> None:
    base = made("tuning.trials=0").checkpoints().path
    for changes, same in [
        (("compute.jobs=1",), True),
        (("registry.name=other",), True),
        (("window.target=raw",), False),
        (("data.seed=1",), False),
        (("window.lags=[0,12]",), False),
        (("compute.device=cpu",), False),
    ]:
        assert (made("tuning.trials=0", *changes).checkpoints().path == base) == same, changes


def test_the_protocol_is_told_in_words() -> None:
    words = " ".join(protocol(made("data.descriptors=[PER,CAP]", "portfolio.weighting=value", "window.expanding=true")))
    for part in (
        "simulated market 0, all stocks",
        "ranks of 2 descriptors 12, 9, 6, 3, 0 months back",
        "The panel has no VOL60, BETA",
        "trained on all months before and refitted every 3 month(s)",
        "8 trials a family on 6 months",
        "5 quantiles, weighted by market value, 10 basis points a side",
    ):
        assert part in words, part


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("portfolio.sector_neutral=true", "portfolio.sector_neutral=true: the panel has no column sector"),
        ("model.lstm.validation_months=12", "model.lstm.validation_months=12: a window has only 12 training months"),
        ("window.test_months=40", "window.test_months=40 asks for more"),
        ("data.universe=4", "data.universe=4: must be at least portfolio.quantiles=5"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(override: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        made(override)
    assert told in str(refused.value)
    assert not any(tmp_path.iterdir())


def test_too_few_months_to_tune_are_refused() -> None:
    with pytest.raises(InputError, match=r"lower tuning\.validation_months"):
        made("window.test_months=null", "tuning.validation_months=12").tuning_plan()


def test_value_weights_need_market_values(tmp_path: Path) -> None:
    panel = made("tuning.trials=0").panel
    panel.assign(CAP=np.exp(panel["CAP"])).to_parquet(tmp_path / "panel.parquet")
    with pytest.raises(InputError, match=r"portfolio\.weighting=value: the unit of CAP is not stated: set data\.cap"):
        from_file("portfolio.weighting=value")
    assert len(from_file("portfolio.weighting=value", "data.cap=level").panel)


def from_file(*more: str) -> Experiment:
    words = ["data=panel", "data.path=panel.parquet", "window.train_months=12", "window.test_months=6", *more]
    return prepare(settings_of(*words))


def test_a_panel_from_a_file_has_no_truth(tmp_path: Path) -> None:
    panel: pd.DataFrame = made("tuning.trials=0").panel
    panel.to_parquet(tmp_path / "panel.parquet")
    experiment = from_file()
    assert experiment.truth is None
    assert experiment.config.data.source.name == "panel.parquet"
    pd.testing.assert_frame_equal(experiment.panel, panel)
