"""Validation of settings against the names, kinds and ranges in the annotations of the class that takes them.

Settings are taken by a class or a function whose annotations say everything: ``Annotated[int, Ge(1)]`` is a whole
number, at least 1. Pydantic checks; a refusal names the key, its value and what it may be.
"""

import dataclasses
import inspect
import types
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pydantic

from ..errors import InputError, nearest

T = TypeVar("T")

_STRICT = pydantic.ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True, protected_namespaces=())

_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def make(taker: Callable[..., T], values: object, where: str) -> T:
    """Check settings and call ``taker`` with them; nested dataclasses are made first.

    ``where``: the settings' key in the config; empty at the top. Raises InputError, naming the key, its value and what
    it may be.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where}={_shown(values)}: must be a group of settings, see conf/{where.partition('.')[0]}")
    hints = get_type_hints(taker, include_extras=True)
    nested = {name: kind for name, hint in hints.items() if (kind := _dataclass_in(hint)) is not None}
    made = {
        name: make(nested[name], value, _key(where, name)) if name in nested and value is not None else value
        for name, value in values.items()
    }
    checked = check(taker, made, where)
    try:
        return taker(**checked)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(_key(where, str(error))) from error


def check(
    taker: Callable[..., Any], values: Mapping[str, Any], where: str, hidden: Container[str] = ()
) -> dict[str, Any]:
    """Return the settings if ``taker`` accepts all of them, needs no others, and each has the right kind.

    ``hidden``: parameters of ``taker`` that are not settings. Raises InputError as :func:`make`.
    """
    hints = get_type_hints(taker, include_extras=True)
    parameters = {name: p for name, p in inspect.signature(taker).parameters.items() if name not in hidden}
    for name in values:
        if name not in parameters:
            known = [_key(where, parameter) for parameter in parameters]
            raise InputError(f"unknown config key {_key(where, name)}{nearest(_key(where, name), known)}: see conf/")
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in values:
            raise InputError(f"{_key(where, name)} has no value: add {_key(where, name)}=... to the command")
    wants: dict[str, Any] = {name: (hints[name], ...) for name in values}
    model = pydantic.create_model("Settings", __config__=_STRICT, **wants)
    try:
        model.model_validate(dict(values))
    except pydantic.ValidationError as refused:
        name, *deeper = (str(step) for step in refused.errors()[0]["loc"])
        key, value, hint = _key(where, name), values[name], hints[name]
        if deeper and isinstance(value, Mapping) and deeper[0] in value:
            key, value, hint = _key(key, deeper[0]), value[deeper[0]], get_args(hint)[1]
        raise InputError(f"{key}={_shown(value)}: must be {wanted(hint)}") from None
    return dict(values)


def defaults_of(taker: type) -> dict[str, Any]:
    """Return a class's settings that have a default, each with its default."""
    parameters = inspect.signature(taker).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty and p.name != "random_state"}


def wanted(hint: Any) -> str:
    """Return an annotation in words: ``a whole number, at least 1 (or null)``."""
    if get_origin(hint) in (Union, types.UnionType):
        options = [option for option in get_args(hint) if option is not type(None)]
        words = " or ".join(wanted(option) for option in options)
        return f"{words} (or null)" if len(options) < len(get_args(hint)) else words
    if get_origin(hint) is Annotated:
        kind, *limits = get_args(hint)
        return ", ".join([wanted(kind), " and ".join(word for limit in limits for word in _bounds(limit))])
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Mapping):
        return "a group of settings"
    if get_origin(hint) is not None:
        return f"a list, each {wanted(get_args(hint)[0])}" if get_args(hint) else "a list"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(hint, "something else")


def _bounds(limit: object) -> Iterator[str]:
    for name, word in _BOUNDS.items():
        bound = getattr(limit, name, None)
        if bound is not None:
            yield f"{word} {int(bound) if float(bound).is_integer() else bound:,}"


def _dataclass_in(hint: Any) -> type | None:
    """Return the dataclass that an annotation asks for; None if it asks for none."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return next((option for option in options if dataclasses.is_dataclass(option) and isinstance(option, type)), None)


def _key(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _shown(value: object) -> str:
    """Return a value as it would be written in a config."""
    return (
        {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
    )
