"""Factors: the descriptors that a training uses, by the factor that each belongs to."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..data.panel import KEYS, RETURN, SECTOR
from ..errors import InputError, nearest
from ..samples.transforms import STATE, TIMES
from .schema import DataConfig, MacroConfig

RESERVED = frozenset(
    [
        *KEYS, "prediction", "bias", "account",
        "rank", "quantile", "weight", "held", "trade", "inputs", "reasons", "version", "recipe", "issued", "data",
        "forecast", "earned", "change", "specific", "all", "sum", "rest", "intercept, rest",
    ]
)  # fmt: skip
"""Reserved names: the columns of forecasts, of issues with their orders and of the report that are not factors."""

STATES, WITH = "States", "With "
"""Names of the factors of the macro states, and beginning of those of their products with the descriptors."""

Factors = dict[str, list[str]]
"""Factor -> its descriptors."""


def make_factors(named: Mapping[str, Any], data: DataConfig) -> Factors:
    """Return the inputs of each factor: the ``factors`` config, and factors of their own for the macro states.

    The descriptors are reduced to those of ``data.descriptors``. With ``data.macro.states`` the states form a factor.
    With ``data.macro.interactions`` the products of all descriptors with a state form one more for each state.

    Raises InputError if a factor is not a list of names, or ``data.descriptors`` names a descriptor that no factor has.
    It is also raised if a descriptor appears twice or has the name of another panel column.
    """
    for factor, names in named.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"factors.{factor}={names}: must be a list of descriptors, such as [PER, PBR]")
        if factor in RESERVED:
            raise InputError(f"factors.{factor}: the name is reserved for another column: choose another")
    every = descriptors_of(named)
    for name in every:
        if TIMES in name:
            raise InputError(f"factors: {name}: products are made by data.macro.interactions: leave it out")
        if every.count(name) > 1:
            raise InputError(f"factors: descriptor {name} appears more than once: a descriptor belongs to one factor")
        if name in (*KEYS, RETURN, SECTOR):
            raise InputError(f"factors: {name} cannot be a descriptor: the panel has a column of that meaning")
    kept = every if data.descriptors is None else list(data.descriptors)
    for name in kept:
        if name not in every:
            raise InputError(f"data.descriptors: {name} belongs to no factor{nearest(name, every)}: see conf/factors")
    factors = {factor: [name for name in names if name in kept] for factor, names in named.items()}
    factors = {factor: names for factor, names in factors.items() if names}
    if not factors:
        raise InputError("data.descriptors=[]: at least one descriptor is needed")
    return factors | _of_states(data.macro, descriptors_of(factors), [*named])


def _of_states(macro: MacroConfig | None, descriptors: Sequence[str], taken: Sequence[str]) -> Factors:
    """Return the factors of the macro states and of their products with the descriptors."""
    if macro is None or not macro.states:
        return {}
    states = [f"{STATE}{name}" for name in macro.states]
    factors = {STATES: states}
    if macro.interactions:
        ranked = [name for name in descriptors if not name.startswith(STATE)]
        factors |= {
            f"{WITH}{state}": [f"{name}{TIMES}{column}" for name in ranked]
            for state, column in zip(macro.states, states, strict=True)
        }
    for factor in factors:
        if factor in taken:
            raise InputError(f"factors.{factor}: the name is that of the macro states' factor: choose another")
    return factors


def descriptors_of(factors: Mapping[str, Sequence[str]]) -> list[str]:
    """Return all descriptors, in the order of the factors."""
    return [name for names in factors.values() for name in names]
