"""Models as people write them: the shapes of public LSTM tutorials, forecasters and classifiers.

Every entry of :data:`SHAPES` gives a model, its inputs for some samples and what :func:`drf.lrp.attribute` is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

T, FEATURES, H = 5, 3, 4


@dataclass(frozen=True)
class Shape:
    model: Callable[[], nn.Module]
    inputs: Callable[[int], tuple[Tensor, ...]] = lambda n: (torch.randn(n, T, FEATURES),)
    told: dict[str, Any] = field(default_factory=dict)
    batched: bool = True
    """Whether a sample's output is the same alone and among others: not if the model draws random numbers."""


SHAPES: dict[str, Shape] = {}


def shape(name: str, **kwargs: Any) -> Callable[[type[nn.Module]], type[nn.Module]]:
    def add(model: type[nn.Module]) -> type[nn.Module]:
        SHAPES[name] = Shape(model, **kwargs)
        return model

    return add


def tokens(n: int) -> tuple[Tensor, ...]:
    return (torch.randint(1, 9, (n, T)),)


def with_lengths(n: int) -> tuple[Tensor, ...]:
    return torch.randn(n, T, FEATURES), torch.arange(n) % T + 1


class Module(nn.Module):
    """With the layers that most have."""

    def __init__(self, outputs: int = 1, **lstm: Any) -> None:
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, H, batch_first=lstm.pop("batch_first", True), **lstm)
        width = (lstm.get("proj_size") or H) * (2 if lstm.get("bidirectional") else 1)
        self.fc = nn.Linear(width, outputs)


@shape("last step by slice")
class LastStep(Module):
    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(x)
        return self.fc(out[:, -1, :])


@shape("final hidden state")
class HiddenState(Module):
    def forward(self, x: Tensor) -> Tensor:
        _, (h_n, _) = self.lstm(x)
        return self.fc(h_n[-1])


@shape("squeezed output")
class Squeezed(Module):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x)[1][0].squeeze(0)).squeeze(-1)


@shape("cell state as feature")
class CellState(Module):
    def forward(self, x: Tensor) -> Tensor:
        _, (h, c) = self.lstm(x)
        return self.fc(h[-1] + c[-1])


@shape("explicit zero states")
class ZeroStates(Module):
    def __init__(self) -> None:
        super().__init__(num_layers=2)

    def forward(self, x: Tensor) -> Tensor:
        h0 = torch.zeros(2, x.size(0), H, dtype=x.dtype).requires_grad_()
        c0 = torch.zeros(2, x.size(0), H, dtype=x.dtype).requires_grad_()
        out, _ = self.lstm(x, (h0.detach(), c0.detach()))
        return self.fc(out[:, -1, :])


@shape("random states", batched=False)
class RandomStates(Module):
    def forward(self, x: Tensor) -> Tensor:
        states = torch.randn(1, len(x), H, dtype=x.dtype), torch.randn(1, len(x), H, dtype=x.dtype)
        return self.fc(self.lstm(x, states)[0][:, -1])


@shape("learned states")
class LearnedStates(Module):
    def __init__(self) -> None:
        super().__init__()
        self.h0, self.c0 = nn.Parameter(torch.randn(1, 1, H)), nn.Parameter(torch.randn(1, 1, H))

    def forward(self, x: Tensor) -> Tensor:
        states = self.h0.expand(-1, len(x), -1).contiguous(), self.c0.expand(-1, len(x), -1).contiguous()
        return self.fc(self.lstm(x, states)[0][:, -1])


@shape("state kept in the module")
class KeptState(Module):
    def init_hidden(self, n: int, like: Tensor) -> None:
        self.hidden = (like.new_zeros(1, n, H), like.new_zeros(1, n, H))

    def forward(self, x: Tensor) -> Tensor:
        self.init_hidden(len(x), x)
        out, self.hidden = self.lstm(x, self.hidden)
        return self.fc(out[:, -1])


@shape("time first", inputs=lambda n: (torch.randn(T, n, FEATURES),), told={"sample_axis": 1})
class TimeFirst(Module):
    def __init__(self) -> None:
        super().__init__(batch_first=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x)[0][-1])


@shape("a view over time, as in the PyTorch tutorial", inputs=lambda n: (torch.randn(T, n, FEATURES),),
       told={"sample_axis": 1, "target": 2})  # fmt: skip
class Viewed(Module):
    def __init__(self) -> None:
        super().__init__(batch_first=False)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(x)
        return self.fc(out.view(len(x) * x.shape[1], -1)).view(len(x), x.shape[1])


@shape("one feature, unsqueezed", inputs=lambda n: (torch.randn(n, T),))
class OneFeature(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.linear = nn.LSTM(1, H, batch_first=True), nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.lstm(x.unsqueeze(-1))[0][:, -1])


