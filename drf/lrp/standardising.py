"""Normalisations by a sample's own statistics: their common rule."""

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary


def deviation(x: Tensor, axes: tuple[int, ...], centre: bool) -> Tensor:
    return x - x.mean(axes, keepdim=True) if centre else x


def standardised(x: Tensor, axes: tuple[int, ...], eps: float, centre: bool) -> Tensor:
    """Return deviations from the mean over ``axes`` (plain values without ``centre``), divided by their root mean
    square."""
    apart = deviation(x, axes, centre)
    return apart * torch.rsqrt(apart.square().mean(axes, keepdim=True) + eps)


def standardise(x: Tensor, axes: tuple[int, ...], eps: float, centre: bool = True) -> Tensor:
    """Standardise as one operation that has a rule of its own."""
    if has_torch_function_unary(x):
        return handle_torch_function(standardise, (x,), x, axes, eps, centre)
    return standardised(x, axes, eps, centre)
