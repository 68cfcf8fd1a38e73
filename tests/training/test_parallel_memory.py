from __future__ import annotations

import builtins
from types import ModuleType
from typing import Any

import pytest

from drf.training.parallel import memory_in_use, peak_memory


def test_the_peak_of_memory_is_measured_where_the_system_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    peak = peak_memory()
    assert peak is not None
    assert 50e6 < peak < 100e9  # bytes
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> ModuleType:
        if name == "resource":
            raise ImportError(name)
        return real(name, *arguments)

    assert 50e6 < memory_in_use() < 100e9
    monkeypatch.setattr(builtins, "__import__", without)
    assert peak_memory() is None
