"""Relevance against independent implementations: captum, closed forms, and gradients of networks with parts held."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from drf.lrp import Composite, Epsilon, attribute
from drf.lrp.faithfulness import integrated_gradients, shapley_values
from tests.lrp.shapes import SHAPES, build, draw, told

SHAPLEY = Composite(gate="shapley")
NO_EPSILON = Composite(Epsilon(1e-13), epsilon=1e-13)


def gradient_times_input(f: Tensor, x: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(f.sum(), x)
    return (gradient * x).detach()


@pytest.mark.parametrize("bias", [True, False])
def test_captum_gives_the_same_relevance_on_layers_that_it_knows(bias: bool) -> None:
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule

    torch.manual_seed(0)
    layers = [nn.Linear(6, 8, bias=bias), nn.ReLU(), nn.Linear(8, 5, bias=bias), nn.Tanh(), nn.Linear(5, 2, bias=bias)]
    model, x = nn.Sequential(*layers).double().eval(), torch.randn(9, 6, dtype=torch.float64)
    ours = attribute(model, x, target=1, composite=Composite(Epsilon(0.01))).relevance
    for layer in layers:
        layer.rule = EpsilonRule(0.01)  # type: ignore[assignment]
    assert torch.allclose(LRP(model).attribute(x, target=1), ours, atol=1e-10)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.Softplus])
def test_captum_gives_the_same_differences_without_products(activation: type[nn.Module]) -> None:
    from captum.attr import DeepLift

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), activation(), nn.Linear(8, 5), activation(), nn.Linear(5, 1)).double()
    x, base = torch.randn(9, 6, dtype=torch.float64), torch.randn(1, 6, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = DeepLift(model).attribute(x, base)
    assert torch.allclose(attribute(model, x, composite=SHAPLEY, baseline=base).relevance, theirs, atol=1e-10)


def test_captum_integrates_gradients_alike() -> None:
    from captum.attr import IntegratedGradients

    model, x = build("final hidden state"), draw("final hidden state")[0]
    theirs = IntegratedGradients(model).attribute(x, torch.zeros_like(x), target=0, n_steps=32)
    assert torch.allclose(integrated_gradients(model, x), theirs, atol=1e-12)


@pytest.mark.parametrize("composite", [Composite(), Composite("gamma"), Composite(gate="half"), SHAPLEY])
def test_cells_in_a_loop_are_the_layer(composite: Composite) -> None:
    cells, x = build("LSTM cells in a loop"), draw("LSTM cells in a loop")[0]
    layer = nn.LSTM(3, 4, 2, batch_first=True).double()
    state = {f"{n}_l{k}": p for k, cell in enumerate((cells.cell, cells.second)) for n, p in cell.named_parameters()}
    layer.load_state_dict(state)

    class Layered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.fc = layer, cells.fc

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.layer(x)[1][0][-1])

    one, other = attribute(cells, x, composite=composite), attribute(Layered().eval(), x, composite=composite)
    for name in ("relevance", "bias", "stabiliser", "initial_state"):
        assert torch.allclose(getattr(one, name), getattr(other, name), atol=1e-13), name


@pytest.mark.parametrize("composite", [NO_EPSILON, SHAPLEY])
def test_a_cell_written_by_hand_is_the_layer_as_epsilon_vanishes(composite: Composite) -> None:
    by_hand, x = build("an LSTM cell written by hand"), draw("an LSTM cell written by hand")[0]
    layer = nn.LSTM(3, 4, batch_first=True).double()
    with torch.no_grad():
        layer.weight_ih_l0.copy_(by_hand.w.T)
        layer.weight_hh_l0.copy_(by_hand.u.T)
        layer.bias_ih_l0.copy_(by_hand.b)
        layer.bias_hh_l0.zero_()
    model = build("last step by slice")
    model.lstm, model.fc = layer, by_hand.fc
    expected = attribute(model, x, composite=composite).relevance
    assert torch.allclose(attribute(by_hand, x, composite=composite).relevance, expected, atol=1e-9)


def test_a_gru_is_the_gradient_with_gates_held() -> None:
    torch.manual_seed(0)
    gru, fc = nn.GRU(3, 4, batch_first=True).double(), nn.Linear(4, 1).double()
    x = torch.randn(8, 5, 3, dtype=torch.float64, requires_grad=True)
    h = x.new_zeros(8, 4)
    for t in range(5):
        (x_r, x_u, x_n) = (x[:, t] @ gru.weight_ih_l0.T + gru.bias_ih_l0).chunk(3, 1)
        (h_r, h_u, h_n) = (h @ gru.weight_hh_l0.T + gru.bias_hh_l0).chunk(3, 1)
        r, u = (x_r + h_r).sigmoid().detach(), (x_u + h_u).sigmoid().detach()
        z = x_n + r * h_n
        h = (1 - u) * z * (z.tanh() / z).detach() + u * h
    model = build("GRU with a learned state")
    model.gru, model.fc = gru, fc
    with torch.no_grad():
        model.start.zero_()
    found = attribute(model, x.detach(), composite=NO_EPSILON).relevance
    assert torch.allclose(found, gradient_times_input(fc(h), x), atol=1e-9)


def test_attention_is_the_gradient_with_weights_and_deviations_held() -> None:
    model, x = build("multi-head attention"), draw("multi-head attention")[0]
    attention = model.attention
    held = torch.nn.Identity()
    x = x.requires_grad_()
    out = x  # the LSTM in front is another test's: here it passes its input on
    q, k, v = (out @ attention.in_proj_weight.T[:3] + attention.in_proj_bias).chunk(3, -1)
    heads = lambda y: y.view(len(y), 5, 2, 2).transpose(1, 2)
    weights = (heads(q) @ heads(k).transpose(-1, -2) / 2**0.5).softmax(-1).detach()
    mixed = attention.out_proj((weights @ heads(v)).transpose(1, 2).reshape(len(x), 5, 4))

    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.pad = attention, nn.Linear(3, 4, bias=False).double()
            with torch.no_grad():
                self.pad.weight.copy_(torch.eye(4, 3))

        def forward(self, x: Tensor) -> Tensor:
            y = self.pad(x)
            return self.attention(y, y, y)[0][:, -1, 1]

    found = attribute(Mixing().eval(), x.detach(), composite=NO_EPSILON).relevance
    assert torch.allclose(found, gradient_times_input(held(mixed[:, -1, 1]), x), atol=1e-9)


@pytest.mark.parametrize("composite", [Composite(), SHAPLEY])
def test_packing_is_cutting_every_sequence_at_its_end(composite: Composite) -> None:
    model, (x, lengths) = build("packed sequences"), draw("packed sequences", 6)
    packed = attribute(model, x, lengths, composite=composite)

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.fc = model.lstm, model.fc

        def forward(self, x: Tensor) -> Tensor:
            h = self.lstm(x)[1][0]
            return self.fc(torch.cat([h[-2], h[-1]], 1))

    for k, length in enumerate(lengths.tolist()):
        alone = attribute(Whole().eval(), x[k : k + 1, :length], composite=composite)
        assert torch.allclose(packed.relevances[0][k, :length], alone.relevance[0], atol=1e-13)
        assert not packed.relevances[0][k, length:].any()
        assert torch.allclose(packed.bias[k], alone.bias[0], atol=1e-13)


def test_sorted_packed_sequences_keep_their_accounts_apart() -> None:
    model = build("packed sequences")
    x, lengths = torch.randn(5, 5, 3, dtype=torch.float64), torch.tensor([5, 4, 4, 2, 1])
    assert pack_padded_sequence(x, lengths, batch_first=True).sorted_indices is None
    together, apart = attribute(model, x, lengths), attribute(model, x, lengths, chunk=1)
    assert torch.allclose(together.bias, apart.bias, atol=1e-13)


class Additive(nn.Module):
    """A sum of functions of one input each, whose Shapley values are those functions' differences."""

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, 0].sin() + x[:, 1] ** 3 + x[:, 2].exp() * 2 + 1 / (x[:, 3] + 5) + x[:, 4].clamp(-0.5, 0.5)).abs()


