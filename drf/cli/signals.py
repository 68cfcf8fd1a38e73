"""Signals that end a command: Ctrl-C and SIGTERM become exceptions where no store is being written.

An exception unwinds the stack, so that open runs are closed as failed. Raised inside a database call it would leave the
database locked for this very process; so that call returns first.
"""

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

STORES = ("sqlalchemy", "mlflow.store")
"""Packages whose calls return before the command ends."""

_PATIENCE = 10.0  # seconds for a call that does not return


class Ending:
    """Record of the signals: whether one is Ctrl-C, which worker processes receive too, and the one that waits."""

    interrupted = False
    waiting: threading.Timer | None = None


def watch() -> None:
    """Raise KeyboardInterrupt for Ctrl-C and SystemExit for SIGTERM, outside a store's calls."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _handle)
        signal.signal(signal.SIGTERM, _handle)


def _handle(number: int, frame: FrameType | None) -> None:
    Ending.interrupted = Ending.interrupted or number == signal.SIGINT
    if Ending.waiting is not None or not _in_a_store(frame):  # a second signal does not wait
        _end(number)

    def ends(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and _in_a_store(frame) and not _in_a_store(frame.f_back):
            _end(number)

    Ending.waiting = threading.Timer(_PATIENCE, os.kill, (os.getpid(), number))  # also wakes a blocked call
    Ending.waiting.daemon = True
    Ending.waiting.start()
    sys.setprofile(ends)


def _end(number: int) -> NoReturn:
    if Ending.waiting is not None:
        Ending.waiting.cancel()
        Ending.waiting = None
        sys.setprofile(None)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _in_a_store(frame: FrameType | None) -> bool:
    """Tell whether a store's code is this frame or called it."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(STORES):
            return True
        frame = frame.f_back
    return False
