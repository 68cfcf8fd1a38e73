"""The programs as processes of their own, that can be killed: forked from one that has imported everything already.

An import of all that train.py needs costs seconds; without it a test can afford many kills. Everything else is as at
a shell: arguments, working directory, environment, output, exit code, process group.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from drf.reporting.document import Picture
from tests.stores import do_not_wait_for_the_disk

ROOT = Path(__file__).resolve().parents[2]

Patches = Mapping[str, object]

COMMANDS = {"train.py": "train", "evaluate.py": "evaluate", "month-end": "month_end"}


def preload() -> None:
    """What a program would import, and PyTorch only when it first trains."""
    for name in ("train", "evaluate", "month_end", "score", "monitor", "tuning_worker"):
        importlib.import_module(f"drf.cli.{name}")
    importlib.import_module("matplotlib.backends.backend_agg")
    importlib.import_module("mlflow.pyfunc")
    importlib.import_module("torch._dynamo")
    do_not_wait_for_the_disk()


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    os.environ["PYTHONPATH"] = str(ROOT)  # the server is a fresh interpreter
    context.set_forkserver_preload(["tests.programs.preloaded"])
    return context


class Program:
    """A program that runs: its process leads a group, to which its workers belong."""

    def __init__(
        self, folder: Path, name: str, arguments: Sequence[str], environment: Mapping[str, str], patches: Patches
    ) -> None:
        self.log = _log(folder)
        words = (str(folder), name, list(arguments), dict(environment), dict(patches))
        self._process = _context().Process(target=_run, args=words)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def wait(self, seconds: float = 1200) -> int:
        """Its exit code; minus the number of the signal that has ended it.

        Raises
        ------
        TimeoutError
            If it has not ended by then.
        """
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise TimeoutError(f"{seconds} s")
        return self._process.exitcode

    @property
    def runs(self) -> bool:
        return self._process.exitcode is None

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it and its workers at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    @property
    def output(self) -> str:
        return self.log.read_text()


def blank(figure: object) -> Picture:
    """In place of a picture, whose drawing takes half of the time of a small training."""
    return Picture(b"not drawn", "not drawn")


NO_PICTURES: Patches = {"drf.reporting.training_report.picture": blank}


def start(folder: Path, name: str, *arguments: str, patches: Patches = NO_PICTURES, **environment: str) -> Program:
    """Start ``train.py``, ``evaluate.py`` or a module in a folder.

    ``patches``: attributes of modules, by their dotted names, that are other ones there.
    """
    return Program(folder, name, arguments, environment, patches)


def run(
    name: str, *arguments: str, folder: Path, expect: int = 0, patches: Patches = NO_PICTURES, **environment: str
) -> str:
    """Start a program and wait for it; return what it has said."""
    log = _log(folder)
    before = len(log.read_text()) if log.is_file() else 0
    program = start(folder, name, *arguments, patches=patches, **environment)
    code = program.wait()
    said = program.output[before:]
    assert code == expect, said[-5000:]
    return said


def _log(folder: Path) -> Path:
    """Where the output of programs in a folder goes: beside it, for the folder's disk may be full."""
    return folder.parent / f"{folder.name}.log"


def _run(folder: str, name: str, arguments: list[str], environment: dict[str, str], patches: Patches) -> None:
    os.setsid()
    os.chdir(folder)
    for variable in [variable for variable in os.environ if variable.startswith("MLFLOW_")]:
        del os.environ[variable]
    os.environ.update(environment)
    log = os.open(_log(Path(folder)), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = [name if name.endswith(".py") else f"{name.replace('.', '/')}/__main__.py", *arguments]
    for attribute, value in patches.items():
        module, _, attribute_name = attribute.rpartition(".")
        setattr(importlib.import_module(module), attribute_name, value)
    code = 1
    try:
        if name.startswith("benchmarks/"):
            runpy.run_path(str(ROOT / name), run_name="__main__")
        elif name in COMMANDS:
            importlib.import_module(f"drf.cli.{COMMANDS[name]}").main()
        else:
            importlib.import_module(name).main()
        code = 0
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:  # an interpreter that ends would send its idle workers home; a forked process does not
        for worker in psutil.Process().children(recursive=True):
            worker.kill()
        sys.stdout.flush()
        os._exit(code)
