"""Batched training: many networks of one architecture in one program, on any device.

The training is the same as :meth:`~drf.models.network.Network.fit`: initial weights, order of batches, Adam, early
stopping. Each network stops when it would have stopped if trained alone. Sums are taken in another order, so results
agree but for rounding. Products of many small matrices become one large one, which is what a GPU is good at; on a CPU
nothing is gained.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from ..errors import InputError
from ..models.architecture import held_at_zero, nearer_to_zero, reads_inputs
from ..models.base import TrainingDivergedError
from ..models.network import Network
from ..samples.lagged import Samples

AT_ONCE = 128
"""Largest number of networks in one program; each takes about 8 MB in training with the default settings."""

OWN = ("learning_rate", "weight_decay", "random_state")
"""Settings in which networks of one program may differ."""

Parameters = dict[str, Tensor]


def batches(models: Mapping[int, Network]) -> list[list[int]]:
    """Return keys of the models that can be trained together, in groups of at most :data:`AT_ONCE`."""
    groups: dict[object, list[int]] = {}
    for key, model in models.items():
        shared = {name: value for name, value in model.get_params().items() if name not in OWN}
        groups.setdefault((type(model), *sorted(shared.items())), []).append(key)
    return [group[start : start + AT_ONCE] for group in groups.values() for start in range(0, len(group), AT_ONCE)]


def fit_batched(
    models: Sequence[Network],
    samples: Samples,
    training: Sequence[np.ndarray],
    starts: Sequence[Network | None],
    device: str,
) -> list[TrainingDivergedError | None]:
    """Train models that :func:`batches` has put together, each on its own part of the samples.

    Args:
        training: For each model the positions of its samples, ordered by month; their ``y`` must be known.
        starts: Network from whose weights each model starts, if any.
        device: PyTorch device, such as ``cuda``.

    Returns:
        For each model, the error that ended its training, if any; models without an error are fitted.

    Raises InputError if a layer cannot be trained in this way; the message names it.
    """
    settings, (x, y, month) = models[0], (samples.x, samples.y, samples.month)
    ranks, rows_of = torch.tensor(x.table, device=device), torch.tensor(x.rows, device=device)
    splits = [model.split(month[r]) for model, r in zip(models, training, strict=True)]
    begun = [model.initialise(x.shape[1:], start) for model, start in zip(models, starts, strict=True)]
    networks, streams = [network for network, _ in begun], [stream for _, stream in begun]
    _require_known_layers(networks[0])
    targets = [model.target(y[r], month[r]) for model, r in zip(models, training, strict=True)]
    where, target = _padded([torch.from_numpy(r) for r in training], device), _padded(targets, device)
    held = [torch.arange(split, len(r)) for split, r in zip(splits, training, strict=True)]
    held_rows, held_weight = _padded(held, device), _padded([torch.ones(len(h)) for h in held], device)
    months = torch.tensor(month, device=device)[where]

    def batch(rows: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        return ranks[rows_of[where.gather(1, rows)]], target.gather(1, rows), months.gather(1, rows), weight

    held_back = batch(held_rows, held_weight)
    loss = _loss(settings, networks[0])
    parameters = {
        name: torch.stack([network.state_dict()[name] for network in networks]).to(device)
        for name in networks[0].state_dict()
    }
    adam = _Adam(parameters, models, held_at_zero(networks[0]), reads_inputs(networks[0]))
    count = len(models)
    best = torch.full((count,), float("inf"), device=device)
    best_parameters = {name: value.clone() for name, value in parameters.items()}
    waited = torch.zeros(count, dtype=torch.long, device=device)
    for _ in range(settings.epochs):
        moving = waited < settings.patience
        if not moving.any():
            break
        orders, streams = _permuted(streams, splits)
        for chosen in orders.split(settings.batch_size, dim=1):
            chosen = chosen.to(device)
            weight = (chosen >= 0).float()
            chosen = chosen.clamp(min=0)
            gradient = vmap(grad(loss))(parameters, *batch(chosen, weight))
            adam.step(gradient, moving & (weight.sum(1) > 0))
        with torch.no_grad():
            now = vmap(loss)(parameters, *held_back)
        better = moving & (now < best)
        best = torch.where(better, now, best)
        waited = torch.where(better, 0, waited + 1)
        for name, value in parameters.items():
            best_parameters[name] = torch.where(_each(better, value), value, best_parameters[name])

    ends: list[TrainingDivergedError | None] = []
    for k, (model, network, r) in enumerate(zip(models, networks, training, strict=True)):
        network.load_state_dict({name: value[k].cpu() for name, value in best_parameters.items()})
        model.network_ = network.eval()
        model.calibrate(x.part(r), y[r], month[r])
        ends.append(None if torch.isfinite(best[k]) else model.diverged())
    return ends


def _padded(parts: Sequence[Tensor], device: str) -> Tensor:
    return nn.utils.rnn.pad_sequence(list(parts), batch_first=True).to(device)


def _permuted(streams: Sequence[Tensor], sizes: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
    """Return each model's next sample order, padded with -1, and its random state afterwards."""
    orders, after = [], []
    with torch.random.fork_rng(devices=[]):
        for stream, size in zip(streams, sizes, strict=True):
            torch.set_rng_state(stream)
            orders.append(torch.randperm(size))
            after.append(torch.get_rng_state())
    return nn.utils.rnn.pad_sequence(orders, batch_first=True, padding_value=-1), after


