"""One fit of the many, a family on a window with a seed: in a worker or, for networks, with others on a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import InputError, first_line
from .models.base import Model, TrainingDivergedError
from .models.batched import batches, fit_batched
from .models.family import Family
from .models.network import Network
from .parallel import Compute
from .windows.samples import Samples
from .windows.split import Window


@dataclass(frozen=True)
class Fit:
    """What to fit.

    Attributes
    ----------
    family, window
        What, and on which months.
    member
        Counts the models of one average.
    seed
        Of the whole run.
    start
        A fitted model to start from.
    """

    family: Family
    window: Window
    member: int
    seed: int
    start: Network | None = None

    def make(self) -> Model:
        return self.family.make(self.seed, self.member)

    def rows(self, samples: Samples) -> np.ndarray:
        """Positions of the training samples whose return is known."""
        rows = samples.rows(self.window.train)
        return rows.start + np.flatnonzero(~np.isnan(samples.y[rows]))


Fitted = Model | TrainingDivergedError


def fit_here(samples: Samples, fit: Fit) -> Model:
    """Fit one model in this process.

    Raises
    ------
    TrainingDivergedError
        If it cannot be trained with its settings.
    """
    rows, model = fit.rows(samples), fit.make()
    data = samples.x[rows], samples.y[rows], samples.month[rows]
    return model.fit(*data) if fit.start is None else model.fit(*data, start=fit.start)  # type: ignore[call-arg]


def fit_on_device(
    samples: Samples, fits: Sequence[Fit], compute: Compute
) -> Iterator[tuple[list[int], list[Fitted | None]]]:
    """Fit the networks on the device, if there is one, a group at a time.

    Yields
    ------
    Positions in ``fits``, and the models of those positions; None for those that are left to workers: all of them
    without a device, those of the other families with one.

    Raises
    ------
    InputError
        If PyTorch cannot use the device.
    """
    models = [fit.make() for fit in fits]
    networks = {
        position: model for position, model in enumerate(models) if compute.device and isinstance(model, Network)
    }
    left = [position for position in range(len(fits)) if position not in networks]
    if left:
        yield left, [None] * len(left)
    for group in batches(networks):
        chosen = [networks[position] for position in group]
        rows = [fits[position].rows(samples) for position in group]
        starts = [fits[position].start for position in group]
        try:
            ends = fit_batched(chosen, samples.x, samples.y, samples.month, rows, starts, str(compute.device))
        except (RuntimeError, AssertionError) as error:  # both are PyTorch's ways to say that there is no such device
            raise InputError(f"compute.device={compute.device}: {first_line(error)}") from error
        yield group, [end or model for end, model in zip(ends, chosen, strict=True)]
