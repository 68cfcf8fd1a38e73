"""The alarm: valid however often one looks, and soon enough to be of use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from drf.evaluation.sharpe import best_of_chance
from drf.live import alarm
from drf.live.alarm import ALPHA, LEAST_MONTHS, evidence_against, promised_mean, shortfalls


def mixture_by_integration(short: np.ndarray, rho: float) -> float:
    """The mixture over a half-normal, term by term as it is defined."""
    total, months = short.sum(), len(short)

    def integrand(scale: float) -> float:
        weight = 2 * stats.norm.pdf(scale, scale=rho**-0.5)
        return float(weight * np.exp(scale * total - scale**2 * months / 2))

    return float(integrate.quad(integrand, 0, 20 / rho**0.5, limit=200)[0])


def slowly(short: np.ndarray, rho: float) -> float:
    """The evidence of the newest month: mixtures begun anew in every month, those of later months counting 1."""
    months = len(short)
    begun = [mixture_by_integration(short[start:], rho) / ((start + 1) * (start + 2)) for start in range(months)]
    return sum(begun) + 1 / (months + 1)


def test_it_is_the_mixture_that_it_says_it_is() -> None:
    short = np.random.default_rng(0).normal(0.4, 1, 9)
    for months in (1, 4, 9):
        assert evidence_against(short)[months - 1] == pytest.approx(slowly(short[:months], alarm._RHO), rel=1e-6)


def test_what_was_said_of_a_month_does_not_change_with_later_ones() -> None:
    short = np.random.default_rng(1).normal(0.2, 1, 30)
    assert np.allclose(evidence_against(short)[:12], evidence_against(short[:12]))


def test_its_mean_is_one_where_the_promise_is_kept() -> None:
    """A martingale that begins at 1, so Ville's inequality holds; seen over many lives."""
    evidence = np.array([evidence_against(life) for life in np.random.default_rng(2).normal(0, 1, (4000, 6))])
    error = evidence.std(axis=0) / np.sqrt(len(evidence))
    assert (np.abs(evidence.mean(axis=0) - 1) < 4 * error).all()


@pytest.mark.long
def test_false_alarms_are_as_rare_as_promised_and_a_dead_signal_is_found() -> None:
    rng = np.random.default_rng(3)
    alive = np.array([evidence_against(life).max() for life in rng.normal(0, 1, (1000, 36))])
    assert (alive >= 1 / ALPHA).mean() <= ALPHA
    dead = np.array([evidence_against(life).max() for life in rng.normal(1, 1, (200, 24))])
    assert (dead >= 1 / ALPHA).mean() > 0.9


def test_the_promise_is_the_mean_less_its_error_and_less_what_choosing_adds() -> None:
    months = pd.Series(np.arange(16.0))
    mean, error = months.mean(), months.std() / 4
    assert promised_mean(months, 1.0) == pytest.approx(mean - error)
    assert promised_mean(months, 5.0) == pytest.approx(mean - (1 + best_of_chance(5.0, 1.0)) * error)
    assert shortfalls(pd.Series([0.0]), months, 1.0) == pytest.approx([(mean - error) / months.std()])
    assert np.isnan(promised_mean(months[: LEAST_MONTHS - 1], 1.0))
    assert np.isnan(promised_mean(pd.Series(1.0, index=range(20)), 1.0))
    assert np.isnan(evidence_against(shortfalls(pd.Series([0.0]), months[:3], 1.0))).all()


def test_evidence_beyond_all_doubt_is_a_number() -> None:
    assert np.isfinite(evidence_against(np.full(24, 80.0))).all()


def test_false_alarms_stay_rare_where_the_best_of_several_was_chosen() -> None:
    """Five strategies, all as good; the best backtest of 36 months is promised, and looked at for two years."""
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(400):
        backtests = rng.normal(1, 1, (36, 5))
        best = pd.Series(backtests[:, backtests.mean(axis=0).argmax()])
        live = pd.Series(rng.normal(1, 1, 24))
        alarms += evidence_against(shortfalls(live, best, 5.0)).max() >= 1 / ALPHA
    assert alarms / 400 <= ALPHA
