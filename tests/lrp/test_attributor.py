"""What people ask of it, and what they are told when they ask for something else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from drf.lrp import RULES, Composite, Epsilon, MixedSamplesError, UnsupportedOperationError, attribute, register
from drf.lrp.dispatch import LAYERS, OPERATIONS

SHAPLEY = Composite(gate="shapley")


class Net(nn.Module):
    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().double().eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(20, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_the_result_does_not_depend_on_the_chunk(net: Net, x: Tensor) -> None:
    for composite in (None, SHAPLEY):
        whole = attribute(net, x, target=0, composite=composite).relevance
        assert torch.allclose(attribute(net, x, target=0, chunk=3, composite=composite).relevance, whole, atol=1e-14)


def test_targets_of_every_form(net: Net, x: Tensor) -> None:
    first, second = (attribute(net, x, target=k) for k in (0, 1))
    assert torch.allclose(second.output, net(x)[:, 1].detach(), atol=1e-15)
    assert torch.equal(attribute(net, x, target=(1,)).relevance, second.relevance)
    assert torch.equal(attribute(net, x, target=-1).relevance, second.relevance)
    assert torch.equal(attribute(net, x, target="all").relevance[1], second.relevance)
    by_sample = attribute(net, x, target=torch.arange(20) % 2).relevance
    assert torch.equal(by_sample[::2], first.relevance[::2])
    assert torch.equal(by_sample[1::2], second.relevance[1::2])
    both = attribute(net, x, target=[0, 1], chunk=7)
    assert torch.allclose(both.relevance, torch.stack([first.relevance, second.relevance]), atol=1e-15)
    assert torch.allclose(both.bias, torch.stack([first.bias, second.bias]), atol=1e-15)
    assert both.output.shape == (2, 20)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (None, "2 outputs a sample, 2: choose one with target="),
        (2, "target=2 does not exist: the model has 2 outputs"),
        (-3, "target=-3 does not exist"),
        ([0] * 20, r"a list with as many entries as samples, 20: give torch\.tensor"),
        ((0, 1), r"target=\(0, 1\) does not exist"),
        (torch.zeros(3, dtype=torch.long), r"one whole number a sample, \(20,\)"),
        (torch.full((20,), 5), "from 5 to 5, but must be in 0 to 1"),
        ("a", "must be a whole number"),
        ([], "asks for no output"),
    ],
)
def test_a_target_that_does_not_exist_is_refused(net: Net, x: Tensor, target: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        attribute(net, x, target=target)


def test_baselines_of_every_form(net: Net, x: Tensor) -> None:
    one, other = torch.zeros(1, 5, 3, dtype=torch.float64), torch.ones(1, 5, 3, dtype=torch.float64)
    default = attribute(net, x, target=0, composite=SHAPLEY)
    assert torch.allclose(default.inputs, (net(x) - net(one))[:, 0], atol=1e-14)
    assert torch.equal(attribute(net, x, target=0, composite=SHAPLEY, baseline=one).relevance, default.relevance)
    paired = attribute(net, x, target=0, composite=SHAPLEY, baseline=one.expand(20, -1, -1), chunk=6)
    assert torch.allclose(paired.relevance, default.relevance, atol=1e-14)
    mean = attribute(net, x, target=0, composite=SHAPLEY, baseline=[one, other])
    against = attribute(net, x, target=0, composite=SHAPLEY, baseline=other)
    assert torch.allclose(mean.relevance, (default.relevance + against.relevance) / 2, atol=1e-14)
    assert torch.allclose(mean.inputs + mean.baseline, mean.output, atol=1e-14)
    assert not attribute(net, one, target=0, composite=SHAPLEY).relevance.any()
    rolled = x.roll(1, 0)
    assert torch.allclose(
        attribute(net, x, target=0, composite=SHAPLEY, baseline=rolled).inputs, (net(x) - net(rolled))[:, 0], atol=1e-14
    )


def test_a_baseline_that_does_not_fit_is_refused(net: Net, x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"needs composite=Composite\(gate='shapley'\)"):
        attribute(net, x, target=0, baseline=x[:1])
    with pytest.raises(ValueError, match=r"baseline has shape \(7, 5, 3\): give one sample, \(1, 5, 3\)"):
        attribute(net, x, target=0, composite=SHAPLEY, baseline=x[:7])
    with pytest.raises(ValueError, match="holds no baseline"):
        attribute(net, x, target=0, composite=SHAPLEY, baseline=[])
    with pytest.raises(ValueError, match="takes no rule for linear maps"):
        Composite("gamma", gate="shapley")


class Aside(Net):
    def __init__(self) -> None:
        super().__init__(1)
        self.table, self.aside = nn.Embedding(6, 2), nn.Linear(2, 4)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1] + self.aside(self.table(label)))


def test_several_inputs(x: Tensor) -> None:
    torch.manual_seed(0)
    net, label = Aside().double().eval(), torch.arange(20) % 6
    account = attribute(net, x, label)
    assert [r.shape for r in account.relevances] == [x.shape, label.shape]
    assert account.relevances[1].any()
    with pytest.raises(ValueError, match=r"takes 2 inputs: use account\.relevances"):
        _ = account.relevance
    own = attribute(net, x, label, composite=SHAPLEY)
    assert not own.relevances[1].any()  # against itself
    other = attribute(net, x, label, composite=SHAPLEY, baseline=(torch.zeros_like(x[:1]), torch.zeros(1).long()))
    assert other.relevances[1][label != 0].all()
    assert torch.allclose(other.inputs, (net(x, label) - net(0 * x, 0 * label))[:, 0], atol=1e-13)
    with pytest.raises(ValueError, match="need the same number of samples"):
        attribute(net, x, label[:3])
    with pytest.raises(ValueError, match="baseline has 1 parts, and there are 2 inputs"):
        attribute(net, x, label, composite=SHAPLEY, baseline=(x[:1],))


class Shared(nn.Module):
    """A graph that is the same for all samples beside their features."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 1)

    def forward(self, x: Tensor, links: Tensor) -> Tensor:
        return self.fc(torch.relu(links @ x)).sum((1, 2))


