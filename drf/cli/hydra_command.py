"""A command whose settings are words ``key=value``, composed by Hydra."""

from collections.abc import Callable
from typing import TypeVar

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ..experiment.composing import Settings
from ..experiment.config_folder import CONFIG_DIR
from . import program

C = TypeVar("C")


def run_command(config_name: str, schema: type[C], task: Callable[[Settings[C]], object]) -> None:
    """Compose the settings of a command and call its task."""

    def composed(config: DictConfig) -> None:
        chosen = HydraConfig.get()
        task(Settings.of(config, schema, chosen.overrides.task, chosen.runtime.choices))

    composing = hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name=config_name)
    program.run(composing(program.refusing(composed)), config_name)
