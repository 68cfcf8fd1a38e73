"""The registered model: panel rows in, forecasts with their contributions out.

This file and what it imports travel with every version, so it needs torch, numpy and pandas only.
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from ..lrp import Linearisation, linearise
from ..models.architecture import recurrent_network
from ..samples.lagged import Samples, make_samples
from ..data.universe import largest

SPEC, WEIGHTS = "spec.json", "weights.pt"

DETAILS = ("factors", "descriptors", "account")


@dataclass(frozen=True)
class Spec:
    """Everything but the weights.

    ``means`` and ``scales``, one a network, undo the scaling of the target: a forecast is mean + scale * output.
    """

    lags: list[int]
    factors: dict[str, list[str]]
    hidden: int
    layers: int
    bidirectional: bool
    signal_bias: bool
    linearisation: Linearisation
    epsilon: float
    universe: int | None
    means: list[float]
    scales: list[float]

    @property
    def descriptors(self) -> list[str]:
        return [name for names in self.factors.values() for name in names]


class Forecaster:
    """The mean of several LSTMs, linearised by relevance propagation."""

    def __init__(self, spec: Spec, networks: list[nn.Sequential]) -> None:
        self.spec = spec
        # In double precision the account closes far below anything a user could see.
        self.networks = [copy.deepcopy(network).double().eval() for network in networks]

    @classmethod
    def load(cls, folder: Path) -> Forecaster:
        """Read what :meth:`save` wrote; weights are loaded as tensors only."""
        spec = Spec(**json.loads((folder / SPEC).read_text()))
        weights = torch.load(folder / WEIGHTS, weights_only=True)
        networks = []
        for state in weights:
            network = recurrent_network(
                len(spec.descriptors), spec.hidden, spec.layers, spec.bidirectional, spec.signal_bias
            )
            network.load_state_dict(state)
            networks.append(network)
        return cls(spec, networks)

    def save(self, folder: Path) -> None:
        """Write the specification and the weights."""
        (folder / SPEC).write_text(json.dumps(asdict(self.spec), indent=1))
        torch.save([network.state_dict() for network in self.networks], folder / WEIGHTS)

    def predict(self, panel: pd.DataFrame, detail: str = "factors") -> pd.DataFrame:
        """Forecast every stock of every month that has the whole history of lags within ``panel``.

        Ranks are taken over the stocks given, or the largest of them by CAP if the model was trained on a universe of a
        certain size, so give the whole cross-section of each month.

        Parameters
        ----------
        panel
            ``date`` (month ends), ``asset`` and the descriptors; other columns are ignored.
        detail
            ``factors`` or ``descriptors``: a column of contributions each. ``account``: instead, what the networks'
            own forecast (``network``) is made of: ``inputs``, ``intercept``, ``network_bias``, ``stabiliser``,
            ``initial_state``.

        Returns
        -------
        ``date``, ``asset``, ``prediction``, the contributions and ``bias`` (the forecast of the neutral stock), in
        decimals a month. Contributions and ``bias`` sum to ``prediction``.

        Raises
        ------
        ValueError
            If ``detail`` is unknown, a column is missing or a month ends early, or the history is too short.
        """
        if detail not in DETAILS:
            raise ValueError(f"detail={detail!r} is unknown: use one of {', '.join(DETAILS)}")
        samples = self._samples(panel)
        parts = [self._explain(samples, k) for k in range(len(self.networks))]
        account = {name: np.mean([part[name] for part in parts], axis=0) for name in parts[0]}
        relevance = account.pop("relevance").sum(1)
        intercept = account["intercept"]
        keys = pd.DataFrame({"date": samples.dates[samples.month], "asset": samples.asset})
        prediction = relevance.sum(1) + intercept
        if detail == "account":
            return keys.assign(prediction=prediction, **account)
        by_name = pd.DataFrame(relevance, columns=self.spec.descriptors)
        if detail == "factors":
            by_name = pd.DataFrame({name: by_name[names].sum(axis=1) for name, names in self.spec.factors.items()})
        return pd.concat([keys.assign(prediction=prediction), by_name.assign(bias=intercept)], axis=1)

    def _samples(self, panel: pd.DataFrame) -> Samples:
        missing = [name for name in ("date", "asset", *self.spec.descriptors) if name not in panel]
        if missing:
            raise ValueError(f"the panel lacks {', '.join(missing)}, which this model was trained on")
        if len(panel) == 0:
            raise ValueError("the panel has no rows")
        if panel[["date", "asset"]].isna().any(axis=None):
            raise ValueError("columns date and asset must not have empty values")
        dates = pd.to_datetime(panel["date"])
        off = ~dates.dt.is_month_end | (dates != dates.dt.normalize())
        if off.any():
            raise ValueError(f"column date: {dates[off].iloc[0]} is not a month end without a time")
        if panel.duplicated(["date", "asset"]).any():
            raise ValueError("a (date, asset) stands more than once in the panel")
        chosen = largest(panel.assign(date=dates), self.spec.universe)
        samples = make_samples(chosen, self.spec.descriptors, self.spec.lags)
        if len(samples) == 0:
            raise ValueError(
                f"the panel spans {len(samples.dates)} month(s); a forecast needs {max(self.spec.lags) + 1}: its "
                f"own month and the {max(self.spec.lags)} before it"
            )
        return samples

    def _explain(self, samples: Samples, k: int) -> dict[str, np.ndarray]:
        """The account of one network in decimal returns, float64."""
        x = torch.from_numpy(samples.x).double()
        account = linearise(self.networks[k], x, self.spec.linearisation, self.spec.epsilon)
        scale, mean = self.spec.scales[k], self.spec.means[k]
        return {
            "relevance": scale * account.relevance.numpy(),
            "network": mean + scale * account.output.numpy(),
            "inputs": scale * account.inputs.numpy(),
            "intercept": mean + scale * account.baseline.numpy(),
            "network_bias": scale * account.bias.numpy(),
            "stabiliser": scale * account.stabiliser.numpy(),
            "initial_state": scale * account.initial_state.numpy(),
        }
