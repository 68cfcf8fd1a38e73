from __future__ import annotations

import errno
import multiprocessing
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_damaged_or_foreign_result_is_refused_and_made_again(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any single bit, any cut, the result of another task, another user's file."""
    folder = tmp_path_factory.mktemp("checkpoints")
    with Checkpoints(str(folder), {}) as checkpoints:
        checkpoints.keep(TASK, np.arange(5.0))
        checkpoints.keep("another task", 7)
        file, other = checkpoints._file(TASK), checkpoints._file("another task")
        content = file.read_bytes()
        how = data.draw(st.sampled_from(["flip", "cut", "another", "foreign", "plain"]))
        if how == "flip":
            where = data.draw(st.integers(0, len(content) - 1))
            changed = bytes([content[where] ^ (1 << data.draw(st.integers(0, 7)))])
            file.write_bytes(content[:where] + changed + content[where + 1 :])
        elif how == "cut":
            file.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        elif how == "another":
            file.write_bytes(other.read_bytes())
        elif how == "plain":
            joblib.dump(np.arange(5.0), file)
        with pytest.MonkeyPatch.context() as patch:
            if how == "foreign":
                patch.setattr(os, "getuid", lambda: 4321)
            assert checkpoints.load(TASK) is None
        assert (checkpoints.refused, checkpoints.restored) == (1, 0)
        checkpoints.keep(TASK, np.arange(5.0))
        assert list(checkpoints.load(TASK)) == [0, 1, 2, 3, 4]
