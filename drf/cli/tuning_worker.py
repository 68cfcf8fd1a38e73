"""Help to tune: ``python -m drf.tuning_worker tuning.storage=... [key=value ...]``, overrides as those of train.py.

Works on the same studies in the same database until they have their trials, then ends. Runs, rows and the registry are
the concern of the ``train.py`` that it helps, which waits for it.
"""

from __future__ import annotations

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna.trial import FrozenTrial

from . import program as entry
from ..errors import InputError
from ..models.family import Family
from ..experiment.preparation import prepare
from ..tuning.search import tune


@hydra.main(version_base="1.3", config_path=str(entry.CONFIG_DIR), config_name="config")
@entry.refusing
def main(config: DictConfig) -> None:
    if config.tuning.storage is None:
        raise InputError("tuning.storage=null: give the address of the database that the machines share")
    start = prepare(config, HydraConfig.get().overrides.task)

    def say(family: Family, trial: FrozenTrial, from_earlier_run: bool) -> None:
        if not from_earlier_run:
            print(f"{family.name}-trial-{trial.number} {trial.state.name.lower()}", flush=True)

    tune(start.families, start.samples, start.plan, say)


if __name__ == "__main__":
    entry.run(main, "config")
