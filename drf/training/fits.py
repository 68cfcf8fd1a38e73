"""Fits: one family on one window with one seed, in a worker or, for networks, with others on a device."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError, first_line
from ..models.base import Model, TrainingDivergedError
from ..models.family import Family
from ..models.network import Network
from ..samples.lagged import Samples
from ..samples.windows import Window
from .batched import batches, fit_batched
from .parallel import Compute, run_tasks


@dataclass(frozen=True)
class Fit:
    """One fit: family, window, member and seed.

    Attributes:
        family, window: Family to fit, and its months.
        member: Number of the model among those that are averaged.
        seed: Seed of the whole run.
        start: A fitted model to start from.
    """

    family: Family
    window: Window
    member: int
    seed: int
    start: Network | None = None

    def make(self) -> Model:
        return self.family.make(self.seed, self.member)

    def training_samples(self, samples: Samples) -> np.ndarray:
        """Return the positions of the training samples whose return is known."""
        chosen = samples.sample_slice(self.window.train)
        return chosen.start + np.flatnonzero(~np.isnan(samples.y[chosen]))


Fitted = Model | TrainingDivergedError


def fit_here(samples: Samples, fit: Fit) -> Model:
    """Fit one model in this process.

    Raises TrainingDivergedError if it cannot be trained with its settings.
    """
    chosen, model = fit.training_samples(samples), fit.make()
    data = samples.x.part(chosen), samples.y[chosen], samples.month[chosen]
    return model.fit(*data) if fit.start is None else model.fit(*data, start=fit.start)  # type: ignore[call-arg]


def run_fits(
    function: Callable[..., Any], samples: Samples, fits: Sequence[Fit], compute: Compute, *rest: Any
) -> Iterator[tuple[int, Any]]:
    """Call ``function(samples, fit, model, *rest)`` for every fit in workers, and yield (position, result) of each.

    ``model`` is the result of the fit on the device; None if the function must do the fit itself.

    Raises InputError if PyTorch cannot use the device, or a network cannot be trained there together with others.
    """
    for positions, models in _groups(samples, fits, compute):
        calls = [(fits[position], model, *rest) for position, model in zip(positions, models, strict=True)]
        for count, result in run_tasks(function, samples, calls, compute):
            yield positions[count], result


def _groups(
    samples: Samples, fits: Sequence[Fit], compute: Compute
) -> Iterator[tuple[list[int], Sequence[Fitted | None]]]:
    """Yield the positions of the fits, and their models if these are networks and a device is used."""
    if compute.device is None:
        yield list(range(len(fits))), [None] * len(fits)
        return
    models = {position: fit.make() for position, fit in enumerate(fits)}
    networks = {position: model for position, model in models.items() if isinstance(model, Network)}
    left = [position for position in models if position not in networks]
    yield left, [None] * len(left)
    for group in batches(networks):
        chosen = [networks[position] for position in group]
        training = [fits[position].training_samples(samples) for position in group]
        starts = [fits[position].start for position in group]
        try:
            ends = fit_batched(chosen, samples, training, starts, compute.device)
        except (RuntimeError, AssertionError) as error:  # both are PyTorch's ways to say that there is no such device
            raise InputError(f"compute.device={compute.device}: {first_line(error)}") from error
        yield group, [end or model for end, model in zip(ends, chosen, strict=True)]
