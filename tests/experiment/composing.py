"""Configs as the programs compose them."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from drf.cli.program import CONFIG_DIR


def composed(*overrides: str, name: str = "config") -> DictConfig:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return compose(name, overrides=list(overrides))
