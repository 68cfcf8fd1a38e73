"""Pictures show the numbers that they are given."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes

from drf.lrp import Account, Composite, attribute
from drf.lrp.pictures import heat_map, over_time, ranking, waterfall
from tests.lrp.shapes import build, draw


@pytest.fixture
def account() -> Account:
    name = "final hidden state"
    return attribute(build(name), *draw(name, 20), composite=Composite(gate="shapley"))


def labels(axes: Axes, axis: str) -> list[str]:
    return [label.get_text() for label in getattr(axes, f"get_{axis}ticklabels")()]


def drawn(axes: Axes) -> None:
    axes.get_figure().savefig(io.BytesIO())  # type: ignore[union-attr]


def test_a_heat_map_has_steps_to_the_right_and_inputs_down(account: Account) -> None:
    frame = pd.DataFrame(account.relevance[0].numpy(), index=list("vwxyz"), columns=["a", "b", "c"])
    axes = heat_map(frame)
    drawn(axes)
    assert labels(axes, "x") == list("vwxyz")
    assert labels(axes, "y") == ["a", "b", "c"]
    assert np.allclose(axes.images[0].get_array(), frame.to_numpy().T)
    low, high = axes.images[0].get_clim()
    assert low == -high  # white is zero
    with pytest.raises(ValueError, match=r"needed is \(steps, inputs\)"):
        heat_map(account.relevance)


def test_a_waterfall_ends_at_the_output(account: Account) -> None:
    axes = waterfall(account, 3, ["a", "b", "c"], largest=2)
    drawn(axes)
    bars = axes.patches
    assert labels(axes, "y")[-1] == "1 others"
    assert bars[0].get_x() == pytest.approx(float(account.baseline[3]))
    assert bars[-1].get_x() + bars[-1].get_width() == pytest.approx(float(account.output[3]))
    plain = attribute(build("final hidden state"), *draw("final hidden state", 20))
    assert {"bias", "stabiliser"} <= set(labels(waterfall(plain), "y"))


def test_a_ranking_has_the_largest_on_top(account: Account) -> None:
    axes = ranking(account.relevance, ["a", "b", "c"])
    drawn(axes)
    sizes = account.relevance.sum(1).abs().mean(0)
    assert labels(axes, "y") == ["abc"[k] for k in sizes.argsort(descending=True)]
    assert axes.lines[0].get_xdata() == pytest.approx(sizes.sort(descending=True).values.numpy())


def test_relevance_over_time_sums_to_all_inputs(account: Account) -> None:
    axes = over_time(account.relevance[0], [f"day {k}" for k in range(5)], ["a", "b", "c"], largest=2)
    drawn(axes)
    assert len(axes.lines) == 4  # two inputs, all of them, zero
    assert axes.lines[2].get_ydata() == pytest.approx(account.relevance[0].sum(1).numpy())
    assert labels(axes, "x")[0] == "day 0"


def test_many_long_labels_do_not_hide_each_other() -> None:
    axes = over_time(torch.randn(90, 3), [f"2026-01-{k:02d}" for k in range(90)])
    drawn(axes)
    assert len(labels(axes, "x")) <= 30
