"""Models of the literature, one mechanism each, written from the papers' descriptions with random weights.

Every entry of :data:`PUBLIC` gives a model as its authors call it, its inputs and what :func:`drf.lrp.attribute` is
told. They run in single precision, as most people use them.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

T, C, D = 16, 3, 8
"""Steps and channels of the series, and width of the models."""


@dataclass(frozen=True)
class Public:
    model: Callable[[], nn.Module]
    inputs: Callable[[int], tuple[Any, ...]] = lambda n: (torch.randn(n, T, C),)
    told: dict[str, Any] = field(default_factory=dict)
    baseline: Callable[[], Any] = lambda: None
    """Baseline of the Shapley rule; zeros by default."""


PUBLIC: dict[str, Public] = {}


def public(name: str, **kwargs: Any) -> Callable[[type[nn.Module]], type[nn.Module]]:
    def add(model: type[nn.Module]) -> type[nn.Module]:
        PUBLIC[name] = Public(model, **kwargs)
        return model

    return add


def words(n: int) -> tuple[Tensor]:
    return (torch.randint(1, 30, (n, T)),)


def padding() -> Tensor:
    return torch.zeros(1, T, dtype=torch.long)


WORDS: dict[str, Any] = {"inputs": words, "baseline": padding}
FIRST: dict[str, Any] = {"told": {"target": 0}}
TABLE: dict[str, Any] = {"inputs": lambda n: (torch.randn(n, 12),)}
PICTURE: dict[str, Any] = {"inputs": lambda n: (torch.randn(n, 3, 16, 16),), "told": {"target": 1}}
"""Inputs and questions that several models share."""


# ---- recurrent networks


@public("attention over an LSTM's steps")
class AttentionLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net, self.rnn = nn.Sequential(nn.Linear(C, D), nn.Tanh()), nn.LSTM(D, D, 2, batch_first=True)
        self.att = nn.Sequential(nn.Linear(D, D // 2), nn.Tanh(), nn.Linear(D // 2, 1, bias=False), nn.Softmax(dim=1))
        self.out = nn.Linear(2 * D, 1)

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.rnn(self.net(x))
        mixed = torch.sum(steps * self.att(steps), dim=1)
        return self.out(torch.cat((steps[:, -1, :], mixed), dim=1))[..., 0]


@public("dual-stage attention with an encoder of cells")
class DualStage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.score = nn.LSTMCell(C, D), nn.Linear(2 * D + T, 1)
        self.decoder, self.over, self.out = nn.GRUCell(D, D), nn.Linear(2 * D, 1), nn.Linear(D, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, c = x.data.new(len(x), D).zero_(), x.data.new(len(x), D).zero_()
        coded = []
        for t in range(T):
            pair = torch.cat((h, c), 1).unsqueeze(1).repeat(1, C, 1)
            weights = F.softmax(self.score(torch.cat((pair, x.permute(0, 2, 1)), 2)).view(-1, C), dim=1)
            h, c = self.cell(weights * x[:, t], (h, c))
            coded.append(h)
        steps, d = torch.stack(coded, 1), torch.zeros_like(h)
        for _ in range(3):
            energy = self.over(torch.cat((steps, d[:, None].expand(-1, T, -1)), -1)).tanh()
            d = self.decoder((energy.softmax(1) * steps).sum(1), d)
        return self.out(d)


@public("GRU over packed series in order of length", inputs=lambda n: (torch.randn(n, T, C), T - torch.arange(n)),
        told={"sample_axis": (0, None)})  # fmt: skip
class PackedGRU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(C, D, batch_first=True, bidirectional=True), nn.Linear(2 * D, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        _, h = self.gru(pack_padded_sequence(x, lengths, batch_first=True))
        return self.head(torch.cat([h[0], h[1]], 1))


@public("speech network on packed spectra", **FIRST)
class Speech(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(C, D, 3, padding=1), nn.BatchNorm1d(D), nn.Hardtanh(0, 20))
        self.rnn, self.head = nn.GRU(D, D, bidirectional=True, bias=False), nn.Linear(D, 4)

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(x.transpose(1, 2)).permute(2, 0, 1)
        z, _ = pad_packed_sequence(self.rnn(pack_padded_sequence(z, torch.full((len(x),), T)))[0])
        z = z.view(T, len(x), 2, -1).sum(2)
        return self.head(z.mean(0)).log_softmax(-1)


@public("language model with dropped weights", **WORDS, **FIRST)
class DroppedWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.rnn = nn.Embedding(30, D), nn.LSTM(D, D, batch_first=True)
        self.raw = nn.Parameter(self.rnn.weight_hh_l0.detach().clone())
        self.head = nn.Linear(D, 30)

    def forward(self, x: Tensor) -> Tensor:
        held = F.dropout(self.raw, 0.5, self.training)
        z, h, c = self.table(x), x.new_zeros(len(x), D).float(), x.new_zeros(len(x), D).float()
        for t in range(T):
            gates = z[:, t] @ self.rnn.weight_ih_l0.T + h @ held.T + self.rnn.bias_ih_l0
            i, f, g, o = gates.chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return F.log_softmax(self.head(h), dim=-1)


@public("LSTM with exponential gates")
class ExponentialGates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gates, self.hidden, self.head = nn.Linear(C, 4 * D), nn.Linear(D, 4 * D, bias=False), nn.Linear(D, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = c = n = x.new_zeros(len(x), D)
        m = x.new_zeros(len(x), D)
        for t in range(x.shape[1]):
            i, f, z, o = (self.gates(x[:, t]) + self.hidden(h)).chunk(4, -1)
            kept = F.logsigmoid(f)
            top = torch.maximum(kept + m, i)
            write, keep = torch.exp(i - top), torch.exp(kept + m - top)
            c, n, m = keep * c + write * torch.tanh(z), keep * n + write, top
            h = torch.sigmoid(o) * c / n
        return self.head(h)


@public("LSTM that conserves mass", inputs=lambda n: (torch.rand(n, T, 1), torch.randn(n, T, 2)))
class MassConserving(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.share, self.out = nn.Linear(2 + D, D), nn.Linear(2 + D, D)
        self.redistribute = nn.Linear(2 + D, D * D)

    def forward(self, mass: Tensor, other: Tensor) -> Tensor:
        c, total = mass.new_zeros(len(mass), D), 0.0
        for t in range(T):
            features = torch.cat([other[:, t], c / (c.norm(1, dim=-1, keepdim=True) + 1e-5)], 1)
            i = F.normalize(self.share(features).sigmoid(), p=1, dim=-1)
            r = F.normalize(F.relu(self.redistribute(features).view(-1, D, D)), p=1, dim=-1)
            new = torch.matmul(c.unsqueeze(-2), r).squeeze(-2) + i * mass[:, t]
            o = torch.sigmoid(self.out(features))
            total, c = total + (o * new).sum(-1), (1 - o) * new
        return total.unsqueeze(-1)


@public("simple recurrent unit")
class SimpleRecurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.maps, self.v, self.head = nn.Linear(C, 3 * D), nn.Parameter(torch.randn(2, D) * 0.3), nn.Linear(D, 1)
        self.skip = nn.Linear(C, D)

    def forward(self, x: Tensor) -> Tensor:
        wx, wf, wr = self.maps(x).chunk(3, -1)
        c = torch.zeros_like(wx[:, 0])
        outs = []
        for t in range(T):
            f = torch.sigmoid(wf[:, t] + self.v[0] * c)
            r = torch.sigmoid(wr[:, t] + self.v[1] * c)
            c = f * c + (1 - f) * wx[:, t]
            outs.append(r * c + (1 - r) * self.skip(x[:, t]))
        return self.head(torch.stack(outs, 1).amax(1))


# ---- forecasters


def moving_average(x: Tensor, width: int = 5) -> Tensor:
    front, end = x[:, :1].repeat(1, width // 2, 1), x[:, -1:].repeat(1, width // 2, 1)
    return F.avg_pool1d(torch.cat([front, x, end], 1).permute(0, 2, 1), width, 1).permute(0, 2, 1)


@public("trend and season by linear maps", **FIRST)
class TrendSeason(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trend, self.season = nn.Linear(T, 4), nn.Linear(T, 4)

    def forward(self, x: Tensor) -> Tensor:
        slow = moving_average(x)
        return (self.trend(slow.mT) + self.season((x - slow).mT)).permute(0, 2, 1)


@public("doubly residual blocks", inputs=lambda n: (torch.randn(n, T),), **FIRST)
class DoublyResidual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(T, 2 * D), nn.ReLU(), nn.Linear(2 * D, T + 4)) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        residual, forecast = x.flip(dims=(1,)), x[:, -1:]
        for block in self.blocks:
            back, ahead = block(residual).split([T, 4], -1)
            residual = residual - back
            forecast = forecast + ahead
        return forecast


@public("blocks of several rates", inputs=lambda n: (torch.randn(n, 1, T),), **FIRST)
class SeveralRates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(T // k, T + 4 // k) for k in (1, 2, 4))

    def forward(self, x: Tensor) -> Tensor:
        forecast, rest = x[:, :, -1:], x
        for k, layer in zip((1, 2, 4), self.maps, strict=True):
            theta = F.relu(layer(F.max_pool1d(rest, k, k, ceil_mode=True)))
            rest = rest - theta[..., :T]
            forecast = forecast + F.interpolate(theta[..., T:], size=4, mode="linear")
        return forecast.squeeze(1)


class Reversible(nn.Module):
    """Instance normalisation that is undone behind the model."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(C)), nn.Parameter(torch.zeros(C))

    def forward(self, x: Tensor, mode: str) -> Tensor:
        if mode == "norm":
            self.mean = torch.mean(x, dim=1, keepdim=True).detach()
            self.stdev = torch.sqrt(torch.var(x, dim=1, keepdim=True, unbiased=False) + 1e-5).detach()
            return (x - self.mean) / self.stdev * self.weight + self.bias
        return (x - self.bias) / (self.weight + 1e-10) * self.stdev + self.mean


