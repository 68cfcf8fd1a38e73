"""``drf tuning-worker tuning.storage=... [key=value ...]``: help a training on another machine to tune.

It works on the same studies in the same database until all their trials are done, then exits. It takes the same
overrides as the training. The training alone writes runs, rows and the registry, and waits for the trials.
"""

from optuna.trial import FrozenTrial

from ..errors import InputError
from ..experiment.composing import Settings
from ..experiment.schema import TrainConfig
from ..models.family import Family
from .hydra_command import run_command


def main() -> None:
    """Run the command."""
    run_command("config", TrainConfig, _help_to_tune)


def _help_to_tune(settings: Settings[TrainConfig]) -> None:
    from ..experiment.experiment import prepare
    from ..tuning.search import tune

    if settings.config.plan:
        raise InputError("plan=true: is a setting of drf train")
    if settings.config.tuning.storage is None:
        raise InputError("tuning.storage=null: give the address of the database that the machines share")
    experiment = prepare(settings)

    def tell(family: Family, trial: FrozenTrial, from_earlier_run: bool) -> None:
        if not from_earlier_run:
            print(f"{family.name}-trial-{trial.number} {trial.state.name.lower()}", flush=True)

    tune(experiment.families, experiment.samples, experiment.tuning_plan(), tell)


if __name__ == "__main__":
    main()
