"""Help to tune: ``python -m drf.cli.tuning_worker tuning.storage=... [key=value ...]``, overrides as those of train.py.

Works on the same studies in the same database until they have their trials, then ends. Runs, rows and the registry are
the concern of the ``train.py`` that it helps, which waits for it.
"""

from __future__ import annotations

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from ..errors import InputError
from ..experiment.experiment import prepare
from ..models.family import Family
from ..tuning.search import tune
from . import program


@hydra.main(version_base="1.3", config_path=str(program.CONFIG_DIR), config_name="config")
@program.refusing
def main(config: DictConfig) -> None:
    if config.tuning.storage is None:
        raise InputError("tuning.storage=null: give the address of the database that the machines share")
    experiment = prepare(config, HydraConfig.get().overrides.task)

    def say(family: Family, trial: FrozenTrial, from_earlier_run: bool) -> None:
        if not from_earlier_run:
            print(f"{family.name}-trial-{trial.number} {trial.state.name.lower()}", flush=True)

    tune(experiment.families, experiment.samples, experiment.tuning_plan(), say)


if __name__ == "__main__":
    program.run(main, "config")
