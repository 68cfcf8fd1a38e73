from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from drf.data.paper_descriptors import DESCRIPTORS
from drf.errors import InputError
from drf.samples.lagged import Samples, make_samples
from drf.samples.windows import Window, make_schedule, newest_window, test_windows, validation_windows
from tests.making import window_rule

test_windows.__test__ = False  # type: ignore[attr-defined]  # a function under test, not a test


@pytest.mark.parametrize("refit", [1, 3, 5])
@pytest.mark.parametrize("test_months", [None, 7])
def test_no_training_target_lies_in_or_after_the_test_month(
    samples: Samples, refit: int, test_months: int | None
) -> None:
    """The target of month s is the return of the month after s, known at the end of month s + 1."""
    windows = test_windows(samples, window_rule(20, test_months, refit))
    for window in windows:
        newest_target_known = max(window.train) + 1
        assert newest_target_known <= min(window.test)
        assert len(window.train) == 20
        assert min(window.train) >= samples.first_month
    tested = [month for window in windows for month in window.test]
    assert tested == list(range(tested[0], 44))  # consecutive, to the last labelled month
    assert len(tested) == (test_months or 44 - 32)


def test_the_newest_window_trains_on_the_newest_targets_and_forecasts_the_unlabelled_month(samples: Samples) -> None:
    assert newest_window(samples, window_rule(20)) == Window(train=range(24, 44), test=range(44, 45))


def test_expanding_windows_train_on_all_months_before_and_test_on_the_same(samples: Samples) -> None:
    first = samples.first_month
    for rolling, expanding in zip(
        *(
            [
                *make_schedule(samples, window_rule(20, 7, 3, expanding=expanding)).every,
                *validation_windows(samples, window_rule(12, expanding=expanding), 37, 6, 2),
            ]
            for expanding in (False, True)
        ),
        strict=True,
    ):
        assert expanding.test == rolling.test
        assert expanding.train == range(first, rolling.train.stop)
        assert rolling.train.start > first


def test_validation_ends_before_the_first_test_month(samples: Samples) -> None:
    windows = validation_windows(samples, window_rule(12), first_test=32, months=7, folds=3)
    assert [month for window in windows for month in window.test] == list(range(25, 32))
    for window in windows:
        assert max(window.train) < min(window.test)
        assert min(window.train) >= samples.first_month


def test_validation_trains_on_fewer_months_where_there_are_no_more(samples: Samples) -> None:
    first = validation_windows(samples, window_rule(20), first_test=32, months=6, folds=2)[0]
    assert first.train == range(12, 26)


def test_validation_months_without_returns_are_passed_over(samples: Samples) -> None:
    gap = replace(samples, outcome=np.where(np.isin(samples.month, [28, 29]), np.nan, samples.outcome))
    windows = validation_windows(gap, window_rule(12), first_test=32, months=6, folds=3)
    assert [window.test for window in windows] == [range(26, 28), range(30, 32)]
    gap = replace(samples, outcome=np.where(samples.month > 20, np.nan, samples.outcome))
    with pytest.raises(InputError, match="none of tuning's validation months"):
        validation_windows(gap, window_rule(12), first_test=32, months=6, folds=3)


def test_a_window_that_leaks_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"^window leaks: trains to month 10, tests from 10$"):
        Window(train=range(11), test=range(10, 12))
    assert Window(train=range(10), test=range(10, 12)).test.start == 10


def test_a_panel_that_is_too_short_is_refused(panel: pd.DataFrame, samples: Samples) -> None:
    dates = panel["date"].unique()
    short = make_samples(panel[panel["date"] <= dates[31]], DESCRIPTORS, (0, 3, 6, 9, 12))
    with pytest.raises(InputError, match=r"12\) \+ 20 training months \+ 1 = 33 are needed"):
        test_windows(short, window_rule(20))
    with pytest.raises(InputError, match=r"window\.test_months=20 .* 12 months"):
        test_windows(samples, window_rule(20, 20))
    with pytest.raises(InputError, match=r"tuning\.trials=0"):
        validation_windows(samples, window_rule(20), first_test=32, months=14, folds=2)


