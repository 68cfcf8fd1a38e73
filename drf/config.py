"""From a composed config to the objects it describes; values that make no sense are refused here."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pandas as pd
from hydra.utils import get_method
from omegaconf import DictConfig, OmegaConf

from .data.factors import DESCRIPTORS
from .data.panel import check_panel, largest
from .errors import InputError, nearest
from .evaluation.portfolio import PortfolioRule
from .models.family import ROWS, Family
from .tuning import TuningPlan
from .windows.samples import TARGETS, Samples
from .windows.split import validation_windows

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
    "gate.min_months": (int, 2, False),
    "gate.min_sharpe": (float, float("-inf"), False),
    "gate.min_rank_ic_t": (float, float("-inf"), False),
    "gate.min_gain": (float, 0, False),
    "gate.max_conservation_error": (float, 0, False),
}


def check_config(config: DictConfig) -> None:
    """Refuse values of the wrong type or out of range.

    Raises
    ------
    InputError
        Naming the key, its value and what it may be.
    """
    for key, (kind, least, optional) in _NUMBERS.items():
        if OmegaConf.select(config, key.split(".")[0]) is None:
            continue
        value = OmegaConf.select(config, key)
        if value is None and optional:
            continue
        number = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
        if not number or value < least:
            what = "a whole number" if kind is int else "a number"
            raise InputError(f"{key}={value}: must be {what}, at least {least:g}{' (or null)' if optional else ''}")
    if "window" in config:
        _check_window(config)


def _check_window(config: DictConfig) -> None:
    lags = list(config.window.lags)
    if not lags or any(not isinstance(lag, int) or lag < 0 for lag in lags) or len(set(lags)) < len(lags):
        raise InputError(f"window.lags={lags}: must be different whole numbers of months, none negative")
    if config.window.target not in TARGETS:
        raise InputError(f"window.target={config.window.target}: must be one of {', '.join(TARGETS)}")
    if config.compute.jobs == 0:
        raise InputError("compute.jobs=0: must be a number of worker processes, or -1 for one a core")


def load_panel(data: DictConfig, least_stocks: int) -> pd.DataFrame:
    """Read or simulate the panel that a ``data`` config names, check it, and keep its universe."""
    if data.universe is not None and data.universe < least_stocks:
        raise InputError(
            f"data.universe={data.universe}: fewer stocks than portfolio.quantiles={least_stocks} can hold; raise it"
        )
    settings: Any = OmegaConf.to_container(data.source, resolve=True)
    frame = get_method(settings.pop("_target_"))(**settings)
    return largest(check_panel(frame, DESCRIPTORS, least_stocks), data.universe)


def make_families(models: DictConfig) -> list[Family]:
    """The families of the ``model`` config, in the order of the comparison's rows.

    Raises
    ------
    InputError
        For an unknown family or setting, or a setting that the search space names and the family lacks.
    """
    plain: dict[str, dict[str, Any]] = OmegaConf.to_container(models, resolve=True)  # type: ignore[assignment]
    for name in plain:
        if name not in ROWS:
            raise InputError(f"model={name}: unknown family{nearest(name, ROWS)}; there are {', '.join(ROWS)}")
    return [_make_family(name, plain[name]) for name in ROWS if name in plain]


def _make_family(name: str, settings: dict[str, Any]) -> Family:
    model: Any = get_method(settings.pop("_target_"))
    seeds, space = settings.pop("seeds"), settings.pop("space") or {}
    known = {entry.name for entry in fields(model)} - {"random_state"}
    for setting in (*settings, *space):
        if setting not in known:
            raise InputError(f"model.{name}.{setting}: unknown setting{nearest(setting, known)}")
    if not isinstance(seeds, int) or seeds < 1:
        raise InputError(f"model.{name}.seeds={seeds}: must be a whole number, at least 1")
    return Family(name, model, settings, seeds, space)


def make_rule(portfolio: DictConfig) -> PortfolioRule:
    """The portfolio rule of the ``portfolio`` config."""
    return PortfolioRule(quantiles=portfolio.quantiles, cost_bps=portfolio.cost_bps)


def make_plan(config: DictConfig, samples: Samples, first_test: int, data: str) -> TuningPlan:
    """The tuning plan of the ``tuning`` config; ``data`` is the panel's fingerprint."""
    tuning = config.tuning
    windows = []
    if tuning.trials:
        windows = validation_windows(
            samples, first_test, config.window.train_months, tuning.validation_months, tuning.folds
        )
    return TuningPlan(
        trials=tuning.trials,
        windows=windows,
        batch=tuning.batch,
        seed=config.seed,
        jobs=config.compute.jobs,
        journal=tuning.journal,
        data={"data": data, "lags": list(samples.lags), "target": config.window.target},
    )


def describe(config: DictConfig) -> str:
    """A config as one line of JSON, equal for equal configs."""
    return json.dumps(OmegaConf.to_container(config, resolve=True), sort_keys=True)


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
