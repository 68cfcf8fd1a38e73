"""The page of an evaluation says who is champion and why, and shows every gate."""

from __future__ import annotations

import pandas as pd
import pytest

from drf.registry.aliases import Standing
from drf.registry.decision import Decision, Evaluation
from drf.registry.gates import Verdict
from drf.reporting.evaluation_report import decision_report
from drf.reporting.html import render

SCORES = {
    "months": 36.0, "sharpe": 1.4, "sharpe_net": 1.25, "sharpe_low": 0.2, "sharpe_high": 2.3, "deflated": 0.97,
    "rank_ic": 0.061, "turnover": 0.3, "max_drawdown": 0.1, "better_than_linear": float("nan"),
}  # fmt: skip


def judged(number: str, passed: bool, **changes: object) -> Evaluation:
    verdict = Verdict("rank IC", 0.061, 0.02, passed, False, f"0.061 of version {number} <ok>")
    about = {"scores": pd.Series(SCORES), "verdicts": (verdict,), "restated": "", "reason": "rank IC is low"} | changes
    return Evaluation(number, "new recipe", passed, skill=(), settled="", months=None, **about)  # type: ignore[arg-type]


def page_of(*of: Evaluation, after: str | None = "2", asked: str = "strict", **more: object) -> str:
    made = Decision(Standing("1"), Standing(after, "1"), "it is better", evaluations=of, asked=asked, **more)  # type: ignore[arg-type]
    return render(decision_report("drf-lstm-lrp", made, "gate: strict", "abc"))


def test_it_says_who_is_champion_and_why() -> None:
    page = page_of(judged("2", True), judged("3", False), left_aside={"4": "its run is gone"}, superseded={"5": "6"})
    for said in (
        "Version 2; before: 1. A rollback would return to version 1.",
        "Promoted version 2: it is better.",
        "0.061 of version 3 &lt;ok&gt;",
        "It failed: rank IC is low.",
        "its run is gone",
        "superseded by version 6",
        "0.20",
    ):
        assert said in page, said
    assert "Is it in production?" not in page


@pytest.mark.parametrize("of", [(), (judged("2", False, scores=pd.Series(dtype=float), verdicts=()),)])
def test_what_is_not_known_is_left_out(of: tuple[Evaluation, ...]) -> None:
    page = page_of(*of, after=None)
    assert "There is no champion yet." in page
    assert "nan" not in page.split("<script")[0]
    assert "The gates were not applied: a person decided." in page_of(after="1", asked="")
