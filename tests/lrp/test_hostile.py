"""Models that would be misread, habits that would be hidden, and numbers that would explode."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drf.lrp import Composite, MixedSamplesError, UnsupportedOperationError, attribute
from drf.lrp.faithfulness import shapley_values

SHAPLEY = Composite(gate="shapley")
BOTH = pytest.mark.parametrize("composite", [Composite(), SHAPLEY], ids=["plain", "shapley"])


class Net(nn.Module):
    """A forward() written in one line, over a few layers."""

    def __init__(self, forward: Callable[..., Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.k, self.l = nn.Linear(3, 3), nn.Linear(3, 1)
        self.emb, self.f = nn.Embedding(100, 4), nn.Linear(4, 1)
        self.lstm = nn.LSTM(1, 4, batch_first=True)
        self.norm = nn.LayerNorm(3)
        self.register_buffer("memory", torch.zeros(8, 3))
        self.log: list[int] = []
        self.cache: dict[str, Tensor] = {}
        self.written = forward
        self.double().eval()

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.written(self, *inputs)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(5, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(1, 9, (5, 6), generator=torch.Generator().manual_seed(2))


def closed(account: Any) -> bool:
    return bool(account.residual.abs().max() < 1e-10)


@pytest.mark.parametrize("scale", [1.0, 5.0, 20.0, 100.0])
def test_a_softmax_does_not_explode(scale: float) -> None:
    net = Net(lambda self, x: (torch.softmax(x, -1) * torch.tensor([1.0, -2.0, 0.5], dtype=x.dtype)).sum(-1))
    x = scale * torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0]], dtype=torch.float64)
    account = attribute(net, x, composite=SHAPLEY)
    assert closed(account)
    assert (account.relevance - shapley_values(net, x)).abs().max() < 0.6
    plain = attribute(net, x)
    assert closed(plain)
    assert plain.relevance.abs().max() < 5


def test_a_normalisation_does_not_explode_against_a_constant_baseline(x: Tensor) -> None:
    for function in (
        lambda h: F.layer_norm(h.flatten(1), (18,)).view(-1, 6, 3),
        lambda h: F.instance_norm(h.transpose(1, 2)).transpose(1, 2),
        lambda h: F.group_norm(h, 2),
    ):
        net = Net(lambda self, x, function=function: self.l(torch.relu(self.k(function(x)))).mean((1, 2)))
        account = attribute(net, x, composite=SHAPLEY)
        exact = shapley_values(net, x, permutations=200)
        assert closed(account)
        assert account.relevance.abs().max() < 10 * exact.abs().max()


def test_amplified_differences_are_warned_of(x: Tensor) -> None:
    def forward(self: Net, x: Tensor) -> Tensor:
        by_hand = (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5)
        return self.l(by_hand.pow(3)).mean((1, 2))

    with pytest.warns(UserWarning, match="off the exact Shapley values of 4 groups"):
        attribute(Net(forward), x, composite=SHAPLEY)
    cancelling = Net(lambda self, x: 100 * (x[:, 0, 0] - x[:, 1, 1]) + x[:, 2, 2])
    with pytest.warns(UserWarning, match="times as large as the differences"):
        attribute(cancelling, torch.ones_like(x), composite=SHAPLEY)


class _Halved(torch.autograd.Function):
    """A function whose way back does not fit its values."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        return z.square()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0] / 2


@pytest.mark.parametrize("offset", [0.0, 100.0, 1000.0])
def test_an_offset_hides_no_open_account_and_no_mixed_samples(offset: float) -> None:
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    hidden = Net(lambda self, x: offset + self.l(torch.relu(_Halved.apply(self.k(x))))[:, 0]).float()
    with pytest.raises(UnsupportedOperationError, match="not accounted for"):
        attribute(hidden, x, composite=SHAPLEY, baseline=torch.ones(1, 3))
    mixed = Net(lambda self, x: offset + self.l(x - x.mean(0))[:, 0]).float()
    with pytest.raises(MixedSamplesError):
        attribute(mixed, x)


