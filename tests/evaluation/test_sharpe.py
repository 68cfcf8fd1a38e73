from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from drf.evaluation.sharpe import (
    best_of_chance,
    minimum_track_record,
    probabilistic_sharpe,
    probability_above,
    sharpe_evidence,
    variance_of_trials,
)
from drf.evaluation.trials import Trials


def months(values: np.ndarray) -> pd.Series:
    return pd.Series(values, pd.date_range("2000-01-31", periods=len(values), freq="ME"))


def test_the_published_example_of_the_deflated_ratio() -> None:
    """Bailey and Lopez de Prado 2014: 2.5 a year over 1,250 days, 100 trials whose ratios vary by 1/2 a year."""
    chance = best_of_chance(100, 0.5 / 250)
    assert chance == pytest.approx(0.1132, abs=5e-5)
    assert probability_above(chance, 2.5 / np.sqrt(250), 1250, -3, 10) == pytest.approx(0.9004, abs=5e-5)


def test_for_normal_returns_it_is_the_normal_approximation() -> None:
    values = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    values = 0.2 + values / values.std(ddof=1)
    error = np.sqrt((1 + 0.5 * 0.2**2) / 399)
    assert probabilistic_sharpe(months(values), 0.1) == pytest.approx(stats.norm.cdf(0.1 / error), abs=1e-3)


def test_the_minimum_track_record_is_where_the_probability_reaches_the_level() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 36)
    needed = minimum_track_record(months(values))
    ratio, skewness = values.mean() / values.std(ddof=1), stats.skew(values)
    assert probability_above(0, ratio, needed, skewness, stats.kurtosis(values, fisher=False)) == pytest.approx(0.95)
    assert np.isnan(minimum_track_record(months(-values)))


def test_the_best_of_chance_agrees_with_simulation() -> None:
    best = np.random.default_rng(0).normal(0, 0.2, (20_000, 50)).max(axis=1).mean()
    assert best_of_chance(50, 0.04) == pytest.approx(best, rel=0.02)
    assert best_of_chance(1, 0.04) == 0
    assert 0 < best_of_chance(1.5, 0.04) == pytest.approx(best_of_chance(2, 0.04) / 2)


def test_the_spread_of_trials_is_put_on_the_length_of_the_record() -> None:
    """Estimates of one true ratio over 12 and 48 periods: over 36 they would vary by 1 / 36."""
    rng = np.random.default_rng(1)
    trials = pd.DataFrame(
        {
            "sharpe": np.concatenate([rng.normal(0.3, 1 / np.sqrt(n), 4000) for n in (12, 48)]),
            "periods": np.repeat([12, 48], 4000),
        }
    )
    assert variance_of_trials(trials, 36) == pytest.approx(1 / 36, rel=0.05)
    apart = trials.assign(sharpe=2 * trials["sharpe"])
    assert variance_of_trials(apart, 36) == pytest.approx(4 / 36, rel=0.05)


def test_neither_trials_that_hardly_differ_nor_short_records_move_the_bar() -> None:
    rng = np.random.default_rng(2)
    alike = pd.DataFrame({"sharpe": 0.5 + 0.001 * rng.standard_normal(500), "periods": 36})
    short = pd.DataFrame({"sharpe": rng.standard_t(2, 50), "periods": 3})
    for trials in (alike, short, alike[:1], pd.concat([alike, short])):
        assert variance_of_trials(trials, 36) == 1 / 36


def test_more_trials_deflate_more_and_what_is_unknown_is_said() -> None:
    returns = pd.DataFrame({"a": months(np.random.default_rng(0).normal(0.3, 1, 36))})
    trials = pd.DataFrame({"sharpe": [0.0, 0.4] * 50, "periods": 36})
    few, many, alike = (
        sharpe_evidence(returns, Trials(trials[:n], independent)).iloc[0]
        for n, independent in ((2, 2.0), (100, 100.0), (100, 2.0))
    )
    assert few["probabilistic"] == many["probabilistic"] > few["deflated"] > many["deflated"]
    assert (many["trials"], alike["trials"], alike["independent"]) == (100, 100, 2.0)
    assert alike["deflated"] > many["deflated"]
    assert sharpe_evidence(returns[:11], Trials(trials, 100.0))["note"].item() == (
        "cannot be estimated, because there are only 11 periods"
    )