def test_an_input_that_is_the_same_for_all_samples(x: Tensor) -> None:
    torch.manual_seed(0)
    links = torch.rand(5, 5, dtype=torch.float64)
    account = attribute(Shared().double().eval(), x, links, sample_axis=(0, None))
    assert account.relevances[0].any() and not account.relevances[1].any()
    assert account.residual.abs().max() < 1e-12


def test_rules_by_name_and_by_layer(net: Net, x: Tensor) -> None:
    for name, rule in RULES.items():
        by_name = attribute(net, x, target=0, composite=Composite(name)).relevance
        assert torch.equal(by_name, attribute(net, x, target=0, composite=Composite(rule())).relevance)
    mixed = attribute(net, x, target=0, composite=Composite(layers={"head": "w-square"}))
    assert not torch.allclose(mixed.relevance, attribute(net, x, target=0).relevance)
    everywhere = attribute(net, x, target=0, composite=Composite(layers={"": "gamma"})).relevance
    assert torch.equal(everywhere, attribute(net, x, target=0, composite=Composite("gamma")).relevance)
    with pytest.raises(ValueError, match=r"names \['tail'\], the model has \['lstm', 'head'\]"):
        attribute(net, x, target=0, composite=Composite(layers={"tail": "gamma"}))
    with pytest.raises(ValueError, match="'half' is a rule for gates"):
        Composite("half")
    with pytest.raises(ValueError, match="gate rule 'most' is unknown"):
        Composite(gate="most")
    with pytest.raises(ValueError, match="not a rule"):
        Composite(linear="most")


def test_a_rule_that_amplifies_warns() -> None:
    with pytest.warns(UserWarning, match="sum that can vanish"):
        Composite(gate="proportional")


