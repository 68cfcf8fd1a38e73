"""Inputs of an attribution: inputs, baselines and targets, checked and brought to one form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_flatten_with_path, tree_unflatten

Target = int | tuple[int, ...] | Tensor


@dataclass(frozen=True)
class Arguments:
    """Arguments of a call of a model: its tensors, however they are nested, and all else."""

    tensors: tuple[Tensor, ...]
    names: tuple[str | int, ...]
    """Keyword of every tensor, or its position."""
    _leaves: tuple[Any, ...]
    _form: TreeSpec

    @classmethod
    def of(cls, args: Sequence[Any], keywords: Mapping[str, Any]) -> "Arguments":
        """Return the arguments. Raises TypeError if one is of a kind that a model does not take, such as an array."""
        for place, value in enumerate(args):
            if type(value).__module__.split(".")[0] in ("numpy", "pandas"):
                _refuse_kind(f"input {place}" if len(args) > 1 else "x", value)
        leaves, form = tree_flatten((tuple(args), dict(keywords)))
        paths = [path for path, _ in tree_flatten_with_path((tuple(args), dict(keywords)))[0]]
        places = [k for k, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        if not places and args:
            _refuse_kind("x", args[0])
        names = [getattr(paths[place][-1], "key", k) for k, place in enumerate(places)]
        return cls(tuple(leaves[k] for k in places), tuple(names), tuple(leaves), form)

    def fill(self, values: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with other tensors in the same places."""
        given = iter(values)
        leaves = [next(given) if isinstance(leaf, Tensor) else leaf for leaf in self._leaves]
        return tree_unflatten(leaves, self._form)

    @property
    def rest(self) -> str:
        """Return the arguments that are not tensors, and how all are nested, as text."""
        return repr([None if isinstance(leaf, Tensor) else leaf for leaf in self._leaves]) + repr(self._form)


@dataclass(frozen=True)
class Inputs:
    """Input tensors of a model, each with one axis for its samples; the ``fixed`` ones are not explained."""

    values: tuple[Tensor, ...]
    axes: tuple[int | None, ...]
    samples: int
    fixed: tuple[bool, ...] = ()

    @property
    def explained(self) -> list[bool]:
        """Tell for each input whether it is explained."""
        fixed = self.fixed or (False,) * len(self.axes)
        return [axis is not None and not held for axis, held in zip(self.axes, fixed, strict=True)]

    def take(self, rows: Tensor | slice) -> tuple[Tensor, ...]:
        """Return some samples of every input."""
        return tuple(take(value, axis, rows) for value, axis in zip(self.values, self.axes, strict=True))


def take(value: Tensor, axis: int | None, rows: Tensor | slice) -> Tensor:
    if axis is None:
        return value
    if isinstance(rows, slice):
        return value.narrow(axis, rows.start, min(rows.stop, value.shape[axis]) - rows.start)
    return value.index_select(axis, rows.to(value.device))


def check_inputs(
    arguments: Arguments, sample_axis: int | Sequence[int | None], fixed: Sequence[int | str], dtype: torch.dtype | None
) -> Inputs:
    """Convert inputs to the model's precision.

    Raises:
        TypeError: If an input is no tensor.
        ValueError: If its type or values cannot be explained, or numbers of samples differ.
    """
    inputs, names = arguments.tensors, arguments.names
    if not inputs:
        raise ValueError("attribute(model, x) needs at least one input")
    axes = tuple(sample_axis) if isinstance(sample_axis, Sequence) else (sample_axis,) * len(inputs)
    if len(axes) != len(inputs):
        raise ValueError(f"sample_axis has {len(axes)} entries, and there are {len(inputs)} inputs")
    values = tuple(_checked(f"input {k}" if len(inputs) > 1 else "x", x, dtype) for k, x in enumerate(inputs))
    if not isinstance(sample_axis, Sequence):
        axes = _shared(values, axes, names)
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
    if unknown := [name for name in fixed if name not in names]:
        raise ValueError(f"fixed={unknown} names no input: use one of {', '.join(map(repr, names))}")
    positive = tuple(a if a is None or a >= 0 else a + value.ndim for a, value in zip(axes, values, strict=True))
    return Inputs(values, positive, counts.pop(), tuple(name in fixed for name in names))


def _shared(values: Sequence[Tensor], axes: Sequence[int | None], names: Sequence[str | int]) -> tuple[int | None, ...]:
    """Return the axes of samples, None for masks, positions and keywords of another length, which all samples share."""
    first = next((k for k, value in enumerate(values) if value.is_floating_point()), 0)
    axis = axes[first]
    if axis is None or not -values[first].ndim <= axis < values[first].ndim:
        return tuple(axes)
    count = values[first].shape[axis]

    def of(value: Tensor, name: str | int) -> bool:
        own = value.ndim > 0 and -value.ndim <= axis < value.ndim and value.shape[axis] == count
        several = value.is_floating_point() or (value.ndim > 0 and value.shape[0] > 1)
        return own or (isinstance(name, int) and several)

    return tuple(axis if of(value, name) else None for value, name in zip(values, names, strict=True))


