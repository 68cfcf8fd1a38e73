from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import FrozenTrial
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression

from drf.evaluation.portfolio import long_short
from drf.models.family import Family
from drf.models.forest import Forest
from drf.models.linear import Linear
from drf.models.svr import SVR
from drf.samples.lagged import Samples
from drf.samples.windows import Window
from drf.training.forecasts import forecast_table
from drf.training.parallel import Compute
from drf.tuning import search
from drf.tuning.rule import TuningRule
from drf.tuning.search import TuningPlan, measures_of, returns_of, tune
from drf.tuning.studies import open_storage
from tests.making import rule

SPACE = {"C": {"type": "float", "low": 0.01, "high": 1.0, "log": True}}
TREES = {
    "min_samples_leaf": {"type": "int", "low": 5, "high": 50},
    "max_features": {"type": "choice", "choices": [0.1, 0.2]},
}
FAMILIES = [
    Family("linear", Linear, {}),
    Family("svr", SVR, {"C": 0.5, "epsilon": 0.05, "max_samples": 200}, space=SPACE),
    Family("forest", Forest, {"n_estimators": 4, "min_samples_leaf": 10, "max_features": 0.1}, space=TREES),
]
WINDOWS = [Window(range(12, 20), range(20, 22)), Window(range(14, 22), range(22, 24))]


class Stop(Exception):
    pass


def plan(folder: Path, trials: int = 6, jobs: int = 1, objective: Any = "rank_ic", **changes: Any) -> TuningPlan:
    journal = str(folder / "journal")
    searched = TuningRule(trials=trials, validation_months=4, folds=2, batch=2, journal=journal, objective=objective)
    settings = {"windows": WINDOWS, "seed": 0, "identity": {"data": "x"}, "panel": pd.DataFrame({"date": []})}
    storage = open_storage(journal, None) if trials else None
    settings |= {"rule": searched, "portfolio": rule(), "storage": storage}
    return TuningPlan(compute=Compute(jobs), **{**settings, **changes})


class Log:
    def __init__(self, stop_after: int | None = None) -> None:
        self.trials: list[tuple[str, FrozenTrial, bool]] = []
        self.stop_after = stop_after

    def __call__(self, family: Family, trial: FrozenTrial, earlier: bool) -> None:
        self.trials.append((family.name, trial, earlier))
        if len(self.trials) == self.stop_after:
            raise Stop

    def values(self) -> dict[tuple[str, int], Any]:
        return {(name, trial.number): (trial.params, trial.intermediate_values) for name, trial, _ in self.trials}


def test_it_takes_the_best_trial_and_starts_from_the_configuration(samples: Samples, tmp_path: Path) -> None:
    log = Log()
    tuned = {family.name: family for family in tune(FAMILIES, samples, plan(tmp_path), log)}
    assert tuned["linear"] is FAMILIES[0]
    for name in ("svr", "forest"):
        trials = [trial for family, trial, _ in log.trials if family == name]
        assert len(trials) == 6
        first = next(trial for trial in trials if trial.number == 0)
        original = next(family for family in FAMILIES if family.name == name)
        assert first.params == {key: original.settings[key] for key in original.space}
        best = max((t for t in trials if t.state.name == "COMPLETE"), key=lambda trial: trial.value)
        assert {key: tuned[name].settings[key] for key in best.params} == best.params


