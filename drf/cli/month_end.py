"""``drf month-end``: watch, score, monitor, train and evaluate, once a month. The last line is a JSON object."""

from __future__ import annotations

import json
from typing import NoReturn

import requests
import sqlalchemy

from ..errors import InputError, TryAgainError, cause_of, first_line
from ..experiment.composing import Settings
from ..live.issuance import Issuance
from ..live.month_end_config import MonthEndConfig
from ..live.track_record import Record
from ..reporting.terminal import evaluation_text, issue_text, record_text, training_text, watch_text
from ..tracking.store import without_secrets
from ..workflows.evaluate import EvaluationResult
from ..workflows.month_end import MonthEndResult, Notice, StepResult, WatchedMonth, month_end
from ..workflows.train import TrainingResult
from . import program
from .hydra_command import run_command

_CODES = {"done": 0, "held back": program.HELD_BACK, "alarm": program.ALARM}


def main() -> None:
    """Run the command."""
    run_command("month_end", MonthEndConfig, _month_end)


def _month_end(settings: Settings[MonthEndConfig]) -> None:
    try:
        result = month_end(settings, _tell)
    except Exception as error:
        _refuse(error)
    print(_last_words(result))
    print(json.dumps(dict(result.summary)))
    code = _CODES[result.status] or (program.NOTHING_TO_DO if result.done_before else 0)
    if code:
        raise SystemExit(code)


def _tell(step: StepResult) -> None:
    """Print the result of a step as soon as it has ended."""
    if text := _text_of(step):
        print(text)


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
    if result.status == "held back":
        return "Nothing was issued: correct the data, or give force=true"
    if result.done_before:
        return f"{result.summary['month']} was done before: {result.page}"
    return f"Page: {result.page}"


def _refuse(error: Exception) -> NoReturn:
    """Print the JSON object of a failed month end and exit; re-raise an error in the program itself."""
    full, away = program.is_full_disk(error), _is_away(error)
    if not (full or away or isinstance(error, InputError)):
        print(json.dumps({"status": "fault", "reason": without_secrets(first_line(error))}))
        raise error
    text = program.FULL_DISK if full else str(error) if isinstance(error, InputError) else first_line(error)
    text = without_secrets(" ".join(text.split()))
    print(json.dumps({"status": "try again" if away and not full else "refused", "reason": text}))
    program.refuse(text, program.TRY_AGAIN if away and not full else program.REFUSED)


def _is_away(error: BaseException | None) -> bool:
    """Tell whether an error comes from an unreachable store or from another command that is running."""
    if error is None:
        return False
    here = isinstance(error, TryAgainError | requests.ConnectionError | requests.Timeout)
    if isinstance(error, sqlalchemy.exc.OperationalError):  # database errors: some are permanent
        here = error.connection_invalidated or any(word in str(error) for word in ("locked", "connect"))
    return here or _is_away(cause_of(error))
