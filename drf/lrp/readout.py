"""Modules that turn what ``nn.LSTM`` returns, ``(output, (h_n, c_n))``, into a tensor, as nn.Sequential needs it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LSTMOutput = tuple[Tensor, tuple[Tensor, Tensor]]


def _parts(of_lstm: LSTMOutput) -> LSTMOutput:
    """Output and final states, if these are what an LSTM returns.

    Raises
    ------
    TypeError
        For anything else: the states of nn.GRU and nn.RNN would be read as something that they are not.
    """
    if isinstance(of_lstm, tuple) and len(of_lstm) == 2 and isinstance(of_lstm[1], tuple) and len(of_lstm[1]) == 2:
        return of_lstm
    raise TypeError(
        "this layer reads what nn.LSTM returns, (output, (h_n, c_n)); nn.GRU and nn.RNN return another form"
    )


class FinalState(nn.Module):
    """The last layer's final hidden state; when bidirectional, of both directions: (n, hidden * directions).

    The backward direction's final state is the one at the first date, where it has read the whole sequence.
    """

    def __init__(self, bidirectional: bool = False) -> None:
        super().__init__()
        self.bidirectional = bidirectional

    def forward(self, lstm_output: LSTMOutput) -> Tensor:
        h_n = _parts(lstm_output)[1][0]
        return torch.cat([h_n[-2], h_n[-1]], dim=1) if self.bidirectional else h_n[-1]


class LastStep(nn.Module):
    """The output at the last date: (n, hidden * directions)."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.batch_first = batch_first

    def forward(self, lstm_output: LSTMOutput) -> Tensor:
        output, _ = _parts(lstm_output)
        return output[:, -1] if self.batch_first else output[-1]


class AllSteps(nn.Module):
    """The output at every date, in the layout of the LSTM's own output."""

    def forward(self, lstm_output: LSTMOutput) -> Tensor:
        return _parts(lstm_output)[0]
