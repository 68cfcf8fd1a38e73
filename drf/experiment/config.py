"""Configurations and their records: from OmegaConf to typed settings, and the form in which they are logged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from ..data.sources import Source
from ..errors import InputError, nearest
from .schema import DataConfig, TrainConfig
from .validation import make

C = TypeVar("C")

_ELSEWHERE = "drf.data.sources.NamedElsewhere"

_OWN = frozenset(
    [
        "drf.data.simulate.SimulatedMarket",
        "drf.data.sources.PanelFile",
        "drf.data.sources.RawTables",
        "drf.data.sources.ResearchPanel",
    ]
)
"""Sources of this project; settings read from a registry can build no other source."""


@dataclass(frozen=True)
class Record:
    """A config as it is logged.

    Attributes:
        flat: Every value under its dotted name; lists stay whole, references to other values unresolved.
        yaml: Resolved.
        line: Resolved, as one line of JSON, in its own order: the order of the factors is the order of a panel's
            columns.
    """

    flat: Mapping[str, object]
    yaml: str
    line: str

    @classmethod
    def of(cls, config: DictConfig) -> Record:
        return cls(
            flat=flatten(config),
            yaml=OmegaConf.to_yaml(config, resolve=True),
            line=json.dumps(OmegaConf.to_container(config, resolve=True)),
        )


def flatten(config: DictConfig) -> dict[str, object]:
    """Return every value of a config under its dotted name; lists stay whole, references stay unresolved."""
    return dict(_leaves(OmegaConf.to_container(config, resolve=False), ""))


def _leaves(node: object, prefix: str) -> Iterator[tuple[str, object]]:
    if isinstance(node, dict) and node:
        for key, child in node.items():
            yield from _leaves(child, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def read(config: DictConfig, schema: type[C]) -> C:
    """Return the typed settings of a composed config.

    Raises InputError, naming the key, its value and the values allowed.
    """
    values: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    if values.get("data") is not None:
        raw: Any = OmegaConf.to_container(config.data, resolve=False)
        values["data"] = _data(values["data"], raw)
    return make(schema, values, "")


def located(line: str, source: Source) -> str:
    """Return a recorded line with absolute paths of its source, so that they are found from any folder."""
    values = json.loads(line)
    values["data"]["source"] = _absolute(values["data"]["source"], {*source.PLACES, "path"})
    return json.dumps(values)


def _absolute(settings: Mapping[str, Any], places: set[str]) -> dict[str, Any]:
    located_settings: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            located_settings[name] = _absolute(value, places)
        elif name in places and isinstance(value, str) and "://" not in value:
            address, sign, query = value.partition("#")
            located_settings[name] = f"{Path(address).absolute()}{sign}{query}"
        else:
            located_settings[name] = value
    return located_settings


def read_recorded(line: str) -> TrainConfig:
    """Return the typed settings of a training from its recorded line (:attr:`Record.line`).

    A registry can be written by others, so only this project's own sources are built from what it says. Any other
    source is replaced by a :class:`~drf.data.sources.NamedElsewhere`.

    Raises InputError if this release cannot read it.
    """
    values = json.loads(line)
    source = values["data"]["source"]
    if source["_target_"] not in _OWN:
        values["data"]["source"] = {"_target_": _ELSEWHERE, "target": str(source["_target_"])}
    common = {entry.name for entry in fields(DataConfig)}
    values["data"] = _data({name: value for name, value in values["data"].items() if name in common}, {})
    return make(TrainConfig, values, "")


def _data(values: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the source object and the keys common to every ``data`` config; refuse keys that the source does not use.

    ``raw`` holds the same values with references to others left unresolved.
    """
    common = [entry.name for entry in fields(DataConfig)]
    settings, references = values.get("source"), raw.get("source", {})
    if not isinstance(settings, Mapping) or "_target_" not in settings:
        raise InputError("data.source: must be a group of settings with a _target_, see conf/data")
    known = [*common, *re.findall(r"\$\{data\.(\w+)", json.dumps(references, default=str))]
    for name in values:
        if name not in known:
            guess = nearest(f"data.{name}", [f"data.{key}" for key in known])
            raise InputError(
                f"unknown config key data.{name}{guess}: it is not a setting of this data source, see conf/data"
            )
    kept = {name: value for name, value in values.items() if name in common}
    return {**kept, "source": _source(settings, references)}


def _source(settings: Mapping[str, Any], references: Mapping[str, Any]) -> Source:
    """Return the source that ``data.source`` names; a refusal names the key that the user would change."""
    target = settings["_target_"]
    try:
        kind = get_class(target)
    except Exception as error:  # Hydra wraps whatever the import raised
        raise InputError(f"data.source._target_={target}: cannot be imported") from error
    if not issubclass(kind, Source):
        raise InputError(f"data.source._target_={target}: must be a subclass of drf.data.sources.Source")
    try:
        return make(kind, {name: value for name, value in settings.items() if name != "_target_"}, "data.source")
    except InputError as refused:
        key = re.match(r"data\.source\.(\w+)", str(refused))
        reference = re.fullmatch(r"\$\{(data\.\w+)\}", str(references.get(key[1]))) if key else None
        if not (key and reference):
            raise
        raise InputError(str(refused).replace(key[0], reference[1], 1)) from None
