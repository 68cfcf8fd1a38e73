from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression

from drf.models.base import Explains, TrainingDivergedError
from drf.models.boosting import Boosting
from drf.models.dnn import DNN
from drf.models.forest import Forest
from drf.models.linear import Linear, RidgeRegression
from drf.models.lstm import LSTM
from drf.models.svr import SVR
from drf.samples.label import label
from drf.samples.lagged import Samples

Data = tuple[np.ndarray, np.ndarray, np.ndarray]

NETWORKS: list[Any] = [
    DNN(hidden="8-4", epochs=3, validation_months=3),
    DNN(hidden="8-4-4", epochs=3, validation_months=3, signal_bias=True, linearisation="plain"),
    LSTM(hidden=4, epochs=3, validation_months=3),
    LSTM(hidden=4, epochs=3, validation_months=3, signal_bias=True, linearisation="plain"),
    LSTM(hidden=4, epochs=3, validation_months=3, label="rank"),
    LSTM(hidden=4, layers=2, bidirectional=True, epochs=3, validation_months=3),
]
LINEAR: list[Any] = [kind(label=label) for kind in (Linear, RidgeRegression) for label in ("return", "rank")]
EXPLAINING: list[Any] = [*LINEAR, Boosting(n_estimators=20), Boosting(n_estimators=20, label="rank"), *NETWORKS]
ALL: list[Any] = [
    *EXPLAINING,
    *(SVR(max_samples=300, label=label) for label in ("return", "rank")),
    *(Forest(n_estimators=5, min_samples_leaf=5, label=label) for label in ("return", "rank")),
]


@pytest.fixture(scope="module")
def data(samples: Samples) -> Data:
    rows = samples.sample_slice(range(12, 30))
    return samples.x[rows], samples.y[rows], samples.month[rows]


@pytest.mark.parametrize("model", ALL, ids=repr)
def test_every_family_fits_forecasts_and_repeats_itself_to_the_bit(model: Any, data: Data) -> None:
    first, second = (model.__class__(**model.get_params()).fit(*data).predict(data[0]) for _ in range(2))
    assert first.shape == (len(data[0]),)
    assert np.isfinite(first).all()
    assert np.array_equal(first, second)


@pytest.mark.parametrize("model", NETWORKS, ids=repr)
def test_a_network_depends_on_its_seed(model: Any, data: Data) -> None:
    other = model.__class__(**{**model.get_params(), "random_state": 1})
    assert not np.allclose(model.fit(*data).predict(data[0]), other.fit(*data).predict(data[0]))


@pytest.mark.parametrize("model", EXPLAINING, ids=repr)
def test_an_explanation_accounts_for_the_whole_forecast(model: Any, data: Data) -> None:
    assert isinstance(model, Explains)
    explanation = model.fit(*data).explain(data[0])
    assert explanation.relevance.shape == data[0].shape
    assert np.allclose(explanation.total, model.predict(data[0]), atol=2e-6)


@pytest.mark.parametrize("model", EXPLAINING, ids=repr)
def test_forecasts_do_not_depend_on_the_batch(model: Any, data: Data) -> None:
    model.fit(*data)
    some = [3, 50, 7]
    assert np.allclose(model.predict(data[0][some]), model.predict(data[0])[some], atol=1e-7)
    assert np.allclose(model.explain(data[0][some]).relevance, model.explain(data[0]).relevance[some], atol=1e-7)


@pytest.mark.parametrize("model", [m for m in NETWORKS if not m.signal_bias], ids=repr)
def test_without_signal_bias_the_neutral_stock_is_forecast_the_mean(model: Any, data: Data) -> None:
    neutral = np.zeros_like(data[0][:1])
    model.fit(*data)
    assert model.predict(neutral)[0] == model.mean_
    explanation = model.explain(data[0])
    assert (explanation.bias == 0).all()
    spread = np.corrcoef(explanation.linearised, model.predict(data[0]))[0, 1]
    assert spread > 0.99


@pytest.mark.parametrize("model", [m for m in NETWORKS if m.signal_bias], ids=repr)
def test_the_papers_form_has_biases_that_absorb_relevance(model: Any, data: Data) -> None:
    assert np.abs(model.fit(*data).explain(data[0]).bias).max() > 0


