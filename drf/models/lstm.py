"""The deep recurrent factor model: an LSTM over the lags, oldest first (Nakagawa et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from .architecture import recurrent_network
from .network import Network


@dataclass(kw_only=True, eq=False, repr=False)
class LSTM(Network):
    """An LSTM whose final state is read out by a dense layer. Everything else as in :class:`~.network.Network`.

    Parameters
    ----------
    hidden, layers, bidirectional
        Units per direction, stacked layers, one or two directions.
    """

    hidden: int = 16
    layers: int = 1
    bidirectional: bool = False

    def build(self, lags: int, descriptors: int) -> nn.Sequential:
        return recurrent_network(descriptors, self.hidden, self.layers, self.bidirectional, self.signal_bias)
