"""Fit the families walk-forward, put their rows side by side in MLflow, register the newest models.

python train.py [key=value ...]; the keys are those of conf/ (python train.py --cfg job shows them all).
"""

from __future__ import annotations

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from drf.cli import program
from drf.cli.train import train


@hydra.main(version_base="1.3", config_path=str(program.CONFIG_DIR), config_name="config")
@program.refusing
def main(config: DictConfig) -> None:
    train(config, HydraConfig.get().overrides.task)


if __name__ == "__main__":
    program.run(main, "config")
