"""The page of a month end: what it says in every case, and how a browser shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drf.live.outcome import came_true, contributions_of, drift, exposures_of, live_record
from drf.live.track_record import Record
from drf.registry.aliases import Standing
from drf.registry.decision import Decision, Evaluation
from drf.registry.gates import Verdict
from drf.reporting.html import render
from drf.reporting.month_report import Month, month_document
from tests.live.making import by_hand
from tests.reporting.browser import look_at, needs_chromium

DATES = pd.date_range("2020-01-31", periods=16, freq="ME")
NAMES = [f"S{k:02d}" for k in range(40)]


def record(skill: float) -> Record:
    """Fifteen months of a model whose forecasts have some skill, promised to have 0.3."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (30, 2))
    promise = pd.DataFrame(
        {"rank_ic": 0.3 + noise[:, 0], "gross": 0.05, "net": 0.05 + 0.1 * noise[:, 1], "turnover": 0.3, "trials": 1}
    )
    issued, panels = [], []
    for month in DATES:
        weights = np.r_[np.full(8, 1 / 8), np.zeros(24), np.full(8, -1 / 8)]
        rng.shuffle(weights)
        issued.append(by_hand(str(month.date()), dict(zip(NAMES, weights, strict=True)), promise))
        returns = skill * weights + rng.normal(0, 0.05, 40)
        values = rng.normal(size=(40, 2))
        panels.append(
            pd.DataFrame({"date": month, "asset": NAMES, "ret_next": returns, "PER": values[:, 0], "ROE": values[:, 1]})
        )
    panel = pd.concat(panels, ignore_index=True)
    panel.loc[panel["date"] == DATES[-1], "ret_next"] = np.nan
    outcomes = came_true(issued, panel)
    return Record(
        name="drf-lstm-lrp", issued=issued, outcomes=outcomes, champion=live_record(issued, outcomes), shadows={},
        contributions=drift(contributions_of(issued)), exposures=drift(exposures_of(issued, panel)),
        notes=["nothing was issued for 1 month(s): 2019-11"], broken=[], restated=[],
    )  # fmt: skip


def decision(**changes: object) -> Decision:
    verdict = Verdict("months out of sample", 40.0, 24.0, True, False, "40, needed at least 24")
    judged = Evaluation(
        "1", "champion", True, "", pd.Series(dtype=float), (verdict,), (), "", "since it was trained <5> values", None
    )
    about = {
        "evaluations": (judged,),
        "asked": "strict",
        "reason": "nothing waits beside the champion, version 1",
        **changes,
    }
    return Decision(Standing("1"), Standing("1"), **about)  # type: ignore[arg-type]


def page_of(**changes: object) -> str:
    lived = record(0.5)
    orders = lived.issued[-1].orders.assign(inputs=0.9, reasons="PER +1.00 %, ROE -0.50 %", quantile=1)
    about = {
        "month": DATES[-1], "champion": "version 1 (champion)", "orders": orders, "record": lived, "unusual": [],
        "trained": "not due", "decision": decision(), "notes": [], "config": "a: 1", "commit": "abc", "name": "mine",
    }  # fmt: skip
    return render(month_document(Month(**{**about, **changes})))  # type: ignore[arg-type]


def test_it_answers_in_the_order_in_which_people_ask() -> None:
    page = page_of()
    questions = ["Is the champion healthy?", "What does it say now?", "How has it done since promotion?",
                 "What changed in the data?", "What did evaluation decide?"]  # fmt: skip
    places = [page.index(question) for question in questions]
    assert places == sorted(places)
    assert "Is it in production?" not in page  # the report of a training asks that
    assert "Nothing speaks against it: it passes its gates, and evidence that its promise is not kept is" in page
    assert "Nothing was promoted: nothing waits beside the champion, version 1." in page
    assert "Since it was trained &lt;5&gt; values." in page  # what comes from data is text
    assert "Nothing was issued for 1 month(s): 2019-11." in page
    assert page.count("<img") == 2


def test_an_alarm_stands_first() -> None:
    page = page_of(record=record(-0.4))
    assert "ALARM: what came true since 2020-01 falls short of what the backtest promised: evidence " in page
    champion = decision(evaluations=())
    assert "ALARM: the champion, version 1, cannot be judged" in page_of(decision=champion)


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ({"record": None}, "No month has come true yet."),
        ({"orders": None}, "Nothing was scored this time."),
        ({"decision": None}, "It was left out this time."),
        ({"unusual": ["PER: share known is 0.10"]}, "1 number(s) of the newest month are unusual, and were let pass."),
        ({"notes": ["the inputs were not watched"]}, "The inputs were not watched."),
    ],
)
def test_what_was_left_out_is_said(left_out: dict[str, object], said: str) -> None:
    assert said in page_of(**left_out)


@pytest.mark.long
@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [1366, 390])
def test_a_browser_shows_it_whole_on_laptop_and_phone(width: int, tmp_path: Path) -> None:
    look = look_at(page_of(), width, tmp_path)
    assert look["heading"] == "Month end April 2021"
    assert len(look["figures"]) == 2 and all(look["figures"])
    assert look["asked"] == []
    assert look["wide"] <= width
    assert look["answers"] < (768 if width > 1000 else 844)
