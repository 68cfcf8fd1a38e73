"""Random programs on a batch (n, T, C) in single precision, with the operations that once gave silent errors."""

import math
import random
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

T, C = 4, 6

Step = Callable[["Program", Tensor], Tensor]
"""One step of a program: (n, T, C) to (n, T, C)."""

VALID: dict[str, Step] = {}
"""Steps that a library should explain."""
MIXING: dict[str, Step] = {}
"""Steps after which a sample depends on the others."""
NOISE: dict[str, Step] = {}
"""Steps that draw random numbers."""
HIDDEN: dict[str, Step] = {}
"""Steps through numbers outside torch."""


def step(kind: dict[str, Step], name: str) -> Callable[[Step], Step]:
    def add(function: Step) -> Step:
        kind[name] = function
        return function

    return add


class Program(nn.Module):
    """Some steps in a row, each with layers of its own, and a sum of the values before or a product with them."""

    def __init__(self, seed: int, kinds: dict[str, Step]) -> None:
        super().__init__()
        self.seed = seed
        torch.manual_seed(seed)
        draw = random.Random(seed)
        self.names = draw.choices(list(VALID), k=draw.randint(1, 4))
        if kinds is not VALID:
            self.names.insert(draw.randint(0, len(self.names)), draw.choice(list(kinds)))
        self.steps = [{**VALID, **kinds}[name] for name in self.names]
        self.joins = [draw.choice(["", "", "sum", "product"]) for _ in self.steps]
        self.mask = draw.choice([-1e4, -1e6, -1e9, -9e15, torch.finfo(torch.float32).min, -math.inf])
        self.way = draw.choice(["fill", "where", "add"])
        self.layers = nn.ModuleList(nn.Linear(C, C) for _ in self.steps)
        self.others = nn.ModuleList(nn.Linear(C, C) for _ in self.steps)
        self.norms = nn.ModuleList(nn.LayerNorm(C) for _ in self.steps)
        self.gru, self.lstm = nn.GRU(C, C, batch_first=True), nn.LSTM(C, C, batch_first=True)
        self.rnn, self.table = nn.RNN(C, C, batch_first=True), nn.Embedding(8, C)
        self.attention = nn.MultiheadAttention(C, 2, batch_first=True)
        self.conv = nn.Conv1d(C, C, 3, padding=1)
        self.head = nn.Linear(T * C, 1)
        self.log: list[float] = []
        self.place = 0

    def forward(self, x: Tensor) -> Tensor:
        for place, (function, join) in enumerate(zip(self.steps, self.joins, strict=True)):
            self.place = place
            y = function(self, x)
            x = x + y if join == "sum" else x * y if join == "product" else y
        return self.head(x.flatten(1))[:, 0]

    @property
    def linear(self) -> nn.Module:
        return self.layers[self.place]

    @property
    def other(self) -> nn.Module:
        return self.others[self.place]


for _name, _function in {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "softplus": F.softplus,
    "leaky": F.leaky_relu,
    "mish": F.mish,
    "hardswish": F.hardswish,
    "sin": torch.sin,
    "square": torch.square,
    "exp": lambda x: torch.exp(-x.abs()),
    "log": lambda x: torch.log(x.abs() + 1),
    "clamp": lambda x: x.clamp(-1, 1),
    "sqrt": lambda x: torch.sqrt(x.abs() + 0.1),
    "round": torch.round,
    "logsigmoid": F.logsigmoid,
    "threshold": lambda x: F.threshold(x, 0.1, 0.0),
    "abs": torch.abs,
    "softsign": F.softsign,
    "cube": lambda x: x.pow(3),
    "power": lambda x: 2**x,
    "log1p": lambda x: torch.log1p(x * x),
}.items():
    VALID[_name] = lambda p, x, f=_function: f(p.linear(x))  # type: ignore[misc]