@shape("bidirectional, both ends")
class BothEnds(Module):
    def __init__(self) -> None:
        super().__init__(num_layers=2, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        _, (h, _) = self.lstm(x)
        return self.fc(torch.cat((h[-2], h[-1]), dim=1))


@shape("bidirectional, mean over time", told={"target": 1})
class MeanPooled(Module):
    def __init__(self) -> None:
        super().__init__(3, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x)[0].mean(dim=1))


@shape("maximum over time")
class MaxPooled(Module):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x)[0].max(dim=1)[0])


@shape("mean and maximum joined")
class BothPooled(Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2 * H, 1)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(x)
        pooled = F.adaptive_max_pool1d(out.permute(0, 2, 1), 1).view(len(x), -1)
        return self.fc(torch.cat([out.mean(1), pooled], 1))


@shape("projected")
class Projected(Module):
    def __init__(self) -> None:
        super().__init__(proj_size=2, num_layers=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x)[0][:, -1])


@shape("two stacked modules with dropout between")
class Stacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.LSTM(FEATURES, 5, batch_first=True), nn.LSTM(5, H, batch_first=True)
        self.drop, self.fc = nn.Dropout(0.3), nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.one(x)
        x, _ = self.two(self.drop(x))
        return self.fc(F.dropout(x[:, -1], 0.2, training=self.training))


@shape("dense head with ReLU in place")
class DenseHead(Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Linear(H, 6), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(6, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[1][0][-1])


@shape("sequential with an extracting layer")
class Extracting(nn.Sequential):
    class Last(nn.Module):
        def forward(self, out: Any) -> Tensor:
            return out[0][:, -1, :]

    def __init__(self) -> None:
        super().__init__(nn.LSTM(FEATURES, H, batch_first=True), self.Last(), nn.ELU(), nn.Linear(H, 1))


@shape("GRU")
class Gru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.fc = nn.GRU(FEATURES, H, 2, batch_first=True, bidirectional=True), nn.Linear(2 * H, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.gru(x)[0][:, -1]))


@shape("GRU with a learned state")
class GruState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.fc = nn.GRU(FEATURES, H, batch_first=True), nn.Linear(H, 1)
        self.start = nn.Parameter(torch.randn(1, 1, H))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.gru(x, self.start.repeat(1, len(x), 1))[1][-1])


@shape("plain RNN")
class Rnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.fc = nn.RNN(FEATURES, H, 2, batch_first=True, nonlinearity="relu"), nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(x)[0][:, -1])


@shape("LSTM cells in a loop")
class CellLoop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.second, self.fc = nn.LSTMCell(FEATURES, H), nn.LSTMCell(H, H), nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, c, h2, c2 = (torch.zeros(x.size(0), H, dtype=x.dtype) for _ in range(4))
        for step in x.split(1, dim=1):
            h, c = self.cell(step.squeeze(1), (h, c))
            h2, c2 = self.second(h, (h2, c2))
        return self.fc(h2)


@shape("GRU cells, outputs gathered in a list", told={"target": (3, 0)})
class GruCells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.fc = nn.GRUCell(FEATURES, H), nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, outputs = None, []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
            outputs += [self.fc(h)]
        return torch.stack(outputs, 1)


@shape("RNN cells written into a tensor", told={"target": 2})
class RnnCells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.fc = nn.RNNCell(FEATURES, H), nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, out = x.new_zeros(len(x), H), torch.zeros(len(x), T, dtype=x.dtype)
        for t in range(T):
            h = self.cell(x[:, t], h)
            out[:, t] = self.fc(h)[:, 0]
        return out


