"""Ways to a silently wrong account, to a changed model, or to an error from inside, that were found by attack."""

import copy
import random
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drf.lrp import Attributor, MixedSamplesError, UnsupportedOperationError, attribute, faithfulness

BOTH = pytest.mark.parametrize("rule", ["epsilon", "shapley"])
pytestmark = pytest.mark.filterwarnings("ignore")
REFUSED = (UnsupportedOperationError, MixedSamplesError, ValueError)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self, forward: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.l, self.h = nn.Linear(6, 8), nn.Linear(8, 1)
        self.gru, self.cell = nn.GRU(3, 8, batch_first=True), nn.GRUCell(3, 8)
        self._log: list[Any] = []
        self._cache: dict[str, Any] = {}
        self.space, self.buffers_, self.counter = SimpleNamespace(n=0), [torch.zeros(2)], Counter[str]()
        self.pair = ([0], 1)
        self.written = forward
        self.eval()

    def forward(self, *args: Any) -> Any:
        return self.written(self, *args)


def right(model: Any, *inputs: Tensor, rule: str, **settings: Any) -> Any:
    """Return an account after a check of it against the model, each sample and target by itself."""
    account = attribute(model, *inputs, composite=rule, **settings)
    with torch.no_grad():
        own = model(*(value.clone() for value in inputs)).reshape(len(inputs[0]), -1)[:, settings.get("target", 0)]
    assert torch.allclose(account.output, own, rtol=1e-3, atol=1e-4 * float(own.abs().median()))
    assert (account.residual.abs() <= 1e-4 * own.abs().clamp_min(0.1)).all()
    return account


def hidden_write(self: Any, x: Tensor) -> Tensor:
    z = torch.zeros(len(x), 6)
    v = z[:, 1:3]
    w = v[:, 0]
    w.add_(x[:, 0])
    v.mul_(2)
    return z.sum(1)


@BOTH
def test_a_large_output_or_sample_hides_no_small_one(x: Tensor, rule: str) -> None:
    for model, settings in (
        (Net(lambda self, x: torch.stack([1e6 + x[:, 5], hidden_write(self, x)], 1)), {"target": 1}),
        (Net(lambda self, x: hidden_write(self, x) + 1e5 * x[:, 5] * (x[:, 5] > 3)), {}),
    ):
        given = torch.cat([x.clamp(-2, 2), 9 * torch.ones(1, 6)])
        with suppress(*REFUSED):
            right(model, given, rule=rule, **settings)
    gated = Net(lambda self, x: torch.stack([1e6 * x[:, 5], x[:, 0] * torch.sigmoid(3 * x[:, 1].mean())], 1))
    with pytest.raises(MixedSamplesError):
        attribute(gated, x, target=1, composite=rule)


def test_interactions_of_several_targets_are_those_of_each(x: Tensor) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    groups = torch.tensor([0, 0, 1, 1, 2, 2])
    both = faithfulness.interactions(model, x, groups, target=[0, 1])
    assert torch.allclose(both[1], faithfulness.interactions(model, x, groups, target=1), atol=1e-6)


@BOTH
def test_layers_of_every_kind(x: Tensor, rule: str) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1)).eval()
    inplace = copy.deepcopy(plain)
    inplace[1].inplace = True
    for name in ("0", "1"):
        one, other = (attribute(m, x, composite=rule, layers=[name]).layers[name] for m in (plain, inplace))
        assert torch.allclose(one, other, atol=1e-6), name
    unit = [attribute(m, x, composite=rule, output_of="0", target=1).output for m in (plain, inplace)]
    assert torch.allclose(*unit)
    assert list(attribute(plain, x, composite=rule, layers="1").layers) == ["1"]
    last = Net(lambda self, x: self.h(self.gru(x.view(len(x), 2, 3))[1][0]))
    assert attribute(last, x, composite=rule, layers=["gru"]).layers["gru[1]"].any()
    with pytest.raises(ValueError, match="did not run"):
        attribute(last, x, composite=rule, layers=["l"])


@BOTH
def test_a_prepared_model_refuses_what_a_fresh_one_does(x: Tensor, rule: str) -> None:
    noisy = Attributor(Net(lambda self, x: self.h(self.l(x + torch.randn_like(x)))), rule)
    noisy(x, draws=2)
    with pytest.raises(ValueError, match="random numbers"):
        noisy(x)
    branch = lambda self, x: torch.stack([self.h(self.l(v)) * (v[0].item() if v[0] > 5 else 1.0) for v in x])
    prepared = Attributor(Net(branch), rule)
    prepared(x)
    other = x.clone()
    other[1, 0] = 7
    with pytest.raises(UnsupportedOperationError, match="converts a signal to Python numbers"):
        prepared(other)


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: torch.from_dlpack(x.detach()).sum(1),
        lambda self, x: torch.bernoulli(torch.sigmoid(x)).sum(1),
        lambda self, x: torch.normal(x.sum(1), 0.1),
    ],
)
def test_a_signal_is_not_lost_in_a_constructor_or_a_draw(x: Tensor, forward: Any) -> None:
    with pytest.raises(REFUSED):
        attribute(Net(forward), x)
    with pytest.raises(REFUSED):
        attribute(Net(forward), x, draws=2)


