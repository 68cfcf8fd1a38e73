"""The decision, on forecasts made by hand, and the aliases in a real registry."""

from __future__ import annotations

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from drf.registry import promote
from drf.registry.decision import Decision, complete_reports
from drf.registry.gates import Checkup, Verdict
from drf.registry.promote import apply, decide
from drf.registry.rollback import roll_back
from drf.registry.versions import (
    CHAMPION,
    PREVIOUS,
    REJECTED,
    RegisteredVersions,
    Version,
    read_versions,
)
from tests.registry.making import LIMITS, NAME, RULE, TRIALS, forecasts, version


def decision(
    monkeypatch: pytest.MonkeyPatch,
    made: dict[str, pd.DataFrame],
    champion: str | None = None,
    previous: str | None = None,
    error: float = 1e-12,
    left_aside: dict[str, str] | None = None,
    audit: promote.Audit | None = None,
) -> Decision:
    monkeypatch.setattr(promote, "unseen_forecasts", lambda client, version, *_: made[version.number])
    monkeypatch.setattr(promote, "check_up", lambda version, panel: Checkup(error, 1.0))
    monkeypatch.setattr(promote, "trials_behind", lambda client, name: TRIALS)
    known = RegisteredVersions([version(number) for number in made], left_aside or {}, champion, previous)
    return decide(MlflowClient(), known, pd.DataFrame(), RULE, LIMITS, audit)


def test_the_best_that_passes_every_gate_is_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": forecasts(0.2), "2": forecasts(0.4), "3": forecasts(0.0)})
    assert made.promoted == made.champion == "2"
    assert made.previous is None
    assert not made.rejected
    assert len(made.scores) == 3
    assert not made.gates.query("version == '3' and gate == 'rank IC t-statistic'")["passed"].item()


def test_a_better_one_replaces_the_champion_which_becomes_previous(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": forecasts(0.2), "2": forecasts(0.4)}, champion="1", previous="0")
    assert (made.promoted, made.champion, made.previous) == ("2", "2", "1")


def test_one_that_is_not_better_is_neither_promoted_nor_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    for skill in (0.4, 0.3):  # the champion's equal, and worse
        made = decision(monkeypatch, {"1": forecasts(0.4), "2": forecasts(skill)}, champion="1", previous="0")
        assert (made.promoted, made.champion, made.previous) == (None, "1", "0")
        assert not made.rejected
        assert "not worse than the champion" in made.reason


def test_noise_is_not_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {str(k): forecasts(0.0, seed=k) for k in range(5)})
    assert made.promoted is None
    assert "no version passed every gate" in made.reason


def test_the_previous_champion_is_never_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": forecasts(0.4), "2": forecasts(0.4)}, champion="2", previous="1", error=1.0)
    assert not made.rejected


def test_books_that_do_not_close_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (1e-3, float("nan")):
        made = decision(monkeypatch, {"1": forecasts(0.4)}, error=error)
        assert made.promoted is None
        assert "conservation" in made.rejected["1"]


