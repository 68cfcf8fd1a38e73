"""Faithfulness of a map: deletion and insertion curves, other attributions, randomised weights, Shapley values.

:func:`compare` measures several maps of one model at once.

A map can close its account and still be wrong. So each map is tested on the model itself: if the inputs that it calls
supportive are deleted first (set to the baseline), the output must fall faster than under random deletion. If they are
inserted first into the baseline, the output must rise faster.

All functions take a *score*: a function from inputs (n, ...) to one number a sample, (n,) or (n, 1). A module in eval
mode with one output is a score; :func:`score_of` turns any output of any model into one. The baseline is 0 by default;
otherwise it is a tensor with one sample.
"""

import copy
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .attributor import attribute
from .coalitions import coalitions_of, exact_shapley, in_groups
from .inputs import check_targets
from .joint_functions import gauss_legendre

Score = Callable[[Tensor], Tensor]
STEPS = 20
EXACT_UP_TO = 12


def score_of(
    model: nn.Module, *others: Tensor, target: Any = None, select: Callable[[Any], Tensor] | None = None
) -> Score:
    """Return one output of a model as a function of its first input.

    Args:
        others: The model's further inputs, for the same samples on axis 0.
        target, select: As in :func:`drf.lrp.attribute`, one target.
    """

    def score(x: Tensor) -> Tensor:
        """Return the score of (k n, ...) inputs, in which the n samples are repeated k times."""
        output = model(x, *(other.repeat(len(x) // len(other), *(1,) * (other.ndim - 1)) for other in others))
        output = output if select is None else select(output)
        by_sample = isinstance(target, Tensor) and target.ndim == 1
        (positions,) = check_targets(target, output.shape[1:], len(target) if by_sample else len(x))
        positions = positions.repeat(len(x) // len(positions)).to(x.device)
        return output.reshape(len(x), -1).gather(1, positions[:, None])[:, 0]

    return score


def _values(score: Score, x: Tensor) -> Tensor:
    values = score(x)
    if values.numel() != len(x):
        raise ValueError(f"the score has shape {tuple(values.shape)} for {len(x)} samples: pick one output by score_of")
    return values.reshape(len(x))


def _baseline(x: Tensor, baseline: Tensor | None) -> Tensor:
    return torch.zeros_like(x[:1]) if baseline is None else baseline


@torch.no_grad()
def occlusion(score: Score, x: Tensor, baseline: Tensor | None = None) -> Tensor:
    """Return f(x) less f(x with one input at the baseline), for every input, in the shape of ``x``."""
    n, inputs = len(x), x[0].numel()
    flat = x.reshape(1, n, inputs).repeat(inputs, 1, 1)
    places = torch.arange(inputs)
    flat[places, :, places] = _baseline(x, baseline).reshape(inputs, 1)
    outputs = _values(score, flat.reshape(inputs * n, *x.shape[1:])).reshape(inputs, n)
    return (_values(score, x) - outputs).T.reshape(x.shape)


def gradient_x_input(score: Score, x: Tensor) -> Tensor:
    """Return gradient times input, in the shape of ``x``."""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(_values(score, leaf).sum(), leaf)
    return gradient * x


def integrated_gradients(score: Score, x: Tensor, steps: int = 32, baseline: Tensor | None = None) -> Tensor:
    """Return the mean gradient from the baseline to ``x`` times the difference (Sundararajan et al. 2017).

    The path is integrated by Gauss-Legendre quadrature.
    """
    base = _baseline(x, baseline)
    total = torch.zeros_like(x)
    for place, weight in gauss_legendre(steps):
        point = base + place * (x - base)
        with torch.enable_grad():
            leaf = point.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(_values(score, leaf).sum(), leaf)
        total += weight * gradient
    return total * (x - base)


@torch.no_grad()
def shapley_values(
    score: Score, x: Tensor, baseline: Tensor | None = None, permutations: int | None = None, seed: int = 0
) -> Tensor:
    """Return the Shapley values of the inputs, in the shape of ``x``: the reference for maps that share f(x) - f(x').

    ``permutations``: number of random orders in which inputs join (Castro et al. 2009), each used forwards and
    backwards. Each order costs twice as many forward passes as there are inputs. ``None``: exact, over all coalitions.
    Raises ValueError if the exact values of more than 12 inputs are asked for.
    """
    n, inputs = len(x), x[0].numel()
    flat, base = x.reshape(n, inputs), _baseline(x, baseline).reshape(1, inputs)

    def values(coalitions: Tensor) -> Tensor:
        """Return the values of coalitions, (coalitions, n)."""
        mixed = torch.where(coalitions[:, None], flat, base)
        return _values(score, mixed.reshape(-1, *x.shape[1:])).reshape(len(coalitions), n)

    if permutations is None:
        if inputs > EXACT_UP_TO:
            raise ValueError(f"exact Shapley values of {inputs} inputs need 2^{inputs} runs: give permutations=")
        return exact_shapley(values(coalitions_of(inputs).to(x.device))).reshape(x.shape)
    result = torch.zeros(inputs, n, dtype=x.dtype, device=x.device)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(permutations):
        order = torch.randperm(inputs, generator=generator)
        for way in (order, order.flip(0)):
            joined = (way.argsort()[None] < torch.arange(inputs + 1)[:, None]).to(x.device)
            result[way] += values(joined).diff(dim=0)
    return (result / (2 * permutations)).T.reshape(x.shape)


@torch.no_grad()
def deletion_curve(
    score: Score, x: Tensor, relevance: Tensor, insert: bool = False, baseline: Tensor | None = None
) -> Tensor:
    """Return the mean output while supporting inputs are deleted in order, as a share of the mean ``|f(x)|``.

    An input supports the output if its relevance has the sign of f(x); those of the other sign go last. Each sample's
    output counts with the sign of f(x), so the curve starts at 1.

    Args:
        relevance: In the shape of ``x``; only its order within a sample matters.
        insert: True if inputs are inserted into the baseline instead, in the same order: the curve ends at 1.

    Returns:
        Tensor of ``STEPS + 1`` values, at equal numbers of inputs.
    """
    flat, base = x.flatten(1), _baseline(x, baseline).flatten(1)
    f = _values(score, x)
    order = (relevance.flatten(1) * f.sign()[:, None]).argsort(dim=1, descending=True)
    rank = order.argsort(dim=1)
    cuts = torch.linspace(0, flat.shape[1], STEPS + 1).round()
    touched = rank[None] < cuts.to(rank.device)[:, None, None]
    values = torch.where(touched if insert else ~touched, flat, base)
    outputs = _values(score, values.reshape(-1, *x.shape[1:])).reshape(STEPS + 1, -1)
    return (outputs * f.sign()).mean(1) / f.abs().mean()


def area(curve: Tensor) -> float:
    """Return the area under a curve over the unit interval."""
    return float(torch.trapezoid(curve, dx=1 / (len(curve) - 1)))


def agreement(first: Tensor, second: Tensor) -> float:
    """Return the mean over samples of the rank correlation of two maps."""
    ranks = [m.flatten(1).argsort(1).argsort(1).double() for m in (first, second)]
    a, b = (r - r.mean(1, keepdim=True) for r in ranks)
    return float(((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).mean())


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """Return a copy of the model with its weights drawn anew."""
    other = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for parameter in other.parameters():
            deviation = parameter.detach().std(correction=0)
            nn.init.normal_(parameter, 0.0, float(deviation))
    return other


def compare(
    model: nn.Module, x: Tensor, target: Any = None, baseline: Tensor | None = None, groups: int = 6, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Measure the rules, and simpler maps for comparison, on the model itself.

    Args:
        x: Inputs of a model with one input, (n, ...).
        target: One output of all samples, as in :func:`drf.lrp.attribute`.
        baseline: What a deleted input is set to, one sample; zeros by default. It matters more than the rule.
        groups: Number of random groups of inputs whose exact Shapley values the maps are held against, for up to 8
            samples; at most 12.

    Returns:
        For each map, by name: ``deletion`` (area under the curve; less is better), ``insertion`` (more is better),
        ``sensitivity`` (mean correlation of a random half's relevance with what its deletion takes from f(x), as
        sensitivity-n of Ancona et al. 2018), ``shapley_error`` (relative; meant for maps that share f(x) - f(baseline))
        and ``seconds``. A rule that the model does not allow is left out with a warning.
    """
    if any(module.training for module in model.modules()):
        raise ValueError("the model is in training mode: call model.eval() first")
    if isinstance(target, Tensor) and target.ndim:
        raise ValueError("compare measures one output of all samples: give a number as target")
    baseline = None if baseline is None else torch.as_tensor(baseline, dtype=x.dtype, device=x.device).expand_as(x[:1])
    score, base = score_of(model, target=target), _baseline(x, baseline)
    maps: dict[str, Callable[[], Tensor]] = {
        rule: partial(_relevance, model, x, target, rule, base) for rule in ("epsilon", "gamma", "shapley")
    }
    maps |= {
        "gradient x input": lambda: gradient_x_input(score, x),
        "integrated gradients": lambda: integrated_gradients(score, x, baseline=base),
        "occlusion": lambda: occlusion(score, x, base),
    }
    generator, few = torch.Generator().manual_seed(seed), x[:8]
    places = torch.randint(groups, x.shape[1:], generator=generator).to(x.device)
    with torch.no_grad():
        outputs = _values(score, in_groups(few, base, places, groups)).reshape(-1, len(few))
    exact = exact_shapley(outputs)
    halves = torch.randint(2, (32, *x.shape[1:]), generator=generator).bool().to(x.device)
    with torch.no_grad():
        taken = torch.stack([_values(score, few) - _values(score, torch.where(h, base, few)) for h in halves])
    result = {}
    for name, relevance_of in maps.items():
        started = time.perf_counter()
        try:
            relevance = relevance_of()
        except (TypeError, ValueError) as error:
            warnings.warn(f"{name}: {error}", stacklevel=2)
            continue
        seconds, flat = time.perf_counter() - started, relevance[: len(few)].flatten(1)
        grouped = flat.new_zeros(len(few), groups).index_add_(1, places.flatten(), flat)
        of_halves = torch.stack([(flat * half.flatten()).sum(1) for half in halves])
        result[name] = {
            "deletion": area(deletion_curve(score, x, relevance, baseline=baseline)),
            "insertion": area(deletion_curve(score, x, relevance, insert=True, baseline=baseline)),
            "sensitivity": float(
                torch.stack(
                    [torch.corrcoef(torch.stack(p))[0, 1] for p in zip(of_halves.T, taken.T, strict=True)]
                ).mean()
            ),
            "shapley_error": float((grouped - exact).norm() / exact.norm()),
            "seconds": seconds,
        }
    return result


def _relevance(model: nn.Module, x: Tensor, target: Any, rule: str, baseline: Tensor) -> Tensor:
    return attribute(
        model, x, target=target, composite=rule, baseline=baseline if rule == "shapley" else None
    ).relevance


def rescaled(relevance_of: Callable[[Tensor], Tensor], x: Tensor, baseline: Tensor | None = None) -> Tensor:
    """Rescale a map over time by what changes when a step, and then a feature in it, is masked out.

    Temporal saliency rescaling of Ismail et al. 2020 (arXiv 2010.13924): only steps that matter more than
    the average step have their relevance divided by feature.

    Args:
        relevance_of: Function from inputs (n, steps, features) to their relevance, such as
            ``lambda x: attribute(model, x).relevance``.

    Returns:
        Tensor (n, steps, features), not negative; it does not sum to f(x).
    """
    base, whole = _baseline(x, baseline).expand_as(x), relevance_of(x)

    def changed(step: int, feature: int | slice = slice(None)) -> Tensor:
        masked = x.clone()
        masked[:, step, feature] = base[:, step, feature]
        return (whole - relevance_of(masked)).abs().flatten(1).sum(1)

    by_step = torch.stack([changed(step) for step in range(x.shape[1])], 1)
    matters = by_step >= by_step.mean(1, keepdim=True)
    result = torch.zeros_like(x)
    for step in matters.any(0).nonzero()[:, 0].tolist():
        for feature in range(x.shape[2]):
            result[:, step, feature] = by_step[:, step] * changed(step, feature) * matters[:, step]
    return result


def interactions(
    model: nn.Module, x: Tensor, groups: Tensor, baseline: Tensor | None = None, **settings: Any
) -> Tensor:
    """Return pairwise interactions of groups of inputs by the Shapley rule taken twice, shape (n, groups, groups).

    What group j changes in the relevance of group i is shared between the two, as in Shapley interaction values
    (Lundberg et al. 2020); the diagonal is what a group does by itself. All entries sum to f(x) - f(baseline).

    Args:
        groups: Group of every element, whole numbers from 0 on, in the shape of one sample.
        settings: Passed to :func:`drf.lrp.attribute`, such as ``target``.
    """
    base, count = _baseline(x, baseline).expand_as(x), int(groups.max()) + 1

    def of_groups(values: Tensor, against: Tensor) -> Tensor:
        return attribute(model, values, composite="shapley", baseline=against, **settings).grouped(groups)

    rows = []
    for j in range(count):
        mine = (groups == j).to(x.device)
        present, absent = of_groups(x, torch.where(mine, x, base)), of_groups(torch.where(mine, base, x), base)
        rows.append(present - absent)
    both = torch.stack(rows, -1)
    both = (both + both.mT) / 4
    both.diagonal(dim1=-2, dim2=-1).zero_()
    alone = of_groups(x, base) - both.sum(-1)
    return both + torch.diag_embed(alone)
