"""From a composed config to the objects it describes; values that make no sense are refused here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pandas as pd
from hydra.utils import get_method
from omegaconf import DictConfig, ListConfig, OmegaConf

from ..training.checkpoints import Checkpoints
from ..data.files import read_table
from ..data.macro import PREFIX, add_sensitivities
from ..data.panel import KEYS, RETURN, SECTOR, check_panel
from ..errors import InputError, nearest
from ..evaluation.portfolio import PortfolioRule
from ..models.family import ROWS, Family
from ..training.parallel import Compute
from ..tuning.studies import check_address, open_storage
from ..tuning.search import TuningPlan, in_space
from ..samples.lagged import TARGETS, Samples
from ..samples.windows import Window, validation_windows
from ..data.universe import largest

# Seeds are multiplied by 1,000 and must stay below what scikit-learn takes.
_MOST = 4_000_000

_GROUPS = ("data", "factors", "model", "window", "tuning", "portfolio", "compute", "gate", "registry")

# key: (type, least value, whether null is allowed)
_NUMBERS: dict[str, tuple[type, float, bool]] = {
    "seed": (int, 0, False),
    "window.train_months": (int, 2, False),
    "window.test_months": (int, 1, True),
    "window.refit_every": (int, 1, False),
    "tuning.trials": (int, 0, False),
    "tuning.validation_months": (int, 1, False),
    "tuning.folds": (int, 1, False),
    "tuning.batch": (int, 1, False),
    "portfolio.quantiles": (int, 2, False),
    "portfolio.cost_bps": (float, 0, False),
    "compute.jobs": (int, -1, False),
    "data.universe": (int, 2, True),
    "data.macro.lag_months": (int, 0, False),
    "gate.min_months": (int, 2, False),
    "gate.min_sharpe_low": (float, float("-inf"), False),
    "gate.min_deflated": (float, 0, False),
    "gate.max_rank_ic_p": (float, 0, False),
    "gate.min_better": (float, 0, False),
    "gate.max_conservation_error": (float, 0, False),
    "gate.min_fidelity": (float, -1, False),
}


def check_config(config: DictConfig) -> None:
    """Refuse values of the wrong type or out of range.

    Raises
    ------
    InputError
        Naming the key, its value and what it may be.
    """
    for group in _GROUPS:
        if group in config and config[group] is None and not (group == "data" and "rollback" in config):
            raise InputError(f"{group}=null: choose one, see conf/{group}")
    for key in ("rollback", "audit", "gate.audit", "window.expanding"):
        value = OmegaConf.select(config, key, default=False)
        if not isinstance(value, bool):
            raise InputError(f"{key}={value}: must be true or false")
    if not re.fullmatch(r"[^/:'\"\\]+", str(config.registry.name)):
        raise InputError(f"registry.name={config.registry.name}: must not hold quotes, slashes or colons")
    for key, (kind, least, optional) in _NUMBERS.items():
        group = key.rpartition(".")[0]
        if (OmegaConf.select(config, group) is None) if group else (key not in config):
            continue
        value = OmegaConf.select(config, key)
        if value is None and optional:
            continue
        number = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        if not number or not least <= value <= _MOST:
            what = "a whole number" if kind is int else "a number"
            raise InputError(f"{key}={value}: must be {what}, at least {least:g}{' (or null)' if optional else ''}")
    if "window" in config:
        _check_window(config)
        folder = Path(config.tuning.journal).absolute().parent
        if not folder.is_dir():
            raise InputError(f"tuning.journal={config.tuning.journal}: the folder {folder} does not exist")
        if config.tuning.storage is not None:
            check_address(str(config.tuning.storage))


def _check_window(config: DictConfig) -> None:
    lags = config.window.lags
    lags = list(lags) if isinstance(lags, ListConfig) else []
    if not lags or any(not isinstance(lag, int) or lag < 0 for lag in lags) or len(set(lags)) < len(lags):
        raise InputError(f"window.lags={config.window.lags}: must be different whole numbers of months, none negative")
    if config.window.target not in TARGETS:
        raise InputError(f"window.target={config.window.target}: must be one of {', '.join(TARGETS)}")
    if config.compute.jobs == 0:
        raise InputError("compute.jobs=0: must be a number of worker processes, or -1 for one a core")


def make_factors(factors: DictConfig, descriptors: ListConfig | None) -> dict[str, list[str]]:
    """The descriptors of each factor of the ``factors`` config, of those that the panel has (``data.descriptors``).

    Raises
    ------
    InputError
        If a factor is not a list of names, a descriptor stands twice or has a name that means something else, or
        ``data.descriptors`` names one that no factor has.
    """
    named: Any = OmegaConf.to_container(factors, resolve=True)
    for factor, names in named.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"factors.{factor}={names}: must be a list of descriptors, such as [PER, PBR]")
        if factor in ("bias", "prediction", *KEYS):
            raise InputError(f"factors.{factor}: a forecast has a column of that name: choose another")
    every = [name for names in named.values() for name in names]
    for name in every:
        if every.count(name) > 1:
            raise InputError(f"factors: descriptor {name} stands more than once: a descriptor belongs to one factor")
        if name in (*KEYS, RETURN, SECTOR):
            raise InputError(f"factors: {name} cannot be a descriptor: the panel has a column of that meaning")
    kept = every if descriptors is None else list(descriptors)
    for name in kept:
        if name not in every:
            raise InputError(f"data.descriptors: {name} belongs to no factor{nearest(name, every)}: see conf/factors")
    found = {factor: [name for name in names if name in kept] for factor, names in named.items()}
    found = {factor: names for factor, names in found.items() if names}
    if not found:
        raise InputError("data.descriptors=[]: at least one descriptor is needed")
    return found


def left_out(config: DictConfig, descriptors: Sequence[str]) -> list[str]:
    """The descriptors that the ``factors`` config names and a run does without."""
    return [name for names in config.factors.values() for name in names if name not in descriptors]


def descriptors_of(factors: Mapping[str, Sequence[str]]) -> list[str]:
    """All descriptors, in the order of the factors."""
    return [name for names in factors.values() for name in names]


def load_panel(data: DictConfig, descriptors: Sequence[str], least_stocks: int) -> pd.DataFrame:
    """Read or simulate the panel that a ``data`` config names, check it, and keep its universe."""
    return largest(load_market(data, descriptors, least_stocks), data.universe)


def load_market(data: DictConfig, descriptors: Sequence[str], least_stocks: int) -> pd.DataFrame:
    """The checked panel with all its stocks."""
    if data.universe is not None and "CAP" not in descriptors:
        raise InputError(f"data.universe={data.universe}: the largest stocks are chosen by CAP, which is not there")
    if data.universe is not None and data.universe < least_stocks:
        raise InputError(
            f"data.universe={data.universe}: fewer stocks than portfolio.quantiles={least_stocks} can hold; raise it"
        )
    settings: Any = OmegaConf.to_container(data.source, resolve=True)
    target = settings.pop("_target_")
    try:
        source = get_method(target)
    except Exception as error:  # Hydra wraps whatever the import raised
        raise InputError(f"data.source._target_={target}: cannot be imported") from error
    frame = source(**settings)
    missing = [name for name in descriptors if name.startswith(PREFIX) and name not in frame]
    panel = check_panel(frame, [name for name in descriptors if name not in missing], least_stocks)
    if not missing:
        return panel
    with_macro = _with_macro(panel, data.get("macro"), [name.removeprefix(PREFIX) for name in missing])
    return check_panel(with_macro, descriptors, least_stocks)


def _with_macro(panel: pd.DataFrame, macro: DictConfig | None, series: Sequence[str]) -> pd.DataFrame:
    """Add the sensitivities to macro series from the file that ``data.macro`` names; what is left out is printed."""
    if macro is None or macro.path is None:
        raise InputError(
            f"factors: {PREFIX}{series[0]} is a sensitivity to the macro series {series[0]}, which the panel does not "
            "have: give data.macro.path"
        )
    levels = read_table("data.macro.path", macro.path, dates=("date",), numbers=series, may_be_empty=series)
    panel, months = add_sensitivities(panel, levels, macro.changes, macro.lag_months, series)
    if months:
        print(f"macro series: the first {months} months are left out, no sensitivity is known in them")
    return panel


def make_families(models: DictConfig, overrides: Sequence[str] = ()) -> list[Family]:
    """The families of the ``model`` config, in the order of the comparison's rows.

    A setting that stands among the command line's ``overrides`` (``model.lstm.hidden=24``) was chosen, so it is not
    tuned.

    Raises
    ------
    InputError
        For an unknown family or setting, or a setting that the search space names and the family lacks.
    """
    plain: dict[str, dict[str, Any]] = OmegaConf.to_container(models, resolve=True)  # type: ignore[assignment]
    for name in plain:
        if name not in ROWS:
            raise InputError(f"model={name}: unknown family{nearest(name, ROWS)}; there are {', '.join(ROWS)}")
        if not isinstance(plain[name], dict):
            raise InputError(f"model.{name}={plain[name]}: must be a group of settings, see conf/model/{name}.yaml")
    chosen = {override.lstrip("+").split("=")[0] for override in overrides}
    return [_make_family(name, plain[name], chosen) for name in ROWS if name in plain]


def _make_family(name: str, settings: dict[str, Any], chosen: set[str]) -> Family:
    model: Any = get_method(settings.pop("_target_"))
    seeds, space = settings.pop("seeds"), settings.pop("space") or {}
    types = get_type_hints(model)
    known = {entry.name: types[entry.name] for entry in fields(model) if entry.name != "random_state"}
    for setting in (*settings, *space):
        if setting not in known:
            raise InputError(f"model.{name}.{setting}: unknown setting{nearest(setting, known)}")
    if not isinstance(seeds, int) or seeds < 1:
        raise InputError(f"model.{name}.seeds={seeds}: must be a whole number, at least 1")
    settings = {
        setting: _typed(f"model.{name}.{setting}", value, known[setting]) for setting, value in settings.items()
    }
    space = {setting: entry for setting, entry in space.items() if f"model.{name}.{setting}" not in chosen}
    for setting, entry in space.items():
        if not in_space(settings[setting], entry):
            raise InputError(
                f"model.{name}.{setting}={settings[setting]}: lies outside its search space {entry}: widen it, or set "
                "tuning.trials=0"
            )
    return Family(name, model, settings, seeds, space)


def _typed(key: str, value: Any, kind: Any) -> Any:
    """The value of a model's setting, if it is of the kind that the model declares. Numbers must not be negative."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise InputError(f"{key}={value}: must be one of {', '.join(get_args(kind))}")
        return value
    if kind is str:
        return str(value)  # 80 is as good a list of layers as 80-50-10
    if kind is bool:
        if not isinstance(value, bool):
            raise InputError(f"{key}={value}: must be true or false")
        return value
    fits = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    least = 1 if kind is int else 0
    if not fits or not least <= value <= _MOST:
        raise InputError(f"{key}={value}: must be {'a whole number' if kind is int else 'a number'}, at least {least}")
    return value