@shape("an LSTM cell written by hand")
class HandWritten(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.u = nn.Parameter(torch.randn(FEATURES, 4 * H) / 2), nn.Parameter(torch.randn(H, 4 * H) / 2)
        self.b, self.fc = nn.Parameter(torch.randn(4 * H) / 2), nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, c = torch.zeros(len(x), H, dtype=x.dtype), torch.zeros(len(x), H, dtype=x.dtype)
        for t in range(x.size(1)):
            gates = x[:, t, :] @ self.w + h @ self.u + self.b
            i, f = torch.sigmoid(gates[:, :H]), torch.sigmoid(gates[:, H : 2 * H])
            g, o = torch.tanh(gates[:, 2 * H : 3 * H]), torch.sigmoid(gates[:, 3 * H :])
            c = f * c + i * g
            h = o * torch.tanh(c)
        return self.fc(h)


@shape("packed sequences", inputs=with_lengths)
class Packed(Module):
    def __init__(self) -> None:
        super().__init__(num_layers=2, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        return self.fc(torch.cat([h[-2], h[-1]], 1))


@shape("packed and padded again", inputs=with_lengths)
class PaddedAgain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.fc = nn.GRU(FEATURES, H, batch_first=True), nn.Linear(H, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=T)
        return self.fc(out[torch.arange(len(x)), lengths - 1])


@shape("embedded words", inputs=tokens, told={"target": 1})
class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(10, FEATURES, padding_idx=0), nn.LSTM(FEATURES, H, batch_first=True)
        self.fc = nn.Linear(H, 2)

    def forward(self, text: Tensor) -> Tensor:
        return self.fc(self.lstm(self.embedding(text))[1][0][-1])


@shape("log-probabilities of tags", inputs=tokens, told={"target": (2, 1)})
class Tagger(Words):
    def forward(self, text: Tensor) -> Tensor:
        return F.log_softmax(self.fc(self.lstm(self.embedding(text))[0]), dim=-1)


@shape("probability by softmax", told={"target": 2})
class Softmax(Module):
    def __init__(self) -> None:
        super().__init__(3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.fc(self.lstm(x)[1][0][-1]), dim=1)


@shape("probability by sigmoid")
class Sigmoid(Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.fc(self.lstm(x)[0][:, -1]))


@shape("own class of every sample", told={"target": "by sample"})
class Classifier(Module):
    def __init__(self) -> None:
        super().__init__(3)
        self.norm = nn.BatchNorm1d(H)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.lstm(x)[0][:, -1]))


@shape("static features beside a sequence", inputs=lambda n: (torch.randn(n, T, FEATURES), torch.randn(n, 2)))
class Static(Module):
    def __init__(self) -> None:
        super().__init__()
        self.aside, self.head = nn.Linear(2, 3), nn.Linear(H + 3, 1)

    def forward(self, x: Tensor, static: Tensor) -> Tensor:
        return self.head(torch.cat([self.lstm(x)[0][:, -1], F.silu(self.aside(static))], dim=-1))


@shape("category embedded beside a sequence",
       inputs=lambda n: (torch.randn(n, T, FEATURES), torch.randint(0, 5, (n, 2))))  # fmt: skip
class Category(Module):
    def __init__(self) -> None:
        super().__init__()
        self.sector, self.country, self.head = nn.Embedding(5, 2), nn.Embedding(5, 2), nn.Linear(H + 4, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        of_label = [self.sector(labels[:, 0]), self.country(labels[:, 1])]
        return self.head(torch.cat([self.lstm(x)[0][:, -1], *of_label], dim=-1))


@shape("additive attention")
class Attention(Module):
    def __init__(self) -> None:
        super().__init__()
        self.score, self.v = nn.Linear(H, H), nn.Linear(H, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(x)
        weights = F.softmax(self.v(torch.tanh(self.score(out))), dim=1)
        return self.fc((weights * out).sum(dim=1))


@shape("attention by the final state")
class DotAttention(Module):
    def forward(self, x: Tensor) -> Tensor:
        out, (h, _) = self.lstm(x)
        weights = torch.softmax(torch.bmm(out, h[-1].unsqueeze(2)).squeeze(2), 1)
        return self.fc(torch.bmm(out.transpose(1, 2), weights.unsqueeze(2)).squeeze(2))


@shape("multi-head attention")
class MultiHead(Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.norm = nn.MultiheadAttention(H, 2, batch_first=True), nn.LayerNorm(H)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.lstm(x)
        mixed, _ = self.attention(out, out, out)
        return self.fc(self.norm(out + mixed)[:, -1])


@shape("scaled dot product attention, causal")
class Causal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.fc = nn.Linear(FEATURES, 3 * H), nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.view(len(x), T, 2, H // 2).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.fc(out.transpose(1, 2).reshape(len(x), T, H)[:, -1])


@shape("transformer encoder")
class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(H, 2, 8, batch_first=True, activation="gelu")
        self.up, self.encoder, self.fc = nn.Linear(FEATURES, H), nn.TransformerEncoder(layer, 2), nn.Linear(H, 1)
        self.register_buffer("position", torch.randn(T, H))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.encoder(self.up(x) * math.sqrt(H) + self.position).mean(1))


@shape("attention by hand, with a mask", inputs=with_lengths)
class Masked(Module):
    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        out, _ = self.lstm(x)
        there = torch.arange(T)[None] < lengths[:, None]
        weights = out.sum(-1).masked_fill(~there, float("-inf")).exp()
        return self.fc((out * (weights / weights.sum(1, keepdim=True)).unsqueeze(-1)).sum(1))


@shape("convolutions before the LSTM")
class ConvLstm(Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(FEATURES, FEATURES, 3, padding=1), nn.BatchNorm1d(FEATURES), nn.LeakyReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(self.conv(x.permute(0, 2, 1)).permute(0, 2, 1))[0][:, -1])


@shape("maximum pooling between convolution and LSTM")
class PooledConv(Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv1d(FEATURES, FEATURES, 2), nn.MaxPool1d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(self.pool(torch.relu(self.conv(x.transpose(1, 2)))).transpose(1, 2))[0][:, -1])


@shape("temporal convolution with weight norm")
class Tcn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(FEATURES, H, 3, padding=4, dilation=2))
        self.down, self.fc = nn.Conv1d(FEATURES, H, 1), nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        return self.fc(F.relu(F.relu(self.conv(x)[:, :, :-4]) + self.down(x))[:, :, -1])


@shape("residual sums and layer norm")
class Residual(Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.deep, self.norm = nn.Linear(FEATURES, H), nn.LSTM(H, H, batch_first=True), nn.LayerNorm(H)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(x)
        x = self.norm(x + self.deep(x)[0])
        return self.fc(x[:, -1] + x.mean(1))


@shape("gated linear units")
class Gated(Module):
    def __init__(self) -> None:
        super().__init__()
        self.grow = nn.Linear(H, 2 * H)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.glu(self.grow(self.lstm(x)[0][:, -1])))


@shape("product of two branches")
class Product(Module):
    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Linear(FEATURES, H)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x)[0][:, -1] * self.other(x[:, -1]))


