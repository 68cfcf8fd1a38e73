"""Attribution of a model's outputs to its inputs: check the request, probe the model, take the account."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from . import checks
from .account import Account, mean_of, only_target
from .composite import Composite
from .gate_rules import GATE_RULES, SHAPLEY
from .inputs import Arguments, Inputs, check_baselines, check_inputs, check_targets
from .layout import Layout, OtherOperationsError
from .passes import Passes
from .probe import Probe
from .propagation import UnsupportedOperationError
from .rules import RULES
from .runner import CHANGES_ITSELF, Runner


class Attributor:
    """A model prepared once, to be explained for many batches.

    How the model lays out its samples is found at the first call and kept for inputs of the same shapes, so that
    later calls cost little more than the passes themselves. Do not keep one while the model's code changes.

    Args:
        model: Any ``nn.Module`` in eval mode, a function or a bound method. For a ``DataParallel`` or a compiled
            module, the module inside is explained. A model in half precision is explained as a copy in single
            precision.
        composite: The rules, or the name of one: ``"shapley"``, ``"gamma"``; by default the epsilon rule with 0.001 and
            signal-takes-all gates.
        select: Picks the output out of what the model returns: ``select=lambda y: y["forecast"]``. May be left out if
            there is only one tensor.
        sample_axis: Axis of the samples in the inputs: one number, or one for each input tensor. ``None`` marks an
            input that all samples share, which receives no relevance.
        fixed: Inputs that are held fixed and not explained, by position or keyword.
        layers: Names of modules whose outputs are explained too, see :attr:`Account.layers`.
        output_of: Name of a module whose output is explained in place of the model's; with ``target``, one of its
            units.
        warns: Whether to compare accounts with exact Shapley values of a few groups of inputs, and to warn of doubtful
            results.
    """

    def __init__(
        self,
        model: nn.Module | Callable[..., Any],
        composite: Composite | str | None = None,
        select: Callable[[Any], Tensor] | None = None,
        sample_axis: int | Sequence[int | None] = 0,
        fixed: Sequence[int | str] = (),
        layers: Sequence[str] = (),
        output_of: str | None = None,
        warns: bool = True,
    ) -> None:
        if select is not None and not callable(select):
            raise TypeError(
                f"select={select!r} must be a function of the model's output: select=lambda y: y[{select!r}]"
            )
        self.model, self.composite = model, _composite(composite)
        self.select, self.sample_axis = select, sample_axis
        self.fixed = (fixed,) if isinstance(fixed, str) else fixed
        layers = (layers,) if isinstance(layers, str) else layers
        self.layers, self.output_of, self.warns = layers, output_of, warns
        self._layouts: dict[Any, tuple[Layout, tuple[int, ...]]] = {}

    def __call__(
        self,
        *inputs: Any,
        target: Any = None,
        baseline: Any = None,
        chunk: int | None = None,
        draws: int | None = None,
        **keywords: Any,
    ) -> Account:
        """Distribute f(x) over the inputs, see :func:`attribute`."""
        if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
            raise ValueError(f"chunk={chunk} must be a positive number of samples, or None for a good one")
        if draws is not None and (isinstance(draws, bool) or not isinstance(draws, int) or draws < 1):
            raise ValueError(f"draws={draws} must be a positive number of draws, or None")
        if baseline is not None and self.composite.gate != SHAPLEY:
            raise ValueError(
                f"a baseline needs composite=Composite(gate='shapley'): under {self.composite.gate!r} the signal of "
                "a product does not receive its whole difference, so the map would not describe the network"
            )
        # Even if the caller has switched gradients off, or precision down.
        with torch.inference_mode(False), torch.enable_grad(), ExitStack() as stack:
            for device in ("cpu", "cuda"):
                if torch.is_autocast_enabled(device):
                    stack.enter_context(torch.autocast(device, enabled=False))
            arguments = Arguments.of(inputs, keywords)
            runner = Runner.of(self.model, arguments, self.select, self.output_of)
            given = check_inputs(arguments, self.sample_axis, self.fixed, runner.dtype)
            self._check_layers(runner.model)
            accounts: list[Account] = []
            for draw in range(draws or 1):
                with torch.random.fork_rng() if draws else nullcontext():
                    if draws:
                        torch.manual_seed(draw)
                    accounts += self._accounts(runner, given, target, baseline, chunk, bool(draws))
        account = mean_of(accounts)
        if self.warns and self.composite.gate == SHAPLEY:
            checks.warn_of_amplification(account, given)
        if self.warns:
            checks.warn_of_choices(account)
        return account if isinstance(target, list) or target == "all" else only_target(account)

    def _accounts(
        self, runner: Runner, given: Inputs, target: Any, baseline: Any, chunk: int | None, drawn: bool
    ) -> list[Account]:
        """Return an account against every baseline, each checked."""
        own = self._plain(runner, given)
        try:
            return self._checked(runner, given, own, target, baseline, chunk, drawn)
        except checks.DifferentOutputError:
            if not runner.has_hooks:
                raise
            # The hooks change what the model computes, so they belong to it.
            return self._checked(replace(runner, hooks=True), given, own, target, baseline, chunk, drawn)

    def _plain(self, runner: Runner, given: Inputs) -> Tensor:
        """Return f(x); the first time, check that the model leaves its parameters alone, and put them back if not."""
        if self._layouts:
            return runner.plain(given.values)
        parameters = [parameter.detach() for parameter in runner.model.parameters()]
        before = [parameter.clone() for parameter in parameters]
        try:
            own = runner.plain(given.values)
        finally:
            changed = [pair for pair in zip(parameters, before, strict=True) if not torch.equal(*pair)]
            for parameter, value in changed:
                parameter.copy_(value)
        if changed and not any(getattr(module, "max_norm", None) for module in runner.model.modules()):
            raise UnsupportedOperationError(CHANGES_ITSELF)
        return own

    def _checked(
        self, runner: Runner, given: Inputs, own: Tensor, target: Any, baseline: Any, chunk: int | None, drawn: bool
    ) -> list[Account]:
        key = _key(runner, given), drawn
        fresh = key not in self._layouts
        if fresh:
            self._layouts[key] = Probe(runner, given, own, self.composite, self.layers, drawn).run()
        layout, shape = self._layouts[key]
        targets = check_targets(target, shape, given.samples)
        baselines: Sequence[Inputs | None] = [None]
        if self.composite.gate == SHAPLEY:
            baselines = check_baselines(baseline, given, runner.dtype)
        accounts = []
        for against in baselines:
            passes = Passes(runner, given, self.composite, layout, targets, against, self.layers)
            try:
                account = passes.account(chunk)
            except OtherOperationsError:  # which operations run depends on the batch, such as on missing steps
                layout = replace(layout, strides=(None,))
                self._layouts[key] = layout, shape
                passes = replace(passes, layout=layout)
                account = passes.account(chunk)
            if not (layout.random and chunk):
                checks.check_output(passes, account, own)
            if fresh:
                checks.check_others(passes, account)
            checks.check_books(account, given.explained, given.axes)
            if fresh and self.warns and against is not None:
                checks.warn_of_error(runner, given, against, layout, targets[0], account)
            fresh = False
            accounts.append(account)
        return accounts

    def _check_layers(self, model: nn.Module) -> None:
        layers = dict(model.named_modules())
        for setting, names in (("composite.layers", self.composite.layers), ("layers", self.layers)):
            if unknown := sorted(set(names) - set(layers)):
                raise ValueError(f"{setting} names {unknown}, the model has {[name for name in layers if name]}")


def attribute(
    model: nn.Module | Callable[..., Any],
    *inputs: Any,
    target: Any = None,
    composite: Composite | str | None = None,
    baseline: Any = None,
    select: Callable[[Any], Tensor] | None = None,
    sample_axis: int | Sequence[int | None] = 0,
    fixed: Sequence[int | str] = (),
    layers: Sequence[str] = (),
    output_of: str | None = None,
    warns: bool = True,
    draws: int | None = None,
    chunk: int | None = None,
    **keywords: Any,
) -> Account:
    """Distribute f(x) over the inputs of a model.

    The model's own ``forward`` runs, whatever its form; the model is neither edited nor changed. Samples are handled
    ``chunk`` at a time, so only the memory for the result grows with their number. The account's output is compared
    with the model's own on the whole batch.

    Args:
        inputs, keywords: Arguments as the model takes them: tensors, also in lists and dictionaries, and anything else.
            Whole numbers that are looked up in an embedding are explained too.
        target: Output of a sample to explain: a position in its flattened output (from the end if negative), a tuple
            that indexes it, or a tensor (n,) with a position for every sample. A list of these gives several accounts
            from one forward pass, and ``"all"`` one of every output, such as every step of a sequence. May be left out
            if there is only one output.
        baseline: For ``composite="shapley"``: f(x) - f(baseline) is distributed. A number, or a tensor with one sample
            or one for every sample of ``x``; for several inputs a tuple, in which ``None`` stands for the sample's own
            values. For a list of these, and for ``Background(data)``, results are averaged. By default zeros.
        draws: For a model that draws random numbers: the number of draws over which results are averaged.
        chunk: Samples handled at once; by default as many as keep the intermediate results in a processor's cache.
        model, composite, select, sample_axis, fixed, layers, output_of, warns: See :class:`Attributor`.

    Returns:
        Account: The ``relevances`` have the shapes of the inputs.

    Raises:
        UnsupportedOperationError: If relevance reaches an operation that has no rule, or the account does not close;
            layer and operation are named.
        MixedSamplesError: If a sample's output depends on the other samples of the batch.
        TypeError, ValueError: If an argument cannot be explained; the message says what to give instead.

    Warns:
        UserWarning: If the Shapley rule amplifies differences, or is far from exact Shapley values of a few groups of
            inputs, or if comparisons chose a part of the output.

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
    attributor = Attributor(model, composite, select, sample_axis, fixed, layers, output_of, warns)
    return attributor(*inputs, target=target, baseline=baseline, chunk=chunk, draws=draws, **keywords)


def _key(runner: Runner, inputs: Inputs) -> Any:
    """Return what the layout of a model depends on."""
    shapes = tuple(
        (tuple(size for k, size in enumerate(value.shape) if k != axis), value.dtype)
        for value, axis in zip(inputs.values, inputs.axes, strict=True)
    )
    return shapes, runner.arguments.rest, runner.hooks, inputs.samples == 1


def _composite(composite: Any) -> Composite:
    if isinstance(composite, str) and composite in GATE_RULES:
        return Composite(gate=composite)
    if isinstance(composite, str) and composite in RULES:
        return Composite(composite)
    if not isinstance(composite, Composite | None):
        names = ", ".join(map(repr, (*GATE_RULES, *RULES)))
        raise TypeError(f"composite={composite!r} must be a drf.lrp.Composite, or the name of a rule: {names}")
    return composite or Composite()
