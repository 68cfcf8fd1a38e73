from __future__ import annotations

import optuna
import pytest

from drf.tuning.space import Entry, entries


@pytest.mark.parametrize(
    ("entry", "inside", "outside"),
    [
        (Entry(type="float", low=0.1, high=1.0, log=True), [0.1, 0.5, 1, 1.0], [0.09, 1.1, "0.5", None]),
        (Entry(type="int", low=2, high=4), [2, 3, 4], [1, 5, "3"]),
        (Entry(type="choice", choices=["a", 8]), ["a", 8], ["b", 9, None]),
    ],
)
def test_an_entry_knows_what_it_holds_and_proposes_nothing_else(
    entry: Entry, inside: list[object], outside: list[object]
) -> None:
    assert all(entry.holds(value) for value in inside)
    assert not any(entry.holds(value) for value in outside)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    proposed = {entry.suggest(study.ask(), "x") for _ in range(30)}
    assert all(entry.holds(value) for value in proposed)
    assert len(proposed) > 1
    if entry.type == "int":
        assert proposed == {2, 3, 4}


@pytest.mark.parametrize(
    "settings",
    [{"type": "choice"}, {"type": "choice", "choices": []}, {"type": "float", "low": 1.0}, {"type": "int", "high": 3}],
)
def test_an_entry_without_what_its_type_needs_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"needs"):
        Entry(**settings)  # type: ignore[arg-type]


def test_a_space_is_read_from_the_config() -> None:
    space = {"C": {"type": "float", "low": 0.1, "high": 1.0}, "n": {"type": "choice", "choices": [1]}}
    assert entries(space) == {"C": Entry(type="float", low=0.1, high=1.0), "n": Entry(type="choice", choices=[1])}