@pytest.mark.parametrize("lags", [[], [0, 3, 3]])
def test_lags_that_make_no_sense_are_refused(lags: list[int]) -> None:
    with pytest.raises(ValueError, match=r"lags=.*different whole numbers"):
        window_rule(20, lags=lags)


def test_a_schedule_knows_its_windows_in_the_order_of_time(samples: Samples) -> None:
    made = make_schedule(samples, window_rule(20, 7, 3))
    assert made.every == (*made.tested, made.newest)
    assert made.test_months == range(37, 44)
    assert made.newest.train.stop == made.test_months.stop


def test_panels_that_are_just_long_enough_will_do(panel: pd.DataFrame, samples: Samples) -> None:
    dates = panel["date"].unique()
    least = make_samples(panel[panel["date"] <= dates[32]], DESCRIPTORS, (0, 3, 6, 9, 12))
    assert [window.test for window in test_windows(least, window_rule(20))] == [range(32, 33)]
    assert len(test_windows(samples, window_rule(20, 12))) == 12
    (first, *_) = validation_windows(samples, window_rule(20), first_test=32, months=10, folds=2)
    assert first.train == range(12, 22)  # ten months, half of twenty
    with pytest.raises(InputError) as refused:
        validation_windows(samples, window_rule(21), first_test=32, months=10, folds=2)
    assert str(refused.value) == (
        "tuning needs at least 10 training months before its 10 validation months, but the panel leaves 10: lower "
        "tuning.validation_months, or set tuning.trials=0"
    )


def test_a_panel_without_any_return_is_refused(samples: Samples) -> None:
    none = replace(samples, outcome=np.full_like(samples.y, np.nan))
    with pytest.raises(InputError, match=r"^the panel has 0 months with ret_next, but the largest lag \(12\) \+ 20"):
        test_windows(none, window_rule(20))


def test_months_are_tested_between_two_dates(samples: Samples) -> None:
    whole = make_schedule(samples, window_rule(12))
    dates = samples.dates[list(whole.test_months)]
    inner = make_schedule(
        samples, window_rule(12, test_from=str(dates[2].date()), test_to=str((dates[6] + pd.Timedelta(days=3)).date()))
    )
    assert samples.dates[list(inner.test_months)].tolist() == dates[2:7].tolist()
    by_month = {window.test.start: window for window in whole.tested}
    assert all(window == by_month[window.test.start] for window in inner.tested)
    assert inner.newest == whole.newest
    three = make_schedule(samples, window_rule(12, 3, test_to=str(dates[6].date())))
    assert samples.dates[list(three.test_months)].tolist() == dates[4:7].tolist()
    with pytest.raises(InputError, match=f"leave no month: .* from {dates[0].date()} to {dates[-1].date()}"):
        make_schedule(samples, window_rule(12, test_from="2050-01-31"))


@pytest.mark.parametrize(
    "dates", [{"test_from": "2000-1-1"}, {"test_to": "31.01.2000"}, {"periods": ["2000-02-30"]}, {"test_from": "soon"}]
)
def test_what_is_no_date_is_refused(dates: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be a date|there is no such day"):
        window_rule(12, **dates)


@pytest.mark.parametrize("horizon", [2, 3, 6])
@pytest.mark.parametrize("expanding", [False, True])
def test_no_window_trains_on_a_label_that_ends_after_its_forecasts_are_made(
    samples: Samples, horizon: int, expanding: bool
) -> None:
    rule = window_rule(14, 6, 2, horizon=horizon, expanding=expanding)
    made = make_schedule(samples, rule)
    for window in [*made.every, *validation_windows(samples, rule, made.test_months.start, 6, 2)]:
        assert window.train.stop + horizon - 1 <= window.test.start  # the label of t covers months t to t + h - 1
    assert {len(window.train) for window in made.tested} == {14} or expanding
    assert made.test_months == make_schedule(samples, window_rule(14, 6, 2)).test_months
    short = window_rule(44 - 12 - horizon, horizon=horizon)
    assert len(test_windows(samples, short)) == 1
    with pytest.raises(InputError, match=rf"training months \+ {horizon} = 45 are needed"):
        test_windows(samples, window_rule(44 - 12 - horizon + 1, horizon=horizon))
