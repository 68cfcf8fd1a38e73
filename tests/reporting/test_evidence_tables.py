"""The evidence of a comparison: what its tables hold, and what is said where nothing can be estimated."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from drf.comparison.evidence import gather, on_rows
from drf.comparison.rows import Row, comparison_table
from drf.evaluation.metrics import summarise
from drf.evaluation.trials import Trials
from drf.reporting import findings
from drf.reporting.comparison_report import comparison_report
from drf.reporting.html import render
from drf.reporting.terminal import printed
from tests.reporting.compared import (
    DRIVERS,
    RULE,
    compared_evidence,
    compared_rows,
    contributions,
    judged,
    judging,
    market,
    material,
)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return compared_rows()


@pytest.fixture(scope="module")
def evidence() -> dict[str, pd.DataFrame]:
    return compared_evidence()


def test_evidence_covers_every_row(rows: list[Row], evidence: Mapping[str, pd.DataFrame]) -> None:
    names = {row.name for row in rows}
    for name in ("tests", "sharpe", "deflated", "confidence_set", "quantiles", "variants"):
        assert set(evidence[name]["row"]) == names
    for name, frame in evidence.items():
        assert isinstance(frame, pd.DataFrame), name
    assert set(evidence["seeds"]["row"]) == {"lstm", "lstm_lrp"}
    metrics = on_rows(evidence)
    assert metrics["lstm"]["evidence/sharpe_net_low"] < rows[2].metrics["sharpe_net"]
    assert metrics["lstm"]["evidence/sharpe_sd_of_seeds"] > 0
    assert "evidence/sharpe_net_difference" not in metrics["linear"]


def test_the_seeds_are_judged_each_on_its_own(rows: list[Row], evidence: Mapping[str, pd.DataFrame]) -> None:
    table = evidence["seeds"].query("row == 'lstm'").set_index("seed")["sharpe"]
    lstm = rows[2]
    own = [summarise(lstm.predictions.assign(y_pred=seed), RULE)["sharpe"] for seed in lstm.by_seed]
    assert table[["0", "1", "2"]].tolist() == pytest.approx(own)
    assert table["mean"] == pytest.approx(np.mean(own))
    assert table["sd"] == pytest.approx(np.std(own, ddof=1))


def test_the_first_screen_answers_in_words_that_follow_from_the_numbers(
    rows: list[Row], evidence: Mapping[str, pd.DataFrame]
) -> None:
    table = comparison_table(rows)
    best = findings.best_row(table)
    assert best in ("lstm", "lstm_lrp")
    assert f"{table.set_index('row')['sharpe_net'][best]:.2f}" in findings.which_model(table, best)
    assert re.search(r"Against linear: .*, better beyond chance\.", findings.how_sure(evidence, best))
    assert ", excludes 0." in findings.how_sure(evidence, best)
    assert "they cannot be told apart" in findings.how_sure(evidence, "forest") or (
        evidence["sharpe"].query("row == 'forest' and returns == 'net'")["difference_low"].item() > 0
    )
    linear = findings.which_model(table, "linear")
    assert linear.startswith("linear, the row that can be promoted")
    assert f"{best} {table['sharpe_net'].max():.2f}, above it" in linear
    assert findings.what_drives(pd.Series({"Value": 0.006, "Risk": -0.002}), "lstm_lrp").startswith(
        "Value 75 %, Risk -25 %: shares of the sizes of its contributions, with their signs, to lstm_lrp's forecast"
    )
    words = " ".join(findings.caveats(evidence, table, best, simulated=True, neutral=1.5))
    assert "1.50 % of the inputs" in words
    assert "The market is simulated" in words
    assert f"standard error of about {np.sqrt(12 / 35):.2f}" in words


def only(rows: list[Row], kept: Callable[[pd.DataFrame], pd.Series], **values: float) -> list[Row]:
    """The rows on a part of their forecasts, with some columns set."""
    made = []
    for row in rows:
        chosen = kept(row.predictions).to_numpy()
        table = row.predictions[chosen].reset_index(drop=True).assign(**values)
        seeds = np.broadcast_to(table["y_pred"], (len(row.by_seed), len(table)))
        if "y_pred" not in values:
            seeds = row.by_seed[:, chosen]
        made.append(replace(row, by_seed=seeds, contributions=contributions(table), **judged(table)))
    return made


def last(months: int) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda table: table["date"].isin(sorted(table["date"].unique())[-months:])


def all_rows(table: pd.DataFrame) -> pd.Series:
    return table["date"].notna()


def three_stocks_in_one_month(table: pd.DataFrame) -> pd.Series:
    return (table["date"] != table["date"].iloc[-1]) | (table.groupby("date").cumcount() < 3)


FEW_TRIALS = Trials(pd.DataFrame({"sharpe": [0.1], "periods": [12]}), 1.0)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("kept", "values", "reason"),
    [
        (last(1), {}, "there are only 1 periods (4 needed)"),
        (last(2), {}, "there are only 2 periods (4 needed)"),
        (last(3), {}, "there are only 3 periods (4 needed)"),
        (all_rows, {"y_pred": 0.01}, "are the same for all stocks"),
        (all_rows, {"y_true": 0.01}, "are the same for all stocks"),
        (three_stocks_in_one_month, {}, "1 of 35 periods have no long-short return"),
    ],
)
def test_what_cannot_be_estimated_is_said_wherever_it_would_stand(
    rows: list[Row], kept: Callable[[pd.DataFrame], pd.Series], values: dict[str, float], reason: str
) -> None:
    spoilt = only(rows, kept, **values)
    tables = gather(spoilt, judging(market()), FEW_TRIALS, {}, periods=None, seed=0)
    comparison = comparison_table(spoilt)
    assert comparison["note"].str.contains(reason, regex=False).all()
    for name, table in {**tables, "comparison": comparison}.items():
        if "note" in table:
            unknown = table.drop(columns=["better", "difference", "difference_low", "difference_high"], errors="ignore")
            silent = unknown[unknown.isna().any(axis=1) & (table["note"].fillna("") == "")]
            assert silent.empty, (name, silent.to_string())
    text = render(comparison_report(material(spoilt, tables, drivers=DRIVERS)))
    assert reason in text
    assert reason in printed(comparison)
    assert "nan" not in printed(comparison).lower()


def test_eleven_months_are_few_but_enough(rows: list[Row]) -> None:
    assert (comparison_table(only(rows, last(11)))["note"] == "").all()


COLUMNS = {
    "quantiles": ["row", "quantile", "annual_return", "t", "smallest_step", "p_not_rising", "note"],
    "variants": ["row", "variant", "annual_return", "sharpe", "sharpe_net", "rank_ic", "rank_ic_t", "note"],
    "overfitting": ["study", "trials", "periods", "splits", "pbo", "note"],
    "seeds": ["row", "seed", "mae", "rmse", "rank_ic", "sharpe", "sharpe_net", "note"],
    "superior_ability": ["benchmark", "rivals", "p", "note", "by"],
    "confidence_set": ["row", "loss", "p", "note", "included", "by"],
}


def test_tables_of_the_evidence_have_their_columns(evidence: Mapping[str, pd.DataFrame]) -> None:
    for name, columns in COLUMNS.items():
        assert list(evidence[name]) == columns, name
    assert set(evidence["variants"]["variant"]) == {"as reported", "value-weighted", "winsorised", "sector-neutral"}
    assert evidence["overfitting"]["periods"].item() == 12


def test_losses_of_the_confidence_set_are_squared_errors_and_returns(
    rows: list[Row], evidence: Mapping[str, pd.DataFrame]
) -> None:
    loss = evidence["confidence_set"].set_index(["by", "row"])["loss"]
    for row in rows:
        assert loss["squared error", row.name] == pytest.approx((row.series["rmse"] ** 2).mean())
        assert loss["return after costs", row.name] == pytest.approx(-row.series["long_short_net"].mean())