@BOTH
def test_a_sample_whose_output_happens_to_be_zero_is_explained(composite: Composite) -> None:
    torch.manual_seed(0)
    lstm, head = nn.LSTM(3, 8, batch_first=True, bias=False), nn.Linear(8, 1, bias=False)

    def forward(x: Tensor) -> Tensor:
        return head(lstm(x)[0][:, -1])[:, 0]

    for seed in range(5):
        x = torch.randn(64, 5, 3, generator=torch.Generator().manual_seed(seed))
        low, high = x[forward(x).argmin()], x[forward(x).argmax()]
        for _ in range(40):  # to where single precision does not tell the output from zero
            middle = (low + high) / 2
            low, high = (middle, high) if forward(middle[None]) < 0 else (low, middle)
        account = attribute(forward, torch.cat([x, low[None]]), composite=composite)
        assert account.output[-1].abs() < 1e-6 * account.output.abs().max()
        assert account.residual.abs().max() < 1e-6


@BOTH
def test_an_output_that_is_lost_to_rounding_is_refused(composite: Composite) -> None:
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    x[:, 1] = x[:, 0] + 1e-7 * x[:, 2]

    def forward(x: Tensor) -> Tensor:
        return 1.7e3 * (1.1e3 * x[:, 0]) - 1.1e3 * (1.7e3 * x[:, 1])

    with pytest.raises(UnsupportedOperationError, match=r"rounding loses .* double precision"):
        attribute(forward, x, composite=composite)
    account = attribute(forward, x.double(), composite=composite, warns=False)
    assert account.residual.abs().max() < 1e-8


@BOTH
@pytest.mark.parametrize("chunk", [None, 1])
def test_samples_that_depend_on_later_or_earlier_ones_are_refused(x: Tensor, composite: Composite, chunk: Any) -> None:
    for forward in (
        lambda self, x: self.l(x.flip(0).cumsum(0).flip(0)).mean((1, 2)),
        lambda self, x: self.l(x.cumsum(0)).mean((1, 2)),
    ):
        with pytest.raises(MixedSamplesError):
            attribute(Net(forward), x, composite=composite, chunk=chunk)


@BOTH
@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("samples", [2, 5])
def test_a_batch_scaled_by_its_largest_value_is_refused(
    x: Tensor, composite: Composite, place: int, samples: int
) -> None:
    net = Net(lambda self, x: self.l(x / x.abs().max()).mean((1, 2)))
    x[min(place, samples - 1), 0, 0] = 50
    with pytest.raises((MixedSamplesError, UnsupportedOperationError), match="samples"):
        attribute(net, x[:samples], composite=composite)