def test_versions_are_compared_on_common_months_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 2 is perfect, but only before the months that it shares with version 1."""
    early, late = forecasts(5.0, 12), forecasts(0.2, 30, "2001-01-31")
    made = decision(monkeypatch, {"1": forecasts(0.3, 30, "2001-01-31"), "2": pd.concat([early, late])})
    assert made.promoted == "1"
    assert made.months == (pd.Timestamp("2001-01-31"), pd.Timestamp("2003-06-30"))
    assert (made.scores["months"] == 30).all()


def test_too_few_months_promote_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = decision(monkeypatch, {"1": forecasts(0.4, 23)})
    assert alone.promoted is None
    assert "23 month(s)" in alone.left_aside["1"]
    apart = decision(monkeypatch, {"1": forecasts(0.4, 30), "2": forecasts(0.4, 30, "2001-01-31")})
    assert apart.promoted is None
    assert "only 18 month(s)" in apart.reason


def test_a_version_with_few_months_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": forecasts(0.4, 36), "2": forecasts(0.9, 6)})
    assert made.promoted == "1"
    assert "2" in made.left_aside


def test_a_champion_that_cannot_be_compared_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    made = decision(monkeypatch, {"1": forecasts(0.2, 3), "2": forecasts(0.9)}, champion="1")
    assert (made.promoted, made.champion) == (None, "1")
    assert "registry.name" in made.reason


def test_a_failed_audit_keeps_a_version_from_promotion(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(version: Version) -> pd.DataFrame:
        return pd.DataFrame({"check": ["a", "b"], "passed": [True, False], "reason": ["", "the future leaks"]})

    made = decision(monkeypatch, {"1": forecasts(0.4)}, audit=failing)
    assert made.promoted is None
    assert "audit: b: the future leaks" in made.reason
    assert decision(monkeypatch, {"1": forecasts(0.4)}, audit=lambda version: failing(version)[:1]).promoted == "1"


def decided(promoted: str | None, champion: str | None, previous: str | None, **rejected: str) -> Decision:
    return Decision(champion, previous, promoted, "because", rejected={k[1:]: v for k, v in rejected.items()})


def test_a_version_that_cannot_be_read_holds_up_no_other(
    registry: MlflowClient, monkeypatch: pytest.MonkeyPatch, panel: pd.DataFrame
) -> None:
    """The registry's versions have no files at all."""
    made = decide(registry, read_versions(registry, NAME), panel, RULE, LIMITS, None)
    assert made.promoted is None
    assert "cannot be used" in made.left_aside["1"]


def test_aliases_move_and_roll_back(registry: MlflowClient) -> None:
    apply(registry, NAME, decided("1", "1", None, v3="Sharpe after costs: 0.1"))
    apply(registry, NAME, decided("2", "2", "1"))
    known = read_versions(registry, NAME)
    assert (known.champion, known.previous) == ("2", "1")
    assert "Sharpe after costs: 0.1" in known.left_aside["3"]

    rolled = roll_back(registry, NAME, known)
    assert (rolled.champion, rolled.previous) == ("1", None)
    known = read_versions(registry, NAME)
    assert (known.champion, known.previous) == ("1", None)
    assert registry.get_model_version(NAME, "1").tags["verdict"] == "promoted"
    assert registry.get_model_version(NAME, "2").tags["verdict"] == REJECTED  # or it would be promoted again
    assert str(registry.get_model_version_by_alias(NAME, CHAMPION).version) == "1"
    assert PREVIOUS not in registry.get_registered_model(NAME).aliases


def test_nothing_promoted_moves_nothing(registry: MlflowClient) -> None:
    apply(registry, NAME, decided(None, None, None))
    assert read_versions(registry, NAME).champion is None


def test_reports_follow_the_champion(registry: MlflowClient) -> None:
    """A dethroned champion's report says so, and after a rollback both are right again."""
    page = "<!-- status -->?<!-- /status --><!-- gates --><!-- /gates -->"
    known = read_versions(registry, NAME)
    for each in known.versions:
        registry.log_text(each.parent_run, page, "report.html")

    def status(number: int) -> str:
        return str(mlflow.artifacts.load_text(f"runs:/{known.versions[number - 1].parent_run}/report.html"))

    gates = pd.DataFrame([{"version": "1", **vars(Verdict("audit", 6, 6, True, False, "fine"))}])
    first = Decision("1", None, "1", "because", gates=gates)
    apply(registry, NAME, first)
    complete_reports(registry, known, first)
    assert "Version 1 is champion." in status(1)
    assert "?" in status(3)

    known = read_versions(registry, NAME)
    second = Decision("2", "1", "2", "because", gates=gates.assign(version="2"))
    apply(registry, NAME, second)
    complete_reports(registry, known, second)
    assert "Version 2 is champion." in status(2)
    assert "Version 1 was champion and is not any more. The champion is version 2." in status(1)
    assert "fine" in status(1)

    known = read_versions(registry, NAME)
    complete_reports(registry, known, roll_back(registry, NAME, known))
    assert "Version 1 is champion." in status(1)
    assert "Version 2 was champion and is not any more" in status(2)
