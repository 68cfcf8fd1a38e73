"""Network families: scaling, training with early stopping, forecasts and explanations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Interval
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from ..lrp import Linearisation, faithfulness, linearise
from ..samples.inputs import Inputs
from ..samples.label import Label, label, worth
from .architecture import ARCHITECTURES, nearer_to_zero, reads_inputs
from .base import Explanation, TrainingDivergedError
from .portable import PortableNetwork


@dataclass(kw_only=True, eq=False, repr=False)
class Network(BaseEstimator, ABC):
    """A network trained by Adam, stopped early on the last months of its training window.

    The loss is :meth:`loss` in both training loops: :meth:`fit` and, on a device,
    :func:`drf.training.batched.fit_batched`.

    Args:
        learning_rate, batch_size, weight_decay: Settings of Adam.
        sparsity: Penalty on the absolute weights that read the inputs, in parts of the learning rate; 0: none. After
            each step they come that much closer to 0, and stop there. An input without weights has no contribution.
        epochs, patience: Largest number of passes; training stops after ``patience`` passes without a better validation
            error. The best weights are kept.
        validation_months: Last months of the training window that are held back from training to decide when to stop.
        signal_bias: ``True``: the papers' form, with all biases. ``False``: no bias on the path of the signal. The
            neutral stock (all ranks 0) then has zero network output and zero relevance, and contributions sum to the
            network's output.
        linearisation: Rule that gives the network's contributions, see :mod:`drf.lrp.linearisation`; ``plain`` is the
            papers' rule.
        epsilon: Stabiliser of the rule ``plain``.
        label: Training target: ``return``, or ``rank`` for the return's rank in its month, where an outlier's size does
            not count, only its position. Forecasts are returns in either case, see :mod:`drf.samples.label`.
        warm_start: ``True``: in a walk-forward, each window starts from the weights of the window before. Windows then
            train one after another.
        random_state: Seed of the initial weights and of the order of batches.
    """

    architecture: ClassVar[str]
    """One of :data:`~.architecture.ARCHITECTURES`."""

    learning_rate: Annotated[float, Interval(gt=0, le=10)] = 1e-3
    batch_size: Annotated[int, Ge(1)] = 1024
    weight_decay: Annotated[float, Interval(ge=0, le=10)] = 1e-3
    sparsity: Annotated[float, Interval(ge=0, le=1)] = 0.0
    epochs: Annotated[int, Ge(1)] = 60
    patience: Annotated[int, Ge(1)] = 6
    validation_months: Annotated[int, Ge(1)] = 6
    signal_bias: bool = False
    linearisation: Linearisation = "shapley"
    epsilon: Annotated[float, Interval(ge=0, le=1)] = 1e-3
    label: Label = "return"
    warm_start: bool = True
    random_state: int = 0

    @staticmethod
    def loss(output: Tensor, target: Tensor, month: Tensor, weight: Tensor) -> Tensor:
        """Return the mean squared error of a batch.

        A subclass may replace it. Both training loops call it, one of them under :func:`torch.vmap`, so it must not
        branch on values.

        Args:
            output, target: Output of the network and its training target, shape (n,).
            month: Month of each sample, shape (n,), for a loss within months.
            weight: 1 for a sample of the batch and 0 for padding, shape (n,).
        """
        return (weight * (output - target) ** 2).sum() / weight.sum().clamp(min=1)

    @abstractmethod
    def shape(self, lags: int, descriptors: int) -> dict[str, Any]:
        """Return the architecture's arguments for a network from (n, lags, descriptors) to (n, 1)."""

    def fit(self, x: Inputs | np.ndarray, y: np.ndarray, month: np.ndarray, start: Network | None = None) -> Network:
        """Train on samples ordered by month.

        Args:
            start: A fitted model of the same settings; training starts from its weights instead of random ones.

        Raises:
            ValueError: If no month would be left to train on.
            TrainingDivergedError: If no epoch gave a finite validation error.
        """
        inputs, split = Inputs.of(x), self.split(month)
        self.network_, stream = self.initialise(inputs.shape[1:], start)
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(stream)
            self._train(inputs, self.target(y, month), torch.tensor(month), split)
        self.calibrate(inputs, y, month)
        return self

    def split(self, month: np.ndarray) -> int:
        """Return how many samples lie before the months that are held back."""
        first_held_back = np.unique(month)[-self.validation_months]
        split = int(np.searchsorted(month, first_held_back))
        if split == 0:
            raise ValueError(f"validation_months={self.validation_months} leaves no month to train on")
        return split

    def target(self, y: np.ndarray, month: np.ndarray) -> Tensor:
        """Return the training target, shape (n,)."""
        return torch.from_numpy(label(self.label, y, month))

    def calibrate(self, x: Inputs, y: np.ndarray, month: np.ndarray) -> None:
        """Learn from the training samples how the network's output becomes a return: mean_ + scale_ * output."""
        self.mean_ = float(y.mean(dtype=np.float64))
        if self.label == "return":
            self.scale_ = float(y.std(dtype=np.float64)) or 1.0
        else:
            self.scale_ = worth(self._output(x), y, month)

    def initialise(self, shape: tuple[int, ...], start: Network | None) -> tuple[nn.Sequential, Tensor]:
        """Return an untrained network for samples of a shape, and the random state that orders its batches."""
        self.shape_ = shape
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            network = ARCHITECTURES[self.architecture](**self.shape(*shape))
            stream = torch.get_rng_state()
        if start is not None:
            network.load_state_dict(start.network_.state_dict())
        return network, stream

    def diverged(self) -> TrainingDivergedError:
        return TrainingDivergedError(
            f"{type(self).__name__}: the training diverged with learning_rate={self.learning_rate:g}: lower it"
        )

    def _train(self, inputs: Inputs, target: Tensor, month: Tensor, split: int) -> None:
        """Train on the samples before ``split``; keep the weights with the least loss on those after it."""
        network, weight = self.network_, torch.ones_like(target)
        reading = network.get_parameter(reads_inputs(network))
        optimiser = torch.optim.Adam(network.parameters(), self.learning_rate, weight_decay=self.weight_decay)
        gather, held_back = _gather(inputs), inputs.part(slice(split, None))
        best, best_state, waited = float("inf"), _copy(network), 0
        for _ in range(self.epochs):
            network.train()
            for rows in torch.randperm(split).split(self.batch_size):
                optimiser.zero_grad()
                batch = [part.index_select(0, rows) for part in (target, month, weight)]  # faster than part[rows]
                self.loss(network(gather(rows))[:, 0], *batch).backward()
                optimiser.step()
                if self.sparsity:
                    reading.data = nearer_to_zero(reading.data, self.learning_rate * self.sparsity)
            network.eval()
            with torch.no_grad():
                outputs = torch.cat(list(self._outputs(held_back)))
                held = self.loss(outputs, target[split:], month[split:], weight[split:]).item()
            if held < best:
                best, best_state, waited = held, _copy(network), 0
            else:
                waited += 1
                if waited == self.patience:
                    break
        if best == float("inf"):
            raise self.diverged()
        network.load_state_dict(best_state)

    def predict(self, x: Inputs | np.ndarray) -> np.ndarray:
        return self.mean_ + self.scale_ * self._output(Inputs.of(x))

    def _output(self, x: Inputs) -> np.ndarray:
        with torch.no_grad():
            return torch.cat(list(self._outputs(x))).numpy().astype(np.float64)

    def _outputs(self, x: Inputs) -> Iterator[Tensor]:
        return (self.network_(torch.from_numpy(block))[:, 0] for block in x.blocks())

    def explain(self, x: np.ndarray) -> Explanation:
        account = linearise(self.network_, torch.tensor(x), self.linearisation, self.epsilon)
        return Explanation(
            relevance=self.scale_ * account.relevance.numpy(),
            intercept=self.mean_ + self.scale_ * account.baseline.numpy(),
            bias=self.scale_ * account.bias.numpy(),
            stabiliser=self.scale_ * account.stabiliser.numpy(),
            initial_state=self.scale_ * account.initial_state.numpy(),
        )

    def portable(self) -> PortableNetwork:
        return PortableNetwork(
            self.network_,
            architecture=self.architecture,
            shape=self.shape(*self.shape_),
            linearisation=self.linearisation,
            epsilon=self.epsilon,
            mean=self.mean_,
            scale=self.scale_,
        )

    def faithfulness(self, x: np.ndarray) -> dict[str, float]:
        """Measure the faithfulness of some forecasts' relevance, see :mod:`drf.lrp.faithfulness`.

        Returns ``deletion_<map>`` (lower is better) and ``insertion_<map>`` (higher is better): areas under the curves
        for the map of relevance (``lrp``), gradient x input, integrated gradients, occlusion and a random order.
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


def _gather(inputs: Inputs) -> Callable[[Tensor], Tensor]:
    """Return a function from the numbers of samples to their inputs."""
    table = torch.from_numpy(inputs.table) if inputs.table.flags.writeable else torch.tensor(inputs.table)
    where = torch.tensor(inputs.rows)

    def gather(samples: Tensor) -> Tensor:
        rows = where.index_select(0, samples)
        return table.index_select(0, rows.flatten()).view(*rows.shape, -1)

    return gather


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}
