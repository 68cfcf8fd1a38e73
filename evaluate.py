"""Judge the champion and the versions that wait to be judged, and promote what passes.

python evaluate.py [key=value ...]; audit=true runs the leak suite. People decide with promote=VERSION, rollback=true
(or VERSION), hold=true (or false) and archive=VERSION, each with reason='...'. Exit code 4: the champion is missing,
cannot be judged or fails its gates.
"""

from __future__ import annotations

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from drf.cli import program
from drf.cli.evaluate import evaluate


@hydra.main(version_base="1.3", config_path=str(program.CONFIG_DIR), config_name="evaluation")
@program.refusing
def main(config: DictConfig) -> None:
    evaluate(config, HydraConfig.get().runtime.choices)


if __name__ == "__main__":
    program.run(main, "evaluation")