TABLE = torch.randn(100, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
WAYS_OF_LOOKING_UP: dict[str, Callable[..., Tensor]] = {
    "embedding": lambda self, a: self.f(self.emb(a)).mean((1, 2)),
    "offset": lambda self, a: self.f(self.emb(a + 10)).mean((1, 2)),
    "joined": lambda self, a: self.f(self.emb(torch.cat([a, a[:, :1]], 1))).mean((1, 2)),
    "stacked": lambda self, a: self.f(self.emb(torch.stack([a[:, k] for k in range(6)], 1))).mean((1, 2)),
    "padded": lambda self, a: self.f(self.emb(F.pad(a, (1, 0), value=1))).mean((1, 2)),
    "indexed": lambda self, a: self.f(TABLE[a]).mean((1, 2)),
    "one-hot": lambda self, a: self.f(F.one_hot(a, 100).double() @ TABLE).mean((1, 2)),
    "as numbers": lambda self, a: self.l(a.double().view(5 if len(a) == 5 else len(a), 2, 3)).mean((1, 2)),
}


@BOTH
@pytest.mark.parametrize("way", WAYS_OF_LOOKING_UP)
def test_an_index_is_followed_to_where_it_is_looked_up(way: str, ids: Tensor, composite: Composite) -> None:
    net, baseline = Net(WAYS_OF_LOOKING_UP[way]), torch.zeros(1, 6, dtype=torch.long)
    against = {"baseline": baseline} if composite is SHAPLEY else {}
    account = attribute(net, ids, composite=composite, **against)
    assert closed(account)
    assert (account.relevance != 0).all()
    if composite is SHAPLEY:
        assert torch.allclose(account.inputs, net(ids) - net(baseline), atol=1e-12)


def test_two_indices_that_make_one_share_its_effect(ids: Tensor) -> None:
    net, zero = Net(lambda self, a, b: self.f(self.emb(a * 10 + b)).mean((1, 2))), torch.zeros(1, 6, dtype=torch.long)
    account = attribute(net, ids, ids.flip(1), composite=SHAPLEY, baseline=(zero, zero))
    assert closed(account)
    assert torch.allclose(account.relevances[0], account.relevances[1])


@BOTH
def test_an_index_used_in_a_way_without_a_rule_is_refused(ids: Tensor, composite: Composite) -> None:
    net = Net(lambda self, a: self.f(torch.gather(self.emb.weight, 0, a[:, :4])).mean(1))
    with pytest.raises(UnsupportedOperationError, match="gather uses whole numbers"):
        attribute(net, ids, composite=composite, **({"baseline": 0 * ids[:1]} if composite is SHAPLEY else {}))


@BOTH
@pytest.mark.parametrize("cast", [lambda c: c.long(), lambda c: c.to(torch.long), lambda c: c.type(torch.int64)])
def test_a_continuous_input_as_an_index_is_refused(x: Tensor, composite: Composite, cast: Any) -> None:
    net = Net(lambda self, x: self.f(self.emb(cast(x[..., 0].abs()))).mean((1, 2)) + self.l(x).mean((1, 2)))
    with pytest.raises(UnsupportedOperationError, match="integer input of their own"):
        attribute(net, x, composite=composite)


@BOTH
def test_a_number_that_leaves_torch_is_refused(x: Tensor, composite: Composite) -> None:
    net = Net(lambda self, x: torch.stack([float(r[:, 0].mean()) * self.l(r).mean() for r in x]))
    with pytest.raises(UnsupportedOperationError, match="converts a signal to Python numbers"):
        attribute(net, x, composite=composite)


def test_a_gate_stays_one_when_it_is_clamped(x: Tensor) -> None:
    forward = lambda self, x, clamp: self.l(clamp(torch.sigmoid(self.k(x))) * self.k(x)).mean((1, 2))
    plain = attribute(Net(lambda self, x: forward(self, x, lambda g: g)), x).relevance
    clamped = attribute(Net(lambda self, x: forward(self, x, lambda g: g.clamp(0.001, 0.999))), x).relevance
    assert torch.allclose(plain, clamped)


@BOTH
def test_several_sequences_a_sample(x: Tensor, composite: Composite) -> None:
    def forward(self: Net, x: Tensor) -> Tensor:
        n, steps, channels = x.shape
        out, _ = self.lstm(x.permute(0, 2, 1).reshape(n * channels, steps, 1))
        return self.f(out[:, -1]).view(n, channels).sum(1)

    net = Net(forward)
    account, apart = attribute(net, x, composite=composite), attribute(net, x, composite=composite, chunk=1)
    assert closed(account)
    assert torch.allclose(account.relevance, apart.relevance, atol=1e-13)
    assert torch.allclose(account.bias, apart.bias, atol=1e-13)


@BOTH
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_an_output_without_any_axis_of_one(x: Tensor, composite: Composite, n: int) -> None:
    net = Net(lambda self, x: self.l(x[:, -1]).squeeze())
    for chunk in (None, 1, 2):
        account = attribute(net, x[:n], composite=composite, chunk=chunk)
        assert closed(account)
        assert torch.allclose(account.output, net(x[:n]).reshape(n))


@BOTH
def test_masks_that_only_some_samples_have(x: Tensor, composite: Composite) -> None:
    mask = torch.ones(5, 6, dtype=torch.long)
    mask[1, 4:] = 0

    def forward(self: Net, x: Tensor, mask: Tensor) -> Tensor:
        w = torch.softmax(self.k(x) @ x.mT + (1 - mask.to(x.dtype))[:, None] * -1e9, -1)
        return self.l(w @ x).mean((1, 2))

    account = attribute(
        Net(forward), x, mask, composite=composite, baseline=(0 * x, None) if composite is SHAPLEY else None
    )
    assert account.residual.abs().max() < 1e-6
    assert account.relevances[0].any()


def test_a_model_for_one_size_of_batch_is_told_why(x: Tensor) -> None:
    fixed = Net(lambda self, x: self.l(x.view(5, 18)[:, :3])[:, 0])
    assert closed(attribute(fixed, x))
    nowhere = Net(lambda self, x: self.l(x.view(5, 18)[:, :3]).expand(-1, 2).reshape(10))
    with pytest.raises(UnsupportedOperationError, match="runs on the 5 samples given but fails on three"):
        attribute(nowhere, x)
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        attribute(fixed, x[:4])


def remember(self: Net, x: Tensor) -> Tensor:
    self.memory[: len(x)] = x.mean(1)
    self.log.append(1)
    self.cache["last"] = x
    return self.l(self.memory[: len(x)])[:, 0]


@BOTH
def test_what_a_model_writes_down_is_taken_back(x: Tensor, composite: Composite) -> None:
    net = Net(remember)
    account = attribute(net, x, composite=composite)
    assert account.relevance.any()
    assert not net.memory.any() and not net.memory.requires_grad
    assert net.log == [] and net.cache == {}
    copy.deepcopy(net)


def test_a_model_that_changes_its_parameters_is_refused(x: Tensor) -> None:
    def forward(self: Net, x: Tensor) -> Tensor:
        with torch.no_grad():
            self.l.bias += 0.1
        return self.l(x).mean((1, 2))

    with pytest.raises(UnsupportedOperationError, match="changes its own parameters"):
        attribute(Net(forward), x)


def test_an_input_that_is_the_same_for_all_samples_stays_as_it_was(x: Tensor) -> None:
    links = torch.rand(6, 6, dtype=torch.float64)
    before = links.clone()
    net = Net(lambda self, x, a: self.l(a.fill_diagonal_(1.0) @ x).mean((1, 2)))
    assert closed(attribute(net, x, links, sample_axis=(0, None)))
    assert torch.equal(links, before)


def test_a_rule_for_a_layer_without_linear_map_is_refused(x: Tensor) -> None:
    net = Net(lambda self, x: self.l(self.norm(x)).mean((1, 2)))
    with pytest.raises(ValueError, match="layer 'norm' has no linear map that ran"):
        attribute(net, x, composite=Composite(layers={"norm": "w-square"}))


@BOTH
def test_a_function_that_hides_its_operations_does_not_pass(x: Tensor, composite: Composite) -> None:
    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Tensor) -> Tensor:
            ctx.save_for_backward(z)
            return z * z.sigmoid()

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            (z,) = ctx.saved_tensors
            s = z.sigmoid()
            return grads[0] * (s + z * s * (1 - s))

    net = Net(lambda self, x: self.l(Swish.apply(self.k(x))).mean((1, 2)))
    with pytest.raises(UnsupportedOperationError, match="hides its operations"):
        attribute(net, x, composite=composite)


