"""Simulated market whose expected returns, and every factor's part in them, are known.

Sixteen descriptors a stock: momentum is made from the simulated returns themselves, the others are persistent and share
a common part within their factor. The expected return is a *gated memory* of the descriptors' ranks: at each of the
dates 12, 9, 6, 3 and 0 months back news from Value, Quality and Momentum enters a stock's memory, and Risk decides how
much of the old memory survives. It is therefore non-linear, has interactions between factors, and depends on the path
and not only on the last date. Size has no effect. If macro series are asked for, stocks differ in how they respond to
each series' surprises, and the response to the first series is rewarded. A market return in proportion to BETA is
added, and so is fat-tailed noise many times larger than the signal.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import factorial
from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Ge, Interval

from .calendar import Frequency, in_force
from .macro import PREFIX, sensitivities
from .paper_descriptors import DESCRIPTORS, FACTORS
from .sources import Source

MEMORY_DATES = (12, 9, 6, 3, 0)
_MEMORY_DEVIATION = 0.40  # standard deviation of memory() over stocks
_RESPONSE = 0.03  # standard deviation over stocks of the response to a macro surprise, in decimals of return
_HISTORY = 60  # months before the panel, so that MOM60 is known from the panel's first month

# name: (monthly persistence, location, scale, logarithmic); location and scale only give natural-looking units.
_SHAPES: dict[str, tuple[float, float, float, bool]] = {
    "VOL60": (0.95, np.log(0.10), 0.30, True),
    "BETA": (0.93, 1.0, 0.35, False),
    "SKEW": (0.90, 0.4, 0.70, False),
    "ROE": (0.90, 0.06, 0.08, False),
    "ROA": (0.90, 0.045, 0.05, False),
    "ACCRUALS": (0.85, 0.01, 0.04, False),
    "LEVERAGE": (0.96, 0.50, 0.18, False),
    "PSR": (0.93, np.log(1.5), 0.60, True),
    "PER": (0.92, 0.055, 0.04, False),
    "PBR": (0.95, np.log(0.9), 0.50, True),
    "PCFR": (0.90, 0.10, 0.07, False),
    "CAP": (0.985, 24.0, 1.8, False),
    "ILLIQ": (0.95, np.log(0.3), 1.5, True),
}


@dataclass(frozen=True)
class Market:
    """A simulated panel and its known truth.

    Attributes:
        panel: Contract columns; ``ret_next`` is empty in the newest month.
        contributions: ``date``, ``asset``, ``expected`` (the expected return in excess of the market's part) and one
            column a factor: its exact Shapley value, so that the factors sum to ``expected``; with macro series
            ``Macro`` is one of them.
    """

    panel: pd.DataFrame
    contributions: pd.DataFrame


@dataclass(frozen=True)
class SimulatedMarket(Source):
    """Settings of a simulated market.

    Args:
        stocks, months: Number of places for stocks, and of months. Some months of some stocks are missing.
        seed: Seed of all random numbers.
        start: First month, YYYY-MM.
        explained: Variance of the expected return over stocks, as a share of that variance plus ``noise`` squared; 0:
            no signal at all.
        noise: Standard deviation of the unexplained part of a stock's monthly return, in decimals.
        style: Standard deviation of the five factors' own monthly returns, whose mean is zero. They make a portfolio
            tilted towards a factor risky, however many stocks it holds.
        missing: Share of descriptor values that are missing; a tenth of this share of the (stock, month) rows is
            missing too.
        exits: Monthly probability that a stock leaves the market and a newly listed one takes its place, with its own
            name and history. The last return of the stock that leaves is included.
        dies: Month of the panel, counted from 1, from which expected returns are zero; None: never.
        macro: Names of sensitivities to macro series, which become columns of the panel: rolling estimates from the
            stock's returns, as for a real panel. The true response to the first series adds as much variance to the
            expected return as everything else does; the responses to the others are not rewarded.

    Raises ValueError if ``start`` is not a month, or a name in ``macro`` is not that of a sensitivity.
    """

    PLACES = frozenset({"months"})

    stocks: Annotated[int, Ge(2)]
    months: Annotated[int, Ge(2)]
    seed: Annotated[int, Ge(0)]
    start: str = "1990-12"
    explained: Annotated[float, Interval(ge=0, lt=1)] = 0.03
    noise: Annotated[float, Interval(ge=0, lt=10)] = 0.09
    style: Annotated[float, Interval(ge=0, lt=10)] = 0.03
    missing: Annotated[float, Interval(ge=0, lt=1)] = 0.03
    exits: Annotated[float, Interval(ge=0, lt=1)] = 0.002
    dies: Annotated[int, Ge(1)] | None = None
    macro: Sequence[str] | None = None

    def __post_init__(self) -> None:
        try:
            pd.Timestamp(self.start)
        except ValueError as error:
            raise ValueError(f"start={self.start}: must be a month, YYYY-MM") from error
        for name in self.macro or ():
            if not name.startswith(PREFIX):
                raise ValueError(f"macro: {name}: a sensitivity to a simulated series is named {PREFIX}<series>")

    @property
    def name(self) -> str:
        return f"simulated market {self.seed}"

    def panel(self) -> pd.DataFrame:
        return self._market().panel.copy()

    def truth(self) -> pd.DataFrame:
        return self._market().contributions.copy()

    def _market(self) -> Market:
        return _simulated(replace(self, macro=tuple(self.macro or ())), in_force().name)


@functools.lru_cache(maxsize=1)  # the truth is requested after the panel; simulating twice would take seconds
def _simulated(settings: SimulatedMarket, frequency: Frequency) -> Market:
    """``frequency``: that of the calendar in force, on which the dates depend."""
    return simulate(settings)


def simulate(settings: SimulatedMarket) -> Market:
    """Simulate a market."""
    stocks, months, macro = settings.stocks, settings.months, tuple(settings.macro or ())
    noise = settings.noise
    rng = np.random.default_rng(settings.seed)
    latent = _persistent_descriptors(rng, _HISTORY + months, stocks)
    scale = noise * np.sqrt(settings.explained / (1 - settings.explained)) / _MEMORY_DEVIATION
    rewarded, responses, surprises = _macro(
        settings.seed, len(macro), _HISTORY + months, stocks, scale * _MEMORY_DEVIATION
    )
    alive = np.arange(_HISTORY + months) < _HISTORY + (settings.dies or months + 1) - 1
    rewarded *= alive[:, None]
    extra = np.vstack([np.zeros(stocks), rewarded[:-1]]) + np.einsum("tk,ks->ts", surprises, responses)
    ranks, momentum, returns = _live(rng, latent, scale * alive, noise, settings.style, extra)

    dates = in_force().starting(settings.start, months)
    assets = np.array([f"S{number:04d}" for number in range(stocks)])
    keys = pd.DataFrame({"date": np.repeat(dates, stocks), "asset": np.tile(assets, months)})
    panel = keys.copy()
    for name in DESCRIPTORS:
        values = momentum[name] if name in momentum else _in_units(name, latent[name])
        panel[name] = values[_HISTORY:].ravel()
    estimates = sensitivities(pd.DataFrame(returns), pd.DataFrame(surprises, columns=list(macro)), lag_months=1)
    for name, table in zip(macro, estimates.values(), strict=True):
        panel[name] = table.to_numpy()[_HISTORY:].ravel()
    panel["ret_next"] = np.vstack([returns[_HISTORY + 1 :], np.full((1, stocks), np.nan)]).ravel()

    paths = np.stack([ranks[_HISTORY - lag : len(ranks) - lag] for lag in MEMORY_DATES], axis=2)
    paths = paths.reshape(-1, len(MEMORY_DATES), len(DESCRIPTORS))
    at = np.repeat(alive[_HISTORY:], stocks)
    contributions = keys.assign(expected=scale * at * memory(paths))
    for factor, value in shapley_values(paths).items():
        contributions[factor] = scale * at * value
    if macro:
        contributions["Macro"] = rewarded[_HISTORY:].ravel()
        contributions["expected"] += contributions["Macro"]

    can_be_missing = [name for name in DESCRIPTORS if name != "CAP"]
    panel[can_be_missing] = panel[can_be_missing].mask(rng.random((len(panel), len(can_be_missing))) < settings.missing)
    kept = rng.random(len(panel)) >= settings.missing / 10
    names = _names(rng, assets, months, settings.exits)
    return Market(*(table.assign(asset=names)[kept].reset_index(drop=True) for table in (panel, contributions)))


def _names(rng: np.random.Generator, places: np.ndarray, months: int, exits: float) -> np.ndarray:
    """Return the stock's name at every (month, place): the place's name, with a number added from its second stock
    on."""
    listed = 1 + np.cumsum(rng.random((months, len(places))) < exits, axis=0)
    listed = np.vstack([np.ones(len(places), dtype=int), listed[:-1]])
    names = np.where(listed > 1, np.char.add(np.char.add(places, "-"), listed.astype(str)), places)
    return names.ravel().astype(object)


def _macro(
    seed: int, series: int, months: int, stocks: int, deviation: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rewards of the response to the first macro series (months, stocks) with the given deviation over stocks,
    responses to a surprise of one standard deviation (series, stocks), and surprises (months, series).
    """
    rng = np.random.default_rng([seed, series])  # own generator: macro series leave the rest of the market unchanged
    responses = _RESPONSE * rng.standard_normal((series, stocks))
    surprises = rng.standard_normal((months, series))
    rewarded = np.zeros((months, stocks))
    if series:
        rewarded += deviation * np.sqrt(3) * _ranks(responses[0])
    return rewarded, responses, surprises


def _live(
    rng: np.random.Generator,
    latent: dict[str, np.ndarray],
    scale: np.ndarray,
    noise: float,
    style: float,
    extra: np.ndarray,
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Simulate month by month; return ranks of all descriptors, momentum descriptors, and returns over the month.

    ``scale``: scale of the expected returns, shape (months,).
    """
    total, stocks = latent["CAP"].shape
    ranks = np.zeros((total, stocks, len(DESCRIPTORS)))
    for name, path in latent.items():
        ranks[:, :, DESCRIPTORS.index(name)] = _ranks(path)
    momentum = {name: np.full((total, stocks), np.nan) for name in FACTORS["Momentum"]}
    returns = np.zeros((total, stocks))
    for t in range(total):
        for name, values in _momentum(returns[: t + 1]).items():
            momentum[name][t] = values
            ranks[t, :, DESCRIPTORS.index(name)] = _ranks(values)
        if t + 1 < total:
            path = ranks[[max(t - lag, 0) for lag in MEMORY_DATES]].transpose(1, 0, 2)
            market = 0.004 + 0.045 * rng.standard_normal()
            beta = 1 + 0.25 * ranks[t, :, DESCRIPTORS.index("BETA")]
            styles = _factor_means(ranks[t]) @ (style * rng.standard_normal(len(FACTORS)))
            shock = noise * _fat_tailed(rng, stocks)
            returns[t + 1] = np.maximum(scale[t] * memory(path) + beta * market + styles + shock + extra[t + 1], -0.95)
    return ranks, momentum, returns


def memory(x: np.ndarray) -> np.ndarray:
    r"""Return the expected return, up to scale, of stocks whose ranks took the path ``x``.

    Shape of ``x``: (n, dates, descriptors), the oldest date first.

    With the means v, q, m, r of some descriptors of Value, Quality, Momentum and Risk, at every date k

    .. math::  s_k = a_k s_{k-1} + (1 - a_k) n_k, \qquad a_k = \sigma(1 - 6 r_k), \qquad
               n_k = \tfrac12 \tanh(3 (v_k + q_k)) + \tfrac32 v_k q_k + \tfrac{3}{10} m_k ,

    and the last state is the result. Cheap and good companies become expensive, cheap and bad ones do not; a calm stock
    remembers its news, a risky one forgets. A stock with all ranks 0 has expectation 0.
    """
    at = {name: x[:, :, k] for k, name in enumerate(DESCRIPTORS)}
    value = (at["PBR"] + at["PER"] + 0.5 * at["PCFR"]) / 2.5
    quality = (at["ROE"] + at["ROA"] - at["ACCRUALS"]) / 3
    risk = (at["VOL60"] + at["BETA"]) / 2
    keep = 1 / (1 + np.exp(6 * risk - 1))
    news = 0.5 * np.tanh(3 * (value + quality)) + 1.5 * value * quality + 0.3 * at["MOM12_1"]
    state = np.zeros(len(x))
    for date in range(x.shape[1]):
        state = keep[:, date] * state + (1 - keep[:, date]) * news[:, date]
    return state


def shapley_values(x: np.ndarray) -> dict[str, np.ndarray]:
    """Return the exact Shapley value of each factor in :func:`memory`: its mean marginal effect over all orders.

    A factor that is left out has all its ranks at 0. The values sum to ``memory(x)``.
    """
    names = list(FACTORS)
    columns = {name: [DESCRIPTORS.index(d) for d in FACTORS[name]] for name in names}

    def worth(present: frozenset[str]) -> np.ndarray:
        masked = np.zeros_like(x)
        for name in present:
            masked[:, :, columns[name]] = x[:, :, columns[name]]
        return memory(masked)

    coalitions = [frozenset(chosen) for size in range(len(names) + 1) for chosen in combinations(names, size)]
    worths = {coalition: worth(coalition) for coalition in coalitions}
    values = {}
    for name in names:
        total = np.zeros(len(x))
        for coalition in worths:
            if name not in coalition:
                weight = factorial(len(coalition)) * factorial(len(names) - len(coalition) - 1) / factorial(len(names))
                total += weight * (worths[coalition | {name}] - worths[coalition])
        values[name] = total
    return values


def _factor_means(ranks: np.ndarray) -> np.ndarray:
    """Return the mean rank of each factor's descriptors, shape (stocks, factors)."""
    columns = [[DESCRIPTORS.index(name) for name in names] for names in FACTORS.values()]
    return np.stack([ranks[:, k].mean(1) for k in columns], axis=1)


def _persistent_descriptors(rng: np.random.Generator, total: int, stocks: int) -> dict[str, np.ndarray]:
    """Draw stationary AR(1) paths; descriptors of one factor share half the variance of their shocks."""
    paths = {}
    for factor, names in FACTORS.items():
        if factor == "Momentum":
            continue
        common = rng.standard_normal((total, stocks))
        for name in names:
            persistence = _SHAPES[name][0]
            shocks = np.sqrt(0.5) * (common + rng.standard_normal((total, stocks)))
            path = np.empty((total, stocks))
            path[0] = shocks[0]
            for t in range(1, total):
                path[t] = persistence * path[t - 1] + np.sqrt(1 - persistence**2) * shocks[t]
            paths[name] = path
    return paths


def _momentum(returns: np.ndarray) -> dict[str, np.ndarray]:
    """Compound past returns at the last row of ``returns``; while the history is short, use all of it."""
    growth = 1 + returns
    return {"MOM12_1": growth[-12:-1].prod(0) - 1, "MOM1": growth[-1] - 1, "MOM60": growth[-60:].prod(0) - 1}


def _in_units(name: str, latent: np.ndarray) -> np.ndarray:
    _, location, scale, logarithmic = _SHAPES[name]
    values = location + scale * latent
    return np.exp(values) if logarithmic else values


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis scaled to [-1, 1]."""
    return 2 * values.argsort(-1).argsort(-1) / (values.shape[-1] - 1) - 1


def _fat_tailed(rng: np.random.Generator, size: int, degrees: float = 5.0) -> np.ndarray:
    """Draw Student's t scaled to unit variance."""
    return rng.standard_t(degrees, size) * np.sqrt((degrees - 2) / degrees)