def require_training_months(families: Sequence[Family], windows: Sequence[Window]) -> None:
    """Refuse windows too short for a network that holds back validation months.

    Raises
    ------
    InputError
        Naming the family and the months.
    """
    shortest = min(len(window.train) for window in windows)
    for family in families:
        held_back = family.settings.get("validation_months", 0)
        if shortest <= held_back:
            raise InputError(
                f"model.{family.name}.validation_months={held_back}: a window has only {shortest} training months: "
                "lower it, or raise window.train_months"
            )


def make_rule(portfolio: DictConfig) -> PortfolioRule:
    """The portfolio rule of the ``portfolio`` config."""
    return PortfolioRule(quantiles=portfolio.quantiles, cost_bps=portfolio.cost_bps)


def make_compute(compute: DictConfig) -> Compute:
    """Where fits run, of the ``compute`` config."""
    return Compute(jobs=compute.jobs, scheduler=compute.scheduler, device=compute.device)


def make_checkpoints(config: DictConfig, samples: Samples, data: str) -> Checkpoints:
    """Where a training's finished fits are kept; ``data`` is the panel's fingerprint.

    A fit's number depends on the family, the window and the seed, which its task names, and on the samples.
    """
    identity = {
        "data": data,
        "lags": samples.lags,
        "target": config.window.target,
        "descriptors": samples.descriptors,
        "device": config.compute.device,
    }
    return Checkpoints(config.compute.checkpoints, identity)


