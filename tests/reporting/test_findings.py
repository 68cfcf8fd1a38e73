"""What the first screen and the caveats say follows from the numbers of one row, the one that can be promoted."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from drf.reporting import findings

LINES = {
    "linear": {"sharpe_net": 1.0, "rank_ic": 0.05, "r2": 0.01},
    "lstm_lrp": {"sharpe_net": 0.8, "rank_ic": 0.06, "r2": -0.002},
}
OTHER = {
    "annual_return": 0.1, "max_drawdown": 0.05, "promised_return": 0.12, "promised_return_raw": 0.5, "r2_raw": -0.03,
    "note": "",
}  # fmt: skip


def comparison(**of_lstm: float) -> pd.DataFrame:
    lines = [{"row": name, **OTHER, **values} for name, values in LINES.items()]
    lines[1] |= of_lstm  # type: ignore[arg-type]
    return pd.DataFrame(lines)


def evidence(**variants: float) -> dict[str, pd.DataFrame]:
    pair: dict[str, Any] = {"row": "lstm_lrp", "sharpe": -0.2, "sharpe_low": -0.9, "sharpe_high": 0.5}
    pair |= {"squared_error": 0.1, "squared_error_p": 0.01}
    months = pd.to_datetime(["2001-01-31", "2001-12-31", "2002-01-31", "2002-12-31"])
    return {
        "pairs": pd.DataFrame(
            [{**pair, "other": "linear"}, {**pair, "other": "boosting", "sharpe_high": -0.1, "squared_error": -0.1}]
        ),
        "sharpe": pd.DataFrame(
            [{"row": name, "returns": "net", "periods": 24, "low": 0.1, "high": 2.0, "note": ""} for name in LINES]
        ),
        "deflated": pd.DataFrame({"row": list(LINES), "deflated": 0.9, "trials": 7}),
        "variants": pd.DataFrame(
            [{"row": "lstm_lrp", "variant": k.replace("_", "-"), "sharpe_net": v} for k, v in variants.items()],
            columns=["row", "variant", "sharpe_net"],
        ),
        "periods": pd.DataFrame(
            {"row": "lstm_lrp", "first": months[::2], "last": months[1::2], "sharpe_net": [1.9, -0.3]}
        ),
        "confidence_set": pd.DataFrame({"by": "return after costs", "included": [True, True]}),
        "seeds": pd.DataFrame(columns=["row", "seed", "sharpe_net"]),
        "overfitting": pd.DataFrame(columns=["study", "pbo"]),
    }


def test_the_first_screen_speaks_of_the_row_that_can_be_promoted_beside_the_best_of_the_others() -> None:
    table = comparison()
    assert findings.headline_row(table, "lstm_lrp") == "lstm_lrp"
    assert findings.headline_row(table, "dnn_lrp") == "linear"  # not trained: the best
    said = findings.which_model(table, "lstm_lrp")
    assert said.startswith(
        "lstm_lrp, the row that can be promoted: Sharpe ratio after costs 0.80 a year, rank IC 0.060"
    )
    assert "Best of the others: by Sharpe ratio linear 1.00, above it; by rank IC linear 0.050, not above it." in said
    assert findings.which_model(comparison(sharpe_net=float("nan")), "lstm_lrp").endswith(
        "too few months for a Sharpe ratio."
    )
    twin = pd.concat([table, table[1:].assign(row="lstm", sharpe_net=9.0)])
    assert findings.which_model(twin, "lstm_lrp") == said  # its own network is no rival


def test_an_error_larger_than_nothings_is_said() -> None:
    said = findings.how_right(comparison(), "lstm_lrp")
    assert "R² -0.20 % against a forecast of nothing, which has the smaller error." in said
    assert "12.0% promised, 10.0% earned" in said and "Before shrinking the models promised 50.0%" in said
    assert "smaller error" not in findings.how_right(comparison(), "linear")


def test_both_rivals_are_answered() -> None:
    said = findings.how_sure(evidence(), "lstm_lrp")
    assert "Against linear: -0.20 (-0.90 to 0.50), they cannot be told apart." in said
    assert "Against boosting: -0.20 (-0.90 to -0.10), worse beyond chance." in said
    pairs = evidence()["pairs"]
    assert findings.rivals_of(pairs, "lstm_lrp") == ["linear", "boosting"]
    assert "larger than those of linear, beyond chance (Diebold and Mariano, p = 0.010)" in findings.errors_against(
        pairs, "lstm_lrp", "linear"
    )
    assert "are smaller than those of boosting" in findings.errors_against(pairs, "lstm_lrp", "boosting")


@pytest.mark.parametrize(
    ("of_lstm", "variants", "words"),
    [
        ({"max_drawdown": 0.2}, {}, "lost 20.0% from a peak before costs: more than its mean return of a year, 10.0%"),
        ({}, {}, "forecasting nothing has the smaller error (R² -0.20 %)"),
        ({}, {"value_weighted": 0.3}, "value-weighted: the Sharpe ratio after costs is 0.30, not 0.80 as reported"),
        ({}, {"sector_neutral": -0.3}, "sector-neutral: the Sharpe ratio after costs is -0.30, not 0.80 as reported"),
        ({}, {}, "lost after costs in 1 of 2 parts of the test months: 2002-01 to 2002-12"),
    ],
)
def test_what_contradicts_the_headline_is_among_the_caveats(
    of_lstm: dict[str, float], variants: dict[str, float], words: str
) -> None:
    lines = findings.caveats(evidence(**variants), comparison(**of_lstm), "lstm_lrp", simulated=False, neutral=0.0)
    assert any(words in line for line in lines), lines
    sound = evidence(value_weighted=0.7)
    sound["periods"]["sharpe_net"] = 0.5
    calm = findings.caveats(sound, comparison(r2=0.01), "lstm_lrp", simulated=False, neutral=0.0)
    assert not any(line.startswith("lstm_lrp") for line in calm)
