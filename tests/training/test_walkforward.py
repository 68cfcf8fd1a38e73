from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drf.data.paper_descriptors import DESCRIPTORS
from drf.errors import InputError
from drf.models.family import Family
from drf.models.forest import Forest
from drf.models.linear import Linear
from drf.models.lstm import LSTM
from drf.samples.lagged import Samples, make_samples
from drf.samples.windows import make_schedule
from drf.training.checkpoints import Checkpoints
from drf.training.fits import Fit, fit_here
from drf.training.forecasts import WalkForward, forecast_table
from drf.training.parallel import Compute
from drf.training.walkforward import walk_forward
from tests.making import schedule, window_rule

LAGS = (0, 3, 6, 9, 12)

FAMILIES = [
    Family("linear", Linear, {}),
    Family("forest", Forest, {"n_estimators": 4, "min_samples_leaf": 5}),
    Family("lstm", LSTM, {"hidden": 4, "epochs": 3, "validation_months": 3}, seeds=2),
]


def run(
    samples: Samples, jobs: int = 1, seed: int = 0, checkpoints: Checkpoints | None = None
) -> dict[str, WalkForward]:
    return walk_forward(FAMILIES, samples, schedule(samples, 15, 8, 3), seed, Compute(jobs), checkpoints)


@pytest.fixture(scope="module")
def forecasts(samples: Samples) -> dict[str, WalkForward]:
    return run(samples)


@pytest.mark.long
def test_two_workers_give_the_numbers_of_one_to_the_bit(samples: Samples, forecasts: dict[str, WalkForward]) -> None:
    again = run(samples, jobs=2)
    for family, walk in forecasts.items():
        assert np.array_equal(again[family].tested.prediction, walk.tested.prediction)
        assert np.array_equal(again[family].newest.prediction, walk.newest.prediction)
        one, other = walk.tested.contributions, again[family].tested.contributions
        if one is not None and other is not None:
            for name in ("linearised", "ahead", "by_descriptor", "by_lag", "cells"):
                assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)


def run_full(samples: Samples) -> WalkForward:
    return walk_forward(FAMILIES[:1], samples, schedule(samples, 15, 8, 3), 0, Compute(1), full=True)["linear"]


class Stop(Exception):
    pass


