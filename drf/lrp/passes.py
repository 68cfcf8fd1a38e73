"""Passes of an attribution: one forward under a method, one back for each target, chunk by chunk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .account import PARTS, Account
from .composite import Composite
from .dispatch import Swapped
from .inputs import Inputs, take
from .layout import Layout
from .propagation import Propagation, UnsupportedOperationError
from .recording import Recording
from .relevance import KINDS, LayerwiseRelevance
from .rules import lift
from .runner import Runner
from .shapley import ShapleyDifferences
from .tensor_flags import CHOSEN, follow_indices, signal

VALUES_AT_ONCE = 2**19
"""Input values handled at once: few enough for a processor's cache, and enough to justify the cost of a pass."""


class Reference(NamedTuple):
    """A model's intermediate results for a baseline; ``own`` is f(baseline), ``output`` that with the choices of x."""

    values: Sequence[Tensor]
    output: Tensor
    recording: Recording
    own: Tensor


@dataclass(frozen=True)
class Passes:
    """State of a pass. ``baseline``: baseline of the Shapley rule; None for layer-wise relevance."""

    runner: Runner
    inputs: Inputs
    composite: Composite
    layout: Layout
    targets: Sequence[Tensor]
    baseline: Inputs | None
    layers: Sequence[str] = ()

    def account(self, chunk: int | None) -> Account:
        """Return the account of all samples, with an axis of targets before the others."""
        relevances = tuple(self._empty(x, e) for x, e in zip(self.inputs.values, self.inputs.explained, strict=True))
        reference_of = self._references()
        totals: list[Tensor] = []
        of_layers: dict[str, Tensor] = {}
        for rows in self._chunks(chunk):
            places = [
                [
                    take(whole[k], axis, rows) if explained and axis is not None else None
                    for whole, axis, explained in zip(relevances, self.inputs.axes, self.inputs.explained, strict=True)
                ]
                for k in range(len(self.targets))
            ]
            by_target, of_layers = self._pass(rows, reference_of(rows), places)
            totals.append(by_target)
        parts: dict[str, Any] = dict(zip(PARTS, torch.cat(totals, dim=2).unbind(0), strict=True))
        return Account(relevances, **parts, layers=of_layers)

    def _empty(self, x: Tensor, explained: bool) -> Tensor:
        dtype = x.dtype if x.is_floating_point() else self.runner.precision
        make = torch.empty if explained else torch.zeros
        return make(len(self.targets), *x.shape, dtype=dtype, device=x.device)

    def _chunks(self, chunk: int | None) -> list[slice]:
        samples = self.inputs.samples
        if self.layers and not self.layout.regular:
            raise UnsupportedOperationError("layers= needs a model whose operations run on all samples at once")
        if self.layout.whole or self.layers or (self.layout.random and chunk is None):
            return [slice(0, samples)]
        values = sum(
            x.numel() for x, axis in zip(self.inputs.values, self.inputs.axes, strict=True) if axis is not None
        )
        at_once = (chunk or max(1, VALUES_AT_ONCE * samples // max(1, values))) if self.layout.regular else 1
        return [slice(start, min(start + at_once, samples)) for start in range(0, samples, at_once)]

    def _references(self) -> Callable[[slice], Reference | None]:
        """Return a lookup of the baseline run for some samples."""
        baseline = self.baseline
        if baseline is None:
            return lambda rows: None

        def recorded(rows: slice | Tensor, choices: Sequence[Any] | None = None) -> Reference:
            values = baseline.take(rows)
            try:
                output, recording = record(self.runner, values, baseline, self.composite, choices, self.layers)
            except (RuntimeError, LookupError) as error:
                raise UnsupportedOperationError(f"the model fails on the baseline: {error}") from error
            own = output if choices is None else self.runner.plain(values)
            return Reference(values, output, recording, own)

        def by_sample(rows: slice) -> Reference:
            choices = None
            if self.layout.chooses:
                choices = record(self.runner, self.inputs.take(rows), self.inputs, self.composite)[1].choices
            alike = torch.zeros(rows.stop - rows.start, dtype=torch.long)
            return recorded(rows if baseline.samples > 1 else alike, choices)

        if baseline.samples > 1 or self.layout.chooses or self.layout.random or self.layout.whole:
            return by_sample
        once = recorded(slice(0, 1))
        return lambda rows: once

    def _pass(
        self, rows: slice, reference: Reference | None, places: Sequence[Sequence[Tensor | None]]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Write the relevance of every input for every target; return the totals (7, targets, n), and the relevance of
        the layers that were asked for."""
        values, targets = self.inputs.take(rows), [target[rows] for target in self.targets]
        propagation = self._propagation(rows.stop - rows.start, values[0].device, reference)
        propagation.watched = self.layers
        given, leaves = signals(values, self.inputs.explained, self.runner.precision)
        output = self.runner(given, Swapped(propagation))
        self.layout.check(propagation.sites)
        if propagation.left_torch and not self.layout.numbers:
            raise UnsupportedOperationError(
                f"{propagation.left_torch} converts a signal to Python numbers for some samples"
            )
        if propagation.noise and not self.layout.random:
            raise UnsupportedOperationError(f"{propagation.noise} meets random numbers for some samples")
        if missing := sorted(set(self.layers) - set(propagation.outputs)):
            raise ValueError(f"layers={missing} did not run, so their outputs have no relevance")
        picked = [pick(output, self.layout, target) for target in targets]
        steps = _steps(values, None if reference is None else reference.values, leaves, propagation)
        inside = [value for _, value in propagation.outputs.values()]
        totals, of_layers = [], []
        for k, value in enumerate(picked):
            grads = _way_back(value, [*leaves, *propagation.ends, *inside], last=k == len(picked) - 1)
            by_sample = [
                _write(grad, step, place).movedim(axis, 0).reshape(len(value), -1).sum(1)
                for grad, step, place, axis in zip(grads, steps, places[k], self.inputs.axes, strict=False)
                if step is not None and place is not None and axis is not None
            ]
            found = value.requires_grad
            totals.append(self._totals(value.detach(), by_sample, propagation, reference, targets[k], found))
            of_layers.append(_of_layers(propagation, grads[len(grads) - len(inside) :]))
        if isinstance(propagation, LayerwiseRelevance):
            self._check_rules_served(propagation)
        by_layer = {name: torch.stack([one[name] for one in of_layers]) for name in propagation.outputs}
        return torch.stack(totals, dim=1), by_layer

    def probe(self) -> LayerwiseRelevance | ShapleyDifferences | Recording:
        """Return the method for a run whose values are used, but not its relevance."""
        if self.baseline is not None:
            return Recording(self.composite)
        return self._propagation(1, self.inputs.values[0].device, None)

    def _check_rules_served(self, propagation: LayerwiseRelevance) -> None:
        for name, rule in self.composite.layers.items():
            if name not in propagation.served:
                raise ValueError(f"layer '{name}' has no linear map that ran, so it cannot take the rule {rule!r}")

    def _propagation(
        self, samples: int, device: torch.device, reference: Reference | None
    ) -> LayerwiseRelevance | ShapleyDifferences:
        if reference is not None:
            return ShapleyDifferences(reference.recording, self.layout, samples)
        like = torch.zeros((), dtype=self.runner.precision, device=device)
        return LayerwiseRelevance(self.composite, self.layout, samples, like)

    def _totals(
        self,
        value: Tensor,
        by_sample: Sequence[Tensor],
        propagation: Propagation,
        reference: Reference | None,
        target: Tensor,
        found: bool,
    ) -> Tensor:
        nothing = torch.zeros_like(value)
        absorbed = propagation.take_account() if isinstance(propagation, LayerwiseRelevance) else {}
        of_baseline = nothing
        if not found:  # a constant for these samples
            absorbed[CHOSEN if self.layout.chooses else "bias"] = value
        if reference is not None:
            of_baseline = pick(reference.own, self.layout, target)
            absorbed["chosen"] = pick(reference.output, self.layout, target) - of_baseline
        kinds = [absorbed.get(kind, nothing) for kind in KINDS]
        return torch.stack([sum(by_sample, nothing), *kinds, of_baseline, value])


def record(
    runner: Runner,
    values: Sequence[Tensor],
    inputs: Inputs,
    composite: Composite,
    choices: Sequence[Any] | None = None,
    watched: Sequence[str] = (),
    disturbed: bool = False,
) -> tuple[Tensor, Recording]:
    """Run a model as it is; return its output, and the value of every operation."""
    recording = Recording(composite, choices, disturbed)
    recording.watched = watched
    output = runner(signals(values, inputs.explained, runner.precision)[0], Swapped(recording))
    return output.detach(), recording


def signals(
    values: Sequence[Tensor], explained: Sequence[bool], dtype: torch.dtype
) -> tuple[list[Tensor], list[Tensor | None]]:
    """Return inputs as a model is given them, and for each the leaf whose relevance is asked for."""
    given: list[Tensor] = []
    leaves: list[Tensor | None] = []
    for value, wanted in zip(values, explained, strict=True):
        if not wanted:
            given.append(value.clone())  # the tensor is the caller's, and a model may write into it
            leaves.append(None)
            continue
        leaf = signal(value if value.is_floating_point() else torch.ones_like(value, dtype=dtype))
        leaves.append(leaf)
        given.append(leaf if value.is_floating_point() else follow_indices(value.clone(), leaf))
    return given, leaves


def _steps(
    values: Sequence[Tensor],
    reference: Sequence[Tensor] | None,
    leaves: Sequence[Tensor | None],
    propagation: Propagation,
) -> list[Tensor | None]:
    """Return what relevance per unit is multiplied by: the input, or its difference from the baseline."""
    steps: list[Tensor | None] = []
    for k, (value, leaf) in enumerate(zip(values, leaves, strict=True)):
        if leaf is None:
            steps.append(None)
        elif not value.is_floating_point():
            steps.append(leaf.detach())
        elif reference is not None:
            steps.append(value - reference[k])
        else:
            steps.append(lift(value) if propagation.blind else value)
    return steps


def _way_back(value: Tensor, leaves: Sequence[Tensor | None], last: bool) -> list[Tensor | None]:
    """Return the relevance per unit of every leaf; ``None`` where nothing arrives."""
    asked = [leaf for leaf in leaves if leaf is not None]
    if not value.requires_grad:
        return [None] * len(leaves)
    found = iter(torch.autograd.grad(value.sum(), asked, retain_graph=not last, allow_unused=True))
    return [None if leaf is None else next(found) for leaf in leaves]


def _write(per_unit: Tensor | None, step: Tensor, place: Tensor) -> Tensor:
    return place.zero_() if per_unit is None else torch.mul(per_unit, step, out=place)


def _of_layers(propagation: Propagation, grads: Sequence[Tensor | None]) -> dict[str, Tensor]:
    """Return the relevance of the modules' outputs, in their shapes."""
    result = {}
    for (name, (site, value)), grad in zip(propagation.outputs.items(), grads, strict=True):
        step = value.detach()
        if isinstance(propagation, ShapleyDifferences):
            step = step - propagation.reference(site, step)
        result[name] = torch.zeros_like(step) if grad is None else grad * step
    return result


def pick(output: Tensor, layout: Layout, target: Tensor) -> Tensor:
    """Return the targets (n,) of an output; repeat a single sample's output for each target."""
    if output.numel() == layout.outputs:  # one sample's output, whose sample axis a squeeze() may have removed
        flat = output.reshape(1, -1)
    else:
        flat = output.movedim(layout.output_axis, 0).reshape(-1, layout.outputs)
    return flat.expand(len(target), -1).gather(1, target.to(flat.device)[:, None])[:, 0]
