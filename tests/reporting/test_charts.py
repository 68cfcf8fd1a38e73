"""Charts that can be asked: what they hold is what the tables say, and Plotly takes every one of them."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.container import BarContainer
from plotly.offline import get_plotlyjs_version

from drf.reporting import charts
from drf.reporting.document import Chart
from drf.reporting.html import _static
from drf.reporting.paper import draw, picture

ROWS = ["linear", "lstm", "lstm_lrp"]
FACTORS = ["Risk", "Value"]


def table(columns: list[str], months: int, seed: int, unknown: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.01, 0.05, (months, len(columns)))
    values[rng.random(values.shape) < unknown] = np.nan
    index = pd.date_range("2001-10-31", periods=months, freq="ME", name="date")
    return pd.DataFrame(values, columns=columns, index=index)


def intervals(of: pd.DataFrame) -> pd.DataFrame:
    mean = of.mean().to_numpy()
    return pd.DataFrame({"row": list(of), "sharpe": mean, "low": mean - 1, "high": mean + 1})


def live(of: pd.DataFrame) -> pd.DataFrame:
    names = ["cumulated", "cumulated_promised", "cumulated_low", "cumulated_high"]
    return of.iloc[:, [0, 1, 1, 1]].set_axis(names, axis=1)


def risk(of: pd.DataFrame) -> pd.DataFrame:
    parts = pd.DataFrame({"name": list(of), "signed": of.iloc[-1].to_numpy(), "change": of.iloc[0].to_numpy()})
    return parts.assign(date=of.index[-1], portfolio="spread", level="factor")


MADE: dict[str, Callable[[pd.DataFrame], Chart]] = {
    "wealth": charts.wealth,
    "sharpe_intervals": lambda of: charts.sharpe_intervals(intervals(of)),
    "monthly_heat": lambda of: charts.monthly_heat(of["lstm"], "lstm"),
    "drawdowns": lambda of: charts.drawdowns(of["lstm"], "lstm"),
    "rolling_sharpe": charts.rolling_sharpe,
    "rolling_rank_ic": charts.rolling_rank_ic,
    "quantile_wealth": lambda of: charts.quantile_wealth(of.set_axis([1, 2, 3], axis=1), "lstm"),
    "turnover": charts.turnover,
    "exposures": lambda of: charts.exposures(of, "lstm"),
    "contributions": lambda of: charts.contributions(of, "lstm", "forecast"),
    "promised_and_earned": lambda of: charts.promised_and_earned(of[["linear"]], of, "lstm"),
    "relevance": lambda of: charts.relevance(of.abs().fillna(0.0).set_axis([12, 6, 0], axis=1), "lstm"),
    "cumulative_long_short": charts.cumulative_long_short,
    "cumulated_rank_ic": charts.cumulated_rank_ic,
    "sharpe_bars": lambda of: charts.sharpe_bars(
        pd.DataFrame({"row": list(of), "sharpe": of.mean().to_numpy(), "sharpe_net": of.mean().to_numpy() - 0.1})
    ),
    "quantile_means": lambda of: charts.quantile_means(of.iloc[:5]),
    "top_quantile_contributions": lambda of: charts.top_quantile_contributions(
        of.iloc[:2].set_axis(["linear", "lstm_lrp"][: len(of)]), of.index[0]
    ),
    "change_since_last_month": lambda of: charts.change_since_last_month(risk(of), "lstm"),
    "live_beside_promise": lambda of: charts.live_beside_promise(live(of)),
    "live_rank_ic": lambda of: charts.live_rank_ic(of["lstm"], float(of["linear"].mean())),
}


def test_every_chart_is_tried_here() -> None:
    own = [
        name
        for name, made in vars(charts).items()
        if callable(made) and getattr(made, "__module__", "") == charts.__name__
    ]
    assert {name for name in own if not name.startswith("_")} - {"colour_of", "is_dashed"} == set(MADE)


@pytest.mark.parametrize("name", MADE)
@settings(max_examples=8, deadline=None)
@given(months=st.integers(1, 30), seed=st.integers(0, 9), unknown=st.sampled_from([0.0, 0.3, 1.0]))
def test_plotly_takes_it_whatever_is_known(name: str, months: int, seed: int, unknown: float) -> None:
    chart = MADE[name](table(ROWS, months, seed, unknown))
    go.Figure({"data": list(chart.data), "layout": dict(chart.layout)})  # refuses what Plotly does not know
    json.dumps([chart.data, chart.layout], allow_nan=False)
    assert chart.title and chart.alt.endswith(".")
    assert "nan" not in chart.alt.lower()


@pytest.mark.parametrize("name", MADE)
@settings(max_examples=2, deadline=None)
@given(months=st.integers(1, 30), seed=st.integers(0, 9), unknown=st.sampled_from([0.0, 0.3, 1.0]))
def test_paper_takes_it_too_and_shows_the_same_numbers(name: str, months: int, seed: int, unknown: float) -> None:
    chart = MADE[name](table(ROWS, months, seed, unknown))
    (axes, *_) = draw(chart).get_axes()
    assert axes.get_title(loc="left") == chart.title
    bars = [trace for trace in chart.data if trace["type"] == "bar"]
    drawn = [[bar.get_height() for bar in group] for group in axes.containers if isinstance(group, BarContainer)]
    assert drawn == [pytest.approx([value or 0.0 for value in trace["y"]]) for trace in bars]
    lines = [trace for trace in chart.data if trace["type"] == "scatter" and "error_x" not in trace]
    shown = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()[: len(lines)]]
    for line, trace in zip(shown, lines, strict=True):
        assert line == pytest.approx(np.array([np.nan if y is None else y for y in trace["y"]]), nan_ok=True)
    heats = [trace for trace in chart.data if trace["type"] == "heatmap"]
    assert len(axes.get_images()) == len([heat for heat in heats if heat["z"]])


def test_a_picture_is_a_png_with_the_charts_words() -> None:
    made = picture(charts.wealth(table(ROWS, 24, 0, 0.0)))
    assert made.png[:8] == b"\x89PNG\r\n\x1a\n"
    assert made.alt.startswith("Growth of 1, long-short after costs")


def test_the_library_in_the_page_is_the_one_that_charts_are_checked_against() -> None:
    head = _static("plotly-cartesian.min.js")[:300].decode()
    assert f"plotly.js (cartesian - minified) v{get_plotlyjs_version()}" in head
    assert b"</script" not in _static("plotly-cartesian.min.js").lower()


def test_returns_stand_in_their_months() -> None:
    returns = pd.Series([0.01, -0.02, 0.03], pd.to_datetime(["2001-12-31", "2002-01-31", "2002-02-28"]))
    (trace,) = charts.monthly_heat(returns, "lstm").data
    assert trace["y"] == ["2001", "2002"]
    assert trace["z"][0][11] == 0.01
    assert trace["z"][1][:3] == [-0.02, 0.03, None]
    assert "worst -2.0% in 2002-01, best 3.0% in 2002-02" in charts.monthly_heat(returns, "lstm").alt


def test_lines_are_those_of_the_table() -> None:
    returns = table(ROWS, 24, 0, 0.0)
    drawn = {line["name"]: line for line in charts.wealth(returns).data}
    for row in ROWS:
        assert drawn[row]["y"] == pytest.approx((1 + returns[row]).cumprod().tolist(), rel=1e-5)
    assert drawn["lstm"]["line"]["dash"] == "solid" and drawn["lstm_lrp"]["line"]["dash"] == "dash"
    (loss,) = charts.drawdowns(returns["lstm"], "lstm").data
    wealth = np.r_[1.0, (1 + returns["lstm"]).cumprod()]
    assert loss["y"] == pytest.approx((wealth / np.maximum.accumulate(wealth) - 1)[1:].tolist(), rel=1e-4, abs=1e-9)


def test_names_at_the_ends_of_lines_do_not_lie_over_one_another() -> None:
    same = pd.DataFrame({row: np.linspace(0, 0.01, 12) for row in ROWS}, table(ROWS, 12, 0, 0.0).index)
    places = sorted(label["y"] for label in charts.wealth(same).layout["annotations"])
    grown = (1 + same).cumprod().to_numpy()
    assert np.diff(places) == pytest.approx([0.07 * (grown.max() - grown.min())] * 2)
