"""Probe of a model: runs of a few samples that tell how it lays them out, and what would make an account wrong."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .composite import Composite
from .inputs import Inputs
from .layout import MIXED, THREE, TURNED, Layout, MixedSamplesError, find_layout, layout_of_whole
from .passes import record
from .propagation import UnsupportedOperationError
from .recording import Recording
from .runner import Runner

FAILURES = (RuntimeError, AssertionError, LookupError, ZeroDivisionError)
"""Errors that a model raises on fewer samples than it wants."""

Found = tuple[Layout, tuple[int, ...]]
"""Layout of a model, and the shape of one sample's output."""


@dataclass(frozen=True)
class Probe:
    """A model to be probed on some inputs.

    Attributes:
        own: The model's output for all samples.
        layers: Modules whose outputs are explained too.
        drawn: Whether the model may draw random numbers.
    """

    runner: Runner
    inputs: Inputs
    own: Tensor
    composite: Composite
    layers: Sequence[str]
    drawn: bool

    def run(self) -> Found:
        """Return how the model lays out its samples.

        Raises:
            MixedSamplesError: If a sample's output depends on other samples.
            ValueError: If the output changes with random numbers that the model draws.
            UnsupportedOperationError: If the output depends on Python numbers, or the model cannot be run on fewer
                samples and its layout cannot be told from all of them.
        """
        rows = torch.tensor([0, self.inputs.samples // 2, self.inputs.samples - 1])
        try:
            (three, first), (two, second) = self._record(rows), self._record(rows[list(TURNED)])
        except FAILURES as error:
            with suppress(*FAILURES):
                return self._one_by_one() or self._whole()
            raise UnsupportedOperationError(
                f"the model runs on the {self.inputs.samples} samples given but fails on three of them, which are used "
                f"to find its axis of samples: derive states and shapes from x.shape, and reset states ({error})"
            ) from error
        self._check(rows, three, first)
        layout = find_layout(first.values, second.values, (three, two), first.drew_random_numbers, bool(first.choices))
        layout = _with_findings(layout, first)
        self._check_alone(rows, three, two, layout)
        assert three.shape[layout.output_axis] == THREE
        return layout, _without(three.shape, layout.output_axis)

    def _record(self, rows: Tensor, disturbed: bool = False) -> tuple[Tensor, Recording]:
        values = self.inputs.take(rows)
        return record(self.runner, values, self.inputs, self.composite, watched=self.layers, disturbed=disturbed)

    def _one_by_one(self) -> Found | None:
        """Return the layout of a model that runs on single samples but not on any three; None if there is none."""
        one = torch.zeros(1, dtype=torch.long)
        try:
            single, run = self._record(one)
        except FAILURES:
            return None
        self._check(one, single, run)
        shapes = [(k, _without(self.own.shape, k)) for k, n in enumerate(self.own.shape) if n == self.inputs.samples]
        for axis, shape in shapes:
            if torch.Size(shape).numel() == single.numel():
                layout = Layout((None,), axis, single.numel(), run.drew_random_numbers, bool(run.choices))
                return _with_findings(layout, run), shape
        raise RuntimeError("no axis of samples")

    def _whole(self) -> Found:
        """Return the layout of a model that runs on the whole batch alone, such as one that holds its lengths."""
        inputs = self.inputs
        every = torch.arange(inputs.samples)
        output, run = self._record(every)
        changed = []
        for place, other in ((0, -1), (-1, 0)):
            values = [value.clone() for value in inputs.values]
            for value, axis, explained in zip(values, inputs.axes, inputs.explained, strict=True):
                if explained and axis is not None:
                    moved = value.movedim(axis, 0)
                    moved[place] = moved[other] * 2 + 1 if value.is_floating_point() else moved[other].clone()
            changed.append(record(self.runner, values, inputs, self.composite, run.choices, self.layers)[1].values)
        alike = inputs.samples > 1 and inputs.samples in output.shape
        if not alike or any(len(values) != len(run.values) for values in changed):
            raise RuntimeError("no axis of samples")
        self._check(every, output, run)
        layout = layout_of_whole(
            (run.values, *changed), output, inputs.samples, run.drew_random_numbers, bool(run.choices)
        )
        if not layout.regular:
            raise RuntimeError("no layout")
        return _with_findings(layout, run), _without(output.shape, layout.output_axis)

    def _check(self, rows: Tensor, output: Tensor, run: Recording) -> None:
        """Check that no random numbers, and no numbers outside torch, change a recorded run's output."""
        for draw in range(5) if run.drew_random_numbers and not self.drawn else ():  # a random order of few may repeat
            with torch.random.fork_rng():
                torch.manual_seed(draw)
                other = self._record(rows)[0]
            if _alike(output, other):
                continue
            if run.random_states and not run.noise:
                warnings.warn("the initial states are random, and so is f(x): average by draws=", stacklevel=7)
                break
            raise ValueError(
                f"{run.noise or 'the output'} meets random numbers that the model draws, so f(x) is random: take them "
                "out, or average over several draws by draws="
            )
        if run.left_torch:
            try:
                same = _alike(output, self._record(rows, disturbed=True)[0])
            except (RuntimeError, ValueError, TypeError, IndexError):
                same = False
            if not same:
                raise UnsupportedOperationError(
                    f"{run.left_torch} converts a signal to Python numbers, which no rule can follow, and the output "
                    "depends on them"
                )

    def _check_alone(self, rows: Tensor, three: Tensor, two: Tensor, layout: Layout) -> None:
        """Check that samples have the same output alone, and among two, as among the three, which may all depend on one
        of them, such as the one with the batch's largest value.

        Raises MixedSamplesError if one has not.
        """
        axis = layout.output_axis
        size = three.nan_to_num(0, 0, 0).abs().amax(axis).flatten()  # of each output by itself
        turned = [(two.select(axis, k).flatten(), TURNED[k]) for k in range(len(TURNED))]
        single = () if layout.random else (1, 0) if self.inputs.samples == 2 else (1,)
        alone = [(self._record(rows[k : k + 1])[0].flatten(), k) for k in single]
        for found, k in () if layout.random else (*turned, *alone):
            among = three.select(axis, k).flatten()
            if found.shape == among.shape and not (_filled(found - among) <= 1e-3 * _filled(among) + 1e-4 * size).all():
                raise MixedSamplesError(MIXED)


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _filled(values: Tensor) -> Tensor:
    return values.abs().nan_to_num(0, 0, 0)


def _with_findings(layout: Layout, run: Recording) -> Layout:
    return replace(layout, numbers=bool(run.left_torch), coarse=run.coarse)


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-5, atol=1e-6 * float(one.abs().max()))
