"""``drf month-end``: watch, score, monitor, train and evaluate, once a month. The last line is a JSON object."""

import json
from typing import NoReturn

from ..errors import first_line
from ..experiment.composing import Settings
from ..live.month_end_config import MonthEndConfig
from ..tracking.store import without_secrets
from . import program
from .failures import ALARM, HELD_BACK, NOTHING_TO_DO, TRY_AGAIN, failure_of
from .hydra_command import run_command

_CODES = {"done": 0, "held back": HELD_BACK, "alarm": ALARM}


def main() -> None:
    """Run the command."""
    run_command("month_end", MonthEndConfig, _month_end)


def _month_end(settings: Settings[MonthEndConfig]) -> None:
    from ..workflows.month_end import month_end
    from .month_end_text import last_words, tell

    try:
        result = month_end(settings, tell)
    except Exception as error:
        _refuse(error)
    program.say(last_words(result))
    print(json.dumps(dict(result.summary)))
    code = _CODES[result.status] or (NOTHING_TO_DO if result.done_before else 0)
    if code:
        raise SystemExit(code)


def _refuse(error: Exception) -> NoReturn:
    """Print the JSON object of a failed month end, then re-raise the error so that one line explains it."""
    failure = failure_of(error)
    text = without_secrets(" ".join((failure.text if failure else first_line(error)).split()))
    status = "fault" if failure is None else "try again" if failure.code == TRY_AGAIN else "refused"
    print(json.dumps({"status": status, "reason": text}))
    raise error
