from __future__ import annotations

import builtins
from types import ModuleType
from typing import Any

import pytest

from drf.workflows import training_log


def test_the_peak_of_memory_is_measured_where_the_system_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    peak = training_log._peak_memory()
    assert peak is not None
    assert 50e6 < peak < 100e9  # bytes
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> ModuleType:
        if name == "resource":
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    assert training_log._peak_memory() is None
