"""Attribution of a model's outputs to its inputs: check the request, probe the model, take the account."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .account import Account
from .composite import Composite
from .gate_rules import GATE_RULES, SHAPLEY
from .inputs import Inputs, check_baselines, check_inputs, check_targets
from .layout import THREE, TURNED, TWO, Layout, find_layout
from .passes import Passes, record
from .propagation import UnsupportedOperationError
from .runner import Runner


def attribute(
    model: nn.Module,
    *inputs: Tensor,
    target: Any = None,
    composite: Composite | None = None,
    baseline: Any = None,
    select: Callable[[Any], Tensor] | None = None,
    sample_axis: int | Sequence[int | None] = 0,
    chunk: int | None = None,
) -> Account:
    """Distribute f(x) over the inputs of a model.

    The model's own ``forward`` runs, whatever its form; the model is neither edited nor changed. Samples are handled
    ``chunk`` at a time, so only the memory for the result grows with their number.

    Parameters
    ----------
    model
        Any ``nn.Module`` in eval mode. For a ``DataParallel`` or a compiled module, the module inside is explained. A
        model in half precision is explained as a copy in single precision.
    inputs
        Inputs as the model takes them. Whole numbers that are looked up in an embedding are explained too.
    target
        Output of a sample to explain: a position in its flattened output, a tuple that indexes it, or a tensor (n,)
        with a position for every sample. A list of these gives several accounts from one forward pass. May be left out
        if there is only one output.
    composite
        The rules; by default the epsilon rule with 0.001 and signal-takes-all gates.
    baseline
        For ``Composite(gate="shapley")``: f(x) - f(baseline) is distributed. A tensor with one sample, or with one for
        every sample of ``x``; for several inputs a tuple, in which ``None`` stands for the sample's own values. For a
        list of these, results are averaged. By default zeros.
    select
        Picks the output out of what the model returns: ``select=lambda y: y["forecast"]``.
    sample_axis
        Axis of the samples in the inputs: one number, or one for each input. ``None`` marks an input that all samples
        share, which receives no relevance.
    chunk
        Samples handled at once; by default as many as keep the intermediate results in a processor's cache.

    Returns
    -------
    Account
        The ``relevances`` have the shapes of the inputs.

    Raises
    ------
    UnsupportedOperationError
        If relevance reaches an operation that has no rule; layer and operation are named.
    TypeError, ValueError
        If an argument cannot be explained; the message says what to give instead.

    >>> import torch
    >>> from torch import nn
    >>> class Forecaster(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.lstm, self.head = nn.LSTM(3, 8, batch_first=True), nn.Linear(8, 1)
    ...     def forward(self, x):
    ...         output, _ = self.lstm(x)
    ...         return self.head(output[:, -1])
    >>> account = attribute(Forecaster().eval(), torch.randn(4, 5, 3))
    >>> account.relevance.shape
    torch.Size([4, 5, 3])
    """
    composite = _check_composite(composite, baseline)
    if select is not None and not callable(select):
        raise TypeError(f"select={select!r} must be a function of the model's output: select=lambda y: y[{select!r}]")
    if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
        raise ValueError(f"chunk={chunk} must be a positive number of samples, or None for a good one")
    with torch.inference_mode(False), torch.enable_grad():  # even if the caller has switched gradients off
        runner = Runner.of(model, select)
        given = check_inputs(inputs, sample_axis, runner.dtype)
        _check_layers(runner.model, composite)
        layout, shape = _probe(runner, given, composite.blind)
        targets = check_targets(target, shape, given.samples)
        baselines = check_baselines(baseline, given, runner.dtype) if composite.gate == SHAPLEY else [None]
        accounts = [Passes(runner, given, composite, layout, targets, b).account(chunk) for b in baselines]
    account = accounts[0] if len(accounts) == 1 else _mean(accounts)
    _check_books(account, given.axes)
    if composite.gate == SHAPLEY:
        _warn_of_amplification(account, given.axes)
    return account if isinstance(target, list) else _only(account)


def _check_composite(composite: Any, baseline: Any) -> Composite:
    composite = Composite() if composite is None else composite
    if isinstance(composite, str):
        argument = f"gate={composite!r}" if composite in GATE_RULES else repr(composite)
        raise TypeError(f"composite={composite!r} is a name: use Composite({argument})")
    if not isinstance(composite, Composite):
        raise TypeError(f"composite must be a drf.lrp.Composite, not {type(composite).__name__}")
    if baseline is not None and composite.gate != SHAPLEY:
        raise ValueError(
            f"a baseline needs composite=Composite(gate='shapley'): under {composite.gate!r} the signal of "
            "a product does not receive its whole difference, so the map would not describe the network"
        )
    return composite


def _check_layers(model: nn.Module, composite: Composite) -> None:
    layers = dict(model.named_modules())
    if unknown := sorted(set(composite.layers) - set(layers)):
        raise ValueError(f"composite.layers names {unknown}, the model has {[name for name in layers if name]}")


def _probe(runner: Runner, inputs: Inputs, blind: bool) -> tuple[Layout, tuple[int, ...]]:
    """Return how the model lays out its samples, and the shape of one sample's output.

    Raises UnsupportedOperationError if the model's own output differs from the output of its operations.
    """
    rows = torch.tensor([0, inputs.samples // 2, inputs.samples - 1])
    try:
        (three, first), (two, second) = (
            record(runner, inputs.take(some), inputs.axes, blind) for some in (rows, rows[list(TURNED)])
        )
    except RuntimeError as error:
        if inputs.samples in (TWO, THREE):
            raise
        runner(inputs.take(slice(0, inputs.samples)))  # if the model fails by itself, its own error says why
        raise UnsupportedOperationError(
            f"the model runs on the {inputs.samples} samples given but fails on three of them, which are used to "
            f"find its axis of samples: derive states and shapes from x.shape, and reset states between runs ({error})"
        ) from error
    with torch.no_grad():
        own = runner([value.clone() for value in inputs.take(rows)])
    tolerance = 1e-3 if own.dtype == torch.float32 else 1e-9
    if own.shape != three.shape or not torch.allclose(
        own, three, rtol=tolerance, atol=tolerance * float(own.abs().max())
    ):
        raise UnsupportedOperationError(
            "the model's operations, run one by one, do not give its output: it may draw random numbers "
            "outside torch, or run compiled code"
        )
    layout = find_layout(first.values, second.values, (three, two), first.drew_random_numbers)
    shape = list(three.shape)
    assert shape.pop(layout.output_axis) == THREE
    return layout, tuple(shape)


def _mean(accounts: Sequence[Account]) -> Account:
    def mean(values: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(values)).mean(0)

    relevances = tuple(mean(values) for values in zip(*(account.relevances for account in accounts), strict=True))
    names = ("inputs", "bias", "stabiliser", "initial_state", "baseline", "output")
    return Account(relevances, *(mean([getattr(account, name) for account in accounts]) for name in names))


def _warn_of_amplification(account: Account, axes: Sequence[int | None]) -> None:
    """Warn if relevances are over a hundred times the difference that they sum to: the model is not made for this
    baseline."""
    sizes = sum(float(r.abs().sum()) for r, axis in zip(account.relevances, axes, strict=True) if axis is not None)
    moved = float((account.output - account.baseline).abs().sum())
    if sizes > AMPLIFIED * moved > 0:
        warnings.warn(
            f"relevances are {sizes / moved:.0f} times as large as the differences that they share: a denominator may "
            "be almost zero for the baseline (a normalisation of constants); give one like the data, such as a mean",
            stacklevel=3,
        )


AMPLIFIED = 100


def _only(account: Account) -> Account:
    names = ("inputs", "bias", "stabiliser", "initial_state", "baseline", "output")
    return Account(tuple(r[0] for r in account.relevances), *(getattr(account, name)[0] for name in names))


def _check_books(account: Account, axes: Sequence[int | None]) -> None:
    """Refuse an account that does not close: an operation was explained by a wrong rule.

    Raises UnsupportedOperationError if some of an output is not accounted for, or relevance is not finite.
    """
    moved = account.output - account.baseline - account.bias  # f(x) without its constant parts
    size = torch.stack([part.abs() for part in (account.inputs, account.stabiliser, moved)]).amax(0)
    if not torch.isfinite(size).all():
        raise UnsupportedOperationError(
            "relevance is not finite: a denominator vanishes, which a larger epsilon prevents, or a number overflows"
        )
    tolerance = 1e-3 if account.output.dtype == torch.float32 else 1e-6
    rounding = 64 * torch.finfo(size.dtype).eps * torch.stack([account.output.abs(), account.bias.abs()]).amax(0)
    if (account.residual.abs() <= tolerance * size + rounding).all():
        return
    # Where all parts are small, rounding errors are as large as the terms that cancel in their sums.
    for relevance, axis in zip(account.relevances, axes, strict=True):
        if axis is not None:
            by_sample = relevance.abs().movedim(axis + 1, 1)
            size = size + by_sample.reshape(*size.shape, -1).sum(2)
    unexplained = (account.residual.abs() - rounding).clamp(min=0)
    worst = float((unexplained / (size + torch.finfo(size.dtype).tiny)).max())
    if worst > tolerance:
        raise UnsupportedOperationError(
            f"{worst:.2g} of what changes an output is not accounted for: values that depend on the input may choose "
            "what the model computes (a mask, an index), constants may have been written into its tensors, or code may "
            "have run that hides its operations (a custom autograd.Function, a scripted function)"
        )
