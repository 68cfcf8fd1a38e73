"""The decision: who becomes champion, on forecasts made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from drf.data.simulate import SimulatedMarket
from drf.errors import InputError
from drf.evaluation.trials import Trials
from drf.registry import promote
from drf.registry.aliases import Hold, Standing
from drf.registry.decision import Decision
from drf.registry.evaluation_config import Refresh
from drf.registry.examine import Examination
from drf.registry.promote import Rules, decide
from drf.registry.versions import SUPERSEDED, RegisteredVersions, Version, read_versions
from drf.workflows.decision_log import promotion
from tests.registry.making import LIMITS, NAME, RULE, SOUND, TRIALS, as_told, forecasts, market, seen, version

NOBODY = Standing()
FIRST = Standing("1", None, ("1",))
TURNED = replace(SOUND, direction=-0.9)


def rules_for(**changes: Any) -> Rules:
    given: dict[str, Any] = {
        "client": MlflowClient(), "market": pd.DataFrame(columns=["date", "ret_next"]), "universe": None, "rule": RULE,
        "limits": LIMITS, "asked": "strict", "trials": TRIALS, "refresh": "auto", "audit": None,
    }  # fmt: skip
    return Rules(**{**given, **changes})


def decision(
    monkeypatch: pytest.MonkeyPatch,
    made: dict[str, Examination],
    standing: Standing = NOBODY,
    recipes: str = "",
    hold: Hold | None = None,
    versions: list[Version] | None = None,
    **changes: Any,
) -> Decision:
    """``recipes``: a letter a version. Later versions are trained on later months."""
    monkeypatch.setattr(promote, "examine", as_told(made))
    monkeypatch.setattr(promote, "why_not_now", lambda client, version: None)
    letters = recipes or "abcdefghij"[: len(made)]
    known = versions or [
        replace(version(number, pd.Timestamp("2003-01-31") + pd.offsets.MonthEnd(int(number))), recipe=letter)
        for number, letter in zip(made, letters, strict=True)
    ]
    return decide(rules_for(**changes), RegisteredVersions(known, {}), standing, hold)


def test_the_best_new_recipe_that_passes_every_gate_is_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": seen(forecasts(0.2)), "2": seen(forecasts(0.4)), "3": seen(forecasts(0.0))})
    assert (made.promoted, made.after) == ("2", Standing("2", None, ("2",)))
    assert [one.passed for one in made.evaluations] == [True, True, False]
    assert made.alarm == ""


def test_a_clearly_better_recipe_replaces_the_champion_which_becomes_previous(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": seen(forecasts(0.1)), "2": seen(forecasts(0.5))}, FIRST)
    assert made.after == Standing("2", "1", ("1", "2"))


@pytest.mark.parametrize("skill", [0.4, 0.39, 0.3])
def test_a_recipe_that_is_not_clearly_better_stays_outside(monkeypatch: pytest.MonkeyPatch, skill: float) -> None:
    made = decision(monkeypatch, {"1": seen(forecasts(0.4)), "2": seen(forecasts(skill))}, FIRST)
    assert (made.promoted, made.after) == (None, FIRST)
    assert "better than the champion" in made.reason


def test_noise_is_not_promoted_and_a_registry_without_champion_raises_the_alarm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = decision(monkeypatch, {str(k): seen(forecasts(0.0, seed=k)) for k in range(1, 6)})
    assert made.promoted is None
    assert "no version passed every gate" in made.reason
    assert made.alarm == "there is no champion"


def test_a_refresh_becomes_champion_by_itself_whatever_its_months_have_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has fewer months than the gates of skill ask for; they are not asked."""
    told = {"1": seen(forecasts(0.3)), "2": seen(forecasts(0.3)[-300:])}
    made = decision(monkeypatch, told, FIRST, "aa")
    assert made.after == Standing("2", "1", ("1", "2"))
    assert {one.number: one.role for one in made.evaluations} == {"1": "champion", "2": "refresh"}
    gated = decision(monkeypatch, told, FIRST, "aa", refresh="gated")
    assert gated.promoted is None
    assert "months out of sample" in gated.reason
    never = decision(monkeypatch, told, FIRST, "aa", refresh="never")
    assert never.promoted is None
    assert "registry.refresh=never" in never.reason


@pytest.mark.parametrize("refresh", ["auto", "gated", "never"])
def test_a_version_of_the_recipe_on_another_vendors_inputs_is_a_new_recipe(
    monkeypatch: pytest.MonkeyPatch, refresh: Refresh
) -> None:
    panel = SimulatedMarket(stocks=40, months=30, seed=0).panel()
    other = panel.assign(PER=-panel["PER"])
    good = seen(forecasts(0.3))
    told = {"1": replace(good, history=panel), "2": replace(good, history=other)}
    made = decision(monkeypatch, told, FIRST, "aa", refresh=refresh)
    assert {one.number: one.role for one in made.evaluations} == {"1": "champion", "2": "new recipe"}
    assert made.promoted is None and "better than the champion" in made.reason