def test_linear_is_least_squares(data: Data) -> None:
    x, y, _ = data
    expected = LinearRegression().fit(x.reshape(len(x), -1), y).predict(x.reshape(len(x), -1))
    assert np.allclose(Linear().fit(*data).predict(x), expected, atol=1e-5)


def test_networks_learn_a_function_that_is_there() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (3000, 5, 4)).astype(np.float32)
    y = (x[:, -1, 0] * x[:, -1, 1] + x[:, 0, 2]).astype(np.float32)
    month = np.repeat(np.arange(30), 100)
    for model in (
        DNN(epochs=80, patience=20, learning_rate=0.003, batch_size=256),
        LSTM(epochs=60, patience=20, learning_rate=0.01, label="return"),
    ):
        fitted = model.fit(x[:2500], y[:2500], month[:2500]).predict(x[2500:])
        assert np.corrcoef(fitted, y[2500:])[0, 1] > 0.9


def test_a_network_that_learns_ranks_knows_no_sizes_and_forecasts_returns(data: Data) -> None:
    """Returns stretched in the tails, or shifted month by month, have the same ranks and train the same network."""
    x, y, month = data
    model = LSTM(hidden=4, epochs=3, validation_months=3, label="rank")
    weights = {name: value.clone() for name, value in model.fit(x, y, month).network_.state_dict().items()}
    forecasts = model.predict(x)
    excess = y - pd.Series(y).groupby(month).transform("mean").to_numpy()
    assert np.isclose(np.polyfit(forecasts, excess, 1)[0], 1)  # least squares leaves nothing to scale
    model.fit(x, (np.sinh(8 * y) + month % 3).astype(np.float32), month)
    for name, value in model.network_.state_dict().items():
        assert torch.equal(value, weights[name])
    assert not np.allclose(model.predict(x), forecasts)


def test_training_stops_on_the_last_months_alone(data: Data) -> None:
    """The months held back move no weight: with one epoch their targets change nothing but the scaling."""
    x, y, month = data
    held = month >= np.unique(month)[-3]
    model = LSTM(hidden=4, epochs=1, validation_months=3, label="return")
    twisted = y.copy()
    twisted[held] = twisted[held][::-1]  # the same values, so the same mean and scale
    assert np.allclose(model.fit(x, y, month).predict(x), model.fit(x, twisted, month).predict(x), atol=1e-7)


def test_more_validation_months_than_months_are_refused(data: Data) -> None:
    with pytest.raises(ValueError, match="leaves no month"):
        LSTM(validation_months=18).fit(*data)


def test_a_training_that_diverges_says_so(data: Data) -> None:
    x, y, month = data
    broken = np.where(month >= np.unique(month)[-3], np.inf, y).astype(np.float32)
    with np.errstate(invalid="ignore"), pytest.raises(TrainingDivergedError, match="diverged with learning_rate"):
        LSTM(hidden=4, epochs=2, validation_months=3, label="return").fit(x, broken, month)


@pytest.mark.parametrize("signal_bias", [True, False])
@pytest.mark.parametrize("kind", [DNN, LSTM])
def test_the_shapley_rule_sums_to_the_forecast(kind: Any, signal_bias: bool, data: Data) -> None:
    model = kind(epochs=2, validation_months=3, signal_bias=signal_bias, linearisation="shapley").fit(*data)
    explanation = model.explain(data[0])
    assert np.allclose(explanation.linearised, model.predict(data[0]), atol=1e-6)
    assert not explanation.bias.any() and not explanation.stabiliser.any() and not explanation.initial_state.any()


def test_faithfulness_compares_relevance_with_chance(data: Data) -> None:
    model = LSTM(epochs=20, validation_months=3, learning_rate=0.01, label="return").fit(*data)
    measured = model.faithfulness(data[0][:64])
    assert measured["deletion_lrp"] < measured["deletion_random"] - 0.2
    assert measured["insertion_lrp"] > measured["insertion_random"] + 0.2
    assert abs(measured["agreement_randomised_weights"]) < 0.4
    assert measured["agreement_gradient_x_input"] > 0.5


def test_labels_are_returns_or_ranks_within_the_month() -> None:
    y, month = np.array([0.1, -0.2, 0.4, 5.0, 1.0], dtype=np.float32), np.array([0, 0, 0, 1, 1])
    ranks = np.array([2 / 3, 1 / 3, 1, 1, 1 / 2])
    for kind, values in (("rank", ranks), ("return", y.astype(float))):
        expected = (values - values.mean()) / values.std()
        assert np.allclose(label(kind, y, month), expected, atol=1e-6)  # type: ignore[arg-type]
    assert np.array_equal(label("return", np.ones(3, dtype=np.float32), np.zeros(3)), np.zeros(3))


