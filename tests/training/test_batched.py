from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from drf.errors import InputError
from drf.models.architecture import reads_inputs
from drf.models.base import TrainingDivergedError
from drf.models.dnn import DNN
from drf.models.lstm import LSTM
from drf.models.network import Network
from drf.samples.inputs import Inputs
from drf.samples.lagged import Samples
from drf.training.batched import AT_ONCE, batches, fit_batched

Data = tuple[np.ndarray, np.ndarray, np.ndarray]

SETTINGS: list[tuple[Any, dict[str, Any]]] = [
    (LSTM, {"hidden": 4}),
    (LSTM, {"hidden": 4, "signal_bias": True, "layers": 2, "bidirectional": True}),
    (LSTM, {"hidden": 4, "label": "rank"}),
    (DNN, {"hidden": "8-4"}),
    (DNN, {"hidden": "8", "signal_bias": True}),
]


@pytest.fixture(scope="module")
def data() -> Data:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (600, 5, 3)).astype(np.float32)
    y = (0.02 * x[:, -1, 0] * x[:, 0, 1] + 0.01 * x[:, 2, 2] + 0.01 * rng.standard_normal(600)).astype(np.float32)
    return x, y, np.repeat(np.arange(30), 20)


def train(models: list[Network], data: Data, rows: list[np.ndarray], starts: list[Network | None] | None = None) -> Any:
    x, y, month = data
    dates = pd.date_range("2000-01-31", periods=month.max() + 1, freq="ME")
    samples = Samples(
        Inputs.of(x), y, y, month, np.empty(0), np.full(len(y), -1), dates, (12, 9, 6, 3, 0), ("A", "B", "C"), 0, 0
    )
    return fit_batched(models, samples, rows, starts or [None] * len(models), "cpu")


@pytest.mark.parametrize(("kind", "settings"), SETTINGS)
def test_networks_trained_together_are_those_trained_alone(kind: Any, settings: dict[str, Any], data: Data) -> None:
    """Windows of different lengths, seeds, learning rates and weight decays; some stop early, and not together."""
    x, y, month = data
    own = [
        ({"random_state": 0}, np.arange(600)),
        ({"random_state": 1, "learning_rate": 0.01}, np.arange(40, 440)),
        ({"random_state": 2, "weight_decay": 0.01}, np.delete(np.arange(100, 600), [7, 70])),
        ({"random_state": 3, "learning_rate": 0.03}, np.arange(200, 600)),
    ]
    common = {"batch_size": 128, "epochs": 12, "patience": 2, "validation_months": 4, **settings}
    models = [kind(**{"learning_rate": 0.003, **common, **changes}) for changes, _ in own]
    assert train(models, data, [rows for _, rows in own]) == [None] * 4
    for model, (changes, rows) in zip(models, own, strict=True):
        alone = kind(**{"learning_rate": 0.003, **common, **changes}).fit(x[rows], y[rows], month[rows])
        assert np.allclose(model.predict(x), alone.predict(x), atol=2e-6, rtol=0)
        untrained, _ = alone.initialise(x.shape[1:], None)
        for name, value in alone.network_.state_dict().items():
            moved = (value - untrained.state_dict()[name]).abs().max()
            assert (model.network_.state_dict()[name] - value).abs().max() <= 0.002 * moved + 1e-7