def test_a_refresh_that_is_not_sound_or_disagrees_with_the_champion_stays_outside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good = forecasts(0.3)
    for other, gate in (
        (seen(good, TURNED), "direction"),
        (seen(good, replace(SOUND, replay_error=1e-3)), "replay"),
        (seen(good.assign(y_pred=-good["y_pred"])), "agreement"),
        (seen(forecasts(0.0, seed=5)), "agreement"),
    ):
        made = decision(monkeypatch, {"1": seen(good), "2": other}, FIRST, "aa")
        assert made.promoted is None
        assert gate in made.reason


def test_of_waiting_refreshes_the_newest_sound_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    good = seen(forecasts(0.3))
    made = decision(monkeypatch, {"1": good, "2": good, "3": good, "4": seen(forecasts(0.3), TURNED)}, FIRST, "aaaa")
    assert made.promoted == "3"
    assert made.superseded == {"2": "3"}
    assert "direction" in next(one for one in made.evaluations if one.number == "4").reason


def test_a_superseded_version_stays_so_whatever_the_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"1": seen(forecasts(0.2)), "2": seen(forecasts(0.5))}
    versions = [version("1"), replace(version("2"), recipe="b", judged=SUPERSEDED)]
    for asked in ("strict", "research: ..."):
        assert decision(monkeypatch, told, FIRST, versions=versions, asked=asked).promoted is None


def test_one_trained_on_no_later_months_is_no_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    good = seen(forecasts(0.3))
    versions = [version("1", "2003-01-31"), version("2", "2003-02-28"), version("3", "2002-12-31")]
    told = dict.fromkeys("123", good)
    made = decision(monkeypatch, told, Standing("2", "1", ("1", "2")), versions=versions)
    assert made.promoted is None
    assert made.superseded == {"3": "2"}


def test_a_better_recipe_comes_before_a_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"1": seen(forecasts(0.1)), "2": seen(forecasts(0.1)), "3": seen(forecasts(0.5))}
    assert decision(monkeypatch, told, FIRST, "aab").promoted == "3"


def test_the_champion_is_judged_by_its_own_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": seen(forecasts(0.0)), "2": seen(forecasts(-0.1))}, FIRST)
    assert made.alarm.startswith("the champion, version 1, fails its gates: Sharpe after costs")
    failing = decision(monkeypatch, {"1": seen(forecasts(0.3), TURNED)}, FIRST)
    assert "direction" in failing.alarm
    replaced = decision(monkeypatch, {"1": seen(forecasts(0.0)), "2": seen(forecasts(0.5))}, FIRST)
    assert (replaced.promoted, replaced.alarm) == ("2", "")


def test_beside_a_champion_that_cannot_be_judged_nothing_is_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    def examine(client: MlflowClient, version: Version, panel: pd.DataFrame, market: pd.DataFrame) -> Examination:
        if version.number == "1":
            raise InputError("its file weights.pt was changed since it was registered")
        return seen(forecasts(0.5))

    told = {"1": seen(forecasts(0.1)), "2": seen(forecasts(0.5))}
    monkeypatch.setattr(promote, "why_not_now", lambda client, version: None)
    monkeypatch.setattr(promote, "examine", examine)
    for recipes in ("ab", "aa"):
        versions = [
            replace(version(n, f"2003-0{n}-28"), recipe=letter) for n, letter in zip(told, recipes, strict=True)
        ]
        made = decide(rules_for(), RegisteredVersions(versions, {}), FIRST, None)
        assert made.promoted is None
        assert made.alarm.startswith("the champion, version 1, cannot be judged: its file weights.pt was changed")
        assert not next(one for one in made.evaluations if one.number == "2").settled  # it is looked at again


def test_a_held_registry_judges_and_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = Hold("ann", "2026-11-25", "under review")
    made = decision(monkeypatch, {"1": seen(forecasts(0.1)), "2": seen(forecasts(0.5))}, FIRST, hold=hold)
    assert (made.chosen, made.promoted, made.after) == ("2", None, FIRST)
    assert "held by ann since 2026-11-25: under review" in made.reason


def test_what_was_judged_by_these_gates_is_not_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"1": seen(forecasts(0.2)), "2": seen(forecasts(0.5))}
    versions = [version("1"), replace(version("2"), recipe="b", judged="strict; refresh auto")]
    assert decision(monkeypatch, told, FIRST, versions=versions).promoted is None
    assert decision(monkeypatch, told, FIRST, versions=versions, asked="research: ...").promoted == "2"