def test_an_interrupted_walk_goes_on_and_ends_with_the_same_numbers_to_the_bit(
    samples: Samples, forecasts: dict[str, WalkForward], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopAfter(Checkpoints):
        kept = 0

        def keep(self, task: object, result: object) -> None:
            super().keep(task, result)
            self.kept += 1
            if self.kept == 5:
                raise Stop

    with pytest.raises(Stop), StopAfter(str(tmp_path), {}) as stopped:
        run(samples, checkpoints=stopped)
    assert len(list(stopped.path.glob("*.fit"))) == 5
    with Checkpoints(str(tmp_path), {}) as checkpoints:
        again = run(samples, checkpoints=checkpoints)
    assert checkpoints.restored == 5
    assert not checkpoints.path.exists()
    for family, walk in forecasts.items():
        assert np.array_equal(again[family].tested.prediction, walk.tested.prediction)
        assert np.array_equal(again[family].newest.prediction, walk.newest.prediction)
        pd.testing.assert_frame_equal(again[family].tested.faithfulness, walk.tested.faithfulness)


MONTH = 39


def other_future(panel: pd.DataFrame, samples: Samples) -> pd.DataFrame:
    """Another panel from ``MONTH`` on: descriptors after it, and the returns that follow it, are drawn anew."""
    at = samples.dates[MONTH]
    rng = np.random.default_rng(0)
    changed = panel.copy()
    later, unknown = panel["date"] > at, panel["date"] >= at
    changed.loc[later, list(DESCRIPTORS)] = rng.normal(size=(later.sum(), len(DESCRIPTORS)))
    drawn = rng.normal(size=unknown.sum())
    changed.loc[unknown, "ret_next"] = np.where(panel.loc[unknown, "ret_next"].isna(), np.nan, drawn)
    return changed


def test_the_future_moves_no_past_forecast(
    panel: pd.DataFrame, samples: Samples, forecasts: dict[str, WalkForward]
) -> None:
    """To the bit, at and before the month whose future changed; and what comes later does move."""
    moved = run(make_samples(other_future(panel, samples), DESCRIPTORS, LAGS))
    past = samples.month[forecasts["linear"].tested.samples_slice] <= MONTH
    assert 0 < past.sum() < len(past)
    for family, walk in forecasts.items():
        changed, as_it_was = moved[family].tested.prediction, walk.tested.prediction
        assert np.array_equal(changed[past], as_it_was[past]), family
        assert not np.array_equal(changed[~past], as_it_was[~past])


def test_a_leak_would_be_noticed(panel: pd.DataFrame, samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above catches ranks that are taken over the whole sample."""

    def leaking(panel: pd.DataFrame, descriptors: Sequence[str], _: object, ranks: np.ndarray) -> np.ndarray:
        ranks[:] = ((2 * panel[list(descriptors)].rank(pct=True) - 1).astype(np.float32)).fillna(0)
        return np.zeros(len(panel), dtype=int)

    monkeypatch.setattr("drf.samples.lagged.fill_inputs", leaking)
    before, after = (run(make_samples(table, DESCRIPTORS, LAGS)) for table in (panel, other_future(panel, samples)))
    past = samples.month[before["linear"].tested.samples_slice] <= MONTH
    for family in before:
        assert not np.array_equal(after[family].tested.prediction[past], before[family].tested.prediction[past]), family


def test_seeds_are_averaged_and_the_newest_models_kept(samples: Samples, forecasts: dict[str, WalkForward]) -> None:
    walk = forecasts["lstm"]
    assert len(walk.members) == 2
    x = samples.x[walk.newest.samples_slice]
    assert len(x) > 0
    mean = np.mean([model.predict(x) for model in walk.members], axis=0)
    assert np.allclose(walk.newest.prediction, mean, atol=1e-9)


def test_fits_kept_with_few_cells_are_not_taken_for_all_cells(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk that was stopped goes on with another setting, or to another last month."""
    monkeypatch.setattr("drf.evaluation.contributions.SHOWN", 5)
    for months, full in ((8, False), (8, True), (6, False), (6, True)):
        rule = window_rule(15, None, 3, test_to=str(samples.dates[samples.known_months[months - 9]].date()))
        planned = make_schedule(samples, rule)
        with pytest.raises(Stop), Checkpoints(str(tmp_path), {}) as kept:
            walk_forward(FAMILIES[:1], samples, planned, 0, Compute(1), kept, full)
            raise Stop
        with pytest.raises(Stop), Checkpoints(str(tmp_path), {}) as kept:
            again = walk_forward(FAMILIES[:1], samples, planned, 0, Compute(1), kept, full)["linear"].tested
            assert kept.restored > 0
            raise Stop
        expected = walk_forward(FAMILIES[:1], samples, planned, 0, Compute(1), None, full)["linear"].tested
        assert again.contributions is not None and expected.contributions is not None
        assert np.array_equal(again.contributions.cells, expected.contributions.cells)


def test_contributions_are_those_of_the_models_and_carry_keys(
    samples: Samples, forecasts: dict[str, WalkForward]
) -> None:
    walk = forecasts["lstm"]
    where, found = walk.newest.samples_slice, walk.newest.contributions
    assert found is not None
    each = [model.explain(samples.x[where]) for model in walk.members]
    mean = np.mean([one.relevance for one in each], axis=0)
    table = forecast_table(samples, where, walk.newest.prediction)
    assert list(table) == ["date", "asset", "y_true", "y_pred"]
    relevance = found.relevance(table)
    assert relevance[["date", "asset"]].equals(table[["date", "asset"]])
    assert np.allclose(relevance.drop(columns=["date", "asset"]), mean.reshape(len(table), -1), atol=1e-8)
    assert list(relevance)[2:] == [f"{name}_lag{lag}" for lag in samples.lags for name in samples.descriptors]
    assert np.allclose(found.of(samples.descriptors), mean.sum(1), atol=1e-8)
    assert np.allclose(found.linearised, np.mean([one.linearised for one in each], axis=0), atol=1e-12)


def test_forecasts_a_month_ahead_use_each_stocks_own_factor_returns(
    samples: Samples, forecasts: dict[str, WalkForward]
) -> None:
    """Against a plain search for the same stock a month earlier, with a linear model fitted on each window."""
    tested = forecasts["linear"].tested
    assert tested.contributions is not None
    where = tested.samples_slice
    keys = list(zip(samples.month[where], samples.asset[where], strict=True))
    place = {key: k for k, key in enumerate(keys)}
    x, every = samples.x[where], run_full(samples).tested.contributions
    assert every is not None
    cells = every.cells.reshape(x.shape)
    for k, (month, asset) in enumerate(keys):
        later = place.get((month + 1, asset))
        if later is not None:
            returns = np.divide(cells[k], x[k], out=np.zeros_like(cells[k]), where=x[k] != 0)
            expected = (returns * x[later]).sum() + tested.contributions.intercept[k]
            assert tested.contributions.ahead[k] == pytest.approx(expected, abs=1e-6)
        elif month < samples.month[where][-1]:
            assert np.isnan(tested.contributions.ahead[k])


def test_a_device_gives_the_numbers_of_workers_but_for_rounding(samples: Samples) -> None:
    planned = schedule(samples, 15, 4, 2)
    here, there = (walk_forward(FAMILIES, samples, planned, 0, Compute(1, device=device)) for device in (None, "cpu"))
    for name, walk in here.items():
        for one, other in ((walk.tested, there[name].tested), (walk.newest, there[name].newest)):
            assert np.allclose(one.prediction, other.prediction, atol=1e-5, rtol=0)
            if one.contributions is not None and other.contributions is not None:
                assert np.allclose(one.contributions.cells, other.contributions.cells, atol=1e-5, rtol=0)


def test_a_device_that_is_not_there_is_refused(samples: Samples) -> None:
    planned = schedule(samples, 15, 1, 1)
    with pytest.raises(InputError, match=r"compute\.device=nothing: "):
        walk_forward(FAMILIES, samples, planned, 0, Compute(1, device="nothing"))


def test_a_warm_start_goes_on_from_the_window_before(samples: Samples) -> None:
    planned = schedule(samples, 15, 4, 2)
    cold = FAMILIES[-1].with_settings({"warm_start": False})
    warm = cold.with_settings({"warm_start": True})
    found = {}
    for name, family in {"cold": cold, "warm": warm}.items():
        walk = walk_forward([family], samples, planned, 0, Compute(1))["lstm"]
        found[name] = [*walk.tested.by_seed, *walk.newest.by_seed]
    first = samples.sample_slice(planned.tested[0].test)
    months = first.stop - first.start
    for seed in range(cold.seeds):
        assert np.array_equal(found["cold"][seed][:months], found["warm"][seed][:months])
        assert not np.allclose(found["cold"][seed][months:], found["warm"][seed][months:])

    for seed in range(cold.seeds):
        before = None
        for window in planned.tested:
            before = fit_here(samples, Fit(warm, window, seed, 0, start=before))
            tested = samples.sample_slice(window.test)
            at = slice(tested.start - first.start, tested.stop - first.start)
            assert np.array_equal(before.predict(samples.x[tested]), found["warm"][seed][at])


@pytest.mark.long
def test_an_interrupted_walk_with_a_warm_start_ends_with_the_same_numbers(samples: Samples, tmp_path: Path) -> None:
    planned = schedule(samples, 15, 6, 2)
    warm = [FAMILIES[-1].with_settings({"warm_start": True}), FAMILIES[0]]
    expected = walk_forward(warm, samples, planned, 0, Compute(1))
    with Checkpoints(str(tmp_path), {}) as checkpoints:
        walk_forward(warm, samples, planned, 0, Compute(1), checkpoints)
        for number, file in enumerate(sorted(checkpoints.path.glob("*.fit"))):
            if number % 2:
                file.unlink()
        again = walk_forward(warm, samples, planned, 0, Compute(2), checkpoints)
        assert checkpoints.restored > 0
    for name, walk in expected.items():
        assert np.array_equal(walk.tested.by_seed, again[name].tested.by_seed)


def test_the_agreement_of_other_seeds_leaves_a_seed_itself_out(samples: Samples) -> None:
    """With two seeds it is the agreement of the two, the same for both, and not near one."""
    walk = run(samples)["lstm"]
    table = walk.tested.faithfulness
    by_window = table.groupby("date")["agreement_other_seeds"]
    assert (by_window.max() == by_window.min()).all()
    assert table["agreement_other_seeds"].abs().max() < 0.95
    alone = walk_forward(
        [FAMILIES[-1].__class__("lstm", LSTM, FAMILIES[-1].settings, seeds=1)],
        samples, schedule(samples, 15, 4, 4), 0, Compute(jobs=1),
    )["lstm"]  # fmt: skip
    assert alone.tested.faithfulness["agreement_other_seeds"].isna().all()
