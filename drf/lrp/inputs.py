"""Inputs of an attribution: inputs, baselines and targets, checked and brought to one form."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Target = int | tuple[int, ...] | Tensor
Baseline = Tensor | Sequence[Tensor | None]


@dataclass(frozen=True)
class Inputs:
    """Input tensors of a model, each with one axis for its samples."""

    values: tuple[Tensor, ...]
    axes: tuple[int | None, ...]
    samples: int

    def take(self, rows: Tensor | slice) -> tuple[Tensor, ...]:
        """Return some samples of every input."""
        return tuple(take(value, axis, rows) for value, axis in zip(self.values, self.axes, strict=True))


def take(value: Tensor, axis: int | None, rows: Tensor | slice) -> Tensor:
    if axis is None:
        return value
    if isinstance(rows, slice):
        return value.narrow(axis, rows.start, min(rows.stop, value.shape[axis]) - rows.start)
    return value.index_select(axis, rows.to(value.device))


def check_inputs(inputs: Sequence[Any], sample_axis: int | Sequence[int | None], dtype: torch.dtype | None) -> Inputs:
    """Convert inputs to the model's precision.

    Raises
    ------
    TypeError
        If an input is no tensor.
    ValueError
        If its type or values cannot be explained, or numbers of samples differ.
    """
    if not inputs:
        raise ValueError("attribute(model, x) needs at least one input")
    axes = tuple(sample_axis) if isinstance(sample_axis, Sequence) else (sample_axis,) * len(inputs)
    if len(axes) != len(inputs):
        raise ValueError(f"sample_axis has {len(axes)} entries, and there are {len(inputs)} inputs")
    values = tuple(_checked(f"input {k}" if len(inputs) > 1 else "x", x, dtype) for k, x in enumerate(inputs))
    counts = set()
    for k, (value, axis) in enumerate(zip(values, axes, strict=True)):
        if axis is not None and not -value.ndim <= axis < value.ndim:
            raise ValueError(f"input {k} has shape {tuple(value.shape)} and no axis {axis} of samples: see sample_axis")
        if axis is not None:
            counts.add(value.shape[axis])
    if len(counts) != 1 or 0 in counts:
        shapes = ", ".join(str(tuple(value.shape)) for value in values)
        raise ValueError(
            f"inputs of shape {shapes} need the same number of samples, at least one, along sample_axis={sample_axis}"
        )
    positive = tuple(a if a is None or a >= 0 else a + value.ndim for a, value in zip(axes, values, strict=True))
    return Inputs(values, positive, counts.pop())


def _checked(name: str, x: Any, dtype: torch.dtype | None) -> Tensor:
    if not isinstance(x, Tensor):
        kind, remedy = type(x).__name__, "torch.as_tensor(x)"
        if type(x).__module__ == "numpy":
            kind, remedy = "NumPy array", "torch.from_numpy(x)"
        elif x is None or isinstance(x, (list, tuple, dict)):
            remedy = "wrap the model in a module that takes tensors alone and makes this of them"
        elif hasattr(x, "to_numpy"):
            remedy = "torch.from_numpy(x.to_numpy())"
        raise TypeError(f"{name} is a {kind}, needed is a tensor: {remedy}")
    x = x.clone() if x.is_inference() else x.detach()
    if x.is_complex():
        raise ValueError(f"{name} is complex: give real and imaginary parts")
    if not x.is_floating_point():
        return x
    if not torch.isfinite(x.sum()) and not torch.isfinite(x).all():  # the sum is cheap and seldom overflows
        raise ValueError(f"{name} has NaN or infinite values; relevance of such samples is not defined")
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    if dtype is not None and x.dtype != dtype:
        if {x.dtype, dtype} <= {torch.float32, torch.float64}:
            method = {torch.float32: "float", torch.float64: "double"}
            raise ValueError(
                f"{name} is {x.dtype} and the model {dtype}: use .{method[dtype]}(), or model.{method[x.dtype]}()"
            )
        raise ValueError(f"{name} is {x.dtype} and the model {dtype}: relevance needs float32 or float64")
    return x


def check_baselines(baseline: Any, inputs: Inputs, dtype: torch.dtype | None) -> list[Inputs]:
    """Return the baselines over which the result is averaged, each with one sample or as many as the inputs.

    ``baseline``: ``None``: all zeros, except that whole numbers keep the sample's own values. Otherwise a tensor, or
    for several inputs a tuple of tensors in which ``None`` stands for the sample's own values. For a list of these,
    results are averaged. Raises ValueError if a baseline's shape matches neither one sample nor all samples.
    """
    many = baseline if isinstance(baseline, list) else [baseline]
    if not many:
        raise ValueError("baseline=[] holds no baseline: give one, or leave it out for zeros")
    return [_baseline(baseline, inputs, dtype) for baseline in many]


def _baseline(baseline: Any, inputs: Inputs, dtype: torch.dtype | None) -> Inputs:
    given = baseline if isinstance(baseline, tuple) else (baseline,) * (1 if baseline is not None else 0)
    if not given:
        if not any(x.is_floating_point() for x in inputs.values):
            raise ValueError("whole numbers have no natural baseline: give baseline=, such as the padding index")
        given = tuple(torch.zeros_like(x) if x.is_floating_point() else None for x in inputs.values)
        if all(value is not None for value in given):
            given = tuple(
                take(x, axis, slice(0, 1)) for x, axis in zip(given, inputs.axes, strict=True) if x is not None
            )
    if len(given) != len(inputs.values):
        raise ValueError(f"baseline has {len(given)} parts, and there are {len(inputs.values)} inputs")
    values = [
        x if value is None else _checked("baseline", value, dtype if x.is_floating_point() else None)
        for value, x in zip(given, inputs.values, strict=True)
    ]
    counts = []
    for value, x, axis in zip(values, inputs.values, inputs.axes, strict=True):
        count = value.shape[axis] if axis is not None and value.ndim == x.ndim else 1
        expected = list(x.shape)
        if axis is not None:
            expected[axis] = count
        if list(value.shape) != expected or count not in (1, inputs.samples):
            sample_shape = [1 if k == axis else size for k, size in enumerate(x.shape)]
            raise ValueError(
                f"baseline has shape {tuple(value.shape)}: give one sample, {tuple(sample_shape)}, or one each, "
                f"{tuple(x.shape)}"
            )
        counts += [] if axis is None else [count]
    samples = max(counts)
    if samples > 1:  # one baseline each: inputs with a single sample are repeated
        values = [
            value if axis is None or value.shape[axis] == samples else value.repeat_interleave(samples, axis)
            for value, axis in zip(values, inputs.axes, strict=True)
        ]
    return Inputs(tuple(values), inputs.axes, samples)


def check_targets(target: Any, shape: Sequence[int], samples: int) -> list[Tensor]:
    """Return positions in a sample's flattened output: one tensor (samples,) for each target.

    ``shape``: shape of one sample's output. Raises ValueError if the model has several outputs and no target was given,
    or a target does not exist.
    """
    outputs = int(torch.Size(shape).numel())
    if target is None:
        if outputs > 1:
            raise ValueError(f"the model has {outputs} outputs a sample, {_indices(shape)}: choose one with target=")
        target = 0
    several = target if isinstance(target, list) else [target]
    if not several:
        raise ValueError("target=[] asks for no output")
    return [_positions(target, shape, outputs, samples) for target in several]


def _positions(target: Any, shape: Sequence[int], outputs: int, samples: int) -> Tensor:
    if isinstance(target, tuple):
        if len(target) != len(shape) or any(not -s <= k < s for k, s in zip(target, shape, strict=True)):
            raise ValueError(f"target={target} does not exist: a sample's output has {_indices(shape)}")
        flat = 0
        for index, size in zip(target, shape, strict=True):
            flat = flat * size + index % size
        return torch.full((samples,), flat)
    if isinstance(target, Tensor) and target.ndim:
        if target.is_floating_point() or target.shape != (samples,):
            raise ValueError(
                f"target has shape {tuple(target.shape)} and type {target.dtype}: give one whole number a sample, "
                f"({samples},)"
            )
        if target.min() < 0 or target.max() >= outputs:
            least, most = int(target.min()), int(target.max())
            raise ValueError(f"target holds numbers from {least} to {most}, but must be in 0 to {outputs - 1}")
        return target.cpu().long()
    if hasattr(target, "__index__") and not isinstance(target, bool) and not isinstance(target, Tensor):
        target = target.__index__()  # NumPy's whole numbers too
    if isinstance(target, bool) or not isinstance(target, (int, Tensor)):
        raise ValueError(f"target={target!r} must be a whole number, a tuple of them, a tensor (n,), or a list of such")
    if not 0 <= int(target) < outputs:
        raise ValueError(f"target={int(target)} does not exist: the model has {outputs} outputs a sample, from 0 on")
    return torch.full((samples,), int(target))


def _indices(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "one"
