"""Decisions of people stand above the gates, are recorded, and cannot break the registry."""

from __future__ import annotations

import getpass
from typing import Any

import mlflow
import pytest
from hydra import compose, initialize_config_dir
from mlflow import MlflowClient

from drf.errors import InputError
from drf.experiment.config import read
from drf.experiment.config_folder import CONFIG_DIR
from drf.registry.aliases import CHAMPION, Move, Standing, move, read_hold, read_standing, set_hold
from drf.registry.decision import Decision
from drf.registry.evaluation_config import EvaluateConfig
from drf.registry.overrides import carry_out
from drf.registry.versions import read_versions
from drf.workflows.decision_log import complete_reports, write_verdicts
from tests.registry.making import NAME, register_small

pytestmark = pytest.mark.long


def asked(*overrides: str) -> EvaluateConfig:
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        return read(compose("evaluation", overrides=list(overrides)), EvaluateConfig)


def done(client: MlflowClient, *overrides: str) -> Decision:
    now = read_standing(client, NAME)
    return carry_out(client, asked(*overrides), read_versions(client, NAME, (now.champion, now.previous)), now)


@pytest.fixture
def three(store: str) -> MlflowClient:
    client = MlflowClient()
    for _ in range(3):
        register_small(client)
    move(client, NAME, Standing(), Move(Standing().promote("1")))
    return client


def test_promote_makes_a_version_champion_whatever_the_gates_say(three: MlflowClient) -> None:
    made = done(three, "promote=3", "reason=the committee asked")
    assert made.promoted == "3"
    assert read_standing(three, NAME) == Standing("3", "1", ("1", "3"))
    entry = three.get_model_version_by_alias(NAME, CHAMPION)
    assert entry.tags["gates"] == f"no gates, by {getpass.getuser()}: the committee asked"
    assert read_hold(three, NAME) is None
    with pytest.raises(InputError, match="champion already"):
        done(three, "promote=3", "reason=again")


def test_rollback_gives_back_rejects_and_holds(three: MlflowClient) -> None:
    done(three, "promote=2", "reason=x")
    done(three, "promote=3", "reason=x")
    made = done(three, "rollback=true")
    assert (made.after.champion, made.after.previous) == ("2", "1")
    assert "rolled back from version 3" in read_hold(three, NAME).reason  # type: ignore[union-attr]
    known = read_versions(three, NAME, ("2", "1"))
    assert "rejected before: rolled back to version 2: no reason was given" in known.left_aside["3"]
    assert (done(three, "rollback=true").after.champion, read_standing(three, NAME).previous) == ("1", None)
    with pytest.raises(InputError, match=r"no earlier champion.*rollback=VERSION"):
        done(three, "rollback=true")
    assert done(three, "rollback=3", "reason=it was right").after.champion == "3"
    assert {version.number for version in read_versions(three, NAME, ("3",)).versions} == {"3"}


def test_a_changed_version_is_neither_promoted_nor_gone_back_to(three: MlflowClient) -> None:
    model = three.get_model_version(NAME, "2").source
    folder = mlflow.artifacts.download_artifacts(model)
    with open(f"{folder}/artifacts/bundle/weights.pt", "ab") as weights:
        weights.write(b"x")
    for command in (["promote=2", "reason=x"], ["rollback=2", "reason=x"]):
        with pytest.raises(InputError, match=r"its file artifacts/bundle/weights.pt was changed"):
            done(three, *command)
    assert read_standing(three, NAME).champion == "1"
    assert read_hold(three, NAME) is None


def test_hold_and_let_go(three: MlflowClient) -> None:
    made = done(three, "hold=true", "reason=month end audit")
    assert "month end audit" in made.reason
    assert getpass.getuser() in made.reason
    assert read_hold(three, NAME) is not None
    done(three, "hold=false", "reason=done")
    assert read_hold(three, NAME) is None
    with pytest.raises(InputError, match="are not held"):
        done(three, "hold=false", "reason=done")


