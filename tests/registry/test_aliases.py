"""The aliases: moved in one piece, repaired after a stop, and respected where people have set them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from drf.errors import InputError
from drf.registry import aliases
from drf.registry.aliases import (
    CHAMPION,
    PREVIOUS,
    Hold,
    Move,
    Standing,
    move,
    read_hold,
    read_standing,
    set_hold,
    settle,
)
from tests.registry.making import NAME

pytestmark = pytest.mark.long

ALL = set("12345")


def test_moves_leave_a_line_of_champions_that_can_be_walked_back(registry: MlflowClient) -> None:
    now = read_standing(registry, NAME)
    assert now == Standing()
    for number in "123":
        move(registry, NAME, now, Move(now.promote(number)))
        now = read_standing(registry, NAME)
    assert now == Standing("3", "2", ("1", "2", "3"))
    for expected in (Standing("2", "1", ("1", "2")), Standing("1", None, ("1",))):
        assert now.previous is not None
        move(registry, NAME, now, Move(now.back_to(now.previous, ALL)))
        now = read_standing(registry, NAME)
        assert now == expected
    assert now.back_to("5", ALL) == Standing("5", None, ("5",))
    assert settle(registry, NAME, ALL) == []


def test_a_move_is_refused_if_somebody_else_has_moved_meanwhile(registry: MlflowClient) -> None:
    before = read_standing(registry, NAME)
    move(registry, NAME, before, Move(before.promote("1")))
    with pytest.raises(InputError, match="champion is version 1 now, and was none: nothing was moved"):
        move(registry, NAME, before, Move(before.promote("2")))
    assert read_standing(registry, NAME).champion == "1"


@pytest.mark.parametrize("stop", range(1, 9))
def test_a_move_that_stops_after_any_of_its_steps_is_completed_by_the_next_command(
    registry: MlflowClient, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    first = Standing().promote("1")
    move(registry, NAME, Standing(), Move(first))
    steps = 0

    class Killed(BaseException):
        pass

    class Dying:
        """A client whose process is killed before its step number ``stop``."""

        def __getattr__(self, name: str) -> object:
            def call(*args: object) -> object:
                nonlocal steps
                if name.startswith(("set_", "delete_")):
                    steps += 1
                    if steps == stop:
                        raise Killed
                return getattr(registry, name)(*args)

            return call

    try:
        made = Move(first.promote("2"), {"2": {"gates": "strict"}}, Hold("ann", "today", "a test"))
        move(Dying(), NAME, first, made)  # type: ignore[arg-type]
        survived = True
    except Killed:
        survived = False
    champion = registry.get_registered_model(NAME).aliases[CHAMPION]  # there is one at any time
    assert str(champion) in ("1", "2")
    said = settle(registry, NAME, ALL)
    now = read_standing(registry, NAME)
    if stop == 1:  # nothing was written down
        assert (now, said) == (first, [])
    else:
        assert now == Standing("2", "1", ("1", "2"))
        assert survived or "completed: champion is version 2" in said[0]
        assert registry.get_model_version(NAME, "2").tags["gates"] == "strict"
        assert read_hold(registry, NAME) == Hold("ann", "today", "a test")
    assert settle(registry, NAME, ALL) == []


def test_an_alias_set_by_hand_is_noticed_respected_and_held(registry: MlflowClient) -> None:
    move(registry, NAME, Standing(), Move(Standing().promote("1")))
    registry.set_registered_model_alias(NAME, CHAMPION, "3")
    (said,) = settle(registry, NAME, ALL)
    assert said == "the alias champion was moved in MLflow from version 1 to 3"
    assert read_standing(registry, NAME) == Standing("3", None, ("1", "3"))
    hold = read_hold(registry, NAME)
    assert hold is not None
    assert said in hold.in_words()
    assert settle(registry, NAME, ALL) == []  # once


def test_an_alias_taken_away_by_hand_is_held_too_but_not_a_deleted_version(registry: MlflowClient) -> None:
    move(registry, NAME, Standing(), Move(Standing().promote("1")))
    registry.delete_registered_model_alias(NAME, CHAMPION)
    assert settle(registry, NAME, ALL) == ["the alias champion was moved in MLflow from version 1 to None"]
    assert read_hold(registry, NAME) is not None
    set_hold(registry, NAME, None)
    move(registry, NAME, read_standing(registry, NAME), Move(Standing().promote("2")))
    registry.delete_model_version(NAME, "2")
    assert settle(registry, NAME, ALL - {"2"}) == ["version 2, which was champion, was deleted in MLflow"]
    assert read_hold(registry, NAME) is None
    assert read_standing(registry, NAME).champion is None


def test_previous_moved_by_hand_is_noticed_and_holds_nothing(registry: MlflowClient) -> None:
    move(registry, NAME, Standing(), Move(Standing().promote("1").promote("2")))
    registry.set_registered_model_alias(NAME, PREVIOUS, "3")
    assert settle(registry, NAME, ALL) == ["the alias previous was moved in MLflow from version 1 to 3"]
    assert read_hold(registry, NAME) is None
    assert read_standing(registry, NAME).previous == "3"


def test_the_aliases_of_an_earlier_release_are_taken_as_they_are(registry: MlflowClient) -> None:
    registry.set_registered_model_alias(NAME, CHAMPION, "2")
    registry.set_registered_model_alias(NAME, PREVIOUS, "1")
    assert settle(registry, NAME, ALL) == []
    now = read_standing(registry, NAME)
    assert now == Standing("2", "1", ("2",))
    move(registry, NAME, now, Move(now.back_to("1", ALL)))
    assert read_standing(registry, NAME) == Standing("1", None, ("1",))


def test_a_lock_that_another_command_holds_is_said(registry: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aliases, "_WAIT", 0)
    holder = textwrap.dedent(
        f"""
        import mlflow
        from drf.registry import aliases
        mlflow.set_tracking_uri({os.environ.get("MLFLOW_TRACKING_URI")!r} or {registry.tracking_uri!r})
        with aliases._lock({NAME!r}):
            print("held", flush=True)
            input()
        """
    )
    process = subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="is being changed by another command"):
        move(registry, NAME, Standing(), Move(Standing().promote("1")))
    process.communicate("\n")
    move(registry, NAME, Standing(), Move(Standing().promote("1")))


def test_a_stopped_move_gives_way_to_a_hold_that_came_after(registry: MlflowClient) -> None:
    first = Standing().promote("1")
    move(registry, NAME, Standing(), Move(first))
    made = Move(first.promote("2"), unless_held=True)
    registry.set_registered_model_tag(NAME, "intended", json.dumps({"name": NAME, **asdict(made)}))
    set_hold(registry, NAME, "under review")
    assert settle(registry, NAME, ALL) == []
    assert read_standing(registry, NAME).champion == "1"


def test_a_deleted_version_of_the_line_holds_up_nothing(registry: MlflowClient) -> None:
    now = Standing()
    for number in "1234":
        move(registry, NAME, now, Move(now.promote(number)))
        now = read_standing(registry, NAME)
    registry.delete_model_version(NAME, "2")
    left = ALL - {"2"}
    move(registry, NAME, now, Move(now.back_to("3", left)))
    assert read_standing(registry, NAME) == Standing("3", "1", ("1", "3"))
    assert settle(registry, NAME, left) == []


def test_a_version_deleted_while_a_move_to_it_was_stopped_holds_up_nothing(registry: MlflowClient) -> None:
    first = Standing().promote("1")
    move(registry, NAME, Standing(), Move(first))
    made = Move(first.promote("2"), {"2": {"gates": "strict"}})
    registry.set_registered_model_tag(NAME, "intended", json.dumps({"name": NAME, **asdict(made)}))
    registry.delete_model_version(NAME, "2")
    settle(registry, NAME, ALL - {"2"})
    assert read_standing(registry, NAME).champion is None
    assert "intended" not in registry.get_registered_model(NAME).tags


@pytest.mark.parametrize("tag", ["standing", "intended", "hold"])
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"champion": 3}', "under review until Monday"])
def test_what_others_wrote_into_our_tags_stops_no_command(registry: MlflowClient, tag: str, text: str) -> None:
    move(registry, NAME, Standing(), Move(Standing().promote("1")))
    registry.set_registered_model_tag(NAME, tag, text)
    settle(registry, NAME, ALL)
    now = read_standing(registry, NAME)
    assert now.champion == "1"
    hold = read_hold(registry, NAME)
    assert (hold is not None) == (tag == "hold")
    if hold is not None:
        assert text in hold.in_words()
    move(registry, NAME, now, Move(now.promote("2")))
    assert read_standing(registry, NAME).champion == "2"


def test_a_move_gives_way_to_a_hold_where_it_should(registry: MlflowClient) -> None:
    set_hold(registry, NAME, "under review")
    with pytest.raises(InputError, match=r"under review.*nothing was moved"):
        move(registry, NAME, Standing(), Move(Standing().promote("1"), unless_held=True))
    move(registry, NAME, Standing(), Move(Standing().promote("1")))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.sampled_from("12345"), st.just("back")), max_size=12))
def test_whatever_was_decided_the_champion_ends_the_line_and_previous_stands_before_it(steps: list[str]) -> None:
    now = Standing()
    for step in steps:
        if step == "back":
            now = now.back_to(now.previous, ALL) if now.previous not in (None, now.champion) else now
        elif step != now.champion:
            now = now.promote(step)
    assert now.line[-1:] == ((now.champion,) if now.champion else ())
    if now.previous is not None:
        assert now.line[-2] == now.previous


@pytest.mark.parametrize("existing", ["123", "13"])
def test_champion_and_previous_are_never_one_version(registry: MlflowClient, existing: str) -> None:
    move(registry, NAME, Standing(), Move(Standing("1", None, ("1",))))
    move(registry, NAME, read_standing(registry, NAME), Move(read_standing(registry, NAME).promote("2")))
    registry.set_registered_model_alias(NAME, "champion", "1")  # previous is 1 as well
    settle(registry, NAME, existing)
    now = read_standing(registry, NAME)
    assert now.champion == "1" and now.previous == ("2" if "2" in existing else None)
    assert now.promote("1") == now
