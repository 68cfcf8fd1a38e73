from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from drf.errors import InputError
from drf.experiment.config import read
from drf.experiment.families import make_families
from drf.experiment.schema import TrainConfig
from drf.models.family import Family
from tests.experiment.composing import composed


def models(*overrides: str) -> Mapping[str, Any]:
    return read(composed(*overrides), TrainConfig).model


def families(*overrides: str) -> dict[str, Family]:
    return {family.name: family for family in make_families(models(*overrides), overrides)}


def test_families_can_be_chosen_and_set() -> None:
    found = families("model=[lstm,linear]", "model.lstm.hidden=8", "model.lstm.seeds=2")
    assert list(found) == ["linear", "lstm"]
    assert found["lstm"].settings["hidden"] == 8
    assert found["lstm"].seeds == 2
    assert found["lstm"].warm_start
    assert found["lstm"].months_held_back == 6
    assert not found["linear"].warm_start


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("+model.lstm.hiden=3", "unknown config key model.lstm.hiden (did you mean model.lstm.hidden?)"),
        ("+model.lstm.random_state=3", "unknown config key model.lstm.random_state"),
        ("model.lstm.seeds=0", "model.lstm.seeds=0: must be a whole number, at least 1"),
        ("model.lstm.epochs=abc", "model.lstm.epochs=abc: must be a whole number, at least 1"),
        ("model.lstm.signal_bias=no", "model.lstm.signal_bias=no: must be true or false"),
        ("model.lstm.label=order", "model.lstm.label=order: must be one of return, rank"),
        ("model.lstm.learning_rate=1e30", "model.lstm.learning_rate=1e+30: must be a number, above 0 and at most 10"),
        ("model.dnn.linearisation=no", "model.dnn.linearisation=no: must be one of plain, shapley"),
        ("model.dnn.hidden=80-x", "model.dnn.hidden=80-x: must be sizes of layers"),
        ("+model.lstm.space.hiden={type: int, low: 1, high: 3}", "unknown config key model.lstm.hiden"),
        ("+model.linear.space.x={type: int, low: 1, high: 3}", "unknown config key model.linear.x"),
        ("model.svr.space.C.low=9", "model.svr.space.C.low=9, high=1.0: a search range needs both"),
        ("model.svr.space.C.type=real", "model.svr.space.C.type=real: must be one of float, int, choice"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(override: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        make_families(models(override))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["model=[blend]"], "model.blend.rows: lstm_lrp is not among the rows that are trained: add some to model"),
        (
            ["model=[linear,svr,blend]", "model.blend.rows=[linear,svr]"],
            "model.blend.rows: svr has no contributions: there are linear",
        ),
        (
            ["model=[linear,lstm,blend]", "model.blend.rows=[linear,lstm_lpr]"],
            "lstm_lpr is not among the rows that are trained: there are linear, lstm_lrp (did you mean lstm_lrp?)",
        ),
        (["model=[linear,blend]", "model.blend.rows=[linear,blend]"], "model.blend.rows: blend is not among the rows"),
        (["model=[linear,blend]", "model.blend.rows=[linear]"], "model.blend.rows=['linear']: must be different rows"),
    ],
)
def test_a_blend_of_rows_that_cannot_be_blended_is_refused(overrides: list[str], told: str) -> None:
    with pytest.raises(InputError) as refused:
        make_families(models(*overrides))
    assert told in str(refused.value)


def test_a_blend_is_made_of_the_families_behind_its_rows() -> None:
    found = families("model=[linear,lstm,blend]", "model.blend.rows=[linear,lstm_lrp]")
    assert found["blend"].trained == ("linear", "lstm")
    assert found["lstm"].trained == ("lstm",)


def test_an_unknown_family_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"model=lstn: unknown family \(did you mean lstm\?\)"):
        make_families({"lstn": {}})


def test_what_the_user_sets_is_not_tuned() -> None:
    found = families("model.lstm.hidden=24", "model.dnn.hidden=80")
    assert "hidden" not in found["lstm"].space
    assert "hidden" not in found["dnn"].space
    assert found["dnn"].settings["hidden"] == 80
    assert "learning_rate" in found["lstm"].space
    with pytest.raises(InputError, match=r"model\.lstm\.hidden=24: lies outside its search space"):
        make_families(models("model.lstm.hidden=24"))
