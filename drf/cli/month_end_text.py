"""Results of a month end's steps as text."""

from ..live.issuance import Issuance
from ..live.track_record import Record
from ..reporting.terminal import evaluation_text, issue_text, record_text, training_text, watch_text
from ..workflows.evaluate import EvaluationResult
from ..workflows.month_end import MonthEndResult
from ..workflows.month_end_steps import Notice, StepResult, WatchedMonth
from ..workflows.train import TrainingResult
from . import program


def tell(step: StepResult) -> None:
    """Print the result of a step as soon as it has ended."""
    if text := _text_of(step):
        program.say(text)


def _text_of(step: StepResult) -> str:
    match step:
        case Notice():
            return step.text
        case WatchedMonth():
            return watch_text(step.watch, step.month)
        case Issuance():
            return issue_text(step)
        case Record():
            return record_text(step)
        case TrainingResult():
            following = program.called("evaluate")
            return training_text(step.experiment, step.table, step.version, step.place, step.notices, following)
        case EvaluationResult():
            return evaluation_text(step.name, step.decision, step.audits, step.place, step.notices)


def last_words(result: MonthEndResult) -> str:
    """Return where the page is, and what people can do about an alarm."""
    todo = [f"  {line}" for line in result.summary.get("what to do", [])]
    if result.page is None:
        return "Nothing was issued: correct the data, or give force=true"
    if result.done_before:
        return f"{result.summary['month']} was done before: {result.page}"
    return "\n".join([*(["At the alarm:", *todo] if todo else []), f"Page: {result.page}"])