@public("reversible normalisation around a dense network", **FIRST)
class ReversibleDense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rev, self.net = Reversible(), nn.Sequential(nn.Linear(T, 2 * D), nn.ReLU(), nn.Linear(2 * D, 4))

    def forward(self, x: Tensor) -> Tensor:
        z = self.net(self.rev(x, "norm").permute(0, 2, 1)).permute(0, 2, 1)
        return self.rev(z, "denorm")


def encoder(width: int = D, layers: int = 1) -> nn.Module:
    layer = nn.TransformerEncoderLayer(width, 2, 2 * width, batch_first=True, activation="gelu")
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


class Normalised(nn.Module):
    """Forecaster that takes away the mean of its series and divides by the deviation, in place."""

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(1, keepdim=True).detach()
        x = x - means
        stdev = torch.sqrt(torch.var(x, dim=1, keepdim=True, unbiased=False) + 1e-5)
        x /= stdev
        return self.forecast(x) * stdev[:, 0, :].unsqueeze(1) + means[:, 0, :].unsqueeze(1)

    @abstractmethod
    def forecast(self, x: Tensor) -> Tensor:
        """Forecast normalised series, (n, steps, C)."""


@public("attention between patches", **FIRST)
class Patches(Normalised):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Linear(4, D, bias=False), nn.Parameter(torch.randn(8, D) * 0.02)
        self.encoder, self.head = encoder(layers=2), nn.Linear(8 * D, 4)

    def forecast(self, x: Tensor) -> Tensor:
        patches = F.pad(x.permute(0, 2, 1), (0, 2), mode="replicate").unfold(-1, 4, 2)
        n, channels, count, size = patches.shape
        z = self.encoder(self.embed(patches.reshape(n * channels, count, size)) + self.place)
        return self.head(z.reshape(n, channels, -1)).permute(0, 2, 1)


