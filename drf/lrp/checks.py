"""Checks of an account: against the model's own output, in itself, and against exact Shapley values of a few groups."""

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from .account import PARTS, Account
from .coalitions import exact_shapley, in_groups
from .dispatch import Swapped, name_of
from .inputs import Inputs
from .layout import MIXED, Layout, MixedSamplesError
from .passes import Passes, pick, signals
from .propagation import UnsupportedOperationError
from .runner import Runner
from .tensor_flags import is_signal, map_tensors

TOLERANCE = 1e-4
"""Largest difference between an account's output and f(x), relative to f(x), or to its median over the batch."""
ROUNDING = 1e-5
"""Share of the largest part of an account that may be lost where parts cancel."""
GROUPS = 4
"""Groups of inputs whose exact Shapley values are computed."""
CHECKED_AT_ONCE = 2**17
"""Input values in all runs for these Shapley values: few enough to cost little beside a batch's account."""
WARN_ABOVE = 0.35
"""Relative error of these groups above which a user is warned."""


class DifferentOutputError(UnsupportedOperationError):
    """An account of another output than the model's own."""


def check_output(passes: Passes, account: Account, own: Tensor) -> None:
    """Compare an account's output with f(x) of the whole batch.

    Raises:
        MixedSamplesError: If a sample's output depends on the other samples.
        DifferentOutputError: For any other difference; the operation where it arises is named.
    """
    expected = torch.stack([pick(own, passes.layout, target) for target in passes.targets])
    expected = expected.to(account.output.dtype).nan_to_num(0, 0, 0)  # see check_books
    off = (account.output.nan_to_num(0, 0, 0) - expected).abs()
    size = torch.maximum(expected.abs(), expected.abs().median(1, keepdim=True)[0])  # one large sample hides no other
    parts = torch.stack([getattr(account, part).abs() for part in PARTS]).amax(0).nan_to_num(0, 0, 0)
    coarse = passes.layout.coarse or own.dtype not in (torch.float32, torch.float64)
    allowed = (0.02 if coarse else TOLERANCE) * size + ROUNDING * parts
    if (off <= allowed).all():
        return
    worst = float((off / (size + torch.finfo(size.dtype).tiny)).max())
    runner, inputs = passes.runner, passes.inputs
    alone = pick(runner.plain(inputs.take(slice(0, 1))), passes.layout, passes.targets[0][:1])
    if not passes.layout.whole and not torch.allclose(alone.to(expected.dtype), expected[0, :1], rtol=1e-3):
        raise MixedSamplesError(MIXED)
    finding = _Comparing(passes.probe())
    runner(signals(inputs.take(slice(0, min(8, inputs.samples))), inputs.explained, runner.precision)[0], finding)
    where = finding.found or "no single operation; a layer's registered rule, or random numbers drawn outside torch"
    raise DifferentOutputError(
        "the model's operations, run by their rules, do not give its output: it is off by "
        f"{worst:.2g} of its size, which arises in {where}"
    )


def check_others(passes: Passes, account: Account) -> None:
    """Check that every other sample has the same output without its neighbours, which the probe did not see.

    Raises MixedSamplesError if one has not.
    """
    layout, rows = passes.layout, torch.arange(1, passes.inputs.samples, 2)
    if layout.random or layout.whole or layout.coarse or len(rows) < 2:
        return
    with torch.no_grad(), suppress(RuntimeError):  # a model that needs a certain order or number of samples
        output = passes.runner([value.clone() for value in passes.inputs.take(rows)])
        apart = pick(output, layout, passes.targets[0][rows]).to(account.output.dtype)
        among = account.output[0][rows.to(apart.device)]
        allowed = 1e-3 * among.abs() + 1e-4 * account.output[0].abs().median()
        if ((apart - among).abs() > allowed).any():
            raise MixedSamplesError(MIXED)


class _Comparing(Swapped):
    """Context that finds the first operation whose rule does not compute what the operation does."""

    found = ""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        copies = map_tensors(lambda value: value.detach().clone(), (args, kwargs or {}))
        state, plain = torch.get_rng_state(), None
        with suppress(RuntimeError):  # an operation in a precision that this run does not have
            plain = func(*copies[0], **copies[1])
        torch.set_rng_state(state)
        where = self.propagation.where
        result = super().__torch_function__(func, types, args, kwargs)
        if not self.found and is_signal(result) and isinstance(plain, Tensor) and plain.shape == result.shape:
            size = plain.nan_to_num(0, 0, 0).abs().max() if not plain.is_complex() else plain.abs().max()
            if not torch.allclose(plain, result.detach(), rtol=1e-4, atol=1e-5 * float(size), equal_nan=True):
                self.found = f"{where}: torch.{name_of(func)}"
        return result


