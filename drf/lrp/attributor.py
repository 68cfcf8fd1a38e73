"""Attribute a model's forecasts to its inputs: one forward pass that remembers, one backward pass of relevance."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from .account import Account
from .composite import Composite
from .readout import AllSteps, FinalState, LastStep
from .recurrent import LSTMTrace
from .rules import LinearTerm

SUPPORTED = (
    "nn.Sequential, nn.LSTM, nn.Linear, nn.ReLU, nn.Tanh, nn.Dropout, nn.Flatten, nn.Identity and drf.lrp's readouts"
)


class UnsupportedLayerError(TypeError):
    """A layer that relevance cannot be propagated through."""


@torch.no_grad()
def attribute(
    model: nn.Module, x: Tensor, *, composite: Composite | None = None, output: int = 0, chunk: int = 8192
) -> Account:
    """Distribute f(x) over the inputs by layer-wise relevance propagation.

    No gradient is taken, so it works in eval mode on any device. Samples are handled ``chunk`` at a time, so memory
    does not grow with their number beyond the result itself.

    Parameters
    ----------
    model
        An ``nn.Sequential`` (nested or not) of the supported layers, in eval mode. An ``nn.LSTM`` must be followed by a
        readout of :mod:`drf.lrp.readout`.
    x
        Input in the model's own layout, samples on axis 0 (on axis 1 if the first layer is an LSTM with
        ``batch_first=False``).
    composite
        The rules; by default epsilon with 0.001, signal takes all.
    output
        Which of the model's outputs to explain, as a position in the flattened output of a sample.
    chunk
        Samples handled at once.

    Returns
    -------
    Account
        With ``relevance`` in the shape of ``x``.

    Raises
    ------
    UnsupportedLayerError
        If the model holds a layer that is not supported; it is named.
    ValueError
        If the model is in training mode with dropout active, or ``x`` has NaN or a shape that does not fit.
    """
    composite = composite or Composite()
    layers = list(_flat(model))
    _check(layers, x)
    axis = 1 if isinstance(layers[0][1], nn.LSTM) and not layers[0][1].batch_first else 0
    parts = [_attribute(layers, part.transpose(0, axis), composite, output) for part in x.split(chunk, dim=axis)]
    account = Account.concatenate(parts)
    if axis:
        account = Account(account.relevance.transpose(0, axis), *_shares(account))
    return account


def _shares(account: Account) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return account.bias, account.stabiliser, account.initial_state, account.output


def _flat(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers of nested ``nn.Sequential`` in order, each with its dotted name."""
    if isinstance(module, nn.Sequential):
        for key, child in module.named_children():
            yield from _flat(child, f"{name}.{key}" if name else key)
    else:
        yield name or "model", module


def _check(layers: list[tuple[str, nn.Module]], x: Tensor) -> None:
    for position, (name, layer) in enumerate(layers):
        label = f"layer '{name}' ({type(layer).__name__})"
        if not isinstance(layer, (*SIMPLE, nn.LSTM)):
            raise UnsupportedLayerError(f"{label} has no relevance rule; supported are {SUPPORTED}")
        if isinstance(layer, nn.Dropout) and layer.training and layer.p > 0:
            raise ValueError(f"{label} is active, so f(x) is random: call model.eval() first")
        if isinstance(layer, nn.LSTM):
            if layer.proj_size:
                raise UnsupportedLayerError(f"{label} has proj_size={layer.proj_size}; only proj_size=0 is supported")
            if layer.training and layer.dropout > 0 and layer.num_layers > 1:
                raise ValueError(f"{label} has active dropout, so f(x) is random: call model.eval() first")
            following = layers[position + 1][1] if position + 1 < len(layers) else None
            if not isinstance(following, READOUTS):
                raise UnsupportedLayerError(f"{label} must be followed by FinalState, LastStep or AllSteps")
    if not torch.isfinite(x).all():
        raise ValueError("x has NaN or infinite values; relevance of such samples is not defined")
    name, first = layers[0]
    wanted = first.input_size if isinstance(first, nn.LSTM) else getattr(first, "in_features", None)
    if isinstance(first, nn.LSTM) and x.ndim != 3:
        raise ValueError(f"layer '{name}' (LSTM) takes 3 dimensions (samples, steps, features), x has {x.ndim}")
    if wanted is not None and x.shape[-1] != wanted:
        raise ValueError(f"layer '{name}' ({type(first).__name__}) takes {wanted} features, x has {x.shape[-1]}")


READOUTS = (FinalState, LastStep, AllSteps)
PASS_THROUGH = (nn.ReLU, nn.Tanh, nn.Dropout, nn.Identity)
SIMPLE = (nn.Linear, nn.Flatten, *PASS_THROUGH, *READOUTS)