@public("attention between variables", **FIRST)
class Variables(Normalised):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.encoder, self.head = nn.Linear(T, D), encoder(layers=2), nn.Linear(D, 4)

    def forecast(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x.permute(0, 2, 1)))).permute(0, 2, 1)


@public("attention that knows the deviation taken away", **FIRST)
class NonStationary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.qkv, self.head = nn.Linear(C, D), nn.Linear(D, 3 * D), nn.Linear(D, C)
        self.tau, self.delta = nn.Linear(T * C, 1), nn.Linear(T * C, T)

    def forward(self, x: Tensor) -> Tensor:
        raw = x.clone().detach()
        mean = x.mean(1, keepdim=True).detach()
        x = x - mean
        std = torch.sqrt(torch.var(x, dim=1, keepdim=True, unbiased=False) + 1e-5).detach()
        x = x / std
        tau = self.tau(raw.flatten(1)).clamp(-3, 3).exp()[:, None]
        delta = self.delta(raw.flatten(1))[:, None]
        q, k, v = self.qkv(self.embed(x)).chunk(3, -1)
        scores = torch.einsum("nlh,nsh->nls", q, k) * tau + delta
        z = torch.einsum("nls,nsd->nld", torch.softmax(scores / math.sqrt(D), -1), v)
        return self.head(z)[:, -4:] * std + mean


@public("dense encoder with covariates and a skip", inputs=lambda n: (torch.randn(n, T, C), torch.randn(n, T, 2)),
        **FIRST)  # fmt: skip
class DenseEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.marks, self.hidden = nn.Linear(2, 1), nn.Linear(2 * T, 2 * D)
        self.out, self.skip, self.norm = nn.Linear(2 * D, 4), nn.Linear(2 * T, 4), nn.LayerNorm(4)

    def forward(self, x: Tensor, marks: Tensor) -> Tensor:
        means = x.mean(1, keepdim=True).detach()
        x = x - means
        x = x / torch.sqrt(torch.var(x, dim=1, keepdim=True, unbiased=False) + 1e-5)
        series = torch.cat([x[:, :, 0], self.marks(marks)[..., 0]], -1)
        return self.norm(self.out(F.relu(self.hidden(series))) + self.skip(series)) + means[:, :, 0]


@public("correlation of a series with itself by its spectrum", **FIRST)
class AutoCorrelation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.qkv, self.head = nn.Linear(C, D), nn.Linear(D, 3 * D), nn.Linear(D, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.embed(x - moving_average(x))).permute(0, 2, 1).chunk(3, 1)
        spectrum = torch.fft.rfft(q, dim=-1) * torch.conj(torch.fft.rfft(k, dim=-1))
        correlation = torch.fft.irfft(spectrum, dim=-1).mean(1)
        weights, delay = torch.topk(correlation, 3, dim=-1)
        weights = torch.softmax(weights, dim=-1)
        places = torch.arange(T)[None, None] + delay[..., None]
        doubled = v.repeat(1, 1, 2)
        mixed = torch.zeros_like(v)
        for i in range(3):
            index = places[:, i][:, None].expand(-1, D, -1)
            mixed = mixed + torch.gather(doubled, -1, index) * weights[:, i][:, None, None]
        return self.head(mixed.permute(0, 2, 1)).squeeze(-1)[:, -4:]