def _each(flags: Tensor, like: Tensor) -> Tensor:
    """Reshape flags (models,) so that they broadcast against stacked parameters (models, ...)."""
    return flags.view(-1, *(1 for _ in like.shape[1:]))


class _Adam:
    """Adam with each network's own learning rate, weight decay and number of steps."""

    def __init__(self, parameters: Parameters, models: Sequence[Network], fixed: Parameters, reading: str) -> None:
        self.parameters = parameters
        device = next(iter(parameters.values())).device
        self.rate = torch.tensor([model.learning_rate for model in models], device=device)
        self.decay = torch.tensor([model.weight_decay for model in models], device=device)
        self.reading = reading
        self.nearer = self.rate * torch.tensor([model.sparsity for model in models], device=device)
        self.fixed = {name: mask.to(device) for name, mask in fixed.items()}
        self.mean, self.square = ({name: torch.zeros_like(p) for name, p in parameters.items()} for _ in range(2))
        self.steps = torch.zeros(len(models), device=device)
        self.betas, self.epsilon = (0.9, 0.999), 1e-8

    def step(self, gradient: Parameters, moving: Tensor) -> None:
        """Take a step with the networks that are ``moving`` (models,)."""
        self.steps = self.steps + moving
        first, second = self.betas
        steps = self.steps.clamp(min=1).double()
        rate = (self.rate / (1 - first**steps)).float()
        root = (1 - second**steps).sqrt().float()
        for name, value in self.parameters.items():
            move = _each(moving, value)
            slope = gradient[name] * self.fixed.get(name, 1.0) + _each(self.decay, value) * value
            self.mean[name] = torch.where(move, first * self.mean[name] + (1 - first) * slope, self.mean[name])
            self.square[name] = torch.where(
                move, second * self.square[name] + (1 - second) * slope**2, self.square[name]
            )
            change = (
                _each(rate, value) * self.mean[name] / (self.square[name].sqrt() / _each(root, value) + self.epsilon)
            )
            after = value - change
            if name == self.reading and self.nearer.any():
                after = nearer_to_zero(after, _each(self.nearer, value))
            self.parameters[name] = torch.where(move, after, value)


def _require_known_layers(network: nn.Sequential) -> None:
    """Refuse layers whose training here would differ from that of :meth:`Network.fit`."""
    for name, layer in network.named_children():
        why = ""
        if isinstance(layer, nn.RNNBase) and not _is_plain_lstm(layer):
            why = "only LSTMs with the batch first, without projection or dropout, are known"
        elif layer.state_dict().keys() != dict(layer.named_parameters()).keys():
            why = "it keeps numbers of its own beside its parameters"
        elif any(isinstance(part, _DRAWING) and part.p > 0 for part in layer.modules()):
            why = "it draws random numbers while it trains"
        if why:
            raise InputError(
                f"layer {name}, {type(layer).__name__}, cannot be trained in one program with others: {why}: set "
                "compute.device=null"
            )


_DRAWING = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def _is_plain_lstm(layer: nn.RNNBase) -> bool:
    return isinstance(layer, nn.LSTM) and layer.batch_first and not layer.proj_size and not layer.dropout


def _loss(model: Network, network: nn.Sequential) -> Callable[..., Tensor]:
    """Return the model's own loss as a function of the parameters."""

    def loss(parameters: Parameters, x: Tensor, target: Tensor, month: Tensor, weight: Tensor) -> Tensor:
        return model.loss(_forward(network, parameters, x)[:, 0], target, month, weight)

    return loss


def _forward(network: nn.Sequential, parameters: Parameters, x: Tensor) -> Tensor:
    """Return the network's output for given parameters, by plain products since recurrent kernels cannot be stacked."""
    value: object = x
    for name, layer in network.named_children():
        if isinstance(layer, nn.LSTM):
            assert isinstance(value, Tensor)
            value = _recurrence(layer, name, parameters, value)
        else:
            prefix = f"{name}."
            own = {key.removeprefix(prefix): part for key, part in parameters.items() if key.startswith(prefix)}
            value = functional_call(layer, own, (value,))
    assert isinstance(value, Tensor)
    return value


def _recurrence(lstm: nn.LSTM, name: str, parameters: Parameters, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return the output of ``lstm`` (n, steps, hidden * directions) and its final states (layers * directions, n,
    hidden).
    """
    finals, cells = [], []
    for layer in range(lstm.num_layers):
        outputs = []
        for end in ("", "_reverse")[: 2 if lstm.bidirectional else 1]:
            of_input, of_hidden = (parameters[f"{name}.weight_{kind}_l{layer}{end}"] for kind in ("ih", "hh"))
            biases = [parameters[f"{name}.bias_{kind}_l{layer}{end}"] for kind in ("ih", "hh")]
            sent = nn.functional.linear(x, of_input, biases[0] + biases[1])
            h = c = x.new_zeros(len(x), lstm.hidden_size)
            found: dict[int, Tensor] = {}
            for t in reversed(range(x.shape[1])) if end else range(x.shape[1]):
                i, f, g, o = (sent[:, t] + h @ of_hidden.T).chunk(4, dim=1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
                found[t] = h
            outputs.append(torch.stack([found[t] for t in range(x.shape[1])], dim=1))
            finals.append(h)
            cells.append(c)
        x = torch.cat(outputs, dim=2)
    return x, (torch.stack(finals), torch.stack(cells))
