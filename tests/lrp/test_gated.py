"""The closed form of GRUs and plain RNNs is what their steps give in plain operations."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from drf.lrp import Composite, attribute

RULES: dict[str, dict[str, Any]] = {
    "epsilon": {},
    "a large epsilon": {"composite": Composite(epsilon=0.3)},
    "gamma": {"composite": "gamma"},
    "alpha-beta": {"composite": "alpha-beta"},
    "shapley": {"composite": "shapley"},
    "shapley, a baseline each": {"composite": "shapley", "baseline": torch.randn(4, 6, 3).double()},
}
CELLS: dict[str, Any] = {
    "GRU": lambda: nn.GRU(3, 5, batch_first=True),
    "two layers, both ways": lambda: nn.GRU(3, 5, 2, batch_first=True, bidirectional=True),
    "no biases": lambda: nn.GRU(3, 5, batch_first=True, bias=False),
    "tanh": lambda: nn.RNN(3, 5, batch_first=True),
    "relu": lambda: nn.RNN(3, 5, batch_first=True, nonlinearity="relu"),
}


class Net(nn.Module):
    def __init__(self, cell: nn.RNNBase, lengths: Tensor | None) -> None:
        super().__init__()
        self.cell, self.lengths = cell, lengths
        self.head = nn.Linear(5 * (2 if cell.bidirectional else 1), 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.lengths is not None:
            _, h = self.cell(pack_padded_sequence(x, self.lengths, batch_first=True))
            return self.head(torch.cat(list(h[-2:] if self.cell.bidirectional else h[-1:]), 1))
        return self.head(
            self.cell(
                x, torch.full((self.cell.num_layers * (2 if self.cell.bidirectional else 1), len(x), 5), 0.3).double()
            )[0]
            .tanh()
            .mean(1)
        )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("cell", CELLS)
def test_the_closed_form_is_its_steps(cell: str, rule: str, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = Net(CELLS[cell](), torch.tensor([6, 5, 5, 2]) if packed else None).double().eval()
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    x[1, 2] = 0
    one = attribute(net, x, **RULES[rule])
    monkeypatch.setattr(Composite, "closed", property(lambda self: False))
    other = attribute(net, x, **RULES[rule])
    assert torch.allclose(one.relevance, other.relevance, atol=1e-9)
    for part in ("bias", "stabiliser", "initial_state", "baseline", "output"):
        assert torch.allclose(getattr(one, part), getattr(other, part), atol=1e-9), part
