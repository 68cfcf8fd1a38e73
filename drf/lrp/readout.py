"""Modules that turn what ``nn.LSTM`` returns, ``(output, (h_n, c_n))``, into a tensor, as nn.Sequential needs it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LSTMOutput = tuple[Tensor, tuple[Tensor, Tensor]]


class FinalState(nn.Module):
    """The last layer's final hidden state; when bidirectional, of both directions: (n, hidden * directions).

    The backward direction's final state is the one at the first date, where it has read the whole sequence.
    """

    def __init__(self, bidirectional: bool = False) -> None:
        super().__init__()
        self.bidirectional = bidirectional

    def forward(self, lstm_output: LSTMOutput) -> Tensor:
        h_n = lstm_output[1][0]
        return torch.cat([h_n[-2], h_n[-1]], dim=1) if self.bidirectional else h_n[-1]


class LastStep(nn.Module):
    """The output at the last date: (n, hidden * directions)."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.batch_first = batch_first

    def forward(self, lstm_output: LSTMOutput) -> Tensor:
        return lstm_output[0][:, -1] if self.batch_first else lstm_output[0][-1]


class AllSteps(nn.Module):
    """The output at every date, in the layout of the LSTM's own output."""

    def forward(self, lstm_output: LSTMOutput) -> Tensor:
        return lstm_output[0]
