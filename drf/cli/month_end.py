"""``drf month-end``: watch, score, monitor, train and evaluate, once a month. The last line is a JSON object."""

import json
from typing import NoReturn

from ..errors import first_line
from ..experiment.composing import Settings
from ..live.issuance import Issuance
from ..live.month_end_config import MonthEndConfig
from ..live.track_record import Record
from ..reporting.terminal import evaluation_text, issue_text, record_text, training_text, watch_text
from ..tracking.store import without_secrets
from ..workflows.evaluate import EvaluationResult
from ..workflows.month_end import MonthEndResult, month_end
from ..workflows.month_end_steps import Notice, StepResult, WatchedMonth
from ..workflows.train import TrainingResult
from . import program
from .failures import ALARM, HELD_BACK, NOTHING_TO_DO, TRY_AGAIN, failure_of
from .hydra_command import run_command

_CODES = {"done": 0, "held back": HELD_BACK, "alarm": ALARM}


def main() -> None:
    """Run the command."""
    run_command("month_end", MonthEndConfig, _month_end)


def _month_end(settings: Settings[MonthEndConfig]) -> None:
    try:
        result = month_end(settings, _tell)
    except Exception as error:
        _refuse(error)
    program.say(_last_words(result))
    print(json.dumps(dict(result.summary)))
    code = _CODES[result.status] or (NOTHING_TO_DO if result.done_before else 0)
    if code:
        raise SystemExit(code)


def _tell(step: StepResult) -> None:
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


def _last_words(result: MonthEndResult) -> str:
    todo = [f"  {line}" for line in result.summary.get("what to do", [])]
    if result.page is None:
        return "Nothing was issued: correct the data, or give force=true"
    if result.done_before:
        return f"{result.summary['month']} was done before: {result.page}"
    return "\n".join([*(["At the alarm:", *todo] if todo else []), f"Page: {result.page}"])


def _refuse(error: Exception) -> NoReturn:
    """Print the JSON object of a failed month end, then re-raise the error so that one line explains it."""
    failure = failure_of(error)
    text = without_secrets(" ".join((failure.text if failure else first_line(error)).split()))
    status = "fault" if failure is None else "try again" if failure.code == TRY_AGAIN else "refused"
    print(json.dumps({"status": status, "reason": text}))
    raise error
