from __future__ import annotations

import gc
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from drf.errors import InputError
from drf.samples import shared_table as module
from drf.samples.inputs import Inputs
from drf.samples.shared_table import shared_table


def test_inputs_are_those_of_the_array() -> None:
    x = np.random.default_rng(0).standard_normal((50, 3, 4)).astype(np.float32)
    inputs = Inputs.of(x)
    assert inputs.shape == x.shape
    assert inputs.size == x.size
    assert np.array_equal(inputs[:], x)
    assert np.array_equal(inputs.part(slice(10, 20))[[1, 3]], x[[11, 13]])
    assert np.array_equal(np.concatenate(list(inputs.blocks())), x)
    assert [len(block) for block in inputs.part(slice(0, 0)).blocks()] == [0]


def test_blocks_cover_every_sample_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drf.samples.inputs.BLOCK", 4 * 12 * 7)
    x = np.arange(50 * 12, dtype=np.float32).reshape(50, 3, 4)
    blocks = list(Inputs.of(x).blocks())
    assert {len(block) for block in blocks} == {7, 1}
    assert np.array_equal(np.concatenate(blocks), x)


def test_a_large_table_is_a_file_that_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 100)
    assert not isinstance(shared_table(5, 5), np.memmap)
    table = shared_table(50, 5)
    assert isinstance(table, np.memmap)
    file = Path(str(table.filename))
    table[:] = 1
    assert file.stat().st_size == 4 * 50 * 5
    del table
    gc.collect()
    assert not file.parent.exists()


def test_a_table_without_room_is_refused_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(InputError, match=r"MB of ranks .* set TMPDIR to another folder"):
        shared_table(2**50, 64)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(InputError, match="No such file"):
        shared_table(2**30, 64)


def test_folders_of_killed_groups_are_swept_and_those_in_use_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(module, "IN_MEMORY", 0)
    used = shared_table(3, 3)
    left, strange = tmp_path / "drf-table-left", tmp_path / "drf-table-strange"
    for folder in (left, strange):
        folder.mkdir()
    (left / "lock").touch()
    shared_table(3, 3)
    assert left.is_dir()  # it is new: its owner may not hold the lock yet
    monkeypatch.setattr(module, "_NEW", -1)
    shared_table(3, 3)
    assert not left.is_dir()
    assert strange.is_dir()
    assert Path(str(used.filename)).is_file()  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_killed_process_leaves_no_table(tmp_path: Path) -> None:
    program = (
        "import time; from drf.samples import shared_table as m; m.IN_MEMORY = 0; table = m.shared_table(10, 10); "
        "print(table.filename, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        file = Path(process.stdout.readline().strip())
        assert file.is_file()
        process.send_signal(signal.SIGKILL)
    for _ in range(300):
        if not file.parent.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{file.parent} is left")
