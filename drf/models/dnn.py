"""The deep factor model: a dense ReLU network on all lags at once (Nakagawa et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from .architecture import dense_network
from .network import Network


@dataclass(kw_only=True, eq=False, repr=False)
class DNN(Network):
    """Dense layers with ReLU; ``hidden`` gives their sizes as the papers do.

    Everything else as in :class:`~.network.Network`.
    """

    hidden: str = "80-50-10"

    def build(self, lags: int, descriptors: int) -> nn.Sequential:
        sizes = [int(size) for size in self.hidden.split("-")]
        return dense_network(lags * descriptors, sizes, self.signal_bias)