Backward = Callable[[Tensor], Tensor]


class _Ledger:
    """What the layers absorbed so far, per sample."""

    def __init__(self, like: Tensor) -> None:
        self.bias, self.stabiliser, self.initial_state = (like.new_zeros(len(like)) for _ in range(3))


def _attribute(layers: list[tuple[str, nn.Module]], x: Tensor, composite: Composite, output: int) -> Account:
    ledger = _Ledger(x)
    steps: list[Backward] = []
    signal: Tensor = x
    trace: LSTMTrace | None = None
    for name, layer in layers:
        backward: Backward
        if isinstance(layer, nn.LSTM):
            trace = _lstm(name, layer, signal)
            continue
        if isinstance(layer, READOUTS):
            assert trace is not None
            signal, backward = _readout(layer, trace, composite, ledger)
        elif isinstance(layer, nn.Linear):
            signal, backward = _linear(name, layer, signal, composite, ledger)
        elif isinstance(layer, nn.Flatten):
            signal, backward = layer(signal), _reshape_to(signal)
        else:
            signal, backward = layer(signal), _unchanged
        steps.append(backward)

    flat = signal.reshape(len(signal), -1)
    if not 0 <= output < flat.shape[1]:
        raise ValueError(f"output={output} does not exist: the model has {flat.shape[1]} outputs a sample")
    relevance = torch.zeros_like(flat)
    relevance[:, output] = flat[:, output]
    relevance = relevance.reshape(signal.shape)
    for backward in reversed(steps):
        relevance = backward(relevance)
    return Account(relevance, ledger.bias, ledger.stabiliser, ledger.initial_state, flat[:, output])


def _unchanged(relevance: Tensor) -> Tensor:
    return relevance


def _reshape_to(before: Tensor) -> Backward:
    return lambda relevance: relevance.reshape(before.shape)


def _linear(name: str, layer: nn.Linear, x: Tensor, composite: Composite, ledger: _Ledger) -> tuple[Tensor, Backward]:
    if x.shape[-1] != layer.in_features:
        raise ValueError(f"layer '{name}' (Linear) takes {layer.in_features} features, it was given {x.shape[-1]}")
    z = layer(x)
    weight = layer.weight.detach()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()

    def backward(relevance: Tensor) -> Tensor:
        # Any axes between samples and features (the steps of a sequence) are more rows of the same map.
        rows = x.reshape(-1, x.shape[-1])
        shares = composite.linear.distribute(
            [LinearTerm(rows, weight)], bias, z.reshape(-1, z.shape[-1]), relevance.reshape(-1, z.shape[-1])
        )
        ledger.bias += shares.bias.reshape(len(x), -1).sum(1)
        ledger.stabiliser += shares.stabiliser.reshape(len(x), -1).sum(1)
        return shares.inputs[0].reshape(x.shape)

    return z, backward


def _lstm(name: str, layer: nn.LSTM, x: Tensor) -> LSTMTrace:
    if x.ndim != 3 or x.shape[-1] != layer.input_size:
        raise ValueError(
            f"layer '{name}' (LSTM) takes (samples, steps, {layer.input_size}), it was given {tuple(x.shape)}"
        )
    return LSTMTrace(layer, x)


def _readout(layer: nn.Module, trace: LSTMTrace, composite: Composite, ledger: _Ledger) -> tuple[Tensor, Backward]:
    sequence = trace.output
    if isinstance(layer, AllSteps):
        signal = sequence
    elif isinstance(layer, LastStep):
        signal = sequence[:, -1]
    else:
        signal = torch.cat(list(trace.h_n[-trace.directions :]), dim=1)

    def backward(relevance: Tensor) -> Tensor:
        spread = relevance if isinstance(layer, AllSteps) else _spread(relevance, layer, trace)
        shares = trace.propagate(spread, composite.linear, composite.gate, composite.epsilon)
        ledger.bias += shares.bias
        ledger.stabiliser += shares.stabiliser
        ledger.initial_state += shares.initial_state
        return shares.relevance

    return signal, backward


def _spread(relevance: Tensor, layer: nn.Module, trace: LSTMTrace) -> Tensor:
    """Relevance of the whole output sequence when only one step of it (of each direction) was read."""
    sequence = torch.zeros_like(trace.output)
    if isinstance(layer, LastStep) or trace.directions == 1:
        sequence[:, -1] = relevance
    else:
        half = sequence.shape[2] // 2
        sequence[:, -1, :half] = relevance[:, :half]
        sequence[:, 0, half:] = relevance[:, half:]
    return sequence