def _refuse_kind(name: str, x: Any) -> None:
    kind, remedy = type(x).__name__, "torch.as_tensor(x)"
    if type(x).__module__ == "numpy":
        kind, remedy = "NumPy array", "torch.from_numpy(x)"
    elif hasattr(x, "to_numpy"):
        remedy = "torch.from_numpy(x.to_numpy())"
    raise TypeError(f"{name} is a {kind}, needed is a tensor: {remedy}")


def _checked(name: str, x: Any, dtype: torch.dtype | None) -> Tensor:
    if not isinstance(x, Tensor):
        _refuse_kind(name, x)
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


class Background(NamedTuple):
    """Data to take baselines from, (k, ...) with samples on axis 0: results are averaged over its k samples."""

    data: Tensor


def check_baselines(baseline: Any, inputs: Inputs, dtype: torch.dtype | None) -> list[Inputs]:
    """Return the baselines over which the result is averaged, each with one sample or as many as the inputs.

    ``baseline``: ``None``: all zeros, except that whole numbers keep the sample's own values. Otherwise a number or a
    tensor, or for several inputs a tuple of these in which ``None`` stands for the sample's own values. For a list of
    these, and for :class:`Background`, results are averaged. Raises ValueError if a baseline's shape matches neither
    one sample nor all samples.
    """
    if isinstance(baseline, Background):
        baseline = list(baseline.data.split(1))
    many = baseline if isinstance(baseline, list) else [baseline]
    if not many:
        raise ValueError("baseline=[] holds no baseline: give one, or leave it out for zeros")
    return [_baseline(baseline, inputs, dtype) for baseline in many]


def _baseline(baseline: Any, inputs: Inputs, dtype: torch.dtype | None) -> Inputs:
    numbers = [e and x.is_floating_point() for e, x in zip(inputs.explained, inputs.values, strict=True)]
    if baseline is None and not any(numbers):
        raise ValueError("whole numbers have no natural baseline: give baseline=, such as the padding index")
    if isinstance(baseline, tuple):
        given = baseline
    elif baseline is None or isinstance(baseline, (int, float)):
        explained = numbers if any(numbers) else inputs.explained
        given = tuple((baseline or 0) if e else None for e in explained)
    elif sum(inputs.explained) == 1:
        given = tuple(baseline if e else None for e in inputs.explained)
    else:
        given = (baseline,)
    if len(given) != len(inputs.values):
        raise ValueError(f"baseline has {len(given)} parts, and there are {len(inputs.values)} inputs")
    values = [
        x if value is None else _one_or_each(value, x, axis, dtype if x.is_floating_point() else None)
        for value, x, axis in zip(given, inputs.values, inputs.axes, strict=True)
    ]
    samples = max(value.shape[axis] for value, axis in zip(values, inputs.axes, strict=True) if axis is not None)
    if samples > 1:  # one baseline each: inputs with a single sample are repeated
        values = [
            value if axis is None or value.shape[axis] == samples else value.repeat_interleave(samples, axis)
            for value, axis in zip(values, inputs.axes, strict=True)
        ]
    return Inputs(tuple(values), inputs.axes, samples, inputs.fixed)


def _one_or_each(value: Any, x: Tensor, axis: int | None, dtype: torch.dtype | None) -> Tensor:
    """Return the baseline of one input, with one sample or as many as the input has."""
    if isinstance(value, (int, float)):
        value = torch.full((), value, dtype=x.dtype, device=x.device)
    if isinstance(value, Tensor) and x.is_floating_point() and not value.is_floating_point():
        value = value.to(x.dtype)
    value = _checked("baseline", value, dtype)
    one = [1 if k == axis else size for k, size in enumerate(x.shape)]
    if value.shape == x.shape:
        return value
    try:
        return value.expand(one).contiguous()
    except RuntimeError:
        raise ValueError(
            f"baseline has shape {tuple(value.shape)}: give one sample, {tuple(one)}, or one each, {tuple(x.shape)}; "
            "or Background(data) to average over samples of its own"
        ) from None


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
    if isinstance(target, str) and target == "all":
        target = list(range(outputs))
    elif isinstance(target, list) and len(target) == samples > 1:
        raise ValueError(
            f"target is a list with as many entries as samples, {samples}: give torch.tensor(target) for one output a "
            "sample, or split the list over two calls for several outputs of every sample"
        )
    several = target if isinstance(target, list) else [target]
    if not several:
        raise ValueError("target=[] asks for no output")
    return [_positions(target, shape, outputs, samples) for target in several]


def _positions(target: Any, shape: Sequence[int], outputs: int, samples: int) -> Tensor:
    if isinstance(target, tuple):
        if any(isinstance(k, bool) or not hasattr(k, "__index__") for k in target):
            raise ValueError(f"target={target} must hold whole numbers")
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
    if not -outputs <= int(target) < outputs:
        raise ValueError(f"target={int(target)} does not exist: the model has {outputs} outputs a sample, from 0 on")
    return torch.full((samples,), int(target) % outputs)


def _indices(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "one"
