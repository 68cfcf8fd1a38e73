"""``drf train``: fit the models walk-forward, compare them in MLflow, register the newest."""

from ..experiment.composing import Settings
from ..experiment.schema import TrainConfig
from . import program
from .hydra_command import run_command


def main() -> None:
    """Run the command."""
    run_command("config", TrainConfig, _train)


def _train(settings: Settings[TrainConfig]) -> None:
    from ..reporting.papers_table import papers_text
    from ..reporting.terminal import plan_text, training_text
    from ..workflows.train import plan, train

    if settings.config.plan:
        program.say(plan_text(plan(settings)))
        return
    result = train(settings)
    following = program.called("evaluate")
    if settings.choices.get("experiment") == "paper":
        program.say(papers_text(result.table))
    program.say(training_text(result.experiment, result.table, result.version, result.place, result.notices, following))
