"""The LSTM's relevance against two independent implementations, and its books for every supported shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from drf.lrp import GATE_RULES, AlphaBeta, Composite, Epsilon, Gamma, Rule, WSquare, ZPlus, attribute
from drf.models.architecture import FinalState
from tests.lrp import reference


class LastStep(nn.Module):
    def forward(self, of_lstm: tuple[Tensor, tuple[Tensor, Tensor]]) -> Tensor:
        return of_lstm[0][:, -1]


class AllSteps(nn.Module):
    def forward(self, of_lstm: tuple[Tensor, tuple[Tensor, Tensor]]) -> Tensor:
        return of_lstm[0]


def network(
    features: int, hidden: int, layers: int, bidirectional: bool, readout: nn.Module, seed: int
) -> nn.Sequential:
    torch.manual_seed(seed)
    width = hidden * (2 if bidirectional else 1)
    lstm = nn.LSTM(features, hidden, layers, batch_first=True, bidirectional=bidirectional)
    return nn.Sequential(lstm, readout, nn.Linear(width, 1)).double().eval()


def parameters(lstm: nn.LSTM, suffix: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    get = lambda name: getattr(lstm, f"{name}_{suffix}").detach().numpy()
    return get("weight_ih"), get("weight_hh"), get("bias_ih") + get("bias_hh")


def slow(model: nn.Sequential, x: np.ndarray, eps: float) -> np.ndarray:
    """One sample through any number of layers and directions by the reference implementation."""
    lstm, head = model[0], model[2]
    directions = ["", "_reverse"] if lstm.bidirectional else [""]
    signals = [x]
    for layer in range(lstm.num_layers):
        outputs = []
        for suffix in directions:
            flip = slice(None, None, -1) if suffix else slice(None)
            zeros = np.zeros((len(x), lstm.hidden_size))
            weights = parameters(lstm, f"l{layer}{suffix}")
            outputs.append(reference.lstm(signals[-1][flip], *weights, zeros, eps)[1][flip])
        signals.append(np.concatenate(outputs, axis=1))
    hidden = lstm.hidden_size
    final = np.concatenate([signals[-1][-1, :hidden], signals[-1][0, hidden:]])
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    r_final = reference.dense(final, weight, bias, weight @ final + bias, eps)
    relevance = np.zeros_like(signals[-1])
    relevance[-1, :hidden] += r_final[:hidden]
    relevance[0, hidden:] += r_final[hidden:]
    for layer in reversed(range(lstm.num_layers)):
        below = np.zeros_like(signals[layer])
        for k, suffix in enumerate(directions):
            flip = slice(None, None, -1) if suffix else slice(None)
            part = relevance[:, k * hidden : (k + 1) * hidden]
            weights = parameters(lstm, f"l{layer}{suffix}")
            below += reference.lstm(signals[layer][flip], *weights, part[flip], eps)[0][flip]
        relevance = below
    return relevance


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_it_agrees_with_the_formulas_written_out(layers: int, bidirectional: bool) -> None:
    model = network(3, 4, layers, bidirectional, FinalState(bidirectional), seed=layers)
    x = torch.randn(6, 5, 3, dtype=torch.float64)
    fast = attribute(model, x).relevance.numpy()
    assert np.abs(fast - np.stack([slow(model, sample, 1e-3) for sample in x.numpy()])).max() < 1e-12


def modified_gradient(model: nn.Sequential, x: Tensor) -> Tensor:
    """LRP with epsilon 0 as input x gradient, gates held constant and tanh replaced by its secant slope."""
    lstm, head = model[0], model[2]
    weight, hidden_weight, bias = (torch.from_numpy(value) for value in parameters(lstm, "l0"))
    x = x.clone().requires_grad_()
    h = c = x.new_zeros(len(x), lstm.hidden_size)
    for t in range(x.shape[1]):
        z = x[:, t] @ weight.T + h @ hidden_weight.T + bias
        i, f, g, o = z.chunk(4, dim=1)
        c = f.sigmoid().detach() * c + i.sigmoid().detach() * g * (g.tanh() / g).detach()
        h = o.sigmoid().detach() * c * (c.tanh() / c).detach()
    head(h).sum().backward()
    assert x.grad is not None
    return x.detach() * x.grad


def test_it_is_the_modified_gradient_as_epsilon_vanishes() -> None:
    model = network(4, 5, 1, False, FinalState(), seed=0)
    x = torch.randn(50, 6, 4, dtype=torch.float64)
    relevance = attribute(model, x, composite=Composite(Epsilon(1e-12), epsilon=1e-12)).relevance
    assert (relevance - modified_gradient(model, x)).abs().max() < 1e-8


@settings(max_examples=60, deadline=None)
@given(
    features=st.integers(1, 4),
    hidden=st.integers(1, 4),
    layers=st.integers(1, 3),
    steps=st.integers(1, 5),
    bidirectional=st.booleans(),
    readout=st.sampled_from(["final", "last", "all"]),
    rule=st.sampled_from([Epsilon(), Gamma(), AlphaBeta(), ZPlus(), WSquare()]),
    gate=st.sampled_from([gate for gate in GATE_RULES if gate != "shapley"]),
    seed=st.integers(0, 10_000),
)
def test_the_books_close_for_every_shape_and_rule(
    features: int,
    hidden: int,
    layers: int,
    steps: int,
    bidirectional: bool,
    readout: str,
    rule: Rule,
    gate: str,
    seed: int,
) -> None:
    module = {"final": FinalState(bidirectional), "last": LastStep(), "all": AllSteps()}[readout]
    model = network(features, hidden, layers, bidirectional, module, seed)
    x = torch.randn(5, steps, features, dtype=torch.float64)
    account = attribute(model, x, composite=Composite(rule, gate), chunk=2, target=0)
    size = max(1.0, account.relevance.abs().max().item(), account.stabiliser.abs().max().item())
    assert (account.residual.abs() <= 1e-10 * size).all()
    assert torch.allclose(account.output, model(x).reshape(5, -1)[:, 0], atol=1e-12)


def test_without_biases_on_the_signal_path_inputs_explain_nearly_all() -> None:
    from drf.models.architecture import recurrent_network

    torch.manual_seed(0)
    model = recurrent_network(16, 16, 1, False, signal_bias=False).double().eval()
    x = torch.rand(100, 5, 16, dtype=torch.float64) * 2 - 1
    account = attribute(model, x)
    assert account.bias.abs().max() == 0
    assert account.initial_state.abs().max() == 0
    assert torch.corrcoef(torch.stack([account.inputs, account.output]))[0, 1] > 0.999
    assert attribute(model, torch.zeros(1, 5, 16, dtype=torch.float64)).output.abs().item() == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gpu_gives_what_the_processor_gives(dtype: torch.dtype) -> None:
    model = network(6, 8, 2, True, FinalState(), seed=0).to(dtype)
    x = torch.randn(500, 5, 6, dtype=dtype)
    here = attribute(model, x)
    there = attribute(model.to("cuda"), x.to("cuda"))
    tolerance = 1e-4 if dtype == torch.float32 else 1e-11
    assert there.relevance.is_cuda
    assert torch.allclose(there.relevance.cpu(), here.relevance, rtol=tolerance, atol=tolerance)
    for name in ("inputs", "bias", "stabiliser", "initial_state", "output"):
        entry, expected = getattr(there, name), getattr(here, name)
        assert torch.allclose(entry.cpu(), expected, rtol=tolerance, atol=tolerance)