@pytest.mark.parametrize(
    ("kind", "given", "arguments", "told"),
    [
        (TypeError, np.zeros((2, 5, 3)), {}, "NumPy array, needed is a tensor: torch.from_numpy"),
        (TypeError, [[1.0]], {}, "x is a list, needed is a tensor: torch.as_tensor"),
        (TypeError, torch.zeros(2, 5, 3).double(), {"composite": "shap"}, "the name of a rule: .*'shapley'"),
        (TypeError, torch.zeros(2, 5, 3).double(), {"select": "mean"}, r"select=lambda y: y\['mean'\]"),
        (ValueError, torch.zeros(2, 5, 3), {}, r"x is torch.float32 and the model torch.float64: use .double\(\)"),
        (ValueError, torch.full((2, 5, 3), float("nan")).double(), {}, "NaN or infinite"),
        (ValueError, torch.zeros(0, 5, 3).double(), {}, "at least one"),
        (ValueError, torch.zeros(2, 5, 3).double(), {"sample_axis": 3}, "no axis 3 of samples"),
        (ValueError, torch.zeros(2, 5, 3).double(), {"chunk": -1}, "chunk=-1 must be a positive number"),
        (ValueError, torch.zeros(2, 5, 3).double(), {"chunk": 0}, "chunk=0"),
    ],
)
def test_what_newcomers_do_is_answered_with_the_mend(
    net: Net, kind: type[Exception], given: object, arguments: dict[str, object], told: str
) -> None:
    with pytest.raises(kind, match=told):
        attribute(net, given, target=0, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [lambda: Epsilon(-1.0), lambda: Composite(epsilon=-1e-3)])
def test_a_negative_stabiliser_is_refused(make: object) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        make()  # type: ignore[operator]


class Returning(nn.Module):
    def __init__(self, make: object) -> None:
        super().__init__()
        self.fc, self.make = nn.Linear(3, 2), make

    def forward(self, x: Tensor) -> object:
        return self.make(self.fc(x))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("make", "kind", "told"),
    [
        (
            lambda y: {"mean": y, "scale": y},
            ValueError,
            r"dict with the keys 'mean', 'scale'.*select=lambda y: y\['mean'\]",
        ),
        (lambda y: (y, y), ValueError, r"tuple of 2.*select=lambda y: y\[0\]"),
        (lambda y: y.argmax(1), ValueError, "explain the scores"),
        (lambda y: y.mean(), MixedSamplesError, "one axis with as many elements as there are samples"),
        (lambda y: y - y.mean(0), MixedSamplesError, "changes with the other samples"),
        (torch.special.bessel_j0, UnsupportedOperationError, r"Returning.forward: torch.special_bessel_j0 has no"),
        (lambda y: torch.tensor(y.detach().numpy()), UnsupportedOperationError, "converts a signal to Python numbers"),
        (lambda y: y.long().double(), UnsupportedOperationError, "integer input of their own"),
    ],
)
def test_what_cannot_be_explained_is_refused_by_name(make: object, kind: type[Exception], told: str) -> None:
    torch.manual_seed(0)
    model, x = Returning(make).double().eval(), torch.randn(6, 3, dtype=torch.float64)
    for composite in (None, SHAPLEY):
        with pytest.raises(kind, match=told):
            attribute(model, x, target=0, composite=composite)


