"""Attribute a model's forecasts to its inputs: one forward pass that remembers, one backward pass of relevance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .account import Account
from .composite import Composite
from .gates import GATE_RULES
from .readout import AllSteps, FinalState, LastStep
from .recurrent import LSTMTrace
from .rules import Shares, Term, distribute

SUPPORTED = (
    "nn.Sequential, nn.LSTM, nn.Linear, nn.ReLU, nn.Tanh, nn.Dropout, nn.Flatten, nn.Identity, drf.lrp's readouts"
)


VALUES_AT_ONCE = 2**19


class UnsupportedLayerError(TypeError):
    """A layer that relevance cannot be propagated through."""


@torch.no_grad()
def attribute(
    model: nn.Module,
    x: Tensor,
    *,
    composite: Composite | None = None,
    baseline: Tensor | None = None,
    output: int = 0,
    chunk: int | None = None,
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
    baseline
        A single sample, in the shape of ``x`` with one sample. If given, f(x) - f(baseline) is distributed: every
        activation counts by its difference from the baseline's, so biases cancel, and the inputs sum to that
        difference but for the stabiliser. In a product of gate and signal the signal takes all of the difference.
    output
        Which of the model's outputs to explain, as a position in the flattened output of a sample.
    chunk
        Samples handled at once; by default as many as keep the intermediate results in a processor's cache.

    Returns
    -------
    Account
        With ``relevance`` in the shape of ``x``.

    Raises
    ------
    UnsupportedLayerError
        If the model holds a layer that is not supported; it is named.
    ValueError
        If the model is in training mode with dropout active, a rule is given for a layer that does not exist or cannot
        take it, or ``x`` has NaN or a shape that does not fit.
    """
    composite = composite or Composite()
    layers = list(_flat(model))
    _check(layers, x, composite)
    axis = 1 if isinstance(layers[0][1], nn.LSTM) and not layers[0][1].batch_first else 0
    reference = None
    if baseline is not None:
        if baseline.shape != x.narrow(axis, 0, 1).shape:
            raise ValueError(
                f"baseline has shape {tuple(baseline.shape)}, needed is {tuple(x.narrow(axis, 0, 1).shape)}"
            )
        reference = _forward(layers, baseline.transpose(0, axis), composite)
    chunk = chunk or max(1, VALUES_AT_ONCE * x.shape[axis] // x.numel())
    relevance = torch.empty_like(x)  # filled chunk by chunk: the only thing as large as x
    parts: list[tuple[Tensor, ...]] = []
    for part, target in zip(x.split(chunk, axis), relevance.split(chunk, axis), strict=True):
        steps = _forward(layers, part.transpose(0, axis), composite)
        if not parts:
            few = min(2, part.shape[axis])
            _require_same_output(model(part.narrow(axis, 0, few)), steps[-1].output[:few], axis)
        account = _attribute(steps, composite, reference, output)
        target.copy_(account.relevance.transpose(0, axis))
        parts.append(account.totals())
    return Account(relevance, *(torch.cat(total) for total in zip(*parts, strict=True)))


def _flat(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers of nested ``nn.Sequential`` in order, each with its dotted name."""
    if isinstance(module, nn.Sequential):
        for key, child in module._modules.items():  # named_children() would skip a module that stands twice
            assert child is not None
            yield from _flat(child, f"{name}.{key}" if name else key)
    else:
        yield name or "model", module


def _check(layers: list[tuple[str, nn.Module]], x: Tensor, composite: Composite) -> None:
    if not layers:
        raise UnsupportedLayerError("the model has no layers")
    for position, (name, layer) in enumerate(layers):
        label = f"layer '{name}' ({type(layer).__name__})"
        if type(layer) not in (nn.Linear, nn.LSTM, nn.Flatten, *PASS_THROUGH, *READOUTS):
            raise UnsupportedLayerError(f"{label} has no relevance rule; supported are {SUPPORTED}")
        if isinstance(layer, nn.Flatten) and isinstance(layers[0][1], nn.LSTM) and not layers[0][1].batch_first:
            raise UnsupportedLayerError(
                f"{label} after an LSTM with batch_first=False mixes samples: use batch_first=True"
            )
        if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) != (1, -1):
            raise UnsupportedLayerError(f"{label} must flatten from axis 1 to the last")
        if isinstance(layer, nn.Dropout) and layer.training and layer.p > 0:
            raise ValueError(f"{label} is active, so f(x) is random: call model.eval() first")
        if isinstance(layer, nn.LSTM):
            _check_lstm(label, layer, layers[position + 1][1] if position + 1 < len(layers) else None)
        if isinstance(layer, READOUTS) and (position == 0 or not isinstance(layers[position - 1][1], nn.LSTM)):
            raise UnsupportedLayerError(f"{label} must follow an nn.LSTM")
        if name in composite.layers and not isinstance(layer, (nn.Linear, nn.LSTM)):
            raise ValueError(f"{label} has no linear map, so it cannot take the rule {composite.layers[name]!r}")
    if unknown := set(composite.layers) - {name for name, _ in layers}:
        raise ValueError(f"composite.layers names {sorted(unknown)}, the model has {[name for name, _ in layers]}")
    if x.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"x is {x.dtype}: relevance needs float32 or float64")
    if x.ndim < 2 or x.numel() == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}: needed is at least one sample on an axis of its own")
    if not torch.isfinite(x.sum()) and not torch.isfinite(x).all():  # the sum is cheap and seldom overflows
        raise ValueError("x has NaN or infinite values; relevance of such samples is not defined")


def _check_lstm(label: str, layer: nn.LSTM, following: nn.Module | None) -> None:
    if layer.proj_size:
        raise UnsupportedLayerError(f"{label} has proj_size={layer.proj_size}; only proj_size=0 is supported")
    if layer.training and layer.dropout > 0 and layer.num_layers > 1:
        raise ValueError(f"{label} has active dropout, so f(x) is random: call model.eval() first")
    if not isinstance(following, READOUTS):
        raise UnsupportedLayerError(f"{label} must be followed by FinalState, LastStep or AllSteps")
    if isinstance(following, FinalState) and following.bidirectional != layer.bidirectional:
        raise UnsupportedLayerError(f"{label}: FinalState must have bidirectional={layer.bidirectional} like the LSTM")
    if isinstance(following, LastStep) and following.batch_first != layer.batch_first:
        raise UnsupportedLayerError(f"{label}: LastStep must have batch_first={layer.batch_first} like the LSTM")


READOUTS = (FinalState, LastStep, AllSteps)
PASS_THROUGH = (nn.ReLU, nn.Tanh, nn.Dropout, nn.Identity)


@dataclass
class _Step:
    """One layer's part of a forward pass: what came in, what went out, and inside an LSTM everything."""

    name: str
    layer: nn.Module
    x: Tensor
    output: Tensor
    trace: LSTMTrace | None = None


def _forward(layers: list[tuple[str, nn.Module]], x: Tensor, composite: Composite) -> list[_Step]:
    """Run the model, samples first, one step a layer; an LSTM's readout shares its trace."""
    steps: list[_Step] = []
    signal = x
    for name, layer in layers:
        if isinstance(layer, nn.LSTM):
            _require_shape(name, "LSTM", signal, 3, layer.input_size)
            trace = LSTMTrace(layer, signal, gates=GATE_RULES[composite.gate] is not None)
            steps.append(_Step(name, layer, signal, trace.output, trace))
        elif isinstance(layer, READOUTS):
            above = steps[-1].trace
            assert above is not None
            output = {AllSteps: above.output, LastStep: above.output[:, -1], FinalState: above.final}[type(layer)]
            steps.append(_Step(name, layer, signal, output, above))
        else:
            if isinstance(layer, nn.Linear):
                _require_shape(name, "Linear", signal, None, layer.in_features)
            steps.append(_Step(name, layer, signal, layer(signal)))
        signal = steps[-1].output
    return steps


def _require_same_output(own: Tensor, ours: Tensor, axis: int) -> None:
    """Compare with the model's own output on a sample or two: a forward method of one's own, a hook or a layout of axes
    that was misunderstood here would otherwise give a plausible map of another function."""
    if own.shape != ours.shape and own.ndim > 1:
        own = own.transpose(0, axis)
    if own.shape != ours.shape or not torch.allclose(own, ours, rtol=1e-3, atol=1e-4):
        raise UnsupportedLayerError(
            "the layers, run one after the other with samples first, do not give the model's own output: check "
            "batch_first and custom forward methods or hooks"
        )


def _require_shape(name: str, kind: str, x: Tensor, dimensions: int | None, features: int) -> None:
    if dimensions is not None and x.ndim != dimensions:
        raise ValueError(
            f"layer '{name}' ({kind}) takes 3 dimensions (samples, steps, features), it was given {x.ndim}"
        )
    if x.shape[-1] != features:
        raise ValueError(f"layer '{name}' ({kind}) takes {features} features, it was given {x.shape[-1]}")


def _attribute(steps: list[_Step], composite: Composite, reference: list[_Step] | None, output: int) -> Account:
    flat = steps[-1].output.flatten(1)
    if not 0 <= output < flat.shape[1]:
        raise ValueError(f"output={output} does not exist: the model has {flat.shape[1]} outputs a sample")
    value = flat[:, output]
    of_baseline = torch.zeros_like(value)
    if reference is not None:
        of_baseline = reference[-1].output.reshape(1, -1)[:, output].expand_as(value)
    relevance = torch.zeros_like(flat)
    relevance[:, output] = value - of_baseline
    relevance = relevance.reshape(steps[-1].output.shape)
    bias, stabiliser, initial_state = (torch.zeros_like(value) for _ in range(3))
    for position in reversed(range(len(steps))):
        step, other = steps[position], None if reference is None else reference[position]
        if isinstance(step.layer, nn.Linear):
            shares = _linear(step, other, relevance, composite)
            relevance, bias, stabiliser = shares.inputs[0], bias + shares.bias, stabiliser + shares.stabiliser
        elif isinstance(step.layer, READOUTS):
            relevance = _spread_over_steps(relevance, step)
        elif isinstance(step.layer, nn.LSTM):
            assert step.trace is not None
            trace = step.trace if other is None or other.trace is None else step.trace.less(other.trace)
            part = trace.propagate(relevance, composite.rule_for(step.name), composite)
            relevance, bias, stabiliser = part.relevance, bias + part.bias, stabiliser + part.stabiliser
            initial_state = initial_state + part.initial_state
        else:
            relevance = relevance.reshape(step.x.shape)  # flatten; ReLU, tanh and dropout pass relevance through
    inputs = relevance.sum(tuple(range(1, relevance.ndim)))
    return Account(relevance, inputs, bias, stabiliser, initial_state, of_baseline, value)


def _linear(step: _Step, other: _Step | None, relevance: Tensor, composite: Composite) -> Shares:
    layer = step.layer
    assert isinstance(layer, nn.Linear)
    weight = layer.weight.detach()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach()
    x, z = step.x, step.output
    if other is not None:
        x, z, bias = x - other.x, z - other.output, torch.zeros_like(bias)
    term = Term(x, weight)
    parts = composite.rule_for(step.name).split([term], bias, z)
    shares = distribute(parts, [term], bias, relevance)
    # Any axes between samples and features, such as the steps of a sequence, are more rows of the same map.
    to_bias, absorbed = shares.bias, shares.stabiliser
    inputs = shares.inputs[0] + composite.bias_factor * ((to_bias + absorbed) / weight.shape[1])[..., None]
    left = 1 - composite.bias_factor
    return Shares([inputs], left * to_bias.reshape(len(x), -1).sum(1), left * absorbed.reshape(len(x), -1).sum(1))


def _spread_over_steps(relevance: Tensor, step: _Step) -> Tensor:
    """Relevance of the LSTM's whole output sequence when only one step of it (of each direction) was read."""
    if isinstance(step.layer, AllSteps):
        return relevance
    assert step.trace is not None
    sequence = torch.zeros_like(step.trace.output)
    if isinstance(step.layer, LastStep) or step.trace.directions == 1:
        sequence[:, -1] = relevance
    else:
        half = sequence.shape[2] // 2
        sequence[:, -1, :half] = relevance[:, :half]
        sequence[:, 0, half:] = relevance[:, half:]
    return sequence