for _name, _plain in {
    "softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "softmin": lambda x: F.softmin(x, -1),
    "l2": lambda x: F.normalize(x, dim=-1),
    "l1": lambda x: F.normalize(x, p=1, dim=-1),
    "std": lambda x: (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5),
    "revin": lambda x: (
        (x - x.mean(1, keepdim=True).detach()) / torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-5)
    ),
    "rms": lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6),
    "largest": lambda x: x / (x.abs().amax(-1, keepdim=True) + 1e-3),
    "quotient": lambda x: x / (x.flip(-1).abs() + 1),
    "instance": lambda x: F.instance_norm(x.mT).mT,
    "cumsum": lambda x: x.cumsum(1),
    "roll": lambda x: x.roll(1, 1),
    "diff": lambda x: F.pad(x.diff(dim=1), (0, 0, 1, 0)),
    "fft": lambda x: torch.fft.irfft(torch.fft.rfft(x, dim=1), n=T, dim=1),
    "spectrum": lambda x: torch.fft.rfft(x, dim=1).abs().mean(1, keepdim=True).expand_as(x),
    "convolved": lambda x: torch.fft.irfft(torch.fft.rfft(x, dim=1) * torch.fft.rfft(x.flip(1), dim=1), n=T, dim=1),
    "amax": lambda x: x.amax(1, keepdim=True).expand(-1, T, -1),
    "max": lambda x: x.max(1, keepdim=True)[0] + x,
    "maximum": lambda x: torch.maximum(x, x.flip(-1)),
    "minimum": lambda x: torch.minimum(x, torch.tensor(0.3)),
    "sort": lambda x: x.sort(-1)[0],
    "topk": lambda x: x.topk(2, -1)[0].repeat(1, 1, C // 2),
    "median": lambda x: x - x.median(1, keepdim=True)[0],
    "positive": lambda x: x * (x > 0).float(),
    "where": lambda x: torch.where(x > 0, x, 0.1 * x),
    "steps": lambda x: torch.where(x > 0.2, 1.0, -0.5),
    "compared": lambda x: (x > x.mean(1, keepdim=True)).float() + x,
    "sign": torch.sign,
    "one-hot": lambda x: F.one_hot(x.argmax(-1), C).float() + x,
    "glu": lambda x: F.glu(torch.cat([x, x.flip(-1)], -1)),
    "prod": lambda x: x.tanh().prod(-1, keepdim=True).expand_as(x),
    "logsumexp": lambda x: x - x.logsumexp(-1, keepdim=True),
    "moments": lambda x: torch.var_mean(x, -1, keepdim=True)[0] + x,
    "outer": lambda x: (x[..., None] * x[..., None, :]).mean(-1),
    "scatter": lambda x: torch.zeros_like(x).index_add(1, torch.tensor([0, 0, 2, 3]), x),
    "put": lambda x: x.clone().index_copy(1, torch.tensor([1]), x[:, :1] * 2),
    "pooled": lambda x: F.avg_pool1d(x.mT, 3, 1, 1).mT,
    "most": lambda x: F.max_pool1d(x.mT, 3, 1, 1).mT,
    "unfold": lambda x: x.unfold(1, 2, 1).mean(-1)[:, [0, 0, 1, 2]],
    "three": lambda x: torch.einsum("btc,btd,bte->btc", x, x.tanh(), x.sigmoid()),
    "in place": lambda x: (x * 1).mul_(0.5).add_(0.1).relu_(),
    "cosine": lambda x: F.cosine_similarity(x, x.flip(1), dim=-1)[..., None] * x,
    "norm": lambda x: x - torch.linalg.vector_norm(x, dim=-1, keepdim=True),
    "doubled": lambda x: (x.double() * 2).float(),
}.items():
    VALID[_name] = lambda p, x, f=_plain: p.linear(f(x))  # type: ignore[misc]


def _masked(p: Program, scores: Tensor) -> Tensor:
    mask = torch.ones(T, T, dtype=torch.bool).tril()
    if p.way == "fill":
        return scores.masked_fill(~mask, p.mask)
    if p.way == "where":
        return torch.where(mask, scores, torch.tensor(p.mask))
    return scores + torch.zeros(T, T).masked_fill(~mask, p.mask)


@step(VALID, "masked attention")
def masked_attention(p: Program, x: Tensor) -> Tensor:
    scores = _masked(p, p.linear(x) @ p.other(x).mT / math.sqrt(C))
    return scores.softmax(-1) @ x


@step(VALID, "masked log-softmax")
def masked_log_softmax(p: Program, x: Tensor) -> Tensor:
    logs = _masked(p, p.linear(x) @ p.other(x).mT).log_softmax(-1)
    return torch.diagonal(logs, dim1=1, dim2=2)[..., None] * x


@step(VALID, "attention with lengths")
def with_lengths(p: Program, x: Tensor) -> Tensor:
    weights = p.linear(x).masked_fill((torch.arange(T) > 2)[:, None], p.mask).softmax(1)
    return weights * x


@step(VALID, "causal attention of torch")
def causal(p: Program, x: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(p.linear(x), p.other(x), x, is_causal=True)


VALID.update(
    {
        "heads": lambda p, x: p.attention(x, x, x, need_weights=False)[0],
        "gru": lambda p, x: p.gru(x)[0],
        "lstm": lambda p, x: p.lstm(x)[0],
        "rnn": lambda p, x: p.rnn(x)[0],
        "conv": lambda p, x: p.conv(x.mT).mT,
        "layer norm": lambda p, x: p.norms[p.place](x),
        "buckets": lambda p, x: x + p.table(torch.bucketize(x[..., 0], torch.linspace(-1, 1, 7))),
        "gate": lambda p, x: p.linear(x).sigmoid() * p.other(x),
        "product": lambda p, x: p.linear(x) * p.other(x),
        "no grad": lambda p, x: _without_grad(p, x),
        "written down": lambda p, x: _written_down(p, x),
    }
)


@torch.no_grad()
def _without_grad(p: Program, x: Tensor) -> Tensor:
    return p.linear(x)


def _written_down(p: Program, x: Tensor) -> Tensor:
    p.log.append(x.mean().item())
    return p.linear(x)


MIXING.update(
    {
        "less the batch's mean": lambda p, x: x - x.mean(0, keepdim=True),
        "by the batch's largest": lambda p, x: x / x.abs().max(),
        "by the batch's deviation": lambda p, x: x / x.std(0, keepdim=True, correction=0),
        "the sample before": lambda p, x: x + x.roll(1, 0),
        "cumulative over samples": lambda p, x: x.cumsum(0),
        "ranked in the batch": lambda p, x: x + x.argsort(0).float(),
    }
)
NOISE.update(
    {
        "noise": lambda p, x: x + torch.randn_like(x),
        "a random mask": lambda p, x: x * torch.bernoulli(torch.full_like(x, 0.5)),
        "random weights": lambda p, x: x @ torch.rand(C, C),
        "dropout": lambda p, x: F.dropout(x, 0.5),
        "shuffled": lambda p, x: x[:, torch.randperm(T)],
        "gumbel": lambda p, x: F.gumbel_softmax(x, dim=-1),
    }
)
HIDDEN.update(
    {
        "numpy": lambda p, x: torch.from_numpy(x.detach().numpy() * 2),
        "item": lambda p, x: x * x[0, 0, 0].item(),
        "list": lambda p, x: torch.tensor(x.tolist()) + x,
        "whole numbers": lambda p, x: p.table(x[..., 0].abs().long().clamp(0, 7)),
    }
)
