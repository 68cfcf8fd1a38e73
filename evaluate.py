"""Score the registered versions on months that none of them had seen, and promote the best that passes every gate.

python evaluate.py [key=value ...]; audit=true runs the leak suite, rollback=true gives the alias champion back to the
previous version.
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from drf.cli import program
from drf.cli.evaluate import evaluate


@hydra.main(version_base="1.3", config_path=str(program.CONFIG_DIR), config_name="evaluation")
@program.refusing
def main(config: DictConfig) -> None:
    evaluate(config)


if __name__ == "__main__":
    program.run(main, "evaluation")
