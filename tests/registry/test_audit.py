"""The leak suite passes a clean path, and catches each leak that is planted into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import drf.registry.audit as suite
import drf.samples.lagged
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.simulate import SimulatedMarket
from drf.experiment.config import read
from drf.experiment.schema import TrainConfig
from drf.models.catalogue import row_named
from drf.models.family import Family
from drf.models.linear import Linear
from drf.models.lstm import LSTM
from drf.registry.audit import Protocol, audit, audit_training
from drf.samples.inputs import Inputs
from drf.samples.lagged import Samples, make_samples
from drf.samples.windows import Window, WindowRule, validation_windows
from drf.training.fits import Fit, fit_here
from tests.experiment.composing import composed
from tests.making import window_rule

pytestmark = pytest.mark.long

FUTURE = "the future changes no forecast"
SHUFFLED = "shuffled returns are not forecast"
SHIFTED = "a shifted panel is refused"
RANKS = "ranks and targets know their month alone"
MONTHS = "no month is seen before its test"
LEAVERS = "stocks leave the market"
ANSWER = "no descriptor holds the return"

PROTOCOL = Protocol(
    inputs=DESCRIPTORS,
    transforms={},
    window=window_rule(12, 12, 3, lags=[0, 3, 6], target="excess"),
    universe=50,
    quantiles=5,
    validation_months=6,
    folds=2,
)
LINEAR = Family("linear", Linear, {})
SMALL_LSTM = Family("lstm", LSTM, {"hidden": 4, "epochs": 3, "validation_months": 2})


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    return SimulatedMarket(60, 42, seed=1, exits=0.01).panel()


def failed(market: pd.DataFrame, family: Family = LINEAR, protocol: Protocol = PROTOCOL) -> set[str]:
    table = audit(market, family, protocol, seed=0)
    assert (table["reason"] != "").all()
    return set(table.loc[~table["passed"], "check"])


@pytest.mark.parametrize("family", [LINEAR, SMALL_LSTM], ids=lambda family: family.name)
def test_a_clean_path_passes(market: pd.DataFrame, family: Family) -> None:
    assert failed(market, family) == set()
    assert (
        failed(market, family, replace(PROTOCOL, window=replace(PROTOCOL.window, target="raw"), universe=None)) == set()
    )


def test_each_family_of_a_blend_is_audited(market: pd.DataFrame) -> None:
    window = ["window.train_months=12", "window.test_months=12", "window.refit_every=6", "tuning.trials=0"]
    models = ["model=[linear,ridge,blend]", "model.blend.rows=[linear,ridge]", "registry.row=blend"]
    config = read(composed(*models, *window), TrainConfig)
    row = row_named("blend")
    assert row is not None
    table = audit_training(market, config, row)
    assert table["passed"].all(), table
    assert {name.partition(": ")[0] for name in table["check"]} == {"linear", "ridge"}
    assert len(table) == 2 * len(audit(market, LINEAR, PROTOCOL, seed=0))


def test_a_validation_month_that_is_the_test_month_is_caught(
    market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def until_the_test_month(samples: Samples, fit: Fit) -> Any:
        window = fit.window
        leaking = Window(range(window.train.start, window.test.start + 1), range(window.test.start + 1, 99))
        return fit_here(samples, replace(fit, window=leaking))

    monkeypatch.setattr(suite, "fit_here", until_the_test_month)
    assert FUTURE in failed(market)


def test_an_early_stopping_that_looks_at_the_test_month_is_caught(
    market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is trained on the test month; it only chooses the epoch."""

    def held_back(samples: Samples, fit: Fit) -> Any:
        window, family = fit.window, fit.family
        leaking = Window(range(window.train.start, window.test.start + 1), range(window.test.start + 1, 99))
        chosen = replace(family, settings={**family.settings, "validation_months": 1, "epochs": 12})
        return fit_here(samples, replace(fit, family=chosen, window=leaking))

    monkeypatch.setattr(suite, "fit_here", held_back)
    assert FUTURE in failed(market, SMALL_LSTM)


