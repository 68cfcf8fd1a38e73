"""Configs as the programs compose them."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from drf.experiment.composing import Settings, compose_settings
from drf.experiment.config_folder import CONFIG_DIR
from drf.experiment.schema import TrainConfig


def composed(*overrides: str, name: str = "config") -> DictConfig:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose(name, overrides=list(overrides))


def settings_of(*overrides: str) -> Settings[TrainConfig]:
    return compose_settings("config", TrainConfig, overrides)
