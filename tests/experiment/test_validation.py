"""What settings are held against: names, kinds and ranges, from annotations alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Interval
from hypothesis import given
from hypothesis import strategies as st

from drf.errors import InputError
from drf.experiment.validation import check, make, wanted


@dataclass(frozen=True, kw_only=True)
class Inner:
    share: Annotated[float, Interval(ge=0, lt=1)] = 0.5

    def __post_init__(self) -> None:
        if self.share == 0.25:
            raise ValueError("share=0.25: must be anything else")


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: Annotated[int, Ge(1)]
    name: str
    kind: Literal["plain", "fancy"] = "plain"
    on: bool = False
    most: Annotated[int, Ge(2)] | None = None
    lags: Sequence[Annotated[int, Ge(0)]] = ()
    free: Mapping[str, Any] = field(default_factory=dict)
    inner: Inner | None = None


GOOD = {"count": 3, "name": "x"}


def refusal(**changes: object) -> str:
    with pytest.raises(InputError) as refused:
        make(Outer, {**GOOD, **changes}, "outer")
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_is_right_is_taken_as_it_is() -> None:
    made = make(Outer, {**GOOD, "most": None, "lags": [0, 3], "free": {"a": 1}, "inner": {"share": 0.1}}, "outer")
    assert made == Outer(count=3, name="x", lags=[0, 3], free={"a": 1}, inner=Inner(share=0.1))
    assert make(Outer, {**GOOD, "inner": {"share": 0}}, "").inner == Inner(share=0)  # a whole number is a number


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"count": 0}, "outer.count=0: must be a whole number, at least 1"),
        ({"count": 2.0}, "outer.count=2.0: must be a whole number, at least 1"),
        ({"count": True}, "outer.count=true: must be a whole number, at least 1"),
        ({"count": None}, "outer.count=null: must be a whole number, at least 1"),
        ({"count": "3"}, "outer.count=3: must be a whole number, at least 1"),
        ({"name": 3}, "outer.name=3: must be text"),
        ({"kind": "other"}, "outer.kind=other: must be one of plain, fancy"),
        ({"on": 1}, "outer.on=1: must be true or false"),
        ({"on": "no"}, "outer.on=no: must be true or false"),
        ({"most": 1}, "outer.most=1: must be a whole number, at least 2 (or null)"),
        ({"lags": 3}, "outer.lags=3: must be a list, each a whole number, at least 0"),
        ({"lags": [0, -3]}, "outer.lags=[0, -3]: must be a list, each a whole number, at least 0"),
        ({"free": 3}, "outer.free=3: must be a group of settings"),
        ({"inner": 3}, "outer.inner=3: must be a group of settings, see conf/outer"),
        ({"inner": {"share": 1}}, "outer.inner.share=1: must be a number, at least 0 and below 1"),
        ({"inner": {"share": float("nan")}}, "outer.inner.share=nan: must be a number, at least 0 and below 1"),
        ({"inner": {"share": 0.25}}, "outer.inner.share=0.25: must be anything else"),
        ({"inner": {"chare": 1}}, "unknown config key outer.inner.chare (did you mean outer.inner.share?): see conf/"),
        ({"cuont": 1}, "unknown config key outer.cuont (did you mean outer.count?): see conf/"),
    ],
)
def test_what_is_wrong_is_named_with_what_it_may_be(changes: dict[str, object], told: str) -> None:
    assert refusal(**changes) == told


def test_what_has_no_default_must_be_given() -> None:
    with pytest.raises(InputError, match=r"^outer\.name has no value: add outer\.name=\.\.\. to the command$"):
        make(Outer, {"count": 1}, "outer")


def test_a_function_takes_settings_as_a_class_does() -> None:
    def taker(count: Annotated[int, Ge(1)], random_state: int = 0) -> None: ...

    assert check(taker, {"count": 2}, "f", hidden=("random_state",)) == {"count": 2}
    with pytest.raises(InputError, match=r"unknown config key f\.random_state"):
        check(taker, {"count": 2, "random_state": 1}, "f", hidden=("random_state",))


ANYTHING = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text(max_size=3) | st.just([1])


@given(count=ANYTHING, on=ANYTHING, share=ANYTHING)
def test_nothing_is_taken_for_what_it_is_not(count: object, on: object, share: object) -> None:
    """By an independent reading of the three annotations."""
    right = type(count) is int and count >= 1 and type(on) is bool  # type: ignore[operator]
    right = right and type(share) in (int, float) and 0 <= share < 1 and share != 0.25  # type: ignore[operator]
    try:
        make(Outer, {"count": count, "name": "x", "on": on, "inner": {"share": share}}, "")
    except InputError:
        assert not right
    else:
        assert right


def test_annotations_in_words() -> None:
    assert wanted(Annotated[float, Interval(gt=0, le=10)]) == "a number, above 0 and at most 10"
    assert wanted(str | int) == "text or a whole number"
    assert wanted(list[str]) == "a list, each text"
