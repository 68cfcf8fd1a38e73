"""Parallel fits in single-threaded workers, with the same results for any number and place of workers."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any

import psutil
from annotated_types import Ge
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ..data.calendar import Frequency, in_force, using
from ..errors import InputError, first_line

PATIENCE = 20  # seconds to wait before a scheduler counts as absent


@dataclass(frozen=True)
class Compute:
    """Place where fits run.

    Attributes:
        jobs: Worker processes on this machine; -1: one per core.
        scheduler: Address of a Dask scheduler, whose workers are then used instead.
        device: PyTorch device on which networks are trained together, such as ``cuda``; None: each in a worker.

    Raises ValueError if ``jobs`` is 0.
    """

    jobs: Annotated[int, Ge(-1)]
    scheduler: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        if self.jobs == 0:
            raise ValueError("jobs=0: must be a number of worker processes, or -1 for one a core")

    @contextmanager
    def parallel(self, shared: Any) -> Iterator[Parallel]:
        """Open a runner of tasks. ``shared`` is an argument of every task, sent to every Dask worker once.

        Raises InputError if no scheduler answers, or Dask is not installed.
        """
        settings = {"return_as": "generator_unordered", "batch_size": 1}
        if self.scheduler is None:
            yield Parallel(n_jobs=self.jobs, max_nbytes="100K", **settings)  # larger arrays are sent as memory maps
            return
        with _dask_client(self.scheduler):
            with parallel_config(backend="dask", scatter=[shared]):
                parallel = Parallel(n_jobs=-1, pre_dispatch="all", **settings)
            yield parallel


def _dask_client(address: str) -> Any:
    try:
        from distributed import Client

        return Client(address, timeout=PATIENCE)
    except ImportError as error:
        raise InputError("compute=dask: Dask is not installed: pip install 'drf[dask]'") from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"compute.scheduler={address}: no Dask scheduler answers ({first_line(error)}): start it, "
            "see docs/how-to/scale.md"
        ) from error


def run_tasks(
    function: Callable[..., Any], shared: Any, tasks: Sequence[tuple[Any, ...]], compute: Compute
) -> Iterator[tuple[int, Any]]:
    """Call ``function(shared, *task)`` for every task and yield (position of the task, result) as each is done.

    Every call runs on one thread, in this process too, so that sums are taken in the same order wherever it runs.
    """
    if tasks:
        frequency = in_force().name
        calls = (delayed(_called)(function, shared, position, task, frequency) for position, task in enumerate(tasks))
        with compute.parallel(shared) as parallel:
            yield from parallel(calls)


def release_workers() -> None:
    """End this machine's idle workers, which hold memory that the rest of a training needs."""
    get_reusable_executor().shutdown(wait=True)


def _called(
    function: Callable[..., Any], shared: Any, position: int, task: tuple[Any, ...], frequency: Frequency
) -> tuple[int, Any]:
    """Call the function on one thread, with the calendar that is in force where the task comes from."""
    with one_thread(), using(frequency):
        return position, function(shared, *task)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: sums keep one order, and nothing waits for other processes' threads."""
    import torch  # it takes seconds, and settings are checked without it

    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield


class _Bar(tqdm):
    """Progress bar that shows the memory of this process and its workers."""

    def update(self, n: float | None = 1) -> bool | None:
        self.set_postfix_str(f"{memory_in_use() / 2**30:.1f} GB", refresh=False)
        return super().update(n)


def progress(iterable: Iterable[Any] | None = None, **settings: Any) -> tqdm:
    """Return a progress bar with the time left and the memory in use; in a log file, a line every 15 seconds."""
    return _Bar(
        iterable, file=sys.stderr, mininterval=0.3 if sys.stderr.isatty() else 15.0, dynamic_ncols=True, **settings
    )


def memory_in_use() -> float:
    """Return the memory of this process and its children in bytes; shared memory counts once if it is reported."""
    own, shared = 0.0, 0.0
    this = psutil.Process()
    for process in [this, *this.children(recursive=True)]:
        with suppress(psutil.Error):  # it has just ended
            used = process.memory_info()
            shared = max(shared, getattr(used, "shared", 0))
            own += used.rss - getattr(used, "shared", 0)
    return own + shared


def peak_memory(children: bool = False) -> float | None:
    """Return the peak memory, in bytes, of this process or, with ``children``, of the largest child if that is more.

    None where the system does not count it.
    """
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    whose = [resource.RUSAGE_SELF, *([resource.RUSAGE_CHILDREN] if children else [])]
    return float(unit * max(resource.getrusage(who).ru_maxrss for who in whose))
