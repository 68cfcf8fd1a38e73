"""What is drawn is what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from drf.comparison.rows import Row, comparison_table, drivers, top_contributions
from drf.evaluation.intervals import sharpe_intervals
from drf.evaluation.portfolio import Quantiles, quantile_returns
from drf.reporting import charts
from drf.reporting.document import Chart
from drf.reporting.drawing import comparison_figures, row_figures
from tests.making import rule
from tests.reporting.conftest import FACTORS

RULE = rule()


@pytest.fixture(scope="module")
def drawn(rows: list[Row]) -> dict[str, Chart]:
    net = pd.DataFrame({row.name: row.series["long_short_net"] for row in rows})
    return comparison_figures(rows, comparison_table(rows), sharpe_intervals(net), FACTORS, RULE)


def heights(chart: Chart) -> dict[str, np.ndarray]:
    """Values of each trace, by its name."""
    return {trace["name"]: np.array(trace["y"], dtype=float) for trace in chart.data}


def test_quantiles_are_drawn_a_year(rows: list[Row], drawn: dict[str, Chart]) -> None:
    shown = heights(drawn["quantile_means"])
    assert list(shown) == [row.name for row in rows]
    for row in rows:
        assert shown[row.name] == pytest.approx(
            12 * quantile_returns(row.predictions, RULE).mean().to_numpy(), rel=1e-5
        )


def test_lines_are_compounded_returns_and_summed_rank_ics(rows: list[Row], drawn: dict[str, Chart]) -> None:
    for name, expected in {
        "cumulative_long_short": lambda row: (1 + row.series["long_short"]).cumprod(),
        "rank_ic": lambda row: row.series["rank_ic"].cumsum(),
    }.items():
        lines = {trace["name"]: trace for trace in drawn[name].data}
        for row in rows:
            assert lines[row.name]["y"] == pytest.approx(expected(row).to_numpy(), rel=1e-5, abs=1e-9)
            assert lines[row.name]["line"]["color"] == row.model.colour
            assert lines[row.name]["line"]["dash"] == ("dash" if row.model.linearised else "solid")
    assert f"linear {rows[0].metrics['rank_ic']:.3f}" in drawn["rank_ic"].alt


def test_sharpe_ratios_before_and_after_costs(rows: list[Row], drawn: dict[str, Chart]) -> None:
    before, after = heights(drawn["sharpe"]).values()
    assert before == pytest.approx([row.metrics["sharpe"] for row in rows], rel=1e-5)
    assert after == pytest.approx([row.metrics["sharpe_net"] for row in rows], rel=1e-5)


def test_the_long_sides_contributions_side_by_side_in_per_cent(rows: list[Row], drawn: dict[str, Chart]) -> None:
    shown = heights(drawn["top_quantile_contributions"])
    assert list(shown) == ["linear", "lstm_lrp"]
    for row in rows:
        if row.contributions is None:
            continue
        assert np.abs(shown[row.name]).sum() == pytest.approx(100, rel=1e-4)
        newest = row.predictions["date"].max()
        top = (Quantiles.of(row.predictions, RULE).share(5) == 1) & (row.predictions["date"] == newest)
        relevance = row.contributions.relevance(row.predictions)  # forty stocks: all cells are kept
        columns = {f: [c for c in relevance if c.rsplit("_lag")[0] in names] for f, names in FACTORS.items()}
        means = np.array([relevance.loc[top, names].sum(axis=1).mean() for names in columns.values()])
        assert shown[row.name] == pytest.approx(100 * means / np.abs(means).sum(), rel=1e-4)


def test_figures_of_a_row_are_of_its_own_tables(rows: list[Row]) -> None:
    linear = rows[0]
    assert row_figures(rows[1], FACTORS) == {}
    made = row_figures(linear, FACTORS)
    assert set(made) == {"contributions_over_time", "change_since_last_month", "relevance_heatmap"}
    assert linear.risk is not None and linear.contributions is not None
    over_time = top_contributions(linear, FACTORS)
    total = heights(made["contributions_over_time"])["sum"]
    assert total == pytest.approx(over_time.sum(axis=1).to_numpy(), rel=1e-4, abs=1e-9)
    spread = linear.risk.query("portfolio == 'spread' and level == 'factor'")
    by_month = spread.pivot_table(index="date", columns="name", values="signed", sort=False)[list(FACTORS)]
    shown = heights(made["change_since_last_month"])
    assert shown["newest month"] == pytest.approx(1e4 * by_month.iloc[-1].to_numpy(), rel=1e-4)
    assert shown["month before"] == pytest.approx(1e4 * by_month.iloc[-2].to_numpy(), rel=1e-3)
    (heat,) = made["relevance_heatmap"].data
    cell = heat["z"][heat["y"].index("PER")][heat["x"].index("lag 0")]
    assert cell == pytest.approx(
        1e4 * linear.contributions.relevance(linear.predictions)["PER_lag0"].abs().mean(), rel=1e-4
    )


def test_intervals_reach_from_low_to_high() -> None:
    table = pd.DataFrame({"row": ["linear", "lstm"], "sharpe": [1.0, 2.0], "low": [0.5, np.nan], "high": [1.5, np.nan]})
    (shown,) = charts.sharpe_intervals(table).data  # a row without an interval is not drawn
    assert (shown["x"], shown["error_x"]["array"], shown["error_x"]["arrayminus"]) == ([1.0], [0.5], [0.5])


def test_what_drives_the_row_of_the_first_screen(rows: list[Row]) -> None:
    for name in ("lstm_lrp", "linear"):
        found = drivers(rows, name)
        assert found is not None
        assert found[0] == name
        assert list(found[1].index) == list(FACTORS)
    assert drivers([row for row in rows if row.name == "lstm"], "lstm_lrp") is None
    assert (drivers(rows[:1], "lstm_lrp") or ("", None))[0] == "linear"  # the best that has contributions
