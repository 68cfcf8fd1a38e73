"""Linear families, solved from sums by month, against scikit-learn on the samples themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge

from drf.models.cross_products import cross_products
from drf.models.linear import ElasticNetRegression, Linear, RidgeRegression
from drf.samples.inputs import Inputs
from drf.samples.label import Label, label, worth
from drf.samples.lagged import Samples

LABELS = pytest.mark.parametrize("kind", ["return", "rank"])
Data = tuple[np.ndarray, np.ndarray, np.ndarray]


def made(seed: int, samples: int = 600, inputs: int = 12, months: int = 10) -> Data:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (samples, 2, inputs // 2)).astype(np.float32)
    x[:, 1, 0] = (0.95 * x[:, 0, 0] + 0.05 * x[:, 1, 0]).astype(np.float32)  # a rank changes slowly
    x[rng.random(x.shape) < 0.1] = 0
    y = (0.02 * x[:, 0, 1] - 0.03 * x[:, 1, 0] + 0.1 * rng.standard_normal(samples)).astype(np.float32)
    return x, y, np.sort(rng.integers(0, months, samples))


def by_scikit_learn(regression: Any, data: Data, kind: Label) -> np.ndarray:
    """Forecasts of the samples, put into returns as all families are."""
    x, y, month = data
    flat, target = x.reshape(len(x), -1).astype(np.float64), y.astype(np.float64)
    if kind == "rank":
        target = label("rank", y, month).astype(np.float64)
    output = regression.fit(flat, target).predict(flat)
    if kind == "return":
        return output
    multiple = worth(output, y, month)
    return y.mean(dtype=np.float64) + multiple * (output - output.mean())


@LABELS
@pytest.mark.parametrize("seed", range(5))
def test_least_squares_and_ridge_are_scikit_learns(kind: Label, seed: int) -> None:
    x, y, month = data = made(seed)
    for model, regression in [
        (Linear(label=kind), LinearRegression()),
        (RidgeRegression(label=kind, shrinkage=0.3), Ridge(alpha=0.3 * len(x) / 3)),
        (RidgeRegression(label=kind, shrinkage=10), Ridge(alpha=10 * len(x) / 3)),
    ]:
        expected = by_scikit_learn(regression, data, kind)
        tolerance = 1e-9 if kind == "return" else 1e-6  # labels are held in single precision there
        assert np.abs(model.fit(x, y, month).predict(x) - expected).max() < tolerance * expected.std()


@LABELS
def test_elastic_net_is_scikit_learns(kind: Label) -> None:
    x, y, month = data = made(0)
    deviation = y.astype(np.float64).std() if kind == "return" else 1.0
    for threshold, shrinkage in ((0.02, 0.3), (0.05, 0.0), (0.0, 1.0), (0.2, 0.3)):
        model = ElasticNetRegression(label=kind, threshold=threshold, shrinkage=shrinkage).fit(x, y, month)
        absolute, squared = threshold * deviation * np.sqrt(1 / 3), shrinkage / 3
        net = ElasticNet(absolute + squared, l1_ratio=absolute / (absolute + squared), tol=1e-12, max_iter=100_000)
        expected = by_scikit_learn(net, data, kind)
        assert np.abs(model.predict(x) - expected).max() < 1e-5 * y.std()
        assert np.array_equal(model.coefficients_.ravel() == 0, net.coef_ == 0)


def test_a_threshold_leaves_out_inputs_that_correlate_less() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200_000, 1, 3)).astype(np.float32)
    y = (x[:, 0] @ np.array([0.02, 0.01, 0.002]) + 0.1 * rng.standard_normal(len(x))).astype(np.float32)
    for threshold, used in ((0.0, 3), (0.03, 2), (0.08, 1), (0.2, 0)):
        model = ElasticNetRegression(threshold=threshold).fit(x, y, np.zeros(len(y), dtype=int))
        assert np.count_nonzero(model.coefficients_) == used


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["constant", "twice", "few samples"]))
def test_inputs_that_cannot_be_told_apart_get_the_shortest_solution(seed: int, fault: str) -> None:
    x, y, month = made(seed, samples=8 if fault == "few samples" else 300)
    if fault == "constant":
        x[:, 0, 2] = 0
    if fault == "twice":
        x[:, 1, 1] = x[:, 0, 1]
    expected = by_scikit_learn(LinearRegression(), (x, y, month), "return")
    model = Linear().fit(x, y, month)
    assert np.abs(model.predict(x) - expected).max() < 1e-7 * max(expected.std(), 1e-3)
    theirs = LinearRegression().fit(x.reshape(len(x), -1).astype(np.float64), y.astype(np.float64)).coef_
    assert np.linalg.norm(model.coefficients_) <= np.linalg.norm(theirs) * (1 + 1e-6)


def test_sums_are_kept_beside_a_shared_table_and_are_the_same_to_the_bit(samples: Samples, tmp_path: Path) -> None:
    known = ~np.isnan(samples.y)
    y, month = samples.y[known], samples.month[known]
    alone = cross_products(samples.x.part(known), y, month)
    shared = Inputs(samples.x.table, samples.x.rows[known], str(tmp_path))
    first, again = (cross_products(shared, y, month) for _ in range(2))
    assert len(list(tmp_path.glob("*.sums"))) == len(np.unique(month))
    assert np.array_equal(alone.sums, first.sums)
    assert np.array_equal(first.sums, again.sums)
    other = replace(samples, y=samples.y + np.float32(0.01))  # other returns are other sums
    assert not np.array_equal(cross_products(shared, other.y[known], month).sums, first.sums)


@LABELS
@pytest.mark.parametrize("model", [Linear, RidgeRegression, ElasticNetRegression])
def test_inputs_and_targets_that_do_not_vary_give_the_mean(model: Any, kind: Label) -> None:
    x, y, month = made(0)
    for inputs, target in ((np.zeros_like(x), y), (np.full_like(x, 0.3), y), (x, np.full_like(y, 0.01))):
        forecasts = model(label=kind).fit(inputs, target, month).predict(inputs)
        assert np.allclose(forecasts, target.mean(dtype=np.float64), atol=1e-9)


def test_nearly_equal_inputs_are_solved_without_a_threshold(recwarn: pytest.WarningsRecorder) -> None:
    x, y, month = made(0)
    x[:, 1] = x[:, 0] + 1e-4 * x[:, 1]
    model = ElasticNetRegression(threshold=0, shrinkage=1e-4).fit(x, y, month)
    ridge = RidgeRegression(shrinkage=1e-4).fit(x, y, month)
    assert np.allclose(model.coefficients_, ridge.coefficients_)
    x[:, 1] = x[:, 0]
    ElasticNetRegression(threshold=0.01, shrinkage=0).fit(x, y, month)
    assert not recwarn.list


def test_without_room_sums_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    x, y, month = made(0)
    inputs = Inputs.of(x)
    expected = cross_products(inputs, y, month).sums
    monkeypatch.setattr("drf.models.cross_products.whole_or_not", full)
    kept = cross_products(Inputs(inputs.table, inputs.rows, str(tmp_path)), y, month)
    assert np.array_equal(kept.sums, expected)
    assert not list(tmp_path.iterdir())
