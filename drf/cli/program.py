"""Command-line conventions: refusals in one line, exit codes, signals, and printed logs."""

import argparse
import functools
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, ParamSpec

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ..data.calendar import in_words
from ..data.files import Reading
from ..experiment.composing import explain, in_one_line
from ..tracking.store import without_secrets
from .failures import REFUSED, failure_of
from .signals import Ending, watch

_SIGPIPE = 128 + 13  # not every system defines this signal

FAULT = 1

P = ParamSpec("P")


def run(main: Callable[[], None], config_name: str) -> None:
    """Call a ``hydra.main`` function; refuse bad input with one line on stderr and exit code 2.

    MLproject passes all overrides in one parameter, ``--overrides "a=1 b=2"``, which is split into words here.
    """
    sys.argv[1:] = split_overrides(sys.argv[1:])
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through to the handlers below
    watch()
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        refuse(explain(error, config_name))
    except ValueError as error:
        refuse(in_one_line(error))
    except KeyboardInterrupt as error:
        _end(error)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a file is read."""
    parser.add_argument("--encoding", help="encoding of a CSV file that is not UTF-8, such as cp932")
    parser.add_argument("--unknown", help="texts that stand for an unknown number, such as .,B,-99")
    parser.add_argument("--separator", help="separator of a CSV file's columns; default: found from the header")
    parser.add_argument("--decimal", choices=[".", ","], help="decimal sign of a CSV file; default: found")


def reading_of(arguments: argparse.Namespace) -> Reading:
    """Return the options of :func:`add_reading`."""
    unknown = tuple(arguments.unknown.split(",")) if arguments.unknown else ()
    return Reading(arguments.encoding, unknown, arguments.separator, arguments.decimal)


def refusing(task: Callable[P, object]) -> Callable[P, None]:
    """Turn refused input into one line and an exit code.

    Apply this decorator below ``hydra.main``; otherwise Hydra adds its own lines to the message.
    """

    @functools.wraps(task)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a console may lack letters
        _show_logs()
        watch()
        try:
            task(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError:
            _end_unheard()
        except OmegaConfBaseException as error:
            refuse(explain(error, ""))
        except (Exception, KeyboardInterrupt) as error:
            _end(error)

    return wrapped


def _end(error: BaseException) -> NoReturn:
    """Exit with one line on a failure outside the program; print the traceback of a fault in the program."""
    failure = failure_of(KeyboardInterrupt() if Ending.interrupted else error)
    if failure is None:
        traceback.print_exception(error)
        refuse("this is a fault of the program, and not of your input: please report it with the lines above", FAULT)
    refuse(failure.text, failure.code)


class _Printing(logging.Handler):
    """Handler that prints the rooms' log messages, since the rooms do not print them."""

    def emit(self, record: logging.LogRecord) -> None:
        say(self.format(record))


def say(text: str) -> None:
    """Print a text, in the words of the calendar in force."""
    print(in_words(text))


def _show_logs() -> None:
    rooms = logging.getLogger("drf")
    rooms.setLevel(logging.INFO)
    if not any(isinstance(handler, _Printing) for handler in rooms.handlers):
        rooms.addHandler(_Printing())


def split_overrides(arguments: list[str]) -> list[str]:
    """Replace every ``--overrides TEXT`` by the words of TEXT.

    ``+experiment=mine`` is accepted too, although Hydra needs no plus: the group is already in the defaults, as null.
    """
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        if word != "--overrides":
            words.append(word)
            continue
        text = next(rest, "")
        try:
            words += shlex.split(text)
        except ValueError as error:
            refuse(f"--overrides {text}: {error}")
    return [_quoted(word.removeprefix("+") if word.startswith("+experiment=") else word) for word in words]


def _quoted(word: str) -> str:
    """Put quotes around a value that Hydra's grammar cannot read, such as a file's name with brackets or kanji."""
    if word.startswith("~"):
        refuse(f"{word}: a command needs all its settings: to switch one off, set it to null")
    key, sign, value = word.partition("=")
    if not sign or value.startswith(("[", "{", "'", '"')):
        return word
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return '{}="{}"'.format(key, value.replace('"', r"\""))
    return word


def called(command: str) -> str:
    """Return another command as the user would type it, given how this one was called."""
    return f"python {command}.py" if Path(sys.argv[0]).suffix == ".py" else f"drf {command}"


def refuse(message: str, code: int = REFUSED) -> NoReturn:
    """Print one line and exit."""
    program = Path(sys.argv[0])
    room = program.parent.name
    name = program.name if program.name != "__main__.py" else room if room == "drf" else f"drf.{room}"
    print(f"{name}: {without_secrets(in_words(' '.join(message.split())))}", file=sys.stderr)
    raise SystemExit(code)


def _end_unheard() -> NoReturn:
    """Exit silently with SIGPIPE's code, as programs do when their reader has gone (``| head``)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain while it flushes
    raise SystemExit(_SIGPIPE)
