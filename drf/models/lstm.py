"""The deep recurrent factor model: an LSTM over the lags, oldest first (Nakagawa et al. 2019)."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from .network import Network


@dataclass(kw_only=True, eq=False, repr=False)
class LSTM(Network):
    """An LSTM whose final state is read out by a dense layer. Everything else is as in :class:`~.network.Network`.

    Args:
        hidden, layers, bidirectional: Units per direction, stacked layers, one or two directions.
    """

    architecture: ClassVar[str] = "recurrent"

    hidden: Annotated[int, Ge(1)] = 16
    layers: Annotated[int, Ge(1)] = 1
    bidirectional: bool = False
    learning_rate: Annotated[float, Interval(gt=0, le=10)] = 3e-3
    weight_decay: Annotated[float, Interval(ge=0, le=10)] = 1e-4

    def shape(self, lags: int, descriptors: int) -> dict[str, Any]:
        return {
            "features": descriptors,
            "hidden": self.hidden,
            "layers": self.layers,
            "bidirectional": self.bidirectional,
            "signal_bias": self.signal_bias,
        }