def test_a_final_verdict_is_not_opened_again_by_another_rule_for_refreshes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"1": seen(forecasts(0.2)), "2": seen(forecasts(0.5))}
    versions = [version("1"), replace(version("2"), recipe="b", judged="strict; refresh auto; audited")]
    sound = pd.DataFrame({"check": ["a"], "passed": [True], "reason": [""]})
    for refresh in ("auto", "gated", "never"):
        rules = {"refresh": refresh, "audit": lambda version: sound}
        made = decision(monkeypatch, told, FIRST, versions=versions, **rules)
        assert made.promoted is None and {one.number for one in made.evaluations} == {"1"}


def test_a_version_whose_bad_months_are_left_out_is_not_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = replace(seen(forecasts(0.5)), kept=0.6)
    made = decision(monkeypatch, {"1": cut})
    assert made.promoted is None and "history kept: 0.6 of its test months" in made.evaluations[0].reason
    assert not made.evaluations[0].settled  # with its months it is judged again


def test_only_a_verdict_of_its_own_is_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": seen(forecasts(0.4, 23)), "2": seen(forecasts(0.0))})
    assert {one.number: bool(one.settled) for one in made.evaluations} == {"1": False, "2": True}


@pytest.mark.parametrize("refresh", ["auto", "gated"])
def test_a_refresh_does_not_silence_the_alarm_of_its_recipe(monkeypatch: pytest.MonkeyPatch, refresh: str) -> None:
    """It becomes champion by itself, and what it has shown is said of it as champion."""
    weak = seen(forecasts(0.0))
    made = decision(monkeypatch, {"1": weak, "2": weak}, FIRST, "aa", refresh=refresh)
    champion = "2" if refresh == "auto" else "1"
    assert made.after.champion == champion
    assert made.alarm.startswith(f"the champion, version {champion}, fails its gates: Sharpe after costs")


def test_what_lacks_months_or_only_the_champion_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    few = decision(monkeypatch, {"1": seen(forecasts(0.0, 23))}).evaluations[0]
    assert few.settled == ""  # with more months it may pass
    told = {"1": seen(forecasts(0.4)), "2": seen(forecasts(0.39))}
    beside = decision(monkeypatch, told, FIRST).evaluations[-1]
    assert beside.settled == "strict; refresh auto; beside recipe a"
    versions = [replace(version("1"), recipe="c"), replace(version("2"), recipe="b", judged=beside.settled)]
    weaker = {"1": seen(forecasts(0.1)), "2": seen(forecasts(0.39))}
    assert decision(monkeypatch, weaker, FIRST, versions=versions).promoted == "2"  # another recipe is champion now
    versions[0] = replace(versions[0], recipe="a")
    assert decision(monkeypatch, weaker, FIRST, versions=versions).promoted is None


def test_on_another_market_nothing_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = seen(forecasts(0.0))
    elsewhere.restated.months["stands"] = False
    assert decision(monkeypatch, {"1": elsewhere}).evaluations[0].settled == ""


def test_a_newest_refresh_that_is_not_sound_supersedes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    good = seen(forecasts(0.3))

    def audit(version: Version) -> pd.DataFrame:
        return pd.DataFrame({"check": ["a"], "passed": [version.number != "3"], "reason": ["it leaks"]})

    for newest in (seen(forecasts(0.3), replace(SOUND, fidelity=0.9)), seen(forecasts(0.0, seed=5)), good):
        made = decision(monkeypatch, {"1": good, "2": good, "3": newest}, FIRST, "aaa", audit=audit)
        assert made.promoted == "2"
        assert not made.superseded


