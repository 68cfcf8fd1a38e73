"""What is drawn is what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drf.comparison.rows import Row, comparison_table, drivers, top_contributions
from drf.evaluation.intervals import sharpe_intervals
from drf.evaluation.portfolio import Quantiles, quantile_returns
from drf.reporting import figures
from drf.reporting.drawing import comparison_figures, row_figures
from tests.making import rule
from tests.reporting.conftest import FACTORS

RULE = rule()


@pytest.fixture(scope="module")
def drawn(rows: list[Row]) -> dict[str, Figure]:
    net = pd.DataFrame({row.name: row.series["long_short_net"] for row in rows})
    return comparison_figures(rows, comparison_table(rows), sharpe_intervals(net), FACTORS, RULE)


def axes(figure: Figure) -> Axes:
    return figure.get_axes()[0]


def bars(figure: Figure) -> dict[str, np.ndarray]:
    """Heights of the bars of each group, by its label."""
    return {c.get_label(): np.array([bar.get_height() for bar in c]) for c in axes(figure).containers}  # type: ignore[misc]


def test_quantiles_are_drawn_in_per_cent_a_year(rows: list[Row], drawn: dict[str, Figure]) -> None:
    shown = bars(drawn["quantile_means"])
    assert list(shown) == [row.name for row in rows]
    for row in rows:
        assert shown[row.name] == pytest.approx(100 * 12 * quantile_returns(row.predictions, RULE).mean().to_numpy())


def test_lines_are_compounded_returns_and_summed_rank_ics(rows: list[Row], drawn: dict[str, Figure]) -> None:
    for name, expected in {
        "cumulative_long_short": lambda row: (1 + row.series["long_short"]).cumprod(),
        "rank_ic": lambda row: row.series["rank_ic"].cumsum(),
    }.items():
        lines = {str(line.get_label()).split(" ")[0]: line for line in axes(drawn[name]).get_lines()}
        for row in rows:
            assert np.asarray(lines[row.name].get_ydata()) == pytest.approx(expected(row).to_numpy())  # type: ignore[no-untyped-call]
            assert lines[row.name].get_color() == row.model.colour
            assert lines[row.name].get_linestyle() == ("--" if row.model.linearised else "-")
    (legend,) = [t.get_text() for t in axes(drawn["rank_ic"]).get_legend().get_texts() if "linear " in t.get_text()]  # type: ignore[union-attr]
    assert legend == f"linear (mean {rows[0].metrics['rank_ic']:.3f})"


def test_sharpe_ratios_before_and_after_costs(rows: list[Row], drawn: dict[str, Figure]) -> None:
    shown = [np.array([bar.get_height() for bar in group]) for group in axes(drawn["sharpe"]).containers]  # type: ignore[misc]
    assert shown[0] == pytest.approx([row.metrics["sharpe"] for row in rows])
    assert shown[1] == pytest.approx([row.metrics["sharpe_net"] for row in rows])


def test_the_long_sides_contributions_side_by_side_in_per_cent(rows: list[Row], drawn: dict[str, Figure]) -> None:
    shown = bars(drawn["top_quantile_contributions"])
    assert list(shown) == ["linear", "lstm_lrp"]
    for row in rows:
        if row.relevance is None:
            continue
        assert np.abs(shown[row.name]).sum() == pytest.approx(100)
        newest = row.predictions["date"].max()
        top = (Quantiles.of(row.predictions, RULE).share(5) == 1) & (row.predictions["date"] == newest)
        columns = {f: [c for c in row.relevance if c.rsplit("_lag")[0] in names] for f, names in FACTORS.items()}
        means = np.array([row.relevance.loc[top, names].sum(axis=1).mean() for names in columns.values()])
        assert shown[row.name] == pytest.approx(100 * means / np.abs(means).sum(), rel=1e-5)


def test_figures_of_a_row_are_of_its_own_tables(rows: list[Row]) -> None:
    linear = rows[0]
    assert row_figures(rows[1], FACTORS) == {}
    made = row_figures(linear, FACTORS)
    assert set(made) == {"contributions_over_time", "change_since_last_month", "relevance_heatmap"}
    assert linear.risk is not None and linear.relevance is not None
    (total,) = [line for line in axes(made["contributions_over_time"]).get_lines() if line.get_label() == "sum"]
    over_time = top_contributions(linear, FACTORS)
    assert np.asarray(total.get_ydata()) == pytest.approx(100 * over_time.sum(axis=1).to_numpy())
    spread = linear.risk.query("portfolio == 'spread' and level == 'factor'")
    by_month = spread.pivot_table(index="date", columns="name", values="signed", sort=False)[list(FACTORS)]
    shown = bars(made["change_since_last_month"])
    assert shown["newest month"] == pytest.approx(1e4 * by_month.iloc[-1].to_numpy())
    assert shown["month before"] == pytest.approx(1e4 * by_month.iloc[-2].to_numpy(), rel=1e-4)
    image = axes(made["relevance_heatmap"]).get_images()[0].get_array()
    assert image is not None
    assert image[0, 1] == pytest.approx(1e4 * linear.relevance["PER_lag0"].abs().mean())


def test_intervals_reach_from_low_to_high() -> None:
    table = pd.DataFrame({"row": ["linear", "lstm"], "sharpe": [1.0, 2.0], "low": [0.5, np.nan], "high": [1.5, np.nan]})
    lines = axes(figures.sharpe_intervals(table)).get_lines()
    assert np.asarray(lines[0].get_xdata()).tolist() == [0.5, 1.5]
    assert len(lines) == 3  # interval, point, zero: a row without an interval is not drawn


def test_what_drives_the_row_of_the_first_screen(rows: list[Row]) -> None:
    for name in ("lstm_lrp", "linear"):
        found = drivers(rows, name)
        assert found is not None
        assert found[0] == name
        assert list(found[1].index) == list(FACTORS)
    assert drivers([row for row in rows if row.name == "lstm"], "lstm_lrp") is None
    assert (drivers(rows[:1], "lstm_lrp") or ("", None))[0] == "linear"  # the best that has contributions
