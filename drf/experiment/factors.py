"""Factors: the descriptors that a training uses, by the factor that each belongs to."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..data.panel import KEYS, RETURN, SECTOR
from ..errors import InputError, nearest

RESERVED = frozenset(
    [
        *KEYS, "prediction", "bias", "account",
        "rank", "quantile", "weight", "held", "trade", "inputs", "reasons", "version", "recipe", "issued", "data",
        "forecast", "earned", "change", "specific", "all", "sum", "rest", "intercept, rest",
    ]
)  # fmt: skip
"""Reserved names: the columns of forecasts, of issues with their orders and of the report that are not factors."""

Factors = dict[str, list[str]]
"""Factor -> its descriptors."""


def make_factors(named: Mapping[str, Any], descriptors: Sequence[str] | None) -> Factors:
    """Return the descriptors of each factor of the ``factors`` config, reduced to those of ``data.descriptors``.

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
        if every.count(name) > 1:
            raise InputError(f"factors: descriptor {name} appears more than once: a descriptor belongs to one factor")
        if name in (*KEYS, RETURN, SECTOR):
            raise InputError(f"factors: {name} cannot be a descriptor: the panel has a column of that meaning")
    kept = every if descriptors is None else list(descriptors)
    for name in kept:
        if name not in every:
            raise InputError(f"data.descriptors: {name} belongs to no factor{nearest(name, every)}: see conf/factors")
    factors = {factor: [name for name in names if name in kept] for factor, names in named.items()}
    factors = {factor: names for factor, names in factors.items() if names}
    if not factors:
        raise InputError("data.descriptors=[]: at least one descriptor is needed")
    return factors


def descriptors_of(factors: Mapping[str, Sequence[str]]) -> list[str]:
    """Return all descriptors, in the order of the factors."""
    return [name for names in factors.values() for name in names]
