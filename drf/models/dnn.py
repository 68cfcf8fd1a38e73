"""The deep factor model: a dense ReLU network on all lags at once (Nakagawa et al. 2018)."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from .network import Network


@dataclass(kw_only=True, eq=False, repr=False)
class DNN(Network):
    """Dense layers with ReLU. Everything else is as in :class:`~.network.Network`.

    Args:
        hidden: Sizes of the layers as the papers write them, ``80-50-10``; a single one may be a number.

    Raises ValueError if ``hidden`` is not a list of sizes.
    """

    architecture: ClassVar[str] = "dense"

    hidden: str | int = "80-50-10"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[1-9][0-9]*(-[1-9][0-9]*)*", str(self.hidden)):
            raise ValueError(f"hidden={self.hidden}: must be sizes of layers, such as 80-50-10")

    def shape(self, lags: int, descriptors: int) -> dict[str, Any]:
        sizes = [int(size) for size in str(self.hidden).split("-")]
        return {"inputs": lags * descriptors, "hidden": sizes, "signal_bias": self.signal_bias}


@dataclass(kw_only=True, eq=False, repr=False)
class DeepDNN(DNN):
    """The papers' deeper network. Everything else is as in :class:`DNN`."""

    hidden: str | int = "80-80-50-50-10-10"
