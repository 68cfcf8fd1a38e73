"""Walk-forward windows: the months that a model learns from, and those that it then forecasts."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import pandas as pd
from annotated_types import Ge, Interval

from ..errors import InputError
from .label import Label
from .lagged import Samples, Target


@dataclass(frozen=True, kw_only=True)
class WindowRule:
    """Rule by which months are cut into samples and windows: the ``window`` config.

    Attributes:
        lags: Months back at which descriptors are looked at; 0 is the date of the forecast itself.
        target: Forecast target, see :func:`~.lagged.make_samples`.
        horizon: Number of months over which the label is taken. Forecasts are judged by the next month's return alone.
        label: Training label of all families, unless one sets its own: see :mod:`~.label`.
        train_months: Number of months that a window trains on before its first test month.
        test_months: Number of newest labelled months to test on; None: as many as the panel allows.
        test_from, test_to: First and last date of the forecasts to test on; None: the earliest, or the newest.
        periods: Start dates of the parts into which the test months are split, each shown separately for every row;
            None: calendar years.
        refit_every: Number of test months per fit.
        expanding: True if windows train on all earlier months, not only on the last ``train_months``. The start of the
            first window does not depend on this setting.
        shrink: True if forecasts are scaled around their month's mean by a factor learned from earlier months, see
            :mod:`drf.evaluation.scale`; False: they stay as the models made them.

    Raises ValueError if ``lags`` is empty or repeats a number, or if a date is invalid.
    """

    lags: Sequence[Annotated[int, Ge(0)]]
    target: Target
    train_months: Annotated[int, Ge(2)]
    test_months: Annotated[int, Ge(1)] | None
    refit_every: Annotated[int, Ge(1)]
    horizon: Annotated[int, Interval(ge=1, le=60)] = 1
    expanding: bool = False
    shrink: bool = True
    label: Label = "rank"
    test_from: str | None = None
    test_to: str | None = None
    periods: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name, text in [("test_from", self.test_from), ("test_to", self.test_to)]:
            if text is not None:
                _date(name, text)
        for text in self.periods or ():
            _date("periods", text)
        if not self.lags or len(set(self.lags)) < len(self.lags):
            raise ValueError(f"lags={list(self.lags)}: must be different whole numbers of months, at least one")


def _date(name: str, text: str) -> pd.Timestamp:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError(f"{name}={text}: must be a date, such as 2015-01-31")
    try:
        return pd.Timestamp(text)
    except ValueError:
        raise ValueError(f"{name}={text}: there is no such day") from None


@dataclass(frozen=True)
class Window:
    """Months to train on and months to forecast, as positions in ``Samples.dates``.

    The forecast for month ``t`` is made at its end; the newest return known then is the target of month ``t - 1``. With
    a horizon of ``h`` months, the newest label known then is that of month ``t - h``.
    """

    train: range
    test: range

    def __post_init__(self) -> None:
        if self.train.stop > self.test.start:
            raise ValueError(f"window leaks: trains to month {self.train.stop - 1}, tests from {self.test.start}")


@dataclass(frozen=True)
class Schedule:
    """Windows of a training.

    Attributes:
        tested: Consecutive, in the order of time.
        newest: Window whose models are kept; it may have no month left to forecast.
    """

    tested: tuple[Window, ...]
    newest: Window

    @property
    def every(self) -> tuple[Window, ...]:
        """Test windows and newest window, in time order."""
        return (*self.tested, self.newest)

    @property
    def test_months(self) -> range:
        """The months that are tested on."""
        return range(self.tested[0].test.start, self.tested[-1].test.stop)


def make_schedule(samples: Samples, rule: WindowRule) -> Schedule:
    """Return the windows that a rule cuts from a panel's samples.

    Raises InputError if the panel is too short.
    """
    return Schedule(tuple(test_windows(samples, rule)), newest_window(samples, rule))


def test_windows(samples: Samples, rule: WindowRule) -> list[Window]:
    """Return the windows over the months that the rule tests on, in the order of time.

    Raises InputError if the panel is too short for one test month, or for the test months asked for.
    """
    known, gap = samples.known_months, rule.horizon - 1
    last = int(known[-1]) if len(known) else -1
    earliest = samples.first_month + rule.train_months + gap
    if last < earliest:
        raise InputError(
            f"the panel has {last + 1} months with ret_next, but the largest lag ({samples.first_month}) + "
            f"{rule.train_months} training months + {rule.horizon} = {earliest + 1} are needed: "
            "give a longer panel, or lower window.train_months, window.lags or window.horizon"
        )
    dates = samples.dates[earliest : last + 1]
    if rule.test_from is not None:
        earliest = max(earliest, int(samples.dates.searchsorted(pd.Timestamp(rule.test_from))))
    if rule.test_to is not None:
        last = min(last, int(samples.dates.searchsorted(pd.Timestamp(rule.test_to), side="right")) - 1)
    available = last - earliest + 1
    if available < 1:
        raise InputError(
            f"window.test_from={rule.test_from or 'null'} and window.test_to={rule.test_to or 'null'} leave no month: "
            f"after lags and training the panel can be tested from {dates[0].date()} to {dates[-1].date()}"
        )
    if rule.test_months is not None and rule.test_months > available:
        raise InputError(
            f"window.test_months={rule.test_months} asks for more than the {available} months that remain after lags "
            "and training: lower it, or set it to null for all"
        )
    first = earliest if rule.test_months is None else last - rule.test_months + 1
    return [
        Window(train=_training(samples, start, rule), test=range(start, min(start + rule.refit_every, last + 1)))
        for start in range(first, last + 1, rule.refit_every)
    ]


def _training(samples: Samples, stop: int, rule: WindowRule) -> range:
    """Return the months to train on whose label is known at ``stop``, as far as the panel has them."""
    stop -= rule.horizon - 1
    start = samples.first_month if rule.expanding else max(stop - rule.train_months, samples.first_month)
    return range(start, stop)


def newest_window(samples: Samples, rule: WindowRule) -> Window:
    """Return the window that trains on the newest labelled months and forecasts the unlabelled months after them."""
    stop = int(samples.known_months[-1]) + 1
    return Window(train=_training(samples, stop, rule), test=range(stop, len(samples.dates)))


def validation_windows(samples: Samples, rule: WindowRule, first_test: int, months: int, folds: int) -> list[Window]:
    """Return walk-forward windows over the last ``months`` before the first test month: all that tuning may see.

    Where the panel holds fewer months than ``rule.train_months`` before a fold, the fold trains on those it has.

    Raises InputError if less than half of ``rule.train_months`` would remain to train the first fold.
    """
    start = first_test - months
    left = max(0, start - (rule.horizon - 1) - samples.first_month)
    if left < rule.train_months / 2:
        raise InputError(
            f"tuning needs at least {rule.train_months // 2} training months before its {months} validation months, "
            f"but the panel leaves {left}: lower tuning.validation_months, or set tuning.trials=0"
        )
    known = set(samples.known_months.tolist())
    edges = [start + round(fold * months / folds) for fold in range(folds + 1)]
    windows = [
        Window(train=_training(samples, begin, rule), test=range(begin, end))
        for begin, end in itertools.pairwise(edges)
        if known & set(range(begin, end))
    ]
    if not windows:
        raise InputError(
            "none of tuning's validation months has ret_next: raise tuning.validation_months, or set tuning.trials=0"
        )
    return windows