class Odd(nn.Module):
    """No torch function that has a rule."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j1(x) + torch.igamma(torch.ones_like(x), x.abs())


def test_a_user_adds_a_layer_and_a_function(x: Tensor) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(15, 4), Odd(), nn.Linear(4, 1)).double().eval()
    with pytest.raises(UnsupportedOperationError, match=r"layer '2' \(Odd\): torch.(special_bessel_j1|igamma) has no"):
        attribute(model, x)
    try:

        @register(Odd)
        def rule(layer: Odd, z: Tensor) -> Tensor:
            return torch.tanh(z)

        account = attribute(nn.Sequential(*model[:2], nn.Tanh(), model[3]), x)
        with pytest.raises(UnsupportedOperationError, match="do not give its output"):
            attribute(model, x)  # for the rule is not what the layer does
        LAYERS.clear()

        @register(torch.special.bessel_j1)
        def bessel(propagation, function, z):  # type: ignore[no-untyped-def]
            return propagation.activation(function, z)

        @register(torch.igamma)
        def gamma(propagation, function, a, z):  # type: ignore[no-untyped-def]
            return propagation.activation(lambda t: function(a, t), z)

        for composite in (None, SHAPLEY):
            account = attribute(model, x, composite=composite)
            assert account.residual.abs().max() < 1e-12
            assert account.relevance.any()
    finally:
        LAYERS.clear()
        OPERATIONS.pop("special_bessel_j1", None)
        OPERATIONS.pop("igamma", None)


def test_active_dropout_and_batch_statistics_are_refused(x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"layer '1' \(Dropout\) is active.*call model\.eval"):
        attribute(nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.2)).double().train(), x, target=0)
    with pytest.raises(ValueError, match="dropout is active"):
        attribute(nn.LSTM(3, 4, 2, dropout=0.5, batch_first=True).double(), x, target=0, select=lambda y: y[0])
    with pytest.raises(ValueError, match="normalises by the batch"):
        attribute(nn.Sequential(nn.Flatten(), nn.Linear(15, 4), nn.BatchNorm1d(4)).double(), x, target=0)
    with pytest.raises(ValueError, match=r"training=self\.training"):
        attribute(Returning(lambda y: nn.functional.dropout(y)).double().eval(), x, target=0)


def test_wrapped_compiled_and_half_precision_models(net: Net, x: Tensor) -> None:
    expected = attribute(net, x, target=0).relevance
    assert torch.equal(attribute(nn.DataParallel(net), x, target=0).relevance, expected)
    assert torch.equal(attribute(torch.compile(net), x, target=0).relevance, expected)
    inside = Net().double().eval()
    inside.load_state_dict(net.state_dict())
    inside.head = torch.compile(inside.head)
    assert torch.equal(attribute(inside, x, target=0).relevance, expected)
    half = Net().eval().bfloat16()
    half.load_state_dict(net.state_dict())
    account = attribute(half, x.bfloat16(), target=0)
    assert account.relevance.dtype == torch.float32
    assert next(half.parameters()).dtype == torch.bfloat16
    assert torch.allclose(account.relevance.double(), expected, atol=0.02)
    with pytest.raises(UnsupportedOperationError, match="TorchScript"):
        attribute(torch.jit.trace(net, x), x, target=0)
    for function in (lambda x: net(x), net.forward, partial(net.forward)):
        assert torch.equal(attribute(function, x, target=0).relevance, expected)
    with pytest.raises(TypeError, match=r"an nn\.Module or a function, not int"):
        attribute(5, x)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_works_whatever_the_caller_switched_off(net: Net, x: Tensor, mode: type) -> None:
    expected = attribute(net, x, target=0).relevance
    with mode():
        found = attribute(net, x + 0, target=0)
    assert torch.equal(found.relevance, expected)
    assert not found.relevance.requires_grad


class Hiding(Net):
    """Habits that hide a value from training, and change tensors in place."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            out = self.lstm(x)[0]
        out = out.detach() * 1
        out += 1.0
        out[:, 0] = 0.0
        out.mul_(2).tanh_()
        return self.head(out[:, -1].data)


def test_a_value_that_is_hidden_from_training_is_seen(net: Net, x: Tensor) -> None:
    hiding = Hiding().double().eval()
    hiding.load_state_dict(net.state_dict())
    for composite in (None, SHAPLEY):
        account = attribute(hiding, x, target=1, composite=composite)
        assert account.relevance.any()
        assert account.residual.abs().max() < 1e-12


def test_threads_can_explain_the_same_model(net: Net, x: Tensor) -> None:
    composite = Composite(layers={"head": "gamma"})
    expected = attribute(net, x, target=0, composite=composite).relevance
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: attribute(net, x, target=0, composite=composite).relevance, range(40)))
    assert all(torch.equal(one, expected) for one in found)


def test_a_module_that_stands_twice_counts_twice() -> None:
    torch.manual_seed(0)
    relu, square = nn.ReLU(), nn.Linear(4, 4)
    model = nn.Sequential(square, relu, square, relu, nn.Linear(4, 1)).double().eval()
    x = torch.randn(6, 4, dtype=torch.float64)
    account = attribute(model, x)
    assert torch.allclose(account.output, model(x)[:, 0])
    assert account.residual.abs().max() < 1e-12


def test_an_output_that_all_but_vanishes_is_no_open_account() -> None:
    """Sums of what cancels are rounded in the size of their parts."""
    torch.manual_seed(0)
    net, x = Net(1).eval(), torch.randn(2000, 5, 3)
    with torch.no_grad():
        net.head.bias -= net(x).median()
    for composite in (None, SHAPLEY):
        account = attribute(net, x, composite=composite)
        assert account.output.abs().min() < 1e-4
        assert account.residual.abs().max() < 1e-6
