"""Cards of the registered model, its versions and decisions; and the alias of the challenger."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
import pytest
from mlflow import MlflowClient

from drf.registry.aliases import Standing
from drf.registry.decision import Decision, Evaluation
from drf.registry.gates import REPLACEMENT, Verdict
from drf.registry.versions import RegisteredVersions, read_versions
from drf.reporting.markdown import plain
from drf.reporting.version_cards import Training, decision_card, judged_card, version_card
from drf.workflows.decision_log import CHALLENGER, write_verdicts
from drf.workflows.version_descriptions import rewrite_cards
from tests.registry.making import NAME, register_small, version

SCORES = pd.Series(
    {"months": 40.0, "sharpe_net": 1.25, "sharpe_low": 0.3, "sharpe_high": 2.2, "rank_ic": 0.061, "turnover": 0.31,
     "max_drawdown": 0.12, "trials": 7.0, "deflated": 0.97}
)  # fmt: skip
TRAINING = Training("s0 panel", "7")
MONTHS = (pd.Timestamp("2000-01-31"), pd.Timestamp("2003-04-30"))


def judged(number: str, role: str = "new recipe", failed: str = "") -> Evaluation:
    gates = ["months out of sample", REPLACEMENT]
    verdicts = tuple(Verdict(gate, 1.0, 0.5, gate != failed, False, f"1, asked | {gate}") for gate in gates)
    reason = f"{failed}: too little" if failed else ""
    return Evaluation(number, role, not failed, reason, SCORES, verdicts, (), "", "", MONTHS)


def decision(*found: Evaluation, champion: str | None = None, after: str | None = None) -> Decision:
    now = Standing(champion)
    return Decision(now, now.promote(after) if after else now, "because", evaluations=tuple(found), asked="strict")


def test_a_version_card_has_its_sections_and_says_what_it_is() -> None:
    one = judged("2")
    card = version_card(version("2"), one, decision(one, champion="1", after="2"), TRAINING)
    for section in (
        "What it is",
        "Use",
        "Training",
        "What it has shown",
        "Drivers",
        "Gates",
        "Limits",
        "Load",
        "Lineage",
    ):
        assert f"### {section}\n" in card
    assert card.startswith("**Champion**, promoted under strict gates")
    assert "of the training *s0 panel*" in card
    assert "Sharpe ratio after costs 1.25 a year (95 %: 0.30 to 2.20)" in card and "2000-01 to 2003-04" in card
    assert "#/experiments/7/runs/parent?workflowType=machine_learning" in card
    assert "1, asked \\| months out of sample" in card  # a pipe of the text is none of the table's
    refreshed = version_card(version("2"), one, decision(one, champion="1", after="2"), TRAINING, under="research")
    assert refreshed.startswith("**Champion**, promoted under research gates; judged now under strict gates.")
    failed = judged("3", failed=REPLACEMENT)
    card = version_card(version("3"), failed, decision(failed, champion="2"), None)
    assert card.startswith(f"**Not promoted**: {REPLACEMENT}: too little.")
    assert "| **FAIL** |" in card and "Its training's run `parent` is gone." in card


def test_a_version_that_could_not_be_judged_says_why() -> None:
    broken = replace(
        judged("2"), scores=pd.Series(dtype=float), verdicts=(), reason="its file x was changed", months=None
    )
    card = version_card(version("2"), broken, decision(broken, champion="2"), TRAINING)
    assert "It was not judged: its file x was changed." in card
    assert "No months out of sample could be scored." in card
    assert "It was not judged: its file x was changed." in judged_card(broken)


def test_a_decision_card_says_who_is_champion_and_why() -> None:
    one, two = judged("1", "champion"), judged("2", failed=REPLACEMENT)
    card = decision_card(NAME, decision(one, two, champion="1"))
    assert card.startswith("**Nothing was promoted: because.**")
    assert "| 2 (new recipe) | failed | 1.25 | 0.30 | 0.061 | better than the champion: too little |" in card
    promoted = decision(one, judged("2"), champion="1", after="2")
    assert decision_card(NAME, promoted).startswith("**Promoted version 2: because.**")
    assert decision_card(NAME, decision()).startswith("**There is no champion yet.**")


@pytest.mark.parametrize(
    ("found", "challenger"),
    [
        ([judged("1", "champion"), judged("2")], "2"),
        ([judged("1", "champion"), judged("2"), judged("3", failed=REPLACEMENT)], "3"),
        ([judged("1", "champion"), judged("2", failed="months out of sample")], None),
        ([judged("1", "champion")], None),
    ],
)
def test_the_challenger_is_the_newest_that_lacks_nothing_but_to_be_better(
    registry: MlflowClient, found: list[Evaluation], challenger: str | None
) -> None:
    known = RegisteredVersions([version(number) for number in "123"], {})
    write_verdicts(registry, NAME, known, decision(*found, champion="1"), 5)
    aliases = {alias: str(number) for alias, number in registry.get_registered_model(NAME).aliases.items()}
    assert aliases.get(CHALLENGER) == challenger
    assert "Last decision: because." in registry.get_registered_model(NAME).description
    assert "### Gates" in registry.get_model_version(NAME, "1").description
    write_verdicts(registry, NAME, known, decision(judged("2", "champion"), champion="2"), 5)
    aliases = {alias: str(number) for alias, number in registry.get_registered_model(NAME).aliases.items()}
    assert aliases.get(CHALLENGER) == (None if challenger == "2" else challenger)  # a champion challenges nobody


def test_what_people_decide_stands_at_the_head_of_cards_whose_sections_stay(store: str) -> None:
    client = MlflowClient()
    for _ in range(4):
        register_small(client)
    cards = {number: f"**Champion**, promoted under strict gates.\n\n### Gates\nof {number}" for number in ("1", "2")}
    for number, card in cards.items():
        client.update_model_version(NAME, number, description=card)
    client.update_model_version(NAME, "3", description="Approved by the committee: MRM-77.")
    made = Decision(Standing("1", None), Standing("2", "1"), "version 2 was made champion by somebody: asked")
    rewrite_cards(client, NAME, read_versions(client, NAME), made)
    told = {number: client.get_model_version(NAME, number).description for number in "1234"}
    assert told["2"].startswith(f"**Champion**, by a person's decision and not by gates: {made.reason}.")
    assert told["2"].endswith("\n\n### Gates\nof 2")
    assert told["1"].startswith("**Previous** champion") and told["1"].endswith("\n\n### Gates\nof 1")
    assert told["3"] == "Approved by the committee: MRM-77." and not told["4"]  # untouched
    cards = {number: client.get_model_version(NAME, number).description for number in "12"}
    held = Decision(made.after, made.after, "the aliases are held by somebody: under review")
    rewrite_cards(client, NAME, read_versions(client, NAME), held)
    assert {number: client.get_model_version(NAME, number).description for number in "12"} == cards
    assert "under review" in client.get_registered_model(NAME).description
    back = Decision(made.after, Standing("3", None), "rolled back: version 3 is champion again")
    for _ in range(2):  # again changes nothing
        rewrite_cards(client, NAME, read_versions(client, NAME), back)
    told = {number: client.get_model_version(NAME, number).description for number in ("2", "3")}
    assert told["3"].startswith(f"**Champion**, by a person's decision and not by gates: {back.reason}.")
    assert "### Drivers\n" in told["3"]  # a whole card, though it was never judged
    assert told["3"].endswith("\n\n### Notes\nApproved by the committee: MRM-77.")
    assert told["2"].startswith("**Not in production** any more.") and "of 2" in told["2"]
    assert "**champion**: [version 3]" in client.get_registered_model(NAME).description


def test_what_people_wrote_outlives_evaluations(registry: MlflowClient) -> None:
    registry.update_model_version(NAME, "1", description="Not for small caps.")
    known = RegisteredVersions([version("1")], {})
    one = judged("1", failed="months out of sample")
    for _ in range(2):
        write_verdicts(registry, NAME, known, decision(one), 12)
    card = registry.get_model_version(NAME, "1").description
    assert card.startswith("**Not promoted**") and card.count("### Notes") == 1
    assert card.endswith("### Notes\nNot for small caps.")


@pytest.mark.parametrize(
    "words", ["![x](http://h/x.png)", "[x](javascript:alert(1))", "<img src=x onerror=y>", "a | b", "<!-- x -->"]
)
def test_peoples_words_become_no_link_picture_or_html(words: str) -> None:
    shown = plain(f"promoted by ann: {words}")
    assert not re.search(r"(?<!\\)[\[<!]", shown)
    assert re.sub(r"\\([\[\]<!])", r"\1", shown).endswith(words)
    card = decision_card(NAME, decision(judged("1", failed=words)))
    assert not re.search(r"(?<!\\)(!\[|<\w|\[x)", card)
