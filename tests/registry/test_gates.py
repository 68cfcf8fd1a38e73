"""Each gate asks its question, in words, and what cannot be estimated does not pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from drf.evaluation.hac import hac_mean
from drf.evaluation.intervals import sharpe_intervals
from drf.evaluation.metrics import monthly_series, summarise
from drf.evaluation.portfolio import make_weights
from drf.evaluation.sharpe import sharpe_evidence
from drf.evaluation.trials import Trials
from drf.registry.checkup import Checkup
from drf.registry.gates import (
    Verdict,
    failures,
    judge_artifact,
    judge_audit,
    judge_refresh,
    judge_replacement,
    judge_skill,
)
from drf.registry.scores import SCORES, better_than, score
from tests.registry.making import LIMITS, RULE, SOUND, TRIALS, forecasts

NAN = float("nan")
GOOD = pd.Series(
    {
        "months": 30, "sharpe_low": 0.25, "deflated": 0.96, "trials": 39, "independent": 7.25, "rank_ic": 0.1,
        "rank_ic_t": 3.0, "rank_ic_df": 12, "better_than_linear": 0.4,
    }
)  # fmt: skip


def test_noise_passes_no_gate_of_skill_and_skill_passes_all() -> None:
    noise, skill = (score(forecasts(k), pd.DataFrame(), RULE, TRIALS) for k in (0.0, 0.3))
    asked = judge_skill(noise, replace(LIMITS, min_better_than_linear=None))
    assert [verdict.gate for verdict in asked if not verdict.passed] == [
        "Sharpe after costs, low end of interval",
        "deflated Sharpe",
        "rank IC t-statistic",
    ]
    assert all(verdict.passed for verdict in judge_skill(skill, LIMITS))


def test_every_gate_of_skill_asks_its_question_in_words() -> None:
    critical = float(stats.t.isf(0.025, 12))
    asked = judge_skill(GOOD, LIMITS)
    assert [(v.gate, v.value, v.threshold, v.passed, v.lasting) for v in asked] == [
        ("months out of sample", 30.0, 24, True, False),
        ("Sharpe after costs, low end of interval", 0.25, 0.0, True, False),
        ("deflated Sharpe", 0.96, 0.95, True, False),
        ("rank IC t-statistic", 3.0, pytest.approx(critical), True, False),
        ("rank IC not too good to be true", 0.1, 0.9, True, False),
        ("Sharpe after costs not too good to be true", 0.25, 99.0, True, False),
        ("not clearly worse than linear", 0.4, 0.05, True, False),
    ]
    assert [v.reason for v in asked] == [
        "30, needed at least 24",
        "0.25, needed at least 0",
        "0.96 over 39 trials, worth 7.2 independent ones, needed at least 0.95",
        f"3, needed at least {critical:.3g}",
        "0.1, allowed at most 0.9",
        "0.25, allowed at most 99",
        "0.4 probability of a better Sharpe after costs than linear, needed at least 0.05",
    ]


@pytest.mark.parametrize(
    ("name", "bad"),
    [("months", 23), ("sharpe_low", -0.01), ("sharpe_low", 99.1), ("deflated", 0.94), ("rank_ic_t", 2.1),
     ("rank_ic", 0.91), ("better_than_linear", 0.04)],
)  # fmt: skip
def test_each_score_has_its_gate(name: str, bad: float) -> None:
    for value in (bad, NAN):
        failed = [
            verdict
            for verdict in judge_skill(GOOD.astype(float).replace(GOOD[name], value), LIMITS)
            if not verdict.passed
        ]
        assert len(failed) == (2 if name == "sharpe_low" and np.isnan(value) else 1)
    assert failed[0].reason.startswith("cannot be estimated")


def test_linear_is_asked_for_only_where_the_gate_says_so() -> None:
    alone = GOOD.astype(float).replace(0.4, NAN)
    assert not all(verdict.passed for verdict in judge_skill(alone, LIMITS))
    assert all(verdict.passed for verdict in judge_skill(alone, replace(LIMITS, min_better_than_linear=None)))


@pytest.mark.parametrize(
    ("change", "gate", "lasting"),
    [
        ({"replay_error": 1e-8}, "replay of recorded forecasts", True),
        ({"replay_error": float("inf")}, "replay of recorded forecasts", True),
        ({"direction": -0.9}, "direction", True),
        ({"direction": NAN}, "direction", False),
        ({"conservation_error": 1e-3}, "conservation of relevance", True),
        ({"conservation_error": NAN}, "conservation of relevance", False),
        ({"fidelity": 0.98}, "fidelity of linearisation", True),
    ],
)
def test_an_artifact_that_is_not_what_it_says_fails(change: dict[str, float], gate: str, lasting: bool) -> None:
    assert all(verdict.passed for verdict in judge_artifact(SOUND, LIMITS))
    failed = [verdict for verdict in judge_artifact(Checkup(**{**vars(SOUND), **change}), LIMITS) if not verdict.passed]
    assert [(verdict.gate, verdict.lasting) for verdict in failed] == [(gate, lasting)]
    assert failures(failed) == f"{gate}: {failed[0].reason}"


def test_beside_the_champion() -> None:
    assert judge_refresh(0.6, "7", LIMITS).reason == "0.6, version 7, needed at least 0.5"
    assert not judge_refresh(NAN, "7", LIMITS).passed
    asked = judge_replacement(0.4, "7", LIMITS)
    assert (asked.gate, asked.passed) == ("better than the champion", False)
    assert "than the champion, version 7" in asked.reason


def test_many_trials_deflate_a_sharpe_ratio_below_the_gate() -> None:
    table = pd.DataFrame({"sharpe": np.resize([-0.2, 0.2], 500), "periods": 36})
    few, many = (score(forecasts(0.08), pd.DataFrame(), RULE, Trials(table, n))["deflated"] for n in (2, 500))
    assert few > 0.95 > many


def test_the_audits_gate_counts_its_checks() -> None:
    table = pd.DataFrame({"check": ["a", "b", "c"], "passed": [True, False, False], "reason": ["", "x", "y"]})
    assert judge_audit(table) == Verdict("audit", 1.0, 3.0, False, False, "b: x; c: y")
    assert judge_audit(table[:1]) == Verdict("audit", 1.0, 1.0, True, False, "all 1 checks passed")


def test_scores_hold_every_measure_of_a_version() -> None:
    made = forecasts(0.2)
    line = score(made, pd.DataFrame(), RULE, TRIALS)
    series = monthly_series(made, RULE)
    net = pd.DataFrame({"x": series["long_short_net"]})
    net["linear"] = monthly_series(made.assign(y_pred=made["benchmark"]), RULE)["long_short_net"]
    interval = sharpe_intervals(net, "linear").iloc[0]
    assert (line["months"], line["trials"], line["independent"]) == (36, 3, 3.0)
    assert (line["sharpe_low"], line["sharpe_high"]) == (interval["low"], interval["high"])
    assert line["better_than_linear"] == interval["better"]
    assert line["deflated"] == sharpe_evidence(net[["x"]], TRIALS)["deflated"].item()
    assert line["rank_ic_df"] == hac_mean(series[["rank_ic"]])["df"].item()
    for name in SCORES:
        assert line[name] == summarise(made, RULE)[name]
    alone = score(made.assign(benchmark=np.nan), pd.DataFrame(), RULE, TRIALS)
    assert np.isnan(alone["better_than_linear"])


def test_a_challenger_pays_for_the_change() -> None:
    """By hand: both on the same months, and the last month charged for the trades between the two portfolios."""
    champion, challenger = forecasts(0.2), forecasts(0.25, seed=3)
    costly = replace(RULE, cost_bps=100)
    net = pd.DataFrame(
        {name: monthly_series(made, costly)["long_short_net"] for name, made in (("a", challenger), ("b", champion))}
    )
    last = [
        make_weights(made, costly).table.query("date == date.max()").set_index("asset")["weight"]
        for made in (challenger, champion)
    ]
    net.iloc[-1, 0] -= (last[0] - last[1]).abs().sum() * 0.01
    expected = sharpe_intervals(net, "b")["better"][0]
    assert better_than(challenger, champion, pd.DataFrame(), costly) == pytest.approx(expected)
    later = challenger[challenger["date"] > "2000-12-31"]
    assert better_than(later, champion, pd.DataFrame(), costly) == pytest.approx(
        better_than(later, champion[champion["date"] > "2000-12-31"], pd.DataFrame(), costly)
    )
    assert np.isnan(
        better_than(
            challenger, champion.assign(date=champion["date"] + pd.offsets.MonthEnd(60)), pd.DataFrame(), costly
        )
    )