@dataclass(kw_only=True, eq=False, repr=False)
class Pairwise(LSTM):
    """A network whose loss is the share of pairs within a month that it puts in the wrong order, made smooth."""

    @staticmethod
    def loss(output: torch.Tensor, target: torch.Tensor, month: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        pairs = weight[:, None] * weight * (month[:, None] == month) * (target[:, None] > target)
        wrong = nn.functional.softplus(output - output[:, None])
        return (pairs * wrong).sum() / pairs.sum().clamp(min=1)


def test_a_loss_of_its_own_is_minimised_by_both_loops(data: Data) -> None:
    x, y, month = data
    rows = [np.arange(600), np.arange(40, 440)]
    settings: dict[str, Any] = {"hidden": 4, "batch_size": 128, "epochs": 8, "patience": 8, "validation_months": 4}
    together: list[Network] = [Pairwise(**settings) for _ in rows]
    train(together, data, rows)
    for model, chosen in zip(together, rows, strict=True):
        parts = x[chosen], y[chosen], month[chosen]
        alone, squared = Pairwise(**settings).fit(*parts), LSTM(**settings).fit(*parts)
        own, other = alone.predict(x), squared.predict(x)
        assert np.allclose(model.predict(x), own, atol=2e-6, rtol=0)
        assert np.abs(own - other).max() > 100 * np.abs(model.predict(x) - own).max()


@pytest.mark.parametrize("kind", [LSTM, DNN])
def test_sparse_networks_are_the_same_in_both_loops_and_leave_inputs_out(kind: type[Network], data: Data) -> None:
    x, y, month = data
    settings: dict[str, Any] = {"hidden": 4, "batch_size": 128, "epochs": 12, "patience": 12, "validation_months": 4}
    settings |= {"learning_rate": 0.01, "weight_decay": 0.0}
    rows = np.arange(600)
    together = [kind(**settings, sparsity=size) for size in (0.0, 0.9)]
    train(together, data, [rows, rows])
    for model, size in zip(together, (0.0, 0.9), strict=True):
        alone = kind(**settings, sparsity=size).fit(x[rows], y[rows], month[rows])
        assert np.allclose(model.predict(x), alone.predict(x), atol=2e-6, rtol=0)
        weights = alone.network_.get_parameter(reads_inputs(alone.network_))
        unread = (weights == 0).all(dim=0)
        assert bool((weights == 0).any()) == bool(size)
        assert kind is LSTM or bool(unread.any()) == bool(size)  # a gate of the LSTM may still read the input
        relevance = alone.explain(x).relevance.reshape(len(x), -1)
        if kind is DNN:
            assert not relevance[:, unread.numpy()].any()
        else:
            assert not alone.explain(x).relevance[:, :, unread.numpy()].any()


def test_the_candidate_keeps_no_bias(data: Data) -> None:
    model = LSTM(hidden=4, epochs=3, validation_months=4)
    train([model], data, [np.arange(600)])
    for bias in (model.network_[0].bias_ih_l0, model.network_[0].bias_hh_l0):
        assert torch.all(bias[8:12] == 0)
        assert torch.any(bias[:8] != 0)


def test_one_that_diverges_leaves_the_others_alone(data: Data) -> None:
    models = [DNN(hidden="8", epochs=4, learning_rate=rate, validation_months=4) for rate in (0.001, 1e30)]
    ends = train(models, data, [np.arange(600)] * 2)
    assert ends[0] is None
    assert isinstance(ends[1], TrainingDivergedError)
    assert np.isfinite(models[0].predict(data[0])).all()


def test_a_start_is_obeyed(data: Data) -> None:
    x, y, month = data
    before = LSTM(hidden=4, epochs=5, validation_months=4).fit(x, y, month)
    model, cold, alone = (LSTM(hidden=4, epochs=1, validation_months=4, random_state=5) for _ in range(3))
    train([model], data, [np.arange(600)], [before])
    alone.fit(x, y, month, start=before)
    cold.fit(x, y, month)
    assert np.allclose(model.predict(x), alone.predict(x), atol=2e-6, rtol=0)
    assert not np.allclose(model.predict(x), cold.predict(x), atol=1e-5)


def test_what_differs_in_shape_or_protocol_is_trained_apart() -> None:
    models: list[Network] = [LSTM(hidden=4), LSTM(hidden=8), DNN(), LSTM(hidden=4, random_state=3, learning_rate=0.1)]
    assert batches({10 * k: model for k, model in enumerate(models)}) == [[0, 30], [10], [20]]
    assert [len(group) for group in batches({k: DNN() for k in range(AT_ONCE + 1)})] == [AT_ONCE, 1]


@dataclass(kw_only=True, eq=False, repr=False)
class WithNorm(DNN):
    """A dense network with a layer that this program was not written for."""

    norm: str = "layer"

    def initialise(self, shape: tuple[int, ...], start: Network | None) -> tuple[nn.Sequential, torch.Tensor]:
        network, stream = super().initialise(shape, start)
        layer = {"layer": nn.LayerNorm(8), "batch": nn.BatchNorm1d(8), "dropout": nn.Dropout(0.5)}[self.norm]
        return nn.Sequential(*network[:2], layer, *network[2:]), stream


def test_a_layer_that_it_was_not_written_for_is_trained_too(data: Data) -> None:
    x, y, month = data
    settings: dict[str, Any] = {"hidden": "8", "epochs": 4, "validation_months": 4, "batch_size": 128}
    model, alone = WithNorm(**settings), WithNorm(**settings).fit(x, y, month)
    assert train([model], data, [np.arange(600)]) == [None]
    assert np.allclose(model.predict(x), alone.predict(x), atol=2e-6, rtol=0)
    weight = model.network_[2].weight
    assert not torch.allclose(weight, torch.ones_like(weight))


@pytest.mark.parametrize(("norm", "told"), [("batch", "numbers of its own"), ("dropout", "draws random numbers")])
def test_a_layer_that_it_cannot_train_is_refused_by_name(norm: str, told: str, data: Data) -> None:
    with pytest.raises(InputError, match=f"layer 2, .*{told}"):
        train([WithNorm(hidden="8", norm=norm, validation_months=4)], data, [np.arange(600)])
