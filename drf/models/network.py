"""What the two network families share: scaling, training with early stopping, forecasts and explanations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from ..lrp import faithfulness, linearise
from .base import Explanation, TrainingDivergedError


@dataclass(kw_only=True, eq=False, repr=False)
class Network(BaseEstimator, ABC):
    """A network trained by Adam on squared error, stopped early on the last months of its training window.

    Parameters
    ----------
    learning_rate, batch_size, weight_decay
        Of Adam.
    epochs, patience
        At most so many passes; stop when the validation error has not improved for ``patience`` of them. The best
        weights are kept.
    validation_months
        Last months of the training window that are held back from training to decide when to stop.
    signal_bias
        ``True``: the papers' form, with all biases. ``False``: no bias where the signal passes, so that the neutral
        stock (all ranks 0) has forecast and relevance zero and contributions sum to the forecast.
    linearisation
        How contributions are read off the network, see :mod:`drf.lrp.linearisation`.
    epsilon
        Stabiliser of the relevance rule.
    warm_start
        ``True``: in a walk-forward start from the weights of the window before. Windows then wait for each other.
    random_state
        Seed of the initial weights and of the order of batches.
    """

    learning_rate: float = 1e-3
    batch_size: int = 1024
    weight_decay: float = 0.0
    epochs: int = 50
    patience: int = 5
    validation_months: int = 6
    signal_bias: bool = False
    linearisation: str = "plain"
    epsilon: float = 1e-3
    warm_start: bool = False
    label: str = "return"  # or excess, rank
    loss: str = "squared"  # or huber, ic
    stop: str = "error"  # or rank_ic
    half_life: float = 0.0  # months; 0: all months count the same
    skip: bool = False
    dropout: float = 0.0
    random_state: int = 0

    @abstractmethod
    def build(self, lags: int, descriptors: int) -> nn.Sequential:
        """An untrained network from (n, lags, descriptors) to (n, 1)."""

    def fit(self, x: np.ndarray, y: np.ndarray, month: np.ndarray, start: Network | None = None) -> Network:
        """Train on samples ordered by month.

        Parameters
        ----------
        start
            A fitted model of the same settings, whose weights to start from instead of random ones.

        Raises
        ------
        ValueError
            If no month would be left to train on.
        TrainingDivergedError
            If no epoch gave a finite validation error.
        """
        first_held_back = np.unique(month)[-self.validation_months]
        split = int(np.searchsorted(month, first_held_back))
        if split == 0:
            raise ValueError(f"validation_months={self.validation_months} leaves no month to train on")
        months = pd.Series(month)
        label = pd.Series(y.astype(np.float64))
        if self.label in ("excess", "rank"):
            label = label - label.groupby(months).transform("mean")
        excess = label
        if self.label == "rank":
            label = label.groupby(months).rank(pct=True) - 0.5
        self.coef_ = None
        if self.skip:
            flat = x.reshape(len(x), -1).astype(np.float64)
            self.coef_ = np.linalg.lstsq(flat, label.to_numpy() - label.mean(), rcond=None)[0]
            label = label - flat @ self.coef_
        self.mean_ = float(y.mean(dtype=np.float64))
        centre = float(label.mean())
        self.scale_ = float(label.std()) or 1.0
        target = torch.from_numpy(((label - centre) / self.scale_).to_numpy(dtype=np.float32))[:, None]
        age = float(month.max()) - month
        weight = np.exp2(-age / self.half_life) if self.half_life else np.ones(len(month))
        weight = torch.from_numpy((weight / weight[:split].mean()).astype(np.float32))[:, None]
        features = torch.tensor(x)
        self.network_, stream = self.initialise(x.shape[1:], start)
        if self.dropout:
            layers = list(self.network_.children())
            self.network_ = nn.Sequential(*layers[:-1], nn.Dropout(self.dropout), layers[-1])
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(stream)
            self._train(features, target, weight, torch.from_numpy(month), split)
        self.network_.eval()
        if self.label == "rank" or self.loss == "ic":
            # what a unit of the output is worth as a return, by least squares on the training months
            with torch.no_grad():
                output = self.network_(features)[:, 0].numpy().astype(np.float64)
            if self.coef_ is not None:
                output = output * self.scale_ + x.reshape(len(x), -1) @ self.coef_
            known = excess - excess.groupby(months).transform("mean")
            worth = float(
                (output - output.mean()) @ known / ((output - output.mean()) @ (output - output.mean()) + 1e-12)
            )
            worth = max(worth, 1e-6)
            if self.coef_ is not None:
                self.coef_ = self.coef_ * worth
                self.scale_ *= worth
            else:
                self.scale_ = worth
        return self

    def initialise(self, shape: tuple[int, ...], start: Network | None) -> tuple[nn.Sequential, Tensor]:
        """An untrained network for samples of a shape, and the state of the random numbers that order its batches."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            network = self.build(*shape)
            stream = torch.get_rng_state()
        if start is not None:
            network.load_state_dict(start.network_.state_dict())
        return network, stream

    def diverged(self) -> TrainingDivergedError:
        return TrainingDivergedError(
            f"{type(self).__name__}: the training diverged with learning_rate={self.learning_rate:g}: lower it"
        )

    def _train(self, x: Tensor, y: Tensor, weight: Tensor, month: Tensor, split: int) -> None:
        network = self.network_
        optimiser = torch.optim.Adam(network.parameters(), self.learning_rate, weight_decay=self.weight_decay)
        best, best_state, waited = float("inf"), _copy(network), 0
        for _ in range(self.epochs):
            network.train()
            for rows in torch.randperm(split).split(self.batch_size):
                optimiser.zero_grad()
                self._loss(
                    network(x.index_select(0, rows)), y.index_select(0, rows), weight.index_select(0, rows)
                ).backward()
                optimiser.step()
            network.eval()
            with torch.no_grad():
                output = network(x[split:])
                if self.stop == "rank_ic":
                    held = -self._rank_ic(output[:, 0].numpy(), y[split:, 0].numpy(), month[split:].numpy())
                else:
                    held = self._loss(output, y[split:], weight[split:]).item()
            if held < best:
                best, best_state, waited = held, _copy(network), 0
            else:
                waited += 1
                if waited == self.patience:
                    break
        if best == float("inf"):
            raise self.diverged()
        network.load_state_dict(best_state)

    def _loss(self, output: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        if self.loss == "huber":
            return (weight * nn.functional.huber_loss(output, y, reduction="none")).sum() / weight.sum()
        if self.loss == "ic":
            o, t = output - output.mean(), y - y.mean()
            return -(weight * o * t).sum() / ((weight * o * o).sum() * (weight * t * t).sum() + 1e-12).sqrt()
        return (weight * (output - y) ** 2).sum() / weight.sum()

    @staticmethod
    def _rank_ic(output: np.ndarray, y: np.ndarray, month: np.ndarray) -> float:
        table = pd.DataFrame({"o": output, "y": y, "m": month})
        ranks = table.groupby("m")[["o", "y"]].rank()
        return float(ranks.groupby(table["m"]).apply(lambda g: g["o"].corr(g["y"])).mean())

    def predict(self, x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            output = self.network_(torch.tensor(x))
        forecast = self.mean_ + self.scale_ * output[:, 0].numpy().astype(np.float64)
        return forecast if self.coef_ is None else forecast + x.reshape(len(x), -1) @ self.coef_

    def explain(self, x: np.ndarray) -> Explanation:
        account = linearise(self.network_, torch.tensor(x), self.linearisation, self.epsilon)
        return Explanation(
            relevance=self.scale_ * account.relevance.numpy(),
            intercept=self.mean_ + self.scale_ * account.baseline.numpy(),
            bias=self.scale_ * account.bias.numpy(),
            stabiliser=self.scale_ * account.stabiliser.numpy(),
            initial_state=self.scale_ * account.initial_state.numpy(),
        )

    def audit(self, x: np.ndarray) -> dict[str, float]:
        """Hold the relevance of some forecasts against the network, see :mod:`drf.lrp.faithfulness`.

        Returns
        -------
        ``deletion_<map>`` (lower is better) and ``insertion_<map>`` (higher is better): areas under the curves for the
        map of relevance (``lrp``), gradient x input, integrated gradients, occlusion and a random order.
        ``agreement_<map>``: mean rank correlation of the relevance with the other maps, and with the relevance of the
        network after its weights were randomised, which should be near 0.
        """
        network, inputs = self.network_, torch.tensor(x)
        relevance = linearise(network, inputs, self.linearisation, self.epsilon).relevance
        redrawn = faithfulness.randomised(network)
        others = {
            "gradient_x_input": faithfulness.gradient_x_input(network, inputs),
            "integrated_gradients": faithfulness.integrated_gradients(network, inputs),
            "occlusion": faithfulness.occlusion(network, inputs),
            "random": torch.rand(inputs.shape, generator=torch.Generator().manual_seed(0)),
        }
        measured = {}
        for name, values in {"lrp": relevance, **others}.items():
            for kind in ("deletion", "insertion"):
                curve = faithfulness.deletion_curve(network, inputs, values, insert=kind == "insertion")
                measured[f"{kind}_{name}"] = faithfulness.area(curve)
        others["randomised_weights"] = linearise(redrawn, inputs, self.linearisation, self.epsilon).relevance
        del others["random"]
        for name, values in others.items():
            measured[f"agreement_{name}"] = faithfulness.agreement(relevance, values)
        return measured


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}