def looped(self: Net, x: Tensor) -> Tensor:
    h, out = self.k(x), torch.zeros(len(x), 6, 1, dtype=x.dtype)
    for t in range(6):
        out[:, t].copy_(self.l(h[:, t]))
    return out.mean((1, 2))


def partly(self: Net, x: Tensor) -> Tensor:
    h = self.k(x) * 1
    h[:, :2].relu_()
    h[..., 0].mul_(2)
    h.view(len(x), -1).add_(1)
    for part in h.chunk(3, -1):
        torch.tanh_(part)
    h[:, 3:][:, 1:].zero_()
    return self.l(h).mean((1, 2))


@BOTH
@pytest.mark.parametrize("forward", [looped, partly])
def test_a_part_of_a_tensor_that_is_changed_in_place_is_seen(x: Tensor, composite: Composite, forward: Any) -> None:
    net = Net(forward)
    account, before = attribute(net, x, composite=composite), x.clone()
    assert closed(account)
    with torch.no_grad():  # torch itself allows some of it there alone
        assert torch.allclose(account.output, net(x))
    assert torch.equal(x, before)


WEIGHT = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)


@BOTH
@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: self.l(F.pad(self.k(x), (0, 0, 1, 1), value=1.5)).mean((1, 2)),
        lambda self, x: self.l(torch.max(self.k(x), torch.tensor(0.3, dtype=x.dtype))).mean((1, 2)),
        lambda self, x: self.l(torch.minimum(self.k(x), x)).mean((1, 2)),
        lambda self, x: self.l(torch.relu(x @ WEIGHT)).mean((1, 2)),
        lambda self, x: self.l(torch.pow(2.0, self.k(x)) + 3**x + x**2).mean((1, 2)),
        lambda self, x: self.l(torch.addcdiv(x, self.k(x), x.abs() + 1)).mean((1, 2)),
    ],
    ids=["pad", "max of a constant", "minimum", "a weight that is no parameter", "powers", "addcdiv"],
)
def test_what_people_write_now_and_then(x: Tensor, composite: Composite, forward: Any) -> None:
    account = attribute(Net(forward), x, composite=composite)
    assert closed(account)
    assert account.relevance.any()
