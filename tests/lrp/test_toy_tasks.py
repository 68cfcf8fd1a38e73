"""Tasks whose true attribution is known.

Addition is the bar; what is known to fail is shown by ``benchmarks/toy_tasks.py``.
"""

from __future__ import annotations

import pytest
import torch

from benchmarks.toy_tasks import LENGTH, draw, error, judge, train
from drf.lrp import Composite, attribute
from drf.lrp.faithfulness import gradient_x_input


@pytest.fixture(scope="module")
def trained() -> torch.nn.Sequential:
    return train("addition", seed=0)


def test_relevance_finds_the_summands(trained: torch.nn.Sequential) -> None:
    batch = draw(2000, LENGTH, torch.Generator().manual_seed(1))
    assert error("addition", trained, batch) < 5e-3
    with torch.no_grad():
        rho_a, rho_b, of_sum = judge("addition", trained, batch, attribute(trained, batch.x).relevance)
        of_gradient = judge("addition", trained, batch, gradient_x_input(trained, batch.x))[2]
    assert min(rho_a, rho_b) >= 0.98
    assert of_sum < of_gradient / 20


def test_other_gate_rules_do_not(trained: torch.nn.Sequential) -> None:
    """So they are comparisons, not choices."""
    batch = draw(2000, LENGTH, torch.Generator().manual_seed(1))
    for gate in ("half", "proportional", "absolute"):
        relevance = attribute(trained, batch.x, composite=Composite(gate=gate)).relevance
        with torch.no_grad():
            assert judge("addition", trained, batch, relevance)[0] < 0.9