def test_a_champion_without_months_is_still_agreed_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor has redefined returns: no month stands, and a refresh that learnt the new ones may follow."""
    good = seen(forecasts(0.3))
    bare = replace(good, forecasts=good.forecasts[:0])
    made = decision(monkeypatch, {"1": bare, "2": good}, FIRST, "aa")
    assert made.promoted == "2"
    alone = decision(monkeypatch, {"1": bare}, FIRST)
    assert "fails its gates: months out of sample: 0 on this panel" in alone.alarm


def test_a_refresh_has_its_gates_from_the_champion_that_it_refreshes(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"1": seen(forecasts(0.3)), "2": seen(forecasts(0.3)), "3": seen(forecasts(0.9))}
    versions = [
        replace(version("1", "2003-01-31"), recipe="a", gates="no gates, by ann: a try"),
        replace(version("2", "2003-02-28"), recipe="a"),
    ]
    known = RegisteredVersions(versions, {})
    refreshed = decision(monkeypatch, told, FIRST, versions=versions)
    assert promotion(refreshed, known).marks["2"]["gates"] == "no gates, by ann: a try"
    versions[1] = replace(version("3", "2003-02-28"), recipe="b")
    replaced = decision(monkeypatch, told, FIRST, versions=versions)
    assert promotion(replaced, RegisteredVersions(versions, {})).marks["3"]["gates"] == "strict"


def test_a_version_without_months_on_this_panel_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": seen(forecasts(0.4)[:0])})
    assert "months out of sample: 0 on this panel, needed at least 24" in made.reason


def test_a_failed_audit_keeps_a_version_from_promotion_and_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def failing(version: Version) -> pd.DataFrame:
        asked.append(version.number)
        return pd.DataFrame({"check": ["a", "b"], "passed": [True, False], "reason": ["", "the future leaks"]})

    made = decision(monkeypatch, {"1": seen(forecasts(0.4)), "2": seen(forecasts(0.0))}, audit=failing)
    assert made.promoted is None
    assert "audit: b: the future leaks" in made.reason
    assert asked == ["1"]
    passing = decision(monkeypatch, {"1": seen(forecasts(0.4))}, audit=lambda version: failing(version)[:1])
    assert passing.promoted == "1"


def test_a_version_is_scored_alike_alone_and_in_company(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = decision(monkeypatch, {"1": seen(forecasts(0.2))}).evaluations[0]
    told = {str(k): seen(forecasts(0.1 * k, 24 + k, seed=k)) for k in range(2, 8)}
    beside = decision(monkeypatch, {"1": seen(forecasts(0.2)), **told}).evaluations[0]
    pd.testing.assert_series_equal(alone.scores, beside.scores)
    assert alone.verdicts == beside.verdicts


def test_more_trials_of_a_market_ask_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Trials(pd.DataFrame({"sharpe": [-1.0, 1.0] * 200, "periods": 36}), 400.0)
    told = {"1": seen(forecasts(0.08))}
    assert decision(monkeypatch, told).promoted == "1"
    assert "deflated" in decision(monkeypatch, told, trials=many).reason


def test_the_same_recipe_on_another_market_is_no_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    months = pd.date_range("2000-01-31", periods=36, freq="ME")
    one, two = (
        pd.DataFrame(np.random.default_rng(k).normal(0, 0.05, (36, 2)), months, ["mean", "shape"]) for k in (0, 1)
    )
    versions = [replace(version("1", "2003-01-31"), market=one), replace(version("2", "2003-02-28"), market=two)]
    told = {"1": seen(forecasts(0.3)), "2": seen(forecasts(0.3))}
    made = decision(monkeypatch, told, FIRST, versions=versions)
    assert made.promoted is None
    assert {judged.number: judged.role for judged in made.evaluations}["2"] == "new recipe"
    versions[1] = replace(versions[1], market=one.iloc[5:] + 1e-5)
    assert decision(monkeypatch, told, FIRST, versions=versions).promoted == "2"


def test_versions_that_cannot_be_read_hold_up_no_other(registry: MlflowClient, panel: pd.DataFrame) -> None:
    """The registry's versions have no files at all."""
    made = decide(rules_for(client=registry, market=panel), read_versions(registry, NAME), NOBODY, None)
    assert made.promoted is None
    assert len(made.evaluations) == 3
    assert all(one.reason for one in made.evaluations)
    assert "RUNNING" in made.left_aside["4"]


def test_a_refresh_on_another_vendors_inputs_is_judged_as_a_new_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    history = market()
    switched = history.assign(ROE=np.random.default_rng(0).random(len(history)))
    restated = history.assign(ROE=history["ROE"].where(history.index % 100 != 0, 0.0))
    made = {"1": replace(seen(forecasts(0.4)), history=history)}
    for other, role in ((switched, "new recipe"), (restated, "refresh")):
        made["2"] = replace(seen(forecasts(0.4, seed=1)), history=other)
        found = decision(monkeypatch, dict(made), FIRST, recipes="aa")
        assert [one.role for one in found.evaluations] == ["champion", role]


def test_a_champion_that_was_not_refitted_in_time_is_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    held = version("1")
    every = held.config.window.refit_every
    for months, overdue in ((every, False), (every + 1, True)):
        date = held.train_last + pd.offsets.MonthEnd(months)
        panel = pd.DataFrame({"date": [date], "ret_next": [0.1]})
        made = decision(monkeypatch, {"1": seen(forecasts(0.4))}, FIRST, versions=[held], market=panel)
        assert ("is overdue: it has seen returns to 2003-01" in made.alarm) == overdue