class Products(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0] * x[:, 1] + torch.sigmoid(x[:, 2]) * x[:, 3] + x[:, 4] / (1 + x[:, 5] ** 2)


def test_the_shapley_rule_is_exact_for_sums_and_for_products_of_two() -> None:
    torch.manual_seed(0)
    x, base = torch.rand(20, 6, dtype=torch.float64), torch.rand(1, 6, dtype=torch.float64)
    for model in (Additive(), Products()):
        exact = shapley_values(model, x, base)
        assert torch.allclose(attribute(model, x, composite=SHAPLEY, baseline=base).relevance, exact, atol=1e-12)


@pytest.mark.parametrize("name", ["final hidden state", "GRU with a learned state", "bidirectional, both ends"])
def test_sampled_shapley_values_come_close_to_the_exact_ones(name: str) -> None:
    model, x = build(name), draw(name)[0][:, :4]  # 12 inputs
    exact, sampled = shapley_values(model, x), shapley_values(model, x, permutations=200)
    assert torch.allclose(exact.sum((1, 2)), (model(x) - model(0 * x)).reshape(-1), atol=1e-12)
    assert torch.allclose(sampled.sum((1, 2)), exact.sum((1, 2)), atol=1e-12)
    assert (sampled - exact).abs().max() < 0.15 * exact.abs().max()