def test_archive_looks_at_a_version_no_more(three: MlflowClient) -> None:
    done(three, "archive=2", "reason=superseded by policy")
    assert "superseded by policy" in read_versions(three, NAME).left_aside["2"]
    assert "stay" not in done(three, "promote=2", "reason=after all").reason
    assert "archived" not in three.get_model_version(NAME, "2").tags
    done(three, "promote=1", "reason=no")
    with pytest.raises(InputError, match="version 1 is champion: move the alias first"):
        done(three, "archive=1", "reason=x")
    with pytest.raises(InputError, match="there are 1, 2, 3"):
        done(three, "archive=7", "reason=x")


def test_decisions_about_a_model_that_is_not_there_are_refused(store: str) -> None:
    for command in (["hold=true", "reason=x"], ["promote=1", "reason=x"], ["rollback=true"]):
        with pytest.raises(InputError, match=r"has no version: run drf train first|no version with the alias"):
            done(MlflowClient(), *command)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["promote=1"], "promote=1: give the reason"),
        (["rollback=2"], "rollback=2: give the reason"),
        (["hold=true"], "hold=true: give the reason"),
        (["archive=2"], "archive=2: give the reason"),
        (["promote=1", "archive=2", "reason=x"], "give only one of promote"),
        (["reason=x"], "is only for promote="),
        (["promote=1", "reason="], "must be text|at least one"),
        (["promote=1", "reason='  '"], "must have at least one"),
        (["promote=1", f"reason={'r' * 1001}"], "at most 1,000 characters"),
        (["promote=0", "reason=x"], "promote=0: must be a whole number, at least 1"),
        (["rollback=maybe"], "rollback=maybe: must be"),
        (["registry.refresh=always"], "must be one of auto, gated, never"),
        (["registry.keep=0"], "at least 1"),
    ],
)
def test_what_is_no_decision_is_refused(words: list[str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        asked(*words)


def test_reports_follow_the_champion(registry: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dethroned champion's report says so, and after a rollback both are right again."""
    monkeypatch.setattr("drf.registry.overrides.load_model", lambda uri: None)
    page = "<!-- status -->?<!-- /status --><!-- gates --><!-- /gates -->"
    for each in read_versions(registry, NAME).versions:
        registry.log_text(each.parent_run, page, "report.html")

    def status(number: int) -> str:
        run = registry.get_model_version(NAME, str(number)).tags["parent_run"]
        return str(mlflow.artifacts.load_text(f"runs:/{run}/report.html"))

    def do(*overrides: str) -> Any:
        made = done(registry, *overrides)
        held = (made.after.champion, made.after.previous, made.before.champion)
        complete_reports(registry, read_versions(registry, NAME, held), made)

    do("promote=1", "reason=because")
    assert "Version 1 is champion, by a person&#39;s decision and not by gates: " in status(1)
    assert "?" in status(3)
    do("promote=2", "reason=because")
    assert "Version 2 is champion" in status(2)
    assert "Version 1 is the previous champion: a rollback returns to it." in status(1)
    do("rollback=true")
    assert "Version 1 is champion" in status(1)
    assert "Version 2 is not in production any more" in status(2)


def test_a_report_that_cannot_be_written_is_said_and_stops_nothing(
    registry: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("drf.tracking.runs.RunLog.read_text", refused)
    monkeypatch.setattr("drf.registry.overrides.load_model", lambda uri: None)
    made = done(registry, "promote=1", "reason=because")
    said = complete_reports(registry, read_versions(registry, NAME, ("1",)), made)
    assert said == ["the report of version 1 was not completed (PermissionError)"]


def test_old_judged_versions_are_archived_unless_they_hold_an_alias(registry: MlflowClient) -> None:
    set_hold(registry, NAME, None)
    for number in "123":
        registry.set_model_version_tag(NAME, number, "judged", "strict")
    known = read_versions(registry, NAME)
    made = Decision(Standing("1"), Standing("1"), "because")
    assert made.to_archive(known, 1) == ["2"]
    write_verdicts(registry, NAME, known, made, 1)
    assert "judged, and not among the 1 newest" in read_versions(registry, NAME).left_aside["2"]
    assert Decision(Standing("2"), Standing("2"), "because").to_archive(known, 1) == ["1"]
