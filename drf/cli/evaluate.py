"""``drf evaluate``: judge the registered versions, and move the alias champion."""

from ..experiment.composing import Settings
from ..registry.evaluation_config import EvaluateConfig
from . import program
from .failures import ALARM
from .hydra_command import run_command


def main() -> None:
    """Run the command."""
    run_command("evaluation", EvaluateConfig, _evaluate)


def _evaluate(settings: Settings[EvaluateConfig]) -> None:
    from ..reporting.terminal import evaluation_text
    from ..workflows.evaluate import evaluate

    result = evaluate(settings)
    program.say(evaluation_text(result.name, result.decision, result.audits, result.place, result.notices))
    if result.alarm and result.place is not None:
        raise SystemExit(ALARM)
