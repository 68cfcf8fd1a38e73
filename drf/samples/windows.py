"""Walk-forward windows: which months a model learns from and which it then forecasts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from ..errors import InputError
from .lagged import Samples


@dataclass(frozen=True)
class Window:
    """Months to train on and months to forecast, as positions in ``Samples.dates``.

    The forecast for month ``t`` is made at its end; the newest return known then is the target of month ``t - 1``.
    """

    train: range
    test: range

    def __post_init__(self) -> None:
        if self.train.stop > self.test.start:
            raise ValueError(f"window leaks: trains to month {self.train.stop - 1}, tests from {self.test.start}")


def test_windows(
    samples: Samples, train_months: int, test_months: int | None, refit_every: int, expanding: bool = False
) -> list[Window]:
    """Windows over the last ``test_months`` labelled months (``None``: as many as the panel allows).

    A window trains on the ``train_months`` months before its first test month, or on all months before it if
    ``expanding``, and serves ``refit_every`` months. Where the first one begins does not depend on ``expanding``.

    Raises
    ------
    InputError
        If the panel is too short for one test month, or for the test months asked for.
    """
    labelled = samples.labelled_months
    last = int(labelled[-1]) if len(labelled) else -1
    earliest = samples.first_month + train_months
    available = last - earliest + 1
    if available < 1:
        raise InputError(
            f"the panel has {last + 1} months with ret_next, but the largest lag ({samples.first_month}) + "
            f"{train_months} training months + 1 = {earliest + 1} are needed: "
            "give a longer panel, or lower window.train_months or window.lags"
        )
    if test_months is not None and test_months > available:
        raise InputError(
            f"window.test_months={test_months} asks for more than the {available} months that remain after lags and "
            "training: lower it, or set it to null for all"
        )
    first = earliest if test_months is None else last - test_months + 1
    return [
        Window(
            train=_training(samples, start, train_months, expanding),
            test=range(start, min(start + refit_every, last + 1)),
        )
        for start in range(first, last + 1, refit_every)
    ]


def _training(samples: Samples, stop: int, train_months: int, expanding: bool) -> range:
    """The months before ``stop`` to train on, those that there are."""
    start = samples.first_month if expanding else max(stop - train_months, samples.first_month)
    return range(start, stop)


def newest_window(samples: Samples, train_months: int, expanding: bool = False) -> Window:
    """The window that trains on the newest labelled months, and forecasts the months after them that have no label."""
    stop = int(samples.labelled_months[-1]) + 1
    return Window(train=_training(samples, stop, train_months, expanding), test=range(stop, len(samples.dates)))


def validation_windows(
    samples: Samples,
    first_test: int,
    train_months: int,
    validation_months: int,
    folds: int,
    expanding: bool = False,
) -> list[Window]:
    """Walk-forward windows over the last months before the first test month: all that tuning may see.

    Where the panel holds fewer months than ``train_months`` before a fold, the fold trains on those it has.

    Raises
    ------
    InputError
        If less than half of ``train_months`` would remain to train the first fold.
    """
    start = first_test - validation_months
    if start - samples.first_month < train_months / 2:
        raise InputError(
            f"tuning needs at least {train_months // 2} training months before its {validation_months} validation "
            f"months, but the panel leaves {start - samples.first_month}: lower tuning.validation_months, or set "
            "tuning.trials=0"
        )
    labelled = set(samples.labelled_months.tolist())
    edges = [start + round(fold * validation_months / folds) for fold in range(folds + 1)]
    windows = [
        Window(train=_training(samples, begin, train_months, expanding), test=range(begin, end))
        for begin, end in itertools.pairwise(edges)
        if labelled & set(range(begin, end))
    ]
    if not windows:
        raise InputError(
            "none of tuning's validation months has ret_next: raise tuning.validation_months, or set it off"
        )
    return windows
