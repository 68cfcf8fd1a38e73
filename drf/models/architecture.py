"""Architectures in PyTorch alone, so that a registered model can rebuild them without the training code."""

from collections.abc import Callable, Sequence

import torch
from torch import nn


class FinalState(nn.Module):
    """Layer that picks the last layer's final hidden state, (n, hidden * directions), from the output ``(output, (h_n,
    c_n))`` of ``nn.LSTM``.

    The backward direction's final state is the one at the first date, where it has read the whole sequence.
    """

    def __init__(self, bidirectional: bool = False) -> None:
        super().__init__()
        self.bidirectional = bidirectional

    def forward(self, lstm_output: tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
        h_n = lstm_output[1][0]
        return torch.cat([h_n[-2], h_n[-1]], dim=1) if self.bidirectional else h_n[-1]


def dense_network(inputs: int, hidden: Sequence[int], signal_bias: bool) -> nn.Sequential:
    """Return ReLU layers of the given sizes and one linear output: (n, ...) flattened to ``inputs`` -> (n, 1)."""
    layers: list[nn.Module] = [nn.Flatten()]
    for size in hidden:
        layers += [nn.Linear(inputs, size, bias=signal_bias), nn.ReLU()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, 1, bias=signal_bias))


def recurrent_network(features: int, hidden: int, layers: int, bidirectional: bool, signal_bias: bool) -> nn.Sequential:
    """Return an LSTM over (n, steps, features), with its final state and one linear output -> (n, 1).

    Without ``signal_bias`` the candidate g of every cell and the output have no bias; the gates i, f and o keep theirs.
    """
    lstm = nn.LSTM(features, hidden, layers, batch_first=True, bidirectional=bidirectional)
    if not signal_bias:
        _hold_candidate_bias_at_zero(lstm)
    width = hidden * (2 if bidirectional else 1)
    return nn.Sequential(lstm, FinalState(bidirectional), nn.Linear(width, 1, bias=signal_bias))


def _hold_candidate_bias_at_zero(lstm: nn.LSTM) -> None:
    candidate = slice(2 * lstm.hidden_size, 3 * lstm.hidden_size)
    mask = torch.ones(4 * lstm.hidden_size)
    mask[candidate] = 0
    for name, parameter in lstm.named_parameters():
        if name.startswith("bias"):
            with torch.no_grad():
                parameter[candidate] = 0
            parameter.register_hook(lambda gradient: gradient * mask)
            lstm.register_buffer(f"{_MASK}{name}", mask, persistent=False)


ARCHITECTURES: dict[str, Callable[..., nn.Sequential]] = {"dense": dense_network, "recurrent": recurrent_network}
"""Networks by the name that a registered model stores for its network."""


def reads_inputs(network: nn.Module) -> str:
    """Return the name of the weights by which a network reads its inputs: its first parameter."""
    return next(name for name, _ in network.named_parameters())


def nearer_to_zero(weights: torch.Tensor, by: float | torch.Tensor) -> torch.Tensor:
    """Return weights that are closer to 0 by an amount, or 0 (soft thresholding)."""
    return weights.sign() * (weights.abs() - by).clamp(min=0)


_MASK = "mask_of_"


def held_at_zero(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return, for every parameter with entries held at zero, a mask of its shape: 0 there and 1 elsewhere."""
    buffers = network.named_buffers(remove_duplicate=False)
    return {name.replace(_MASK, ""): mask for name, mask in buffers if _MASK in name}
