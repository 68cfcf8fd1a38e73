"""Models are called as their users call them, and what they hold is left as it was."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from captum.attr import DeepLift
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

from drf.lrp import Account, Attributor, Background, Composite, UnsupportedOperationError, attribute, faithfulness
from drf.lrp.adapters import DrfLRP, explain_func

BOTH = pytest.mark.parametrize("rule", ["epsilon", "shapley"])
T, C, D = 5, 3, 6


@dataclass
class Output:
    logits: Tensor
    state: Tensor | None = None


class Net(nn.Module):
    """An LSTM whose forward a test writes."""

    def __init__(self, forward: Any, outputs: int = 1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.head = nn.LSTM(C, D, batch_first=True), nn.Linear(D, outputs)
        self.gru, self.wide = nn.GRU(C, D, batch_first=True), nn.Linear(C, D)
        self.table = nn.Embedding(9, D, max_norm=0.5)
        self.seen: deque[Tensor] = deque(maxlen=3)
        self.nested: dict[str, list[Any]] = {"calls": [[]]}
        self.written = forward
        self.eval()

    def forward(self, *args: Any, **keywords: Any) -> Any:
        return self.written(self, *args, **keywords)

    def last(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


@pytest.fixture
def x() -> Tensor:
    return torch.randn(6, T, C, generator=torch.Generator().manual_seed(1))


def explain(model: Any, *inputs: Any, rule: str, **settings: Any) -> Account:
    account = attribute(model, *inputs, composite=rule, **settings)
    assert (account.residual.abs() <= 1e-4 * account.output.abs().clamp_min(1e-2)).all()
    assert account.relevances[0].any()
    return account


@BOTH
def test_keywords_flags_lists_and_dataclasses(x: Tensor, rule: str) -> None:
    def forward(
        self: Net, parts: list[Tensor], mask: Tensor | None = None, *, training: bool, scale: Any = None
    ) -> Output:
        assert not training
        z = self.rnn(parts[0] + parts[1])[0]
        z = z if mask is None else z * mask.unsqueeze(-1).expand_as(z)
        return Output(self.head(z.mean(1)) * (1 if scale is None else scale["by"]))

    mask = torch.ones(6, T, dtype=torch.bool)
    mask[:, 3:] = False
    for keywords in ({}, {"mask": None}, {"mask": mask}, {"mask": mask[:1]}, {"scale": {"by": 2.0}}):
        account = explain(Net(forward), [x, 0.5 * x], rule=rule, training=False, **keywords)
        assert [r.shape for r in account.relevances[:2]] == [x.shape, x.shape]
    with pytest.raises(ValueError, match=r"Output with the fields logits, state.*select=lambda y: y\.logits"):
        attribute(Net(lambda self, x: Output(self.last(x), x)), x)


@BOTH
def test_functions_and_lengths_that_are_held_elsewhere(x: Tensor, rule: str) -> None:
    net, lengths = Net(lambda self, x: self.last(x)), torch.tensor([5, 5, 4, 3, 2, 1])

    def packed(x: Tensor) -> Tensor:
        return net.head(net.gru(pack_padded_sequence(x, lengths, batch_first=True))[1][0])

    account = explain(packed, x, rule=rule)
    assert not account.relevance[5, 1:].any() and account.relevance[5, 0].any()
    with torch.no_grad():
        assert torch.allclose(account.output, packed(x)[:, 0], atol=1e-6)
    given = explain(
        Net(lambda self, x, n: self.head(self.gru(pack_padded_sequence(x, n, batch_first=True))[1][0])),
        x,
        lengths,
        rule=rule,
    )
    assert torch.allclose(given.relevances[0], account.relevance, atol=1e-5)
    assert torch.allclose(given.bias, account.bias, atol=1e-5)


@BOTH
@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x: checkpoint(self.last, x, use_reentrant=False),
        lambda self, x: checkpoint(self.last, x, use_reentrant=True),
        lambda self, x: _within(torch.inference_mode(), self.last, x),
        lambda self, x: self.head(F.logsigmoid(self.wide(x)).mean(1)),
        lambda self, x: self.head(self.table(torch.arange(T)) * self.wide(x)).mean(1),
        lambda self, x: (
            self.nested["calls"][0].append(x.mean().item()),
            self.seen.append(x.numpy(force=True)),
            self.last(x),
        )[2],
    ],
    ids=["checkpoint", "checkpoint, reentrant", "inference mode", "logsigmoid", "max_norm", "side branches"],
)
def test_what_stands_in_a_forward(x: Tensor, forward: Any, rule: str) -> None:
    net = Net(forward)
    before = net.table.weight.detach().clone()
    explain(net, x, rule=rule)
    assert torch.equal(net.table.weight, before)
    assert not net.seen and net.nested == {"calls": [[]]}


def _within(context: Any, function: Any, *args: Any) -> Any:
    with context:
        return function(*args)


@BOTH
def test_half_precision_within_a_model_is_explained_in_single(x: Tensor, rule: str) -> None:
    inside = Net(lambda self, x: _within(torch.autocast("cpu", torch.bfloat16), self.last, x))
    plain = explain(Net(lambda self, x: self.last(x)), x, rule=rule)
    assert torch.allclose(explain(inside, x, rule=rule).relevance, plain.relevance, atol=1e-6)


def test_hooks_of_the_user_fire_once_and_count_if_they_change_something(x: Tensor) -> None:
    net, calls = Net(lambda self, x: self.last(x)), []
    net.rnn.register_forward_hook(lambda *call: calls.append(1))
    plain = attribute(net, x)
    assert calls == [1]
    net.head.register_forward_hook(lambda module, args, output: 2 * output)
    assert torch.allclose(attribute(net, x).output, 2 * plain.output)
    assert len(net.head._forward_hooks) == 1


def test_noise_is_refused_or_averaged(x: Tensor) -> None:
    net = Net(lambda self, x: self.last(x + 0.1 * torch.randn_like(x)))
    with pytest.raises(ValueError, match=r"random numbers that the model draws.*draws="):
        attribute(net, x)
    account = attribute(net, x, draws=8)
    assert account.spreads[0].any() and (account.residual.abs() < 1e-5).all()
    unused = Net(lambda self, x: (torch.randn(3), self.last(x))[1])
    assert attribute(unused, x).relevance.any()


def test_what_comparisons_choose_is_a_share_of_its_own(x: Tensor) -> None:
    net = Net(lambda self, x: self.head(self.wide(x[:, 0]) + 3 * F.one_hot(x[:, 1].argmax(-1), D).float()))
    with pytest.warns(UserWarning, match="was chosen by comparing values"):
        account = attribute(net, x)
    assert account.chosen.any()
    with pytest.warns(UserWarning, match="was chosen"):
        against = attribute(net, x, composite="shapley")
    assert (against.residual.abs() < 1e-5).all() and not against.bias.any()
    assert torch.allclose(against.output - against.baseline, against.inputs + against.chosen, atol=1e-5)


def test_a_sample_that_is_masked_out_everywhere_is_named(x: Tensor) -> None:
    def forward(self: Net, x: Tensor, mask: Tensor) -> Tensor:
        weights = self.wide(x).masked_fill(~mask[..., None], -torch.inf).softmax(1)
        return self.head((weights * self.wide(x)).sum(1))

    mask = torch.ones(6, T, dtype=torch.bool)
    mask[4] = False
    with pytest.raises(UnsupportedOperationError, match="samples 4 is not finite: all steps"):
        attribute(Net(forward), x, mask)


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1.0, 1e3])
def test_the_size_of_the_data_does_not_matter(x: Tensor, scale: float) -> None:
    net = Net(lambda self, x: self.head(self.wide(x / x.std((1, 2), keepdim=True))).mean((1, 2)))
    one = attribute(net, x, composite="shapley", baseline=torch.roll(x, 1, 0))
    other = attribute(net, scale * x, composite="shapley", baseline=scale * torch.roll(x, 1, 0))
    assert torch.allclose(one.relevance, other.relevance, atol=1e-4)


def test_one_epsilon_for_all_maps(x: Tensor) -> None:
    net = Net(lambda self, x: self.head(torch.relu(self.wide(x))).mean((1, 2)))
    shares = [attribute(net, x, composite=Composite(epsilon=e)).stabiliser.abs().mean() for e in (1e-3, 0.5)]
    assert shares[1] > 20 * shares[0]


def test_inputs_held_fixed_and_baselines_of_every_kind(x: Tensor) -> None:
    net = Net(lambda self, x, other: self.last(x + other))
    account = attribute(net, x, x.flip(0), composite="shapley", fixed=[1])
    assert not account.relevances[1].any()
    with torch.no_grad():
        assert torch.allclose(account.baseline, net(0 * x, x.flip(0))[:, 0], atol=1e-6)
    own = Net(lambda self, x: self.last(x))
    zeros = attribute(own, x, composite="shapley").relevance
    for baseline in (0, 0.0, torch.zeros(()), torch.zeros(C), torch.zeros(T, C), torch.zeros(1, T, C)):
        assert torch.equal(attribute(own, x, composite="shapley", baseline=baseline).relevance, zeros)
    data = torch.randn(9, T, C)
    background = attribute(own, x, composite="shapley", baseline=Background(data))
    listed = attribute(own, x, composite="shapley", baseline=list(data.split(1)))
    assert torch.equal(background.relevance, listed.relevance) and background.spreads[0].shape == x.shape


@BOTH
def test_layers_and_single_units(x: Tensor, rule: str) -> None:
    net = Net(lambda self, x: self.last(x))
    account = attribute(net, x, composite=rule, layers=["rnn", "head"])
    assert account.layers["rnn"].shape == (6, T, D)
    whole = account.output - account.baseline
    assert torch.allclose(account.layers["head"][:, 0], whole, atol=1e-6)
    at_rnn = account.layers["rnn"].sum((1, 2))
    assert torch.allclose(at_rnn if rule == "shapley" else at_rnn + account.bias - account.bias, at_rnn)
    if rule == "shapley":
        assert torch.allclose(at_rnn, whole, atol=1e-5)
    unit = attribute(net, x, composite=rule, output_of="rnn", select=lambda y: y[0], target=(T - 1, 2))
    assert torch.allclose(unit.output, net.rnn(x)[0][:, -1, 2].detach(), atol=1e-6)
    with pytest.raises(ValueError, match="is no module of the model"):
        attribute(net, x, output_of="tail")


def test_every_step_as_target_in_one_pass(x: Tensor) -> None:
    net = Net(lambda self, x: self.head(self.rnn(x)[0])[..., 0])
    every = attribute(net, x, target="all")
    assert every.relevance.shape == (T, 6, T, C)
    assert torch.allclose(every.relevance[2], attribute(net, x, target=2).relevance, atol=1e-7)


def test_a_prepared_model_gives_the_same_and_knows_a_new_shape(x: Tensor) -> None:
    net = Net(lambda self, x: self.last(x))
    prepared = Attributor(net, "shapley")
    for given in (x, x[:3], x[:, :3], x[:1]):
        assert torch.allclose(prepared(given).relevance, attribute(net, given, composite="shapley").relevance)


def test_an_account_is_kept(x: Tensor, tmp_path: Path) -> None:
    account = attribute(Net(lambda self, x: self.last(x)), x, layers=["rnn"])
    account.save(tmp_path / "account.pt")
    again = Account.load(tmp_path / "account.pt")
    assert torch.equal(again.relevance, account.relevance) and torch.equal(again.layers["rnn"], account.layers["rnn"])
    assert repr(again) == repr(account) and len(repr(again)) < 200 and "\n" not in repr(again)
    groups = torch.arange(C).expand(T, C)
    assert torch.allclose(account.grouped(groups), account.relevance.sum(1), atol=1e-6)


def test_it_stands_in_for_captum_and_quantus(x: Tensor) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(T * C, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    baseline, target = torch.randn(1, T, C), torch.tensor([0, 1, 2, 0, 1, 2])
    theirs = DeepLift(net).attribute(x, baseline.expand_as(x), target=target)
    ours, delta = DrfLRP(net).attribute(x, baseline, target=target.tolist(), return_convergence_delta=True)
    assert torch.allclose(ours, theirs, atol=1e-5) and delta.abs().max() < 1e-5
    assert isinstance(DrfLRP(net).attribute((x,), target=1), tuple)
    with_more = Net(lambda self, x, other, flag: self.last(x + other))
    assert DrfLRP(with_more).attribute(x, additional_forward_args=(x, True)).shape == x.shape
    arrays = explain_func(net, x.numpy(), target.numpy(), composite="shapley", device="cpu")
    assert (
        arrays.shape == x.shape
        and abs(arrays - attribute(net, x, target=target, composite="shapley").relevance.numpy()).max() < 1e-6
    )


def test_maps_are_compared_on_the_model_itself(x: Tensor) -> None:
    net = Net(lambda self, x: self.last(x))
    table = faithfulness.compare(net, x)
    assert set(table) == {"epsilon", "gamma", "shapley", "gradient x input", "integrated gradients", "occlusion"}
    assert table["shapley"]["shapley_error"] < 0.1 and table["shapley"]["sensitivity"] > 0.9


def test_interactions_are_exact_for_products_and_sum_to_the_output() -> None:
    class Pairs(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0] * x[:, 1] + 2 * x[:, 2] + x[:, 0] * x[:, 3]

    x = torch.randn(5, 4)
    found = faithfulness.interactions(Pairs(), x, torch.arange(4))
    expected = torch.zeros(5, 4, 4)
    expected[:, 0, 1] = expected[:, 1, 0] = x[:, 0] * x[:, 1] / 2
    expected[:, 0, 3] = expected[:, 3, 0] = x[:, 0] * x[:, 3] / 2
    expected[:, 2, 2] = 2 * x[:, 2]
    assert torch.allclose(found, expected, atol=1e-6)


def test_rescaling_over_time_finds_the_step_and_the_feature() -> None:
    class At(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x[:, 3, 1])

    x = torch.randn(4, T, C)
    found = faithfulness.rescaled(lambda x: attribute(At(), x).relevance, x)
    assert (found.flatten(1).argmax(1) == 3 * C + 1).all()
