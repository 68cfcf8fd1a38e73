from __future__ import annotations

import errno
import multiprocessing
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from drf.errors import InputError
from drf.training.checkpoints import Checkpoints, is_dead

TASK = ("lstm", range(3), 7)


def test_what_was_kept_is_loaded_until_the_training_has_ended(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Checkpoints(str(tmp_path), {"seed": 0}) as first:
        assert first.load(TASK) is None
        first.keep(TASK, np.arange(4.0))
        raise KeyboardInterrupt
    with Checkpoints(str(tmp_path), {"seed": 1}) as other:
        assert other.load(TASK) is None
    with Checkpoints(str(tmp_path), {"seed": 0}) as again:
        assert np.array_equal(again.load(TASK), np.arange(4.0))
        assert again.load(("lstm", range(3), 8)) is None
        assert again.restored == 1
    with Checkpoints(str(tmp_path), {"seed": 0}) as anew:
        assert anew.load(TASK) is None


def test_other_code_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Checkpoints(str(tmp_path), {}).path
    monkeypatch.setattr("drf.training.checkpoints._code", lambda: "other")
    assert Checkpoints(str(tmp_path), {}).path != before


def _hold(folder: str, ready: Any, done: Any) -> None:
    with Checkpoints(folder, {}):
        ready.set()
        done.wait(60)


def test_a_training_is_alive_while_its_process_is(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(str(tmp_path), ready, done))
    process.start()
    assert ready.wait(60)
    with Checkpoints(str(tmp_path), {}) as second:
        assert not second.owned
        assert not is_dead(second.path)
        second.keep(TASK, 1)
    assert second.load(TASK) == 1  # who does not own them does not clean up
    process.kill()
    process.join()
    assert is_dead(second.path)


@pytest.mark.parametrize("moment", ["dump", "replace"])
def test_a_full_disk_is_said_in_one_line_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def full(*arguments: Any, **settings: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(joblib if moment == "dump" else os, moment, full)
    with (
        pytest.raises(InputError, match="No space left on device: make room, then give the same command again"),
        Checkpoints(str(tmp_path), {}) as checkpoints,
    ):
        checkpoints.keep(TASK, 1)
    assert [file.name for file in checkpoints.path.iterdir()] == ["lock"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"compute\.checkpoints: .* cannot be used"),
        Checkpoints(str(tmp_path / "file"), {}),
    ):
        pass