@pytest.mark.parametrize("name", [n for n, s in SHAPES.items() if s.batched])
def test_an_input_without_effect_gets_nothing(name: str) -> None:
    """A dummy player: at its baseline already."""
    model, inputs, arguments = build(name), draw(name), told(name)
    if not inputs[0].is_floating_point():
        arguments["baseline"] = torch.zeros(1, 5, dtype=torch.long)
        inputs[0][:, 2] = 0
    else:
        inputs[0].select(1, 2).zero_()
    account = attribute(model, *inputs, composite=SHAPLEY, **arguments)
    several = isinstance(arguments.get("target"), list)
    assert not account.relevances[0].select(1 + several, 2).any()


@pytest.mark.parametrize("options", [{"add_bias_kv": True}, {"add_zero_attn": True}, {"kdim": 3, "vdim": 3}])
@pytest.mark.parametrize("composite", [Composite(), SHAPLEY])
def test_attention_over_steps_that_no_input_has(options: dict[str, object], composite: Composite) -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True, **options)  # type: ignore[arg-type]
            self.fc, self.kdim = nn.Linear(4, 1), options.get("kdim")

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            other = x if self.kdim is None else x[..., :3]
            return self.fc(self.attention(x, other, other, key_padding_mask=mask)[0][:, -1])

    torch.manual_seed(0)
    model, x = Attending().double().eval(), torch.randn(3, 5, 4, dtype=torch.float64)
    mask = torch.arange(5)[None] >= torch.tensor([5, 4, 3])[:, None]
    account = attribute(model, x, mask, composite=composite)
    assert torch.allclose(account.output, model(x, mask)[:, 0], atol=1e-12)
    assert account.residual.abs().max() < 1e-10


@pytest.mark.parametrize("p", [1, 3, float("inf")])
def test_norms_and_running_products_close(p: float) -> None:
    class Sized(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.norm(x, p, dim=-1).sum(1) + torch.linalg.vector_norm(x, p, -1).mean(1) + x.cumprod(1)[:, -1, 0]

    x = 1 + torch.rand(3, 4, 2, dtype=torch.float64)
    account = attribute(Sized(), x, composite=SHAPLEY, baseline=torch.ones(1, 4, 2, dtype=torch.float64))
    assert torch.allclose(account.output, Sized()(x)) and account.residual.abs().max() < 1e-12
