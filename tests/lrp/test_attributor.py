from __future__ import annotations

import pytest
import torch
from torch import nn

from drf.lrp import RULES, AllSteps, Composite, Epsilon, FinalState, LastStep, UnsupportedLayerError, attribute


@pytest.fixture
def recurrent() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.LSTM(3, 4, batch_first=True), FinalState(), nn.Linear(4, 2)).eval()


def test_the_result_does_not_depend_on_batch_or_chunk(recurrent: nn.Sequential) -> None:
    x = torch.randn(20, 5, 3)
    whole = attribute(recurrent, x).relevance
    assert torch.allclose(attribute(recurrent, x, chunk=3).relevance, whole, atol=1e-6)
    singles = torch.cat([attribute(recurrent, sample[None]).relevance for sample in x])
    assert torch.allclose(singles, whole, atol=1e-6)


def test_any_output_can_be_explained(recurrent: nn.Sequential) -> None:
    x = torch.randn(4, 5, 3)
    assert torch.allclose(attribute(recurrent, x, output=1).output, recurrent(x)[:, 1])
    with pytest.raises(ValueError, match="output=2 does not exist: the model has 2"):
        attribute(recurrent, x, output=2)


def test_an_lstm_with_time_first_gives_the_same_relevance(recurrent: nn.Sequential) -> None:
    lstm = nn.LSTM(3, 4)
    lstm.load_state_dict(recurrent[0].state_dict())
    time_first = nn.Sequential(lstm, LastStep(batch_first=False), recurrent[2]).eval()
    x = torch.randn(6, 5, 3)
    account = attribute(time_first, x.transpose(0, 1), chunk=4)
    assert torch.allclose(account.relevance.transpose(0, 1), attribute(recurrent, x).relevance, atol=1e-6)
    assert torch.allclose(account.output, time_first(x.transpose(0, 1))[:, 0], atol=1e-6)
    assert account.residual.abs().max() < 1e-6


def test_relu_networks_without_bias_give_gradient_times_input() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 1, bias=False)
    )
    model = model.double().eval()
    x = torch.randn(10, 2, 3, dtype=torch.float64, requires_grad=True)
    model(x).sum().backward()
    account = attribute(model, x.detach(), composite=Composite(Epsilon(1e-13)))
    assert torch.allclose(account.relevance, x.detach() * x.grad, atol=1e-9)


def test_it_takes_no_gradient_and_leaves_the_model_alone(recurrent: nn.Sequential) -> None:
    before = {name: value.clone() for name, value in recurrent.state_dict().items()}
    account = attribute(recurrent, torch.randn(4, 5, 3))
    assert not account.relevance.requires_grad
    assert all(parameter.grad is None for parameter in recurrent.parameters())
    assert all(torch.equal(before[name], value) for name, value in recurrent.state_dict().items())


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()), "layer '1' \\(Sigmoid\\).*supported are"),
        (nn.Sequential(nn.GRU(3, 2)), "layer '0' \\(GRU\\)"),
        (nn.Sequential(nn.LSTM(3, 4, proj_size=2, batch_first=True), FinalState()), "proj_size=2"),
        (nn.Sequential(nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)), "must be followed by FinalState"),
        (nn.Transformer(8, 1, 1, 1), "layer 'model' \\(Transformer\\)"),
    ],
)
def test_an_unsupported_layer_is_named(model: nn.Module, told: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=told):
        attribute(model.eval(), torch.randn(2, 5, 3))


def test_a_module_that_stands_twice_counts_twice() -> None:
    torch.manual_seed(0)
    relu, square = nn.ReLU(), nn.Linear(4, 4)
    model = nn.Sequential(square, relu, square, relu, nn.Linear(4, 1)).double().eval()
    x = torch.randn(6, 4, dtype=torch.float64)
    account = attribute(model, x)
    assert torch.allclose(account.output, model(x)[:, 0])
    assert account.residual.abs().max() < 1e-12