@public("mixing of modes in the frequency domain", **FIRST)
class Frequencies(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(C, D), nn.Linear(D, 1)
        self.weight = nn.Parameter(torch.randn(D, D, 5, 2) * 0.2)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.fft.rfft(self.embed(x).permute(0, 2, 1))
        out = torch.zeros(len(x), D, T // 2 + 1, dtype=torch.cfloat)
        out[:, :, :5] = torch.einsum("bix,iox->box", z[:, :, :5], torch.view_as_complex(self.weight))
        return self.head(torch.fft.irfft(out, n=T).permute(0, 2, 1)).squeeze(-1).tanh()


@public("dense network on real and imaginary parts", **FIRST)
class ComplexDense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.r, self.i = nn.Parameter(torch.randn(D, D) * 0.2), nn.Parameter(torch.randn(D, D) * 0.2)
        self.embed, self.head = nn.Linear(C, D), nn.Linear(T * D, 4)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.fft.rfft(self.embed(x), dim=1, norm="ortho")
        real = F.relu(torch.einsum("btd,de->bte", z.real, self.r) - torch.einsum("btd,de->bte", z.imag, self.i))
        imag = F.relu(torch.einsum("btd,de->bte", z.imag, self.r) + torch.einsum("btd,de->bte", z.real, self.i))
        y = torch.view_as_complex(F.softshrink(torch.stack([real, imag], -1), 0.01))
        return self.head(torch.fft.irfft(y, n=T, dim=1, norm="ortho").flatten(1))


@public("temporal fusion with gated residuals", **FIRST)
class TemporalFusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embeds = nn.ModuleList(nn.Linear(1, D) for _ in range(C))
        self.select, self.lstm = nn.Linear(C * D, C), nn.LSTM(D, D, batch_first=True)
        self.one, self.two, self.gate, self.norm = (
            nn.Linear(D, D),
            nn.Linear(D, D),
            nn.Linear(D, 2 * D),
            nn.LayerNorm(D),
        )
        self.attention, self.head = nn.MultiheadAttention(D, 2, batch_first=True), nn.Linear(D, 3)

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.stack([embed(x[..., k : k + 1]) for k, embed in enumerate(self.embeds)], -1)
        weights = torch.softmax(self.select(parts.flatten(2)), -1).unsqueeze(2)
        z, _ = self.lstm((parts * weights).sum(-1))
        z = self.norm(z + F.glu(self.gate(self.two(F.elu(self.one(z)))), -1))
        mask = torch.triu(torch.ones(T, T, dtype=torch.bool), 1)
        z = z + self.attention(z, z, z, attn_mask=mask)[0]
        return self.head(z[:, -1])


@public("gated dilated convolutions")
class GatedConvolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(C, D, 1)
        self.dilated = nn.ModuleList(nn.Conv1d(D, 2 * D, 2, dilation=2**k) for k in range(3))
        self.mix, self.head = nn.ModuleList(nn.Conv1d(D, D, 1) for _ in range(3)), nn.Conv1d(D, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        z, skips = self.first(x.transpose(1, 2)), 0
        for dilated, mix in zip(self.dilated, self.mix, strict=True):
            filtered, gate = dilated(F.pad(z, (dilated.dilation[0], 0))).chunk(2, 1)
            out = mix(torch.tanh(filtered) * torch.sigmoid(gate))
            z, skips = z + out, skips + out[..., -1:]
        return self.head(F.relu(skips)).squeeze(-1)


@public("state space with a selective scan", **FIRST)
class SelectiveScan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside, self.conv = nn.Linear(C, 2 * D), nn.Conv1d(D, D, 3, groups=D, padding=2)
        self.selects, self.dt = nn.Linear(D, 1 + 2 * 4), nn.Linear(1, D)
        self.a_log, self.d = nn.Parameter(torch.log(torch.arange(1, 5.0)).repeat(D, 1)), nn.Parameter(torch.ones(D))
        self.head = nn.Linear(D, 2)

    def forward(self, x: Tensor) -> Tensor:
        u, gate = self.inside(x).chunk(2, -1)
        u = F.silu(self.conv(u.transpose(1, 2))[..., :T].transpose(1, 2))
        dt, b, c = self.selects(u).split([1, 4, 4], -1)
        dt = F.softplus(self.dt(dt))
        decay = torch.exp(torch.einsum("bld,dn->bldn", dt, -torch.exp(self.a_log)))
        write = torch.einsum("bld,bln,bld->bldn", dt, b, u)
        state, outs = torch.zeros(len(x), D, 4), []
        for t in range(T):
            state = decay[:, t] * state + write[:, t]
            outs.append(torch.einsum("bdn,bn->bd", state, c[:, t]))
        y = (torch.stack(outs, 1) + u * self.d) * F.silu(gate)
        return self.head(y[:, -1])


@public("state space as a long convolution")
class LongConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.kernel, self.head = nn.Linear(C, D), nn.Parameter(torch.randn(D, T) * 0.2), nn.Linear(D, 1)

    def forward(self, x: Tensor) -> Tensor:
        u = self.embed(x).transpose(1, 2)
        y = torch.fft.irfft(torch.fft.rfft(u, n=2 * T) * torch.fft.rfft(self.kernel, n=2 * T), n=2 * T)[..., :T]
        return self.head(F.gelu(y).mean(-1))


# ---- attention


@public("encoder of words with padding at -1e9", **WORDS, **FIRST)
class PaddedWords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.place = nn.Embedding(30, D, padding_idx=0), nn.Embedding(T, D)
        self.q, self.k, self.v, self.norm = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, D), nn.LayerNorm(D)
        self.up, self.down, self.head = nn.Linear(D, 2 * D), nn.Linear(2 * D, D), nn.Linear(D, 3)

    def forward(self, ids: Tensor) -> Tensor:
        z = self.norm(self.table(ids) + self.place(torch.arange(T)))
        mask = (1.0 - (ids != 1)[:, None, None].float()) * -1e9
        q, k, v = (f(z).view(len(ids), T, 2, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        weights = F.softmax(q @ k.transpose(-1, -2) / math.sqrt(D / 2) + mask, dim=-1)
        z = self.norm(z + (weights @ v).transpose(1, 2).reshape(len(ids), T, D))
        z = self.norm(z + self.down(F.gelu(self.up(z))))
        return self.head(z[:, 0])


@public("causal words with finfo.min", **WORDS, **FIRST)
class CausalWords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.qkv, self.norm, self.head = nn.Embedding(30, D), nn.Linear(D, 3 * D), nn.LayerNorm(D), None
        self.up, self.down = nn.Linear(D, 2 * D), nn.Linear(2 * D, D)
        self.register_buffer("bias", torch.tril(torch.ones(T, T, dtype=torch.bool)))

    def forward(self, ids: Tensor) -> Tensor:
        z = self.table(ids)
        q, k, v = self.qkv(self.norm(z)).split(D, -1)
        scores = q @ k.transpose(-1, -2) / D**0.5
        scores = torch.where(self.bias, scores, torch.full([], torch.finfo(scores.dtype).min))
        z = z + F.softmax(scores, -1).type(v.dtype) @ v
        z = z + self.down(F.gelu(self.up(self.norm(z)), approximate="tanh"))
        return z[:, -1] @ self.table.weight.T


def turned(x: Tensor) -> Tensor:
    one, two = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return torch.cat((-two, one), -1)


@public("decoder with rotary places, grouped queries and gated units", **WORDS, **FIRST)
class Rotary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.scale = nn.Embedding(30, D), nn.Parameter(torch.ones(D))
        self.q, self.kv, self.o = nn.Linear(D, D, bias=False), nn.Linear(D, D, bias=False), nn.Linear(D, D, bias=False)
        self.gate, self.up, self.down = nn.Linear(D, 2 * D), nn.Linear(D, 2 * D), nn.Linear(2 * D, D)
        self.head = nn.Linear(D, 30, bias=False)

    def rms(self, x: Tensor) -> Tensor:
        x = x.to(torch.float32)
        return self.scale * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))

    def forward(self, ids: Tensor) -> Tensor:
        z = self.table(ids)
        angle = torch.arange(T)[:, None] * torch.tensor([1.0, 0.1]).repeat(2)
        q = self.q(self.rms(z)).view(-1, T, 2, 4).transpose(1, 2)
        k, v = (part.view(-1, T, 1, 4).transpose(1, 2) for part in self.kv(self.rms(z)).chunk(2, -1))
        q, k = (x * angle.cos() + turned(x) * angle.sin() for x in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        z = z + self.o(mixed.transpose(1, 2).reshape(len(ids), T, D))
        h = self.rms(z)
        return self.head(self.rms(z + self.down(F.silu(self.gate(h)) * self.up(h)))[:, -1])


@public("experts by the two best routes", **FIRST)
class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.router = nn.Linear(C, D), nn.Linear(D, 4, bias=False)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(D, D), nn.SiLU(), nn.Linear(D, D)) for _ in range(4))
        self.head = nn.Linear(D, 2)

    def forward(self, x: Tensor) -> Tensor:
        flat = self.embed(x).view(-1, D)
        weights = F.softmax(self.router(flat), dim=1, dtype=torch.float)
        weights, chosen = torch.topk(weights, 2, dim=-1)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        final = torch.zeros_like(flat)
        mask = F.one_hot(chosen, num_classes=4).permute(2, 1, 0)
        for k, expert in enumerate(self.experts):
            place, row = torch.where(mask[k])
            final.index_add_(0, row, expert(flat[None, row].reshape(-1, D)) * weights[row, place, None])
        return self.head(final.view(x.shape[0], T, D).mean(1))


@public("attention in linear time")
class LinearAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.qkv, self.head = nn.Linear(C, D), nn.Linear(D, 3 * D), nn.Linear(D, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.embed(x)).chunk(3, -1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        kv = torch.einsum("nsd,nsm->ndm", k, v)
        z = 1 / (torch.einsum("nld,nd->nl", q, k.sum(1)) + 1e-6)
        return self.head(torch.einsum("nld,ndm,nl->nlm", q, kv, z)[:, -1])


@public("attention of learned queries to the inputs")
class LearnedQueries(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.queries, self.embed = nn.Parameter(torch.randn(3, D)), nn.Linear(C, D)
        self.attention = nn.MultiheadAttention(D, 2, batch_first=True, kdim=D, vdim=D)
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, 1)

    def forward(self, x: Tensor) -> Tensor:
        kv = self.embed(x)
        queries = self.queries.unsqueeze(0).expand(len(x), -1, -1)
        z, _ = self.attention(self.norm(queries), self.norm(kv), kv, need_weights=False)
        return self.head((queries + z).mean(1))


@public("pooling by attention with lengths", inputs=lambda n: (torch.randn(n, T, C), torch.arange(n) + 4))
class LengthPooling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.score, self.head = nn.GRU(C, D, batch_first=True), nn.Linear(D, 1), nn.Linear(D, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        z, _ = self.gru(x)
        mask = torch.arange(T)[None, :] < lengths[:, None]
        scores = self.score(torch.tanh(z)).masked_fill(~mask.unsqueeze(-1), -1e4)
        pooled = (F.softmax(scores, 1) * z).sum(1)
        mean = (z * mask.unsqueeze(-1).expand_as(z)).sum(1) / mask.sum(1, keepdim=True)
        return self.head(pooled + mean)


# ---- graphs


@public("attention over a graph", told={"target": (2,)}, inputs=lambda n: (torch.randn(n, 5, C),))
class GraphAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.a, self.head = nn.Linear(C, D, bias=False), nn.Parameter(torch.randn(2 * D, 1)), nn.Linear(D, 1)
        self.register_buffer("adj", (torch.eye(5) + torch.eye(5).roll(1, 0) > 0).float())

    def forward(self, x: Tensor) -> Tensor:
        z = self.w(x)
        e = F.leaky_relu(z @ self.a[:D] + (z @ self.a[D:]).mT, 0.2)
        attention = torch.where(self.adj > 0, e, -9e15 * torch.ones_like(e))
        return self.head(F.elu(F.softmax(attention, dim=-1) @ z)).squeeze(-1)


@public("convolution on a graph by its edges", inputs=lambda n: (torch.randn(n, 5, C),))
class GraphEdges(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(C, D), nn.Linear(D, D), nn.Linear(D, 1)
        self.register_buffer("edges", torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 2]]))

    def spread(self, z: Tensor) -> Tensor:
        source, target = self.edges
        return torch.zeros_like(z).index_add(1, target, z[:, source]) / 2

    def forward(self, x: Tensor) -> Tensor:
        z = self.spread(F.relu(self.one(x)))
        return self.head(self.spread(F.relu(self.two(z))).mean(1))


# ---- tables


def sparsemax(z: Tensor) -> Tensor:
    z = z - z.max(dim=-1, keepdim=True)[0]
    ordered = torch.sort(z, dim=-1, descending=True)[0]
    places = torch.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    support = 1 + places * ordered > ordered.cumsum(-1)
    count = support.sum(-1, keepdim=True)
    threshold = (ordered.cumsum(-1).gather(-1, count - 1) - 1) / count.to(z.dtype)
    return torch.clamp(z - threshold, min=0)


@public("sequential attention to columns", **TABLE)
class SequentialAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(12)
        self.feature, self.attend, self.head = nn.Linear(12, 2 * D), nn.Linear(D, 12), nn.Linear(D, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        prior, total = torch.ones(x.shape), 0
        a = F.glu(self.feature(x))
        for _ in range(2):
            mask = sparsemax(self.attend(a) * prior)
            prior = prior * (1.3 - mask)
            a = F.glu(self.feature(mask * x))
            total = total + F.relu(a)
        return self.head(total)


@public("columns as tokens with a class token", **TABLE, **FIRST)
class ColumnTokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.randn(12, D)), nn.Parameter(torch.randn(12, D))
        self.cls, self.encoder, self.head = nn.Parameter(torch.randn(1, 1, D)), encoder(), nn.Linear(D, 2)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.cat([self.cls.expand(len(x), -1, -1), x.unsqueeze(-1) * self.w + self.b], 1)
        return self.head(F.relu(self.encoder(z)[:, 0]))


@public("soft oblivious trees", **TABLE)
class SoftTrees(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.select, self.threshold = nn.Parameter(torch.randn(12, 4, 3)), nn.Parameter(torch.randn(4, 3))
        self.leaves = nn.Parameter(torch.randn(4, 8))
        codes = torch.tensor([[int(b) for b in f"{k:03b}"] for k in range(8)]).float()
        self.register_buffer("codes", torch.stack([codes, 1 - codes], -1))

    def forward(self, x: Tensor) -> Tensor:
        features = torch.einsum("bf,fnd->bnd", x, torch.softmax(self.select, 0))
        bins = torch.sigmoid(torch.stack([self.threshold - features, features - self.threshold], -1))
        response = torch.prod(torch.einsum("bnds,lds->bnld", bins, self.codes), dim=-1)
        return torch.einsum("bnl,nl->b", response, self.leaves)


@public("factorised interactions of looked-up fields", inputs=lambda n: (torch.randint(0, 20, (n, 6)),),
        baseline=lambda: torch.zeros(1, 6, dtype=torch.long))  # fmt: skip
class Factorised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.linear = nn.Embedding(20, D), nn.Embedding(20, 1)
        self.deep = nn.Sequential(nn.Linear(6 * D, D), nn.ReLU(), nn.Linear(D, 1))

    def forward(self, ids: Tensor) -> Tensor:
        z = self.table(ids)
        pairs = 0.5 * (torch.sum(z, 1).pow(2) - torch.sum(z.pow(2), 1)).sum(1, keepdim=True)
        return torch.sigmoid(self.linear(ids).sum(1) + pairs + self.deep(z.flatten(1)))


@public("sum of looked-up words", **WORDS)
class BagOfWords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(30, D, mode="mean"), nn.Sequential(nn.ReLU(), nn.Linear(D, 1))

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.bag(ids))


@public("crosses of columns", **TABLE)
class Crosses(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.randn(3, 12) * 0.3), nn.Parameter(torch.randn(3, 12) * 0.1)
        self.head = nn.Linear(12, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = x
        for w, b in zip(self.w, self.b, strict=True):
            z = x * (z @ w)[:, None] + b + z
        return self.head(z)


@public("splines on every edge", **TABLE)
class Splines(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grid", torch.linspace(-4, 4, 12))
        self.weight, self.base = nn.Parameter(torch.randn(1, 12, 8) * 0.3), nn.Linear(12, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, g = x.clamp(-3.9, 3.9), self.grid
        z = x.unsqueeze(-1)
        bases = ((z >= g[:-1]) & (z < g[1:])).to(x.dtype)
        for k in range(1, 4):
            left = (z - g[: -(k + 1)]) / (g[k:-1] - g[: -(k + 1)]) * bases[..., :-1]
            right = (g[k + 1 :] - z) / (g[k + 1 :] - g[1:-k]) * bases[..., 1:]
            bases = left + right
        return self.base(F.silu(x)) + F.linear(bases.flatten(1), self.weight.flatten(1))


@public("highway of dense layers", **TABLE)
class Highway(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.h, self.t, self.head = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 1)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            gate = torch.sigmoid(self.t(x))
            x = F.relu(self.h(x)) * gate + x * (1 - gate)
        return self.head(x)


@public("twins compared by their angle", inputs=lambda n: (torch.randn(n, 12), torch.randn(n, 12)))
class Twins(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, D), nn.ReLU(), nn.Linear(D, D))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = F.normalize(self.net(a), dim=-1), F.normalize(self.net(b), dim=-1)
        return (a * b).sum(-1)


# ---- pictures


class Residual(nn.Module):
    def __init__(self, size: int, stride: int = 1) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(D, size, 3, stride, 1, bias=False), nn.Conv2d(size, size, 3, 1, 1, bias=False)
        self.n1, self.n2 = nn.BatchNorm2d(size), nn.BatchNorm2d(size)
        self.short = nn.Conv2d(D, size, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        z = F.relu(self.n1(self.one(x)), inplace=True)
        z = self.n2(self.two(z))
        z += self.short(x)
        return F.relu(z, inplace=True)


@public("residual convolutions", **PICTURE)
class ResidualConvolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pool = nn.Conv2d(3, D, 3, 1, 1, bias=False), nn.MaxPool2d(3, 2, 1)
        self.norm, self.blocks, self.head = (
            nn.BatchNorm2d(D),
            nn.Sequential(Residual(D), Residual(D, 2)),
            nn.Linear(D, 4),
        )

    def forward(self, x: Tensor) -> Tensor:
        z = self.blocks(self.pool(F.relu(self.norm(self.stem(x)))))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(z, (1, 1)), 1))


@public("channels weighted by what they hold", **PICTURE)
class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, D, 3, 2, 1), nn.GroupNorm(2, D)
        self.down, self.up, self.head = nn.Linear(D, 2), nn.Linear(2, D), nn.Linear(D, 4)

    def forward(self, x: Tensor) -> Tensor:
        z = F.hardswish(self.norm(self.conv(x)))
        scale = F.hardsigmoid(self.up(F.relu(self.down(z.mean((2, 3))))))
        return self.head((z * scale[:, :, None, None]).mean((2, 3)))


@public("picture as patches", **PICTURE)
class PicturePatches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.cls = nn.Conv2d(3, D, 4, 4), nn.Parameter(torch.zeros(1, 1, D))
        self.place, self.head = nn.Parameter(torch.randn(1, 17, D) * 0.02), nn.Linear(D, 4)
        layer = nn.TransformerEncoderLayer(D, 2, 2 * D, batch_first=True, norm_first=True, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(D), enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        z = self.embed(x).flatten(2).transpose(1, 2)
        z = torch.cat((self.cls.expand(len(x), -1, -1), z), 1) + self.place
        return self.head(self.encoder(z)[:, 0])


@public("capsules of vectors", **PICTURE)
class Capsules(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.w = nn.Conv2d(3, D, 8, 8), nn.Parameter(torch.randn(4, 8, 4, 4) * 0.3)

    def squash(self, s: Tensor) -> Tensor:
        size = s.norm(dim=-1, keepdim=True)
        return size**2 / (1 + size**2) * s / (size + 1e-8)

    def forward(self, x: Tensor) -> Tensor:
        u = self.squash(self.conv(x).view(len(x), 8, 4))
        votes = torch.einsum("bij,kijl->bkil", u, self.w)
        logits = votes.new_zeros(len(x), 4, 8)
        for _ in range(2):
            v = self.squash((logits.softmax(1).unsqueeze(-1) * votes).sum(2))
            logits = logits + (votes * v.unsqueeze(2)).sum(-1)
        return v.norm(dim=-1)


def build(name: str) -> nn.Module:
    torch.manual_seed(sum(map(ord, name)))
    model = PUBLIC[name].model().eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


def draw(name: str, n: int = 4) -> tuple[Any, ...]:
    torch.manual_seed(len(name))
    return PUBLIC[name].inputs(n)
