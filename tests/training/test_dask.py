"""Fits on a Dask cluster of two worker processes on loopback: the numbers of this machine, whatever dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from distributed import Client, LocalCluster

from drf.errors import InputError
from drf.samples.lagged import Samples
from drf.training import parallel
from drf.training.forecasts import WalkForward
from drf.training.parallel import Compute
from drf.training.walkforward import walk_forward
from tests.making import schedule
from tests.training.test_walkforward import FAMILIES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as running:
        yield running


def walk(samples: Samples, compute: Compute) -> dict[str, WalkForward]:
    return walk_forward(FAMILIES, samples, schedule(samples, 15, 8, 1), 0, compute)


@pytest.fixture(scope="module")
def here(samples: Samples) -> dict[str, WalkForward]:
    return walk(samples, Compute(1))


def assert_same(first: dict[str, WalkForward], second: dict[str, WalkForward]) -> None:
    for family, walk in first.items():
        for one, other in ((walk.tested, second[family].tested), (walk.newest, second[family].newest)):
            assert np.array_equal(one.prediction, other.prediction)
            if one.contributions is not None and other.contributions is not None:
                assert np.array_equal(one.contributions.by_descriptor, other.contributions.by_descriptor)


@pytest.mark.long
def test_a_cluster_gives_the_numbers_of_this_machine_to_the_bit(
    samples: Samples, here: dict[str, WalkForward], cluster: LocalCluster
) -> None:
    assert_same(walk(samples, Compute(jobs=-1, scheduler=cluster.scheduler_address)), here)


@pytest.mark.long
def test_a_worker_that_is_killed_changes_nothing(
    samples: Samples, here: dict[str, WalkForward], cluster: LocalCluster
) -> None:
    with Client(cluster.scheduler_address) as client:
        before = set(client.run(os.getpid).values())
        victim = min(before)

        def kill_when_busy() -> None:
            while not any(client.processing().values()):
                time.sleep(0.01)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill_when_busy)
        killer.start()
        assert_same(walk(samples, Compute(jobs=-1, scheduler=cluster.scheduler_address)), here)
        killer.join(30)
        assert not killer.is_alive()
        assert victim not in set(client.run(os.getpid).values())


def test_a_scheduler_that_is_not_there_is_refused(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "PATIENCE", 1)
    with pytest.raises(InputError, match=r"compute\.scheduler=tcp://127\.0\.0\.1:9: no Dask scheduler answers"):
        walk(samples, Compute(jobs=-1, scheduler="tcp://127.0.0.1:9"))