@pytest.mark.parametrize("objective", ["rank_ic", "r2"])
def test_the_worth_of_a_trial_is_that_of_a_fit_on_the_window(samples: Samples, tmp_path: Path, objective: str) -> None:
    log = Log()
    tune(FAMILIES, samples, plan(tmp_path, trials=1, objective=objective), log)
    trial = next(trial for name, trial, _ in log.trials if name == "svr")
    found: dict[str, list[float]] = {"rank_ic": [], "r2": [], "rmse": []}
    returns = []
    for window in WINDOWS:
        train, test = samples.sample_slice(window.train), samples.sample_slice(window.test)
        model = SVR(C=0.5, epsilon=0.05, max_samples=200).fit(samples.x[train], samples.y[train], samples.month[train])
        said, y = model.predict(samples.x[test]), samples.y[test]
        month = pd.Series(samples.month[test])
        frame = pd.DataFrame({"f": said, "y": y})
        found["rank_ic"].append(
            np.mean([spearmanr(part["f"], part["y"]).statistic for _, part in frame.groupby(month)])
        )
        centred = frame - frame.groupby(month).transform("mean")
        fitted = LinearRegression(fit_intercept=False).fit(centred[["f"]].to_numpy(), centred["y"])
        explained = fitted.score(centred[["f"]].to_numpy(), centred["y"])  # means are 0: against nothing
        found["r2"].append(np.sign(fitted.coef_[0]) * explained)
        found["rmse"].append(np.sqrt(np.mean((said - y) ** 2)))
        returns.append(long_short(forecast_table(samples, test, said), rule())["net"])
    assert trial.value == pytest.approx(np.mean(found[objective]))
    assert measures_of(trial) == pytest.approx({name: np.mean(values) for name, values in found.items()})
    assert np.allclose(returns_of(trial), pd.concat(returns))


def test_an_interrupted_study_goes_on_and_ends_like_an_undisturbed_one(samples: Samples, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole, stopped, resumed = Log(), Log(stop_after=5), Log()
    expected = tune(FAMILIES, samples, plan(tmp_path / "whole"), whole)
    with pytest.raises(Stop):
        tune(FAMILIES, samples, plan(tmp_path), stopped)
    assert tune(FAMILIES, samples, plan(tmp_path), resumed) == expected
    assert resumed.values() == whole.values()
    assert any(earlier for *_, earlier in resumed.trials)
    assert not all(earlier for *_, earlier in resumed.trials)


def test_a_study_killed_within_a_batch_takes_up_its_open_trials(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").mkdir()
    whole, resumed = Log(), Log()
    expected = tune(FAMILIES, samples, plan(tmp_path / "whole"), whole)
    calls = iter(range(100))

    def killed(*arguments: Any) -> Any:
        if next(calls) == 5:
            raise Stop
        return original(*arguments)

    original = search._validate_window
    monkeypatch.setattr(search, "_validate_window", killed)
    with pytest.raises(Stop):
        tune(FAMILIES, samples, plan(tmp_path), Log())
    monkeypatch.undo()
    assert tune(FAMILIES, samples, plan(tmp_path), resumed) == expected
    assert resumed.values() == whole.values()


@pytest.mark.long
def test_the_number_of_workers_changes_nothing(samples: Samples, tmp_path: Path) -> None:
    logs = []
    for jobs in (1, 2):
        (tmp_path / str(jobs)).mkdir()
        logs.append(Log())
        tune(FAMILIES, samples, plan(tmp_path / str(jobs), jobs=jobs), logs[-1])
    assert logs[0].values() == logs[1].values()


def test_a_hopeless_trial_is_pruned(samples: Samples, tmp_path: Path) -> None:
    space = {"C": {"type": "float", "low": 0.01, "high": 1e5, "log": True}}
    wild = Family("svr", SVR, {"C": 0.01, "epsilon": 0.01, "max_samples": 200}, space=space)
    log = Log()
    tune([wild], samples, plan(tmp_path, trials=10), log)
    states = [trial.state.name for _, trial, _ in log.trials]
    assert "PRUNED" in states
    assert all(len(t.intermediate_values) == 1 for _, t, _ in log.trials if t.state.name == "PRUNED")


def test_other_data_or_settings_make_another_study(samples: Samples, tmp_path: Path) -> None:
    for changes in ({}, {"identity": {"data": "y"}}, {"seed": 1}):
        log = Log()
        tune(FAMILIES, samples, plan(tmp_path, trials=1, **changes), log)
        assert not any(earlier for *_, earlier in log.trials)
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal"))
    assert len(optuna.storages.JournalStorage(journal).get_all_studies()) == 6


def test_no_trials_no_study(samples: Samples, tmp_path: Path) -> None:
    assert tune(FAMILIES, samples, plan(tmp_path, trials=0), Log()) == FAMILIES
    assert not (tmp_path / "journal").exists()
