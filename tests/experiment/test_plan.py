from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import drf
from drf.errors import InputError
from drf.experiment import plan as module
from drf.experiment.composing import Settings, compose_settings
from drf.experiment.experiment import Experiment, prepare
from drf.experiment.plan import make_plan, require_memory
from drf.experiment.schema import TrainConfig
from drf.reporting.terminal import plan_text

SMALL = [
    "data.source.stocks=60", "data.source.months=80", "model=[linear,lstm,blend]", "model.blend.rows=[linear,lstm_lrp]",
    "tuning.trials=3", "tuning.validation_months=6", "tuning.folds=2", "window.test_months=6", "model.lstm.epochs=2",
    "model.lstm.validation_months=3", "model.lstm.seeds=2", "registry.row=linear",
]  # fmt: skip


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings[TrainConfig]:
    monkeypatch.chdir(tmp_path)
    return compose_settings("config", TrainConfig, SMALL)


@pytest.fixture
def experiment(settings: Settings[TrainConfig]) -> Experiment:
    return prepare(settings)


def with_free(monkeypatch: pytest.MonkeyPatch, memory: float) -> None:
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: SimpleNamespace(available=memory))


def test_a_plan_counts_the_fits_that_a_training_makes(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(experiment)
    every = len(experiment.schedule.every)
    fits = {one.family: (one.fits, one.trials) for one in plan.families}
    assert fits == {"linear": (every, 0), "lstm": (2 * every, 3 * 2)}
    assert all(one.samples == plan.families[0].samples > 0 for one in plan.families)
    lstm = plan.families[1]
    assert lstm.seconds > 0
    assert lstm.work >= lstm.fits * lstm.seconds * 0.5  # earlier windows have about as many samples
    assert plan.memory > 2 * 50e6  # two workers with torch in them
    text = plan_text(plan)
    assert "Nothing was trained" in text
    assert "does not fit" not in text
    with_free(monkeypatch, 1e5)
    assert "does not fit: test fewer months" in plan_text(make_plan(experiment))


def test_contributions_that_do_not_fit_are_refused_before_anything_is_trained(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    require_memory(experiment)
    with_free(monkeypatch, 1e5)
    with pytest.raises(InputError, match=r"window\.test_months"):
        require_memory(experiment)
    with pytest.raises(InputError, match=r"window\.test_months"):
        drf.train(*SMALL)
    assert not list(tmp_path.glob("mlflow*"))


def test_a_plan_trains_and_logs_nothing(settings: Settings[TrainConfig], tmp_path: Path) -> None:
    plan: Any = drf.plan(*SMALL)
    assert [one.family for one in plan.families] == ["linear", "lstm"]
    with pytest.raises(InputError, match=r"call drf\.plan"):
        drf.train(*SMALL, "plan=true")
    assert not list(tmp_path.iterdir())