class Doubled(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


class Halved(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) / 2


@pytest.mark.parametrize(
    "model",
    [
        Doubled(nn.Linear(3, 1)),
        nn.Sequential(Halved(3, 1)),
        nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 4), LastStep(batch_first=False), nn.Linear(4, 1)),
        nn.Sequential(nn.LSTM(3, 4, batch_first=True), AllSteps(), nn.LSTM(4, 4), LastStep(batch_first=False)),
        nn.Sequential(nn.LSTM(3, 4), LastStep()),
        nn.Sequential(nn.LSTM(3, 4, batch_first=True), LastStep(batch_first=False)),
        nn.Sequential(nn.LSTM(3, 4, batch_first=True, bidirectional=True), FinalState()),
        nn.Sequential(nn.LSTM(3, 4), AllSteps(), nn.Flatten(), nn.Linear(20, 1)),
        nn.Sequential(nn.Linear(3, 4), FinalState()),
        nn.Sequential(nn.Flatten(0), nn.Linear(3, 1)),
        nn.Sequential(),
    ],
    ids=str,
)
def test_a_model_that_would_be_misread_is_refused(model: nn.Module) -> None:
    with pytest.raises(UnsupportedLayerError):
        attribute(model.eval(), torch.randn(5, 5, 3))


def test_stacked_lstms_are_explained() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.LSTM(3, 4, batch_first=True), AllSteps(), nn.LSTM(4, 2, batch_first=True), FinalState(), nn.Linear(2, 1)
    )
    model, x = model.double().eval(), torch.randn(6, 5, 3, dtype=torch.float64)
    account = attribute(model, x)
    assert account.residual.abs().max() < 1e-12
    assert torch.allclose(account.output, model(x)[:, 0])


def test_a_baseline_makes_the_inputs_sum_to_the_difference(recurrent: nn.Sequential) -> None:
    model = recurrent.double()
    x, zero = torch.randn(6, 5, 3, dtype=torch.float64), torch.zeros(1, 5, 3, dtype=torch.float64)
    account = attribute(model, x, baseline=zero, composite=Composite(Epsilon(1e-12), epsilon=1e-12))
    assert torch.allclose(account.inputs, model(x)[:, 0] - model(zero)[:, 0], atol=1e-8)
    assert (account.bias == 0).all()
    assert attribute(model, zero, baseline=zero).relevance.abs().max() == 0
    with pytest.raises(ValueError, match="baseline has shape"):
        attribute(model, x, baseline=zero[0])


def test_spread_biases_leave_nothing_to_biases(recurrent: nn.Sequential) -> None:
    x = torch.randn(6, 5, 3, dtype=torch.float64)
    account = attribute(recurrent.double(), x, composite=Composite(bias_factor=1.0))
    assert account.bias.abs().max() == account.stabiliser.abs().max() == 0
    assert account.residual.abs().max() < 1e-12


def test_rules_by_name_and_by_layer(recurrent: nn.Sequential) -> None:
    x = torch.randn(6, 5, 3)
    for name, rule in RULES.items():
        by_name = attribute(recurrent, x, composite=Composite(name)).relevance
        assert torch.equal(by_name, attribute(recurrent, x, composite=Composite(rule())).relevance)
    mixed = attribute(recurrent, x, composite=Composite(layers={"2": "w-square"}))
    assert not torch.allclose(mixed.relevance, attribute(recurrent, x).relevance)
    with pytest.raises(ValueError, match="names \\['9'\\]"):
        attribute(recurrent, x, composite=Composite(layers={"9": "gamma"}))
    with pytest.raises(ValueError, match="layer '1' \\(FinalState\\) has no linear map"):
        attribute(recurrent, x, composite=Composite(layers={"1": "gamma"}))
    with pytest.raises(ValueError, match="'half' is a rule for gates"):
        Composite("half")


def test_what_does_not_fit_is_refused(recurrent: nn.Sequential) -> None:
    with pytest.raises(ValueError, match="takes 3 features, it was given 4"):
        attribute(recurrent, torch.randn(2, 5, 4))
    with pytest.raises(ValueError, match="3 dimensions"):
        attribute(recurrent, torch.randn(2, 3))
    with pytest.raises(ValueError, match="NaN"):
        attribute(recurrent, torch.full((2, 5, 3), float("nan")))
    with pytest.raises(ValueError, match=r"call model\.eval"):
        attribute(nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.2), nn.Linear(2, 1)).train(), torch.randn(2, 3))
    with pytest.raises(ValueError, match="needs float32 or float64"):
        attribute(recurrent, torch.randn(2, 5, 3).half())
    with pytest.raises(ValueError, match="at least one sample"):
        attribute(recurrent, torch.randn(0, 5, 3))
    with pytest.raises(ValueError, match="gate rule 'most' is unknown"):
        Composite(gate="most")
    with pytest.raises(ValueError, match="not a rule"):
        Composite(linear="most")
