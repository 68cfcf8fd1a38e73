"""Scores and gates, on forecasts made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from drf.evaluation.bootstrap import sharpe_intervals
from drf.evaluation.hac import hac_mean
from drf.evaluation.metrics import monthly_series, summarise
from drf.evaluation.sharpe import sharpe_evidence
from drf.registry.gates import SCORES, Checkup, Verdict, audit_verdict, judge, score
from tests.registry.making import LIMITS, RULE, TRIALS, forecasts


def test_scores_agree_with_the_comparison_and_t_with_its_definition() -> None:
    from drf.evaluation.metrics import rank_ic

    made = forecasts(0.2)
    scores, ic = score({"1": made}, TRIALS, None, RULE).loc["1"], rank_ic(made).to_numpy()
    assert scores["sharpe_net"] == summarise(made, RULE)["sharpe_net"]
    assert scores["rank_ic_t"] == pytest.approx(hac_mean(pd.DataFrame({"ic": ic}))["t"]["ic"])


def test_what_cannot_be_estimated_does_not_pass() -> None:
    nan = float("nan")
    scores = pd.Series(
        {
            "months": 30,
            "sharpe_low": nan,
            "deflated": 0.99,
            "rank_ic_t": 3.0,
            "rank_ic_df": 12,
            "trials": 3,
            "better": nan,
        }
    )
    failed = [verdict.gate for verdict in judge(scores, Checkup(0.0, 1.0), "1", LIMITS) if not verdict.passed]
    assert failed == ["Sharpe after costs, low end of interval", "not worse than the champion"]


def test_many_trials_deflate_a_sharpe_ratio_below_the_gate() -> None:
    made = {"1": forecasts(0.08)}
    few, many = (
        score(made, pd.DataFrame({"sharpe": np.resize([-0.2, 0.2], n), "periods": 36}), None, RULE)["deflated"]
        for n in (2, 500)
    )
    assert few["1"] > 0.95 > many["1"]


def test_every_gate_asks_its_question_in_words() -> None:
    scores = pd.Series(
        {
            "months": 30, "sharpe_low": 0.25, "deflated": 0.5, "trials": 39, "rank_ic_t": 3.0, "rank_ic_df": 12,
            "better": 0.4,
        }
    )  # fmt: skip
    critical = float(stats.t.isf(0.025, 12))
    asked = judge(scores, Checkup(1e-3, 0.995), "7", LIMITS)
    assert [(v.gate, v.value, v.threshold, v.passed, v.lasting) for v in asked] == [
        ("months out of sample", 30.0, 24, True, False),
        ("Sharpe after costs, low end of interval", 0.25, 0.0, True, False),
        ("deflated Sharpe", 0.5, 0.95, False, False),
        ("rank IC t-statistic", 3.0, pytest.approx(critical), True, False),
        ("conservation of relevance", 1e-3, 1e-6, False, True),
        ("fidelity of linearisation", 0.995, 0.99, True, False),
        ("not worse than the champion", 0.4, 0.5, False, False),
    ]
    assert [v.reason for v in asked] == [
        "30, needed at least 24",
        "0.25, needed at least 0",
        "0.5 over 39 trials, needed at least 0.95",
        f"3, needed at least {critical:.3g}",
        "0.001, allowed at most 1e-06",
        "0.995, needed at least 0.99",
        "0.4 of resamples better than the champion, version 7, needed at least 0.5",
    ]
    unknown = judge(scores.replace(0.25, float("nan")), Checkup(0.0, 1.0), None, LIMITS)[1]
    assert unknown.reason == "cannot be estimated, needed at least 0"
    exact = judge(scores.replace(0.5, 0.95), Checkup(1e-6, 0.99), None, LIMITS)
    assert all(verdict.passed for verdict in exact)  # at the threshold


def test_the_audits_gate_counts_its_checks() -> None:
    table = pd.DataFrame({"check": ["a", "b", "c"], "passed": [True, False, False], "reason": ["", "x", "y"]})
    assert audit_verdict(table) == Verdict("audit", 1.0, 3.0, False, False, "b: x; c: y")
    assert audit_verdict(table[:1]) == Verdict("audit", 1.0, 1.0, True, False, "all 1 checks passed")


def test_scores_hold_every_measure_of_a_version() -> None:
    made = {"1": forecasts(0.2), "2": forecasts(0.3)}
    table = score(made, TRIALS, "1", RULE)
    net = pd.DataFrame({n: monthly_series(f, RULE)["long_short_net"] for n, f in made.items()})
    intervals, deflated = sharpe_intervals(net, "1").set_index("row"), sharpe_evidence(net, TRIALS).set_index("row")
    for number in made:
        line = table.loc[number]
        assert line["months"] == 36
        assert line["trials"] == len(TRIALS)
        assert (line["sharpe_low"], line["sharpe_high"]) == tuple(intervals.loc[number, ["low", "high"]])
        assert line["deflated"] == deflated.loc[number, "deflated"]
        assert line["rank_ic_df"] == hac_mean(monthly_series(made[number], RULE)[["rank_ic"]])["df"].item()
        for name in SCORES:
            assert line[name] == summarise(made[number], RULE)[name]
    assert np.isnan(table.loc["1", "better"])
    assert table.loc["2", "better"] == intervals.loc["2", "better"]