@shape("several horizons", told={"target": [0, 2, (1,)]})
class Horizons(Module):
    def __init__(self) -> None:
        super().__init__(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x)[0][:, -1])


@shape("every step", told={"target": (4, 1)})
class EveryStep(Module):
    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x)[0])


@shape("a dictionary of outputs", told={"select": lambda y: y["mean"]})
class Dictionary(Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(H, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.lstm(x)[0][:, -1]
        return {"mean": self.fc(h), "scale": F.softplus(self.scale(h)) + 1e-3}


@shape("a tuple with attention weights", told={"select": lambda y: y[0]})
class WithWeights(Attention):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        out, _ = self.lstm(x)
        weights = F.softmax(self.v(torch.tanh(self.score(out))), dim=1)
        return self.fc(torch.einsum("nto,nth->nh", weights, out)), weights


@shape("encoder and decoder", told={"target": (1, 0)})
class Seq2Seq(Module):
    def __init__(self) -> None:
        super().__init__()
        self.decoder, self.out = nn.LSTM(1, H, batch_first=True), nn.Linear(H, 1)

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.lstm(x)
        step, outputs = x[:, -1:, :1], []
        for _ in range(3):
            out, state = self.decoder(step, state)
            step = self.out(out)
            outputs.append(step)
        return torch.cat(outputs, dim=1)


@shape("reversible instance normalisation")
class RevIn(Module):
    def forward(self, x: Tensor) -> Tensor:
        mean, std = x.mean(1, keepdim=True).detach(), torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-5).detach()
        out = self.fc(self.lstm((x - mean) / std)[0][:, -1])
        return out * std[:, 0, :1] + mean[:, 0, :1]


@shape("trend by a moving average and the rest", told={"target": (1,)})
class DLinear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.average, self.trend, self.rest = nn.AvgPool1d(3, 1), nn.Linear(T * FEATURES, 2), nn.Linear(T * FEATURES, 2)

    def forward(self, x: Tensor) -> Tensor:
        ends = torch.cat([x[:, :1], x, x[:, -1:]], dim=1)
        trend = self.average(ends.permute(0, 2, 1)).permute(0, 2, 1)
        return self.trend(trend.flatten(1)) + self.rest((x - trend).reshape(len(x), -1))


@shape("a dense network")
class Dense(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(T * FEATURES, 6),
            nn.GELU(),
            nn.LayerNorm(6),
            nn.Linear(6, 4),
            nn.Mish(),
            nn.Linear(4, 1),
        )


@shape("batch norm over steps and features")
class BatchNormed(Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.BatchNorm1d(T), nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.fc(self.lstm(self.before(x))[0][:, -1]))


def build(name: str) -> nn.Module:
    """The model in double precision and eval mode, with running statistics that are not those of a fresh layer."""
    torch.manual_seed(0)
    model = SHAPES[name].model().double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return model


def draw(name: str, samples: int = 4) -> tuple[Tensor, ...]:
    torch.manual_seed(1)
    return tuple(x.double() if x.is_floating_point() else x for x in SHAPES[name].inputs(samples))


def told(name: str, samples: int = 4) -> dict[str, Any]:
    arguments = dict(SHAPES[name].told)
    if arguments.get("target") == "by sample":
        arguments["target"] = torch.arange(samples) % 3
    return arguments