def check_books(account: Account, explained: Sequence[bool], axes: Sequence[int | None]) -> None:
    """Refuse an account that does not close: an operation was explained by a wrong rule.

    Raises UnsupportedOperationError if some of an output is not accounted for, or relevance is not finite.
    """
    moved = account.output - account.baseline - account.bias  # f(x) without its constant parts
    size = torch.stack([part.abs() for part in (account.inputs, account.stabiliser, moved)]).amax(0)
    if not torch.isfinite(size).all():
        bad = (~torch.isfinite(size)).any(0).nonzero()[:, 0].tolist() if size.ndim > 1 else []
        raise UnsupportedOperationError(
            f"relevance of the samples {', '.join(map(str, bad[:10]))} is not finite: all steps of a sample may be "
            "masked out, a denominator may vanish (which a larger epsilon prevents), or a number overflows"
        )
    single = account.output.dtype == torch.float32
    tolerance = 1e-3 if single else 1e-6
    constants = torch.stack([part.abs() for part in (account.output, account.bias, account.chosen)]).amax(0)
    rounding = 64 * torch.finfo(size.dtype).eps * constants
    if (account.residual.abs() <= tolerance * size + rounding).all():
        return
    # Where all parts are small, rounding errors are as large as the terms that cancel in their sums.
    for relevance, wanted, axis in zip(account.relevances, explained, axes, strict=True):
        if wanted and axis is not None:
            by_sample = relevance.abs().movedim(axis + 1, 1)
            size = size + by_sample.reshape(*size.shape, -1).sum(2)
    unexplained = (account.residual.abs() - rounding).clamp(min=0)
    worst = float((unexplained / (size + torch.finfo(size.dtype).tiny)).max())
    if worst > (1e-4 if single else 1e-6):
        raise UnsupportedOperationError(
            f"{worst:.2g} of what changes an output is not accounted for: constants may have been written into the "
            "model's tensors, a denominator may all but vanish for the baseline, or code may have run that hides its "
            "operations (a custom autograd.Function, a scripted function)"
        )
    parts = torch.stack([getattr(account, part).abs() for part in PARTS]).amax(0)
    parts = torch.maximum(parts, parts.median(-1, keepdim=True)[0])  # one output may happen to be almost zero
    lost = float((unexplained / (parts + torch.finfo(size.dtype).tiny)).max())
    if lost > 1e-2:
        raise UnsupportedOperationError(
            f"rounding loses {lost:.2g} of an output, because much larger relevances of opposite sign cancel: give a "
            "baseline like the data, such as a mean, or explain model.double() with inputs in double precision"
        )


def warn_of_choices(account: Account) -> None:
    """Warn of a share that no input gets because comparisons chose it."""
    moved = float((account.output - account.baseline).abs().sum())
    chosen = float(account.chosen.abs().sum())
    if chosen > 0.01 * moved:
        share = f"{chosen / moved:.0%}" if moved else "all"
        warnings.warn(
            f"{share} of the output was chosen by comparing values (a mask, an index, the places of the largest), and "
            "no input gets it: see account.chosen",
            stacklevel=5,
        )


def warn_of_amplification(account: Account, inputs: Inputs) -> None:
    """Warn if relevances are many times the difference that they sum to: the model is not made for this baseline.

    With more inputs, more relevances of opposite sign cancel, so a larger ratio is allowed.
    """
    pairs = [(r, e) for r, e in zip(account.relevances, inputs.explained, strict=True) if e]
    sizes = sum(float(relevance.abs().sum()) for relevance, _ in pairs)
    count = sum(relevance[0].numel() for relevance, _ in pairs) / inputs.samples
    moved = float((account.output - account.baseline).abs().sum())
    if sizes > AMPLIFIED * max(1.0, math.sqrt(count) / 10) * moved > 0:
        warnings.warn(
            f"relevances are {sizes / moved:.0f} times as large as the differences that they share: a denominator may "
            "be almost zero for the baseline (a normalisation of constants); give one like the data, such as a mean",
            stacklevel=5,
        )


AMPLIFIED = 10


def warn_of_error(
    runner: Runner, inputs: Inputs, baseline: Inputs, layout: Layout, target: Tensor, account: Account
) -> None:
    """Hold the account of a few samples against the exact Shapley values of :data:`GROUPS` random groups of inputs, and
    warn if they differ by more than :data:`WARN_ABOVE`."""
    if layout.whole or layout.random:  # no other batch can be run, or none that draws the same numbers
        return
    size = sum(x.numel() for x, wanted in zip(inputs.values, inputs.explained, strict=True) if wanted)
    count = min(4, inputs.samples, max(1, inputs.samples * max(size // 2, CHECKED_AT_ONCE) // (2**GROUPS * size)))
    rows = torch.linspace(0, inputs.samples - 1, count).long()
    generator = torch.Generator().manual_seed(0)
    here = inputs.take(rows)
    there = baseline.take(rows if baseline.samples > 1 else torch.zeros(count, dtype=torch.long))
    mixed, sums = [], torch.zeros(count, GROUPS, dtype=account.output.dtype)
    for k, (x, x0, axis, wanted) in enumerate(zip(here, there, inputs.axes, inputs.explained, strict=True)):
        if axis is None:
            mixed.append(x)
            continue
        x, x0 = x.movedim(axis, 0), x0.movedim(axis, 0)
        groups = torch.randint(GROUPS, x.shape[1:], generator=generator)
        several = in_groups(x, x0 if wanted else x, groups, GROUPS)
        mixed.append(several.movedim(0, axis))
        if wanted:
            relevance = account.relevances[k][0].movedim(axis, 0)[rows.to(x.device)].reshape(count, -1)
            sums.index_add_(1, groups.flatten(), relevance.to(sums.dtype).cpu())
    try:
        values = pick(runner.plain(mixed), layout, target[rows].repeat(2**GROUPS)).reshape(-1, count).cpu()
    except RuntimeError:  # a model that needs a certain order or number of samples
        return
    exact = exact_shapley(values)
    error = float((sums - exact).norm() / exact.norm().clamp_min(1e-30))
    if error > WARN_ABOVE:
        warnings.warn(
            f"the account is {error:.0%} off the exact Shapley values of {GROUPS} groups of inputs on {count} "
            "sample(s): the model bends strongly between baseline and input; give a baseline like the data, such as a "
            "mean, and see drf.lrp.faithfulness.compare",
            stacklevel=5,
        )
