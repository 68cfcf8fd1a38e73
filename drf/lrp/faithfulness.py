"""Is a map of relevance true? Deletion and insertion curves, other attributions to compare with, randomised weights.

A map can close its account and still be wrong. So each is held against the network itself: if the inputs that it calls
supportive are deleted first (set to 0), the output must fall faster than under random deletion; if they are inserted
first into the empty input, it must rise faster.

All functions take a model from (n, ...) to (n, 1) in eval mode and inputs ``x`` (n, ...), and neutral means 0.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

STEPS = 20


@torch.no_grad()
def occlusion(model: nn.Module, x: Tensor) -> Tensor:
    """f(x) less f(x with one input at 0), for every input, in the shape of ``x``."""
    n, inputs = len(x), x[0].numel()
    occluded = x.reshape(n, 1, inputs).repeat(1, inputs, 1)
    occluded.diagonal(dim1=1, dim2=2).zero_()
    outputs = model(occluded.reshape(n * inputs, *x.shape[1:])).reshape(n, inputs)
    return (model(x).reshape(n, 1) - outputs).reshape(x.shape)


def gradient_x_input(model: nn.Module, x: Tensor) -> Tensor:
    """Gradient times input, in the shape of ``x``."""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(leaf).sum(), leaf)
    return gradient * x


def integrated_gradients(model: nn.Module, x: Tensor, steps: int = 32) -> Tensor:
    """Integrated gradients from 0 (captum), in the shape of ``x``."""
    from captum.attr import IntegratedGradients  # seconds to import, and not needed to attribute

    return IntegratedGradients(model).attribute(x, torch.zeros_like(x), target=0, n_steps=steps).to(x.dtype)


@torch.no_grad()
def deletion_curve(model: nn.Module, x: Tensor, relevance: Tensor, insert: bool = False) -> Tensor:
    """Mean output while inputs are deleted in the order of their support, as a share of the mean |f(x)|.

    An input supports the output if its relevance has the sign of f(x); those of the other sign go last. Each sample's
    output counts with the sign of f(x), so the curve starts at 1.

    Parameters
    ----------
    relevance
        In the shape of ``x``; only its order within a sample matters.
    insert
        Start from the empty input instead, and insert in the same order: the curve ends at 1.

    Returns
    -------
    Tensor of ``STEPS + 1`` values, at equal numbers of inputs.
    """
    flat = x.flatten(1)
    f = model(x)[:, 0]
    order = (relevance.flatten(1) * f.sign()[:, None]).argsort(dim=1, descending=True)
    rank = order.argsort(dim=1)
    cuts = torch.linspace(0, flat.shape[1], STEPS + 1).round()
    touched = rank[None] < cuts.to(rank.device)[:, None, None]
    values = torch.where(touched if insert else ~touched, flat, 0.0)
    outputs = model(values.reshape(-1, *x.shape[1:]))[:, 0].reshape(STEPS + 1, -1)
    return (outputs * f.sign()).mean(1) / f.abs().mean()


def area(curve: Tensor) -> float:
    """Area under a curve over the unit interval."""
    return float(torch.trapezoid(curve, dx=1 / (len(curve) - 1)))


def agreement(first: Tensor, second: Tensor) -> float:
    """Mean over samples of the rank correlation of two maps."""
    ranks = [m.flatten(1).argsort(1).argsort(1).double() for m in (first, second)]
    a, b = (r - r.mean(1, keepdim=True) for r in ranks)
    return float(((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).mean())


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy of the model whose weights were drawn anew."""
    other = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for parameter in other.parameters():
            deviation = parameter.detach().std(correction=0)
            nn.init.normal_(parameter, 0.0, float(deviation))
    return other