def test_random_initial_states_are_warned_of(x: Tensor) -> None:
    net = Net(lambda self, x: self.h(self.gru(x.view(len(x), 2, 3), 5 * torch.randn(1, len(x), 8))[0][:, -1]))
    with pytest.warns(UserWarning, match="initial states are random"):
        attribute(net, x)


@BOTH
def test_all_that_a_model_writes_down_is_taken_back(x: Tensor, rule: str) -> None:
    def forward(self: Net, x: Tensor) -> Tensor:
        self._log.append(1)
        self._cache["x"] = self.space.n = 3
        self.buffers_[0] += 1
        self.counter["runs"] += 1
        self.pair[0][0] += 1
        self.h.weight.requires_grad_(False)
        random.random()
        np.random.rand()  # noqa: NPY002  code that users have
        return self.h(self.l(x))

    net, states = Net(forward), (random.getstate(), np.random.get_state()[1].copy())  # noqa: NPY002  code that users have
    attribute(net, x, composite=rule)
    assert net._log == [] and net._cache == {} and net.space.n == 0 and not net.buffers_[0].any()
    assert not net.counter and net.pair == ([0], 1) and net.h.weight.requires_grad
    assert random.getstate() == states[0] and (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002  code that users have


@BOTH
def test_weights_stay_even_where_a_model_changes_them(x: Tensor, rule: str) -> None:
    def decays(self: Net, x: Tensor) -> Tensor:
        self.h.weight.data.mul_(0.9)
        return self.h(self.l(x))

    def normalises(self: Net, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.h.weight.copy_(F.normalize(self.h.weight))
        return self.h(self.l(x))

    for forward in (decays, normalises):
        net = Net(forward)
        before = net.h.weight.detach().clone()
        with pytest.raises(UnsupportedOperationError, match="changes its own parameters"):
            attribute(net, x, composite=rule)
        assert torch.equal(net.h.weight, before)


def windows(self: Any, x: Tensor) -> Tensor:
    out = torch.zeros(len(x), 8)
    for t in range(3):
        out[:, t : t + 4] += x[:, t : t + 4]
    out[:, 6] *= x[:, 5]
    return out.tanh().sum(1)


@BOTH
@pytest.mark.parametrize(
    "forward",
    [
        windows,
        lambda self, x: torch.cat([self.h(torch.tanh(self.l(part))) for part in x.split(4)]),
        lambda self, x: torch.view_as_complex(x.reshape(len(x), 3, 2)).abs().sum(1),
        lambda self, x: self.h(self.cell(torch.ones(1, 3).expand(len(x), -1), self.l(x))),
        lambda self, x: self.h(self.gru(torch.ones(len(x), 2, 3), self.l(x)[None])[0][:, -1]),
        lambda self, x: self.h(self.l(x)) * (1.0 if x.max() < 100 else 2.0),
        lambda self, x: (self._log.append(f"{x.detach().norm().item():.2f}"), self.h(self.l(x)))[1],
        lambda self, x: ((x.abs() + 1) ** x.tanh()).sum(1),
        lambda self, x: F.conv1d(x.view(1, -1, 6), self.l(x)[:, None, :3], groups=len(x)).sum((0, 2)),
        lambda self, x: torch.rsub(x, self.h(self.l(x)), alpha=3).sum(1),
        lambda self, x: torch.mul(x, 2.0, out=torch.empty(len(x), 6)).tanh().sum(1),
    ],
    ids=[
        "windows",
        "parts",
        "complex",
        "constant to a cell",
        "constant to a GRU",
        "branch",
        "log",
        "power",
        "conv",
        "rsub",
        "out",
    ],
)
def test_ordinary_code_is_explained(x: Tensor, forward: Any, rule: str) -> None:
    right(Net(forward), x, rule=rule)


@BOTH
def test_half_precision_in_a_part_is_explained_in_single(x: Tensor, rule: str) -> None:
    def forward(self: Net, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = self.l(x).relu()
        return self.h(z.float())

    account = attribute(Net(forward), x, composite=rule)
    assert torch.allclose(account.output, Net(forward)(x)[:, 0].detach(), rtol=0.02, atol=0.02)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        attribute(Net(lambda self, x: self.h(self.l(x))), x, composite=rule)


@BOTH
def test_what_a_model_raises_on_fewer_samples_is_no_error_of_ours(x: Tensor, rule: str) -> None:
    def five(self: Net, x: Tensor) -> Tensor:
        assert len(x) == 5
        return self.h(torch.stack([self.l(x[k]) for k in range(5)]))

    with pytest.raises(UnsupportedOperationError, match="fails on three of them"):
        attribute(Net(five), x, composite=rule)


@pytest.mark.parametrize(
    "settings", [{"target": (0.5,)}, {"draws": -1}, {"draws": 0}, {"draws": True}, {"layers": ["gru"]}]
)
def test_arguments_that_cannot_be_are_told(x: Tensor, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        attribute(Net(lambda self, x: self.h(self.l(x))), x, **settings)


def test_a_tensor_of_a_dictionary_is_held_fixed(x: Tensor) -> None:
    account = attribute(lambda b: (b["x"] * b["w"]).sum(1), {"x": x, "w": x.abs()}, fixed=["w"], composite="shapley")
    assert not account.relevances[0].any() or not account.relevances[1].any()
    assert torch.allclose(account.inputs, (x * x.abs()).sum(1), atol=1e-5)
