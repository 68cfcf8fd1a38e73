"""How the entry points meet their user: overrides, refusals in one line, exit codes, signals."""

from __future__ import annotations

import argparse
import errno
import functools
import logging
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn, ParamSpec

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ..data.files import Reading
from ..errors import InputError, nearest
from ..experiment.config import flatten
from ..tracking.store import without_secrets

_HERE = Path(__file__).resolve()

_PLACES = (_HERE.parents[2] / "conf", _HERE.parents[1] / "conf")

CONFIG_DIR = next(folder for folder in _PLACES if (folder / "config.yaml").is_file())
"""That of the checkout; a wheel brings it inside the package."""

REFUSED, HELD_BACK, ALARM, TRY_AGAIN, NOTHING_TO_DO = 2, 3, 4, 75, 99
"""Exit codes: refused input; unusual inputs, from which nothing was issued; an alarm about the champion or the live
record; another command at work or a store away; nothing to do, since it was done before."""

_SIGPIPE = 128 + 13  # not among the signals of every system

P = ParamSpec("P")


def run(main: Callable[[], None], config_name: str) -> None:
    """Call a ``hydra.main`` function; refuse bad input with one line on stderr and exit code 2.

    MLproject hands all overrides over in one parameter, ``--overrides "a=1 b=2"``, which is taken apart here.
    """
    sys.argv[1:] = split_overrides(sys.argv[1:])
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through to the handlers below
    signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        refuse(explain(error, config_name))
    except ValueError as error:
        refuse(group_in_words(error))


def group_in_words(error: ValueError) -> str:
    """The one complaint of Hydra's that is no HydraException; raises any other error again."""
    if "Config group override" not in str(error):
        raise error
    return f"{error}: choose one of the group's files in conf/"


def add_reading(parser: argparse.ArgumentParser) -> None:
    """The options of a command that reads a file, of what the file does not say itself."""
    parser.add_argument("--encoding", help="of a CSV file that is not UTF-8, such as cp932")
    parser.add_argument("--unknown", help="what stands for an unknown number, such as .,B,-99")


def reading_of(arguments: argparse.Namespace) -> Reading:
    return Reading(arguments.encoding, arguments.unknown.split(",") if arguments.unknown else ())


def refusing(task: Callable[P, object]) -> Callable[P, None]:
    """Turn refused input into one line and exit code 2.

    Stands below ``hydra.main``, which would add lines of its own.
    """

    @functools.wraps(task)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        _show_logs()
        try:
            task(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError:
            _end_unheard()
        except InputError as error:
            refuse(str(error))
        except OmegaConfBaseException as error:
            refuse(explain(error, ""))
        except Exception as error:
            if not is_full_disk(error):
                raise
            refuse(FULL_DISK)

    return wrapped


class _Printing(logging.Handler):
    """Print what the rooms log: they do not speak to the user themselves."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record))


def _show_logs() -> None:
    rooms = logging.getLogger("drf")
    rooms.setLevel(logging.INFO)
    if not any(isinstance(handler, _Printing) for handler in rooms.handlers):
        rooms.addHandler(_Printing())


FULL_DISK = "no space is left on the disk: make room, then give the same command again"


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an error comes from one, through however many libraries; databases say it in words of their own."""
    if error is None:
        return False
    here = getattr(error, "errno", None) == errno.ENOSPC or "disk is full" in str(error)
    return here or is_full_disk(cause_of(error))


def cause_of(error: BaseException) -> BaseException | None:
    """The error behind another, unless that was raised from nothing."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def split_overrides(arguments: list[str]) -> list[str]:
    """Replace every ``--overrides TEXT`` by the words of TEXT.

    ``+experiment=mine`` is taken too: Hydra wants no plus, since the group is named among the defaults, as null.
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
    return [word.removeprefix("+") if word.startswith("+experiment=") else word for word in words]


def called(command: str) -> str:
    """How another command is called by a user who called this one."""
    return f"python {command}.py" if Path(sys.argv[0]).suffix == ".py" else f"drf {command}"


def refuse(message: str, code: int = REFUSED) -> NoReturn:
    """Print one line and exit."""
    called = Path(sys.argv[0])
    room = called.parent.name
    name = called.name if called.name != "__main__.py" else room if room == "drf" else f"drf.{room}"
    print(f"{name}: {without_secrets(' '.join(message.split()))}", file=sys.stderr)
    raise SystemExit(code)


def _end_unheard() -> NoReturn:
    """End as programs do whose reader has gone (``| head``): without a word, and with SIGPIPE's code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would complain while it flushes
    raise SystemExit(_SIGPIPE)


def _terminate(number: int, frame: object) -> NoReturn:
    # An exception unwinds the stack, so that runs are closed as failed; the default action would leave them open.
    raise SystemExit(128 + number)


def explain(error: BaseException, config_name: str) -> str:
    """Hydra's complaint in one line, with the nearest known key or option."""
    text = "\n".join(str(part) for part in _causes(error))
    key = re.search(r"full_key: (\S+)", text) or re.search(r"Could not override '([^']+)'", text)
    if key and re.search(r"Key '[^']+' (not in '|is not in struct)", text):
        guess = nearest(key[1], _known_keys(config_name))
        return f"unknown config key {key[1]}{guess}: see conf/, or --cfg job"
    if missing := re.search(r"[Mm]issing mandatory value: (\S+)", text):
        name = missing[1] if "." in missing[1] or not key else key[1]
        return f"{name} has no value: add {name}=... to the command"
    return str(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = cause_of(error)


def _known_keys(config_name: str) -> list[str]:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return list(flatten(compose(config_name)))