@pytest.mark.parametrize("kind", [Linear, RidgeRegression, Forest, SVR, Boosting])
def test_who_learns_ranks_is_moved_by_no_outlier_and_forecasts_returns(kind: Any, data: Data) -> None:
    x, y, month = data
    wild = y.copy()
    wild[np.argmax(y)] *= 50  # the largest return of its month stays the largest
    settings = {"max_samples": 10_000} if kind is SVR else {}
    calm, moved = (kind(label="rank", **settings).fit(x, target, month) for target in (y, wild))
    order = [pd.Series(model.predict(x)).rank() for model in (calm, moved)]
    if kind is not SVR:  # its epsilon is in returns, whose spread the outlier changes
        assert np.abs(order[0] - order[1]).max() <= 1
    assert moved.predict(x).std() < wild.std()
    raw, flipped = kind(label="return", **settings).fit(x, y, month), np.corrcoef(calm.predict(x), y)[0, 1]
    assert flipped > 0 and abs(raw.predict(x).mean() - y.mean()) < 0.02
    assert abs(calm.predict(x).mean() - y.mean()) < 1e-4


def test_ridge_shrinks_every_coefficient_by_what_its_setting_says() -> None:
    """Inputs that do not correlate: shrinkage 1 halves, 3 leaves a quarter."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200_000, 1, 3)).astype(np.float32)
    y = (x[:, 0] @ np.array([0.03, -0.02, 0.01], dtype=np.float32)).astype(np.float32)
    for shrinkage, left in ((0.0, 1.0), (1.0, 0.5), (3.0, 0.25)):
        model = RidgeRegression(shrinkage=shrinkage).fit(x, y, np.zeros(len(y), dtype=int))
        assert model.coefficients_[0] == pytest.approx(left * np.array([0.03, -0.02, 0.01]), rel=0.02)


@pytest.mark.parametrize("label", ["return", "rank"])
def test_contributions_of_trees_are_lightgbms_own_and_sum_to_the_forecast(label: str, data: Data) -> None:
    import lightgbm

    x, y, month = data
    model = Boosting(n_estimators=30, label=label).fit(x, y, month)
    flat = x.reshape(len(x), -1).astype(np.float64)
    theirs = lightgbm.Booster(model_str=model.trees_).predict(flat, pred_contrib=True)
    account = model.portable().account(x)
    ratio = account["relevance"].reshape(len(x), -1)[theirs[:, :-1] != 0] / theirs[:, :-1][theirs[:, :-1] != 0]
    assert np.ptp(ratio) < 1e-9 * abs(ratio.mean())  # one factor puts all into returns
    explanation = model.explain(x)
    assert np.abs(explanation.linearised - model.predict(x)).max() < 1e-9
    assert np.abs(explanation.linearised - account["network"]).max() < 1e-9


@pytest.mark.parametrize(("samples", "inputs"), [(4097, 3), (4096, 1), (300, 1)])
def test_boosting_reads_samples_in_turn_as_it_reads_them_at_once(
    samples: int, inputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lightgbm

    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (samples, 1, inputs)).astype(np.float32)
    y = (0.1 * x[:, 0, 0] + 0.1 * rng.standard_normal(samples)).astype(np.float32)
    settings = {"n_estimators": 5, "feature_share": 1.0, "sample_share": 1.0, "label": "return"}
    monkeypatch.setattr("drf.models.boosting.BLOCK", 0)
    model = Boosting(**settings).fit(x, y, np.zeros(samples, dtype=int))
    fixed = {"learning_rate": 0.03, "num_leaves": 6, "min_data_in_leaf": round(0.01 * samples), "lambda_l2": 10.0}
    quiet = {"verbosity": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 0}
    target = (y - model.centre_) / model.unit_
    whole = lightgbm.Dataset(x.reshape(samples, -1).astype(np.float64), target)
    expected = lightgbm.train({**fixed, **quiet}, whole, num_boost_round=5).predict(x.reshape(samples, -1))
    assert np.allclose(model.predict(x), model.centre_ + model.unit_ * expected, atol=1e-9)
