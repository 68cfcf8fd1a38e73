"""Names of markets: a data config's registered model, and the command-line words for the same data.

A registered model holds versions of one market, so its name follows from the market unless ``registry.name`` says
otherwise. Dates in a file's name are left out, because data are delivered under a new date each month.
"""

import json
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from .config import Record, flatten
from .config_folder import CONFIG_DIR

BUILT_IN = "drf-lstm-lrp"
"""Registered model of the built-in market."""

_SIMULATED = "drf.data.simulate.SimulatedMarket"

_DATE = re.compile(r"(19|20)\d\d([-_.]?(q[1-4]|\d\d))?([-_.]?\d\d)?(?!\d)", re.IGNORECASE)


def registered_model(data: Any) -> str:
    """Return the registered model of a ``data`` config: ``drf-lstm-lrp``, plus words for any other market.

    ``data.path=own/japan_2024-10.parquet data.universe=500`` gives ``drf-lstm-lrp-japan-top500``.
    """
    values: Any = OmegaConf.to_container(data, resolve=True) if OmegaConf.is_config(data) else data
    parts = [BUILT_IN, *_source(values["source"])]
    if values.get("universe") is not None:
        parts.append(f"top{values['universe']}")
    return "-".join(parts)


def of_panel(path: str) -> str:
    """Return the registered model of a panel's file."""
    return registered_model({"source": {"_target_": "", "path": path}})


OmegaConf.register_new_resolver("registered_model", registered_model, replace=True)


def _source(source: Mapping[str, Any]) -> list[str]:
    if source["_target_"] == _SIMULATED:
        from .identity import digest

        whole: Any = OmegaConf.create({"data": OmegaConf.load(CONFIG_DIR / "data" / "simulated.yaml")})
        common: Any = OmegaConf.to_container(whole.data.source, resolve=True)
        other = {name: value for name, value in source.items() if name != "months" and common.get(name) != value}
        return ["simulated", digest(other, 6)] if other else []
    path = next((str(source[name]) for name in ("path", "prices") if source.get(name)), source["_target_"])
    address, _, table = path.partition("#")
    name = PurePath(address.rstrip("/")).name.lower()
    stem = name.split(".")[0] if "/" in address or "." in name else name
    words = re.sub(r"[^a-z0-9]+", "-", _DATE.sub("", stem)).strip("-")
    return [words or "panel", *([table.lower()] if re.fullmatch(r"\w+", table, re.ASCII) else [])]


def data_words(record: Record, choice: str) -> list[str]:
    """Return the words that choose a training's data and registered model for another command.

    There are none for the built-in market.

    Args:
        record: Of the training.
        choice: File of ``conf/data`` that was chosen.
    """
    usual = _defaults(choice)
    follow = {name for name, raw in record.flat.items() if "${data." in str(raw)}
    recorded = json.loads(record.line)
    chosen = flatten(OmegaConf.create({"data": recorded["data"]}))
    if recorded["registry"]["name"] != registered_model(recorded["data"]):
        chosen["registry.name"] = recorded["registry"]["name"]
    values = {name: value for name, value in chosen.items() if not _follows(name, follow)}
    words = [] if choice == "simulated" else [f"data={choice}"]
    return words + [
        f"{'' if name in usual or name == 'registry.name' else '++'}{name}={_as_word(value)}"
        for name, value in values.items()
        if name not in usual or usual[name] != value
    ]


def _defaults(choice: str) -> dict[str, Any]:
    """Return the keys of a file of ``conf/data`` with their defaults; None where a default refers to another key."""
    running = GlobalHydra.instance().hydra  # Hydra composes for one program at a time
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            usual = flatten(OmegaConf.masked_copy(compose("config", [f"data={choice}"]), ["data"]))
    except MissingConfigException:  # a file of one's own, given by --config-dir
        usual = {}
    finally:
        if running is not None:
            GlobalHydra.instance().initialize(running)
    return {name: None if str(value).startswith("${") else value for name, value in usual.items()}


def _follows(name: str, keys: set[str]) -> bool:
    return any(name == key or name.startswith(f"{key}.") for key in keys)


def _as_word(value: Any) -> str:
    """Return a value in Hydra's syntax."""
    if isinstance(value, str) and not re.fullmatch(r"[\w/][\w./\-+:@]*", value, re.ASCII):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{','.join(_as_word(entry) for entry in value)}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
