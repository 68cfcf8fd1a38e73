"""Run many small fits in worker processes of one thread each: the same numbers for any number of workers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm


def run_tasks(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[tuple[int, Any]]:
    """Call ``function(*task)`` for every task and yield (position of the task, result) as each is done.

    Every call runs on one thread, in this process too, so that sums are taken in the same order whatever ``jobs`` is.
    """
    parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    yield from parallel(delayed(_on_one_thread)(function, position, task) for position, task in enumerate(tasks))


def _on_one_thread(function: Callable[..., Any], position: int, task: tuple[Any, ...]) -> tuple[int, Any]:
    torch.set_num_threads(1)
    with threadpool_limits(1):
        return position, function(*task)


def progress(iterable: Iterable[Any] | None = None, **settings: Any) -> tqdm:
    """A progress bar with the time left; in a log file a line every 15 seconds."""
    return tqdm(
        iterable, file=sys.stderr, mininterval=0.3 if sys.stderr.isatty() else 15.0, dynamic_ncols=True, **settings
    )