def make_plan(
    config: DictConfig, families: Sequence[Family], samples: Samples, first_test: int, data: str
) -> TuningPlan:
    """The tuning plan of the ``tuning`` config, its storage open; ``data`` is the panel's fingerprint."""
    tuning = config.tuning
    windows, storage = [], None
    if tuning.trials:
        windows = validation_windows(
            samples,
            first_test,
            config.window.train_months,
            tuning.validation_months,
            tuning.folds,
            config.window.expanding,
        )
        require_training_months(families, windows)
        storage = open_storage(tuning.journal, tuning.storage)
    return TuningPlan(
        trials=tuning.trials,
        windows=windows,
        batch=tuning.batch,
        seed=config.seed,
        compute=make_compute(config.compute),
        storage=storage,
        data={"data": data, "lags": list(samples.lags), "target": config.window.target},
        rule=make_rule(config.portfolio),
    )


def describe(config: DictConfig) -> str:
    """A config as one line of JSON, in its own order: that of the factors is that of a panel's columns."""
    return json.dumps(OmegaConf.to_container(config, resolve=True))


def flatten(config: DictConfig) -> dict[str, object]:
    """Every value of a config under its dotted name; lists stay whole."""
    leaves: dict[str, object] = {}

    def descend(node: object, prefix: str) -> None:
        if isinstance(node, dict) and node:
            for key, child in node.items():
                descend(child, f"{prefix}.{key}" if prefix else str(key))
        else:
            leaves[prefix] = node

    descend(OmegaConf.to_container(config, resolve=False), "")
    return leaves
