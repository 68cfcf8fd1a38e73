r"""Maxima: the share of each value in a maximum's difference from its baseline.

On the straight way from baseline to input every value is a line, :math:`m_i(\alpha) = x'_i + \alpha\,\Delta x_i`, and
the maximum is their upper envelope. A value's share is the length of way on which it is the largest; share times
:math:`\Delta x_i` is its value after Aumann and Shapley (1974), and these sum to the maximum's difference.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .propagation import UnsupportedOperationError


def shares(x: Tensor, baseline: Tensor) -> Tensor:
    """Return each value's share in the maximum over the last axis; they sum to 1, and ties share alike."""
    winner = x.argmax(-1, keepdim=True)
    whole = torch.zeros_like(x).scatter_(-1, winner, 1.0)
    # The largest at both ends is the largest all the way, and alone if it is so at the input.
    alone = (x == x.gather(-1, winner)).sum(-1) == 1
    contested = ~(alone & (baseline.gather(-1, winner)[..., 0] >= baseline.amax(-1)))
    if contested.any():
        whole[contested] = _lengths(x[contested], baseline[contested])
    return whole


def _lengths(x: Tensor, baseline: Tensor) -> Tensor:
    """Return the length of way on which each value is the largest."""
    step = x - baseline
    first, last, alike = torch.zeros_like(x), torch.ones_like(x), torch.zeros_like(x)
    for k in range(x.shape[-1]):
        behind, faster = baseline[..., k : k + 1] - baseline, step - step[..., k : k + 1]
        crossing = behind / torch.where(faster == 0, 1, faster)
        first = torch.where(faster > 0, torch.maximum(first, crossing), first)
        last = torch.where(faster < 0, torch.minimum(last, crossing), last)
        last = torch.where((faster == 0) & (behind > 0), -1, last)
        alike = alike + ((faster == 0) & (behind == 0)).to(x.dtype)
    length = (last - first).clamp_min(0) / alike
    return length / length.sum(-1, keepdim=True)


def windows(name: str, x: Tensor, args: Sequence[Any], kwargs: dict[str, Any], outside: float) -> Tensor:
    """Return the values that a maximum or minimum is taken of, along a new last axis.

    Args:
        name: Name of the torch function.
        args, kwargs: Its arguments after ``x``.
        outside: Value in the padding of a pooling.

    Raises UnsupportedOperationError if the function is not supported, or spans all values.
    """
    if name in ("max", "min"):
        return _along(x, *_given(args, kwargs, "dim", "keepdim"))
    if name in ("amax", "amin"):
        return _along(x, *_given(args, kwargs, "dim", "keepdim"))
    if name.startswith("adaptive_max_pool"):
        return _adaptive(x, int(name[-2]), _given(args, kwargs, "output_size")[0])
    if name.startswith("max_pool"):
        return _pooled(x, int(name[8]), outside, *_given(args, kwargs, *_POOLING))
    raise UnsupportedOperationError(
        f"torch.{name} picks other elements for the baseline than for the input, for which the Shapley rule has no "
        "exact split: use gate='signal-takes-all'"
    )


_POOLING = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")


def _given(args: Sequence[Any], kwargs: dict[str, Any], *names: str) -> list[Any]:
    return [args[k] if k < len(args) else kwargs.get(name) for k, name in enumerate(names)]


def _along(x: Tensor, dim: Any, keepdim: Any) -> Tensor:
    axes = [dim] if isinstance(dim, int) else list(dim or ())
    if not axes:
        raise UnsupportedOperationError("a maximum over all elements makes samples depend on each other: give an axis")
    axes = sorted(axis % x.ndim for axis in axes)
    result = x.movedim(axes, list(range(-len(axes), 0))).flatten(-len(axes))
    for axis in axes if keepdim else ():
        result = result.unsqueeze(axis)
    return result


def _pooled(
    x: Tensor, dims: int, outside: float, size: Any, stride: Any, padding: Any, dilation: Any, ceil: Any
) -> Tensor:
    sizes, paddings = _each(size, dims), _each(padding or 0, dims)
    strides, dilations = _each(stride or size, dims), _each(dilation or 1, dims)
    around: list[int] = []
    for length, k, step, apart, beside in zip(x.shape[-dims:], sizes, strides, dilations, paddings, strict=True):
        span, inside = apart * (k - 1) + 1, length + 2 * beside
        count = math.ceil((inside - span) / step) + 1 if ceil else 0
        count -= (count - 1) * step >= length + beside  # no window begins in the padding at the end
        around = [beside, beside + max(0, (count - 1) * step + span - inside), *around]
    x = torch.nn.functional.pad(x, around, value=outside)
    for axis, k, step, apart in zip(range(-dims, 0), sizes, strides, dilations, strict=True):
        x = x.unfold(axis - (axis + dims), apart * (k - 1) + 1, step)[..., ::apart]
    return x.flatten(-dims)


def _adaptive(x: Tensor, dims: int, output_size: Any) -> Tensor:
    lengths = x.shape[-dims:]
    outputs = [given or length for given, length in zip(_each(output_size, dims), lengths, strict=True)]
    if any(length % output for length, output in zip(lengths, outputs, strict=True)):
        raise UnsupportedOperationError(
            f"an adaptive maximum pooling of {tuple(lengths)} to {tuple(outputs)} has windows of several sizes, for "
            "which there is no Shapley rule: use sizes that divide the lengths"
        )
    sizes = [length // output for length, output in zip(lengths, outputs, strict=True)]
    return _pooled(x, dims, -math.inf, sizes, sizes, 0, 1, False)


def _each(value: Any, dims: int) -> list[int]:
    return [value] * dims if isinstance(value, int) else list(value) * (1 if len(value) == dims else dims)
