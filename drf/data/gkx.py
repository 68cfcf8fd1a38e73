"""Simulation of Gu, Kelly and Xiu ("Empirical asset pricing via machine learning", 2020, appendix), with its truth.

Each of the characteristics follows :math:`\\bar c_{t} = \\rho \\bar c_{t-1} + \\varepsilon_t \\sqrt{1 - \\rho^2}` with
:math:`\\rho` uniform on (0.9, 1), and enters as its rank among the stocks, from -1 to 1. The state is
:math:`x_t = 0.95\\, x_{t-1} + u_t \\sqrt{1 - 0.95^2}`. The return after the date is

.. math::  r_{i,t+1} = g(c_{i,t}, x_t) + \\sum_{j=1}^{3} c_{ij,t} v_{j,t+1} + e_{i,t+1},
           \\quad v \\sim N(0, 0.05^2), \\quad e \\sim 0.05\\, t_5 ,

with one of two expected returns,

.. math::  g_a = 0.02 (c_1 + c_2 + c_3 x), \\qquad
           g_b = 0.04 c_1^2 + 0.03 c_1 c_2 + 0.012 \\operatorname{sgn}(c_3 x) .

All other characteristics are noise. The draws are this project's own: the paper's are not reproduced number by number.
"""

import functools
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from annotated_types import Ge

from .calendar import Frequency, in_force
from .sources import Source

STATE, THIRD = "STATE_X", "C3 with X"

_LOADED = 3  # characteristics on which returns load, and the only ones in the expected return
_LEAST = -0.99  # a return of a heavy tail below it is set there


@dataclass(frozen=True)
class Draw:
    """One draw of the simulation.

    Attributes:
        panel: ``date``, ``asset``, ``C001`` ..., ``STATE_X``, ``ret_next``.
        truth: ``date``, ``asset``, ``expected`` and its exact Shapley values for a baseline of zeros: ``C1`` (of
            ``C001``), ``C2`` (of ``C002``) and ``C3 with X`` (of ``C003`` times the state); decimals a month.
    """

    panel: pd.DataFrame
    truth: pd.DataFrame


@dataclass(frozen=True)
class GKXMarket(Source):
    """Settings of the simulation.

    Args:
        model: Expected return: ``a``, linear with a product, or ``b``, with a square, a product and a sign.
        stocks, months, characteristics: Their numbers; in the paper 200, 180 with a return, and 100 or 50. The newest
            month has no return yet.
        seed: Seed of all random numbers.
        start: First month, YYYY-MM.
    """

    PLACES = frozenset({"months"})

    model: Literal["a", "b"]
    stocks: Annotated[int, Ge(5)] = 200
    months: Annotated[int, Ge(3)] = 181
    characteristics: Annotated[int, Ge(_LOADED)] = 100
    seed: Annotated[int, Ge(0)] = 0
    start: str = "1990-01"

    @property
    def name(self) -> str:
        return f"Gu, Kelly and Xiu's simulation, model ({self.model}), draw {self.seed}"

    def panel(self) -> pd.DataFrame:
        return _drawn(self, in_force().name).panel.copy()

    def truth(self) -> pd.DataFrame:
        return _drawn(self, in_force().name).truth.copy()


def names_of(characteristics: int) -> list[str]:
    """Return the names of the characteristics."""
    return [f"C{number:03d}" for number in range(1, characteristics + 1)]


@functools.lru_cache(maxsize=1)  # the truth is asked for after the panel
def _drawn(settings: GKXMarket, frequency: Frequency) -> Draw:
    """``frequency``: that of the calendar in force, on which the dates depend."""
    rng = np.random.default_rng(settings.seed)
    ranks = _characteristics(rng, settings)
    state = _persistent(rng, np.array([0.95]), settings.months, 1)[:, 0, 0]
    c1, c2, c3 = np.moveaxis(ranks[..., :_LOADED], 2, 0)
    parts = _shapley_values(settings.model, c1, c2, c3 * state[:, None])
    expected = np.sum(list(parts.values()), axis=0)
    loadings = np.einsum("tnk,tk->tn", ranks[..., :_LOADED], 0.05 * rng.standard_normal((settings.months, _LOADED)))
    returns = expected + loadings + 0.05 * rng.standard_t(5, expected.shape)
    returns = np.maximum(returns, _LEAST)
    returns[-1] = np.nan  # the month after the newest is not known
    dates = in_force().starting(settings.start, settings.months)
    assets = [f"S{number:04d}" for number in range(settings.stocks)]
    keys = pd.DataFrame({"date": np.repeat(dates, settings.stocks), "asset": np.tile(assets, settings.months)})
    names = names_of(settings.characteristics)
    columns = pd.DataFrame(ranks.reshape(len(keys), -1), columns=names)
    columns = columns.assign(**{STATE: np.repeat(state, settings.stocks), "ret_next": returns.ravel()})
    truth = {name: values.ravel() for name, values in parts.items()}
    return Draw(pd.concat([keys, columns], axis=1), keys.assign(expected=np.ravel(expected), **truth))


def _characteristics(rng: np.random.Generator, settings: GKXMarket) -> np.ndarray:
    """Return the ranked characteristics in (-1, 1), shape (months, stocks, characteristics)."""
    rho = rng.uniform(0.9, 1, settings.characteristics)
    values = _persistent(rng, rho, settings.months, settings.stocks)
    order = values.argsort(axis=1).argsort(axis=1) + 1
    return 2 * order / (settings.stocks + 1) - 1


def _persistent(rng: np.random.Generator, rho: np.ndarray, months: int, stocks: int) -> np.ndarray:
    """Return series of variance 1 with a given autocorrelation each, shape (months, stocks, series)."""
    values = np.empty((months, stocks, len(rho)))
    values[0] = rng.standard_normal((stocks, len(rho)))
    for month in range(1, months):
        values[month] = rho * values[month - 1] + np.sqrt(1 - rho**2) * rng.standard_normal((stocks, len(rho)))
    return values


def _shapley_values(model: str, c1: np.ndarray, c2: np.ndarray, c3x: np.ndarray) -> dict[str, np.ndarray]:
    """Return the parts of the expected return; a product is shared equally between its two factors."""
    if model == "a":
        return {"C1": 0.02 * c1, "C2": 0.02 * c2, THIRD: 0.02 * c3x}
    shared = 0.03 * c1 * c2 / 2
    return {"C1": 0.04 * c1**2 + shared, "C2": shared, THIRD: 0.012 * np.sign(c3x)}