def test_a_rank_over_the_whole_sample_is_caught(market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def over_all_months(panel: pd.DataFrame, descriptors: list[str], _: Any, ranks: np.ndarray) -> np.ndarray:
        ranks[:] = ((2 * panel[list(descriptors)].rank(pct=True) - 1).astype(np.float32)).fillna(0)
        return np.zeros(len(panel), dtype=int)

    monkeypatch.setattr(drf.samples.lagged, "fill_inputs", over_all_months)
    assert failed(market) >= {RANKS, FUTURE}


def test_a_scaler_over_the_whole_sample_is_caught(market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def scaled(*arguments: Any, **settings: Any) -> Samples:
        samples = make_samples(*arguments, **settings)
        return replace(
            samples, y=samples.y - np.nanmean(samples.y), x=Inputs.of(samples.x[:] - samples.x[:].mean(axis=0))
        )

    monkeypatch.setattr(suite, "make_samples", scaled)
    assert RANKS in failed(market)


def test_labels_over_several_months_leak_nothing_and_a_window_that_is_not_purged_is_caught(
    market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = replace(PROTOCOL, window=replace(PROTOCOL.window, horizon=3))
    assert not failed(market, protocol=protocol)

    def not_purged(samples: Samples, rule: WindowRule) -> list[Window]:
        return drf.samples.windows.test_windows(samples, replace(rule, horizon=1))

    monkeypatch.setattr(suite, "test_windows", not_purged)
    assert failed(market, protocol=protocol) >= {FUTURE, MONTHS}


def test_a_descriptor_that_knows_the_return_is_caught(market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_the_answer(*arguments: Any, **settings: Any) -> Samples:
        samples = make_samples(*arguments, **settings)
        x = samples.x[:]
        x[:, -1, 3] = np.nan_to_num(samples.y)
        return replace(samples, x=Inputs.of(x))

    monkeypatch.setattr(suite, "make_samples", with_the_answer)
    assert failed(market) >= {SHUFFLED, FUTURE}


def test_a_universe_of_survivors_is_caught(market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def survivors(panel: pd.DataFrame, universe: int | None) -> pd.DataFrame:
        last = panel.groupby("asset")["date"].transform("max")
        return panel[last == panel["date"].max()].reset_index(drop=True)

    monkeypatch.setattr(suite, "largest", survivors)
    assert FUTURE in failed(market)


def test_a_panel_of_survivors_is_caught(market: pd.DataFrame) -> None:
    last = market.groupby("asset")["date"].transform("max")
    survivors = SimulatedMarket(60, 42, seed=1, exits=0.0).panel()  # of some the newest months are missing
    assert failed(survivors) == {LEAVERS}
    assert (last < market["date"].max()).any()


def test_a_shift_that_nobody_objects_to_is_caught(market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    accepting: Callable[..., pd.DataFrame] = lambda panel, *_: panel
    monkeypatch.setattr(suite, "check_panel", accepting)
    assert failed(market) == {SHIFTED}


def test_tuning_on_a_test_month_is_caught(market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    def later(samples: Samples, rule: WindowRule, first_test: int, *settings: int) -> list[Window]:
        return validation_windows(samples, rule, first_test + 1, *settings)

    monkeypatch.setattr(suite, "validation_windows", later)
    assert failed(market) == {MONTHS}


def test_a_column_of_the_panel_that_holds_the_return_is_caught(market: pd.DataFrame) -> None:
    assert failed(market.assign(ROE=market["ret_next"].fillna(0.0))) == {ANSWER}


def test_what_cannot_be_judged_says_so_and_blocks_nothing() -> None:
    tiny = SimulatedMarket(8, 42, seed=1).panel()
    few = replace(PROTOCOL, universe=None, quantiles=2, window=replace(PROTOCOL.window, test_months=3))
    table = audit(tiny, LINEAR, few, seed=0).set_index("check")
    assert table["passed"].all()
    assert table["reason"][SHIFTED].startswith("not judged")
    assert table["reason"][LEAVERS].startswith("not judged")
