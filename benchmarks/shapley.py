"""Which map is nearest to the exact Shapley values of the network itself? Twelve inputs, so all 4,096 coalitions.

python benchmarks/shapley.py

Small recurrent networks are trained on tasks whose inputs add up, gate each other, multiply, or hide in noise; two
seeds each. A line a network: correlation with the exact values, mean over samples, and the error's size relative to
theirs, sum over samples; then means and worst cases over all networks, and what a map costs.
"""

from __future__ import annotations

import itertools
import statistics
import time
import warnings
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from drf.lrp import Composite, attribute
from drf.lrp.faithfulness import gradient_x_input, integrated_gradients, shapley_values

STEPS, FEATURES, HIDDEN = 3, 4, 8
SAMPLES, ITERATIONS, SEEDS = 60, 500, 2

TASKS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum of curves": lambda x: x[..., 0].tanh().sum(1) + 0.5 * x[:, -1, 1] - 0.3 * x[:, 0, 2].square(),
    "gate": lambda x: (x[..., 0] * torch.sigmoid(3 * x[..., 1])).sum(1),
    "product": lambda x: (x[..., 0] * x[..., 1]).sum(1),
    "weak factors in noise": lambda x: (
        0.3 * x[:, -1, 0] + 0.2 * x[..., 1].mean(1) + 0.2 * x[:, -1, 2] * (x[:, -1, 3] > 0) + torch.randn(len(x))
    ),
}


class Recurrent(nn.Module):
    """A recurrent layer and a linear head; without ``biases`` none where the signal passes: gates keep theirs."""

    def __init__(self, kind: type[nn.RNNBase], biases: bool, **settings: object) -> None:
        super().__init__()
        self.layer = kind(FEATURES, HIDDEN, batch_first=True, **settings)  # type: ignore[arg-type]
        self.head = nn.Linear(HIDDEN * (2 if self.layer.bidirectional else 1), 1, bias=biases)
        self.biases = biases
        self.hold()

    @torch.no_grad()
    def hold(self) -> None:
        """Keep the candidate's biases at zero where there are to be none."""
        candidate = slice(2 * HIDDEN, 3 * HIDDEN)  # third in PyTorch's order, of an LSTM and of a GRU
        for name, parameter in self.layer.named_parameters():
            if not self.biases and name.startswith("bias"):
                parameter[candidate] = 0

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.layer(x)
        if self.layer.bidirectional:
            return self.head(torch.cat([output[:, -1, :HIDDEN], output[:, 0, HIDDEN:]], 1))
        return self.head(output[:, -1])


NETWORKS: dict[str, Callable[[bool], Recurrent]] = {
    "LSTM": lambda biases: Recurrent(nn.LSTM, biases),
    "LSTM, two layers": lambda biases: Recurrent(nn.LSTM, biases, num_layers=2),
    "LSTM, bidirectional": lambda biases: Recurrent(nn.LSTM, biases, bidirectional=True),
    "GRU": lambda biases: Recurrent(nn.GRU, biases),
}


def deep_lift(model: nn.Module, x: Tensor) -> Tensor:
    from captum.attr import DeepLift

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DeepLift(model).attribute(x, torch.zeros_like(x), target=0).detach()


MAPS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "Shapley rule": lambda model, x: attribute(model, x, composite=Composite(gate="shapley")).relevance,
    "signal takes all": lambda model, x: attribute(model, x).relevance,
    "gamma": lambda model, x: attribute(model, x, composite=Composite("gamma")).relevance,
    "gradient x input": gradient_x_input,
    "DeepLift (captum)": deep_lift,
    "integrated gradients, 32": integrated_gradients,
}


def train(make: Callable[[bool], Recurrent], biases: bool, task: str, seed: int) -> Recurrent:
    torch.manual_seed(seed)
    model = make(biases)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(ITERATIONS):
        x = torch.randn(256, STEPS, FEATURES)
        optimiser.zero_grad()
        (model(x)[:, 0] - TASKS[task](x)).square().mean().backward()
        optimiser.step()
        model.hold()
    return model.double().eval()


def compare(found: Tensor, exact: Tensor) -> tuple[float, float]:
    """Mean correlation over samples, and the error relative to the exact values."""
    a, b = found.flatten(1), exact.flatten(1)
    rho = [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(a, b, strict=True)]
    return float(torch.stack(rho).mean()), float((a - b).abs().sum() / b.abs().sum())


def costs(samples: int = 4000, repeats: int = 5) -> dict[str, float]:
    """Processor time of every map relative to signal takes all, for an LSTM of 16 inputs, 16 units and 12 steps."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.LSTM(16, 16, batch_first=True), nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layer(x)[0][:, -1])

    model, x = Net().eval(), torch.randn(samples, 12, 16)
    times: dict[str, list[float]] = {name: [] for name in MAPS}
    for turn in range(repeats + 1):
        for name, method in MAPS.items():
            started = time.process_time()
            method(model, x)
            if turn:
                times[name].append(time.process_time() - started)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return {name: taken / medians["signal takes all"] for name, taken in medians.items()}


def main() -> None:
    torch.set_num_threads(1)
    lines = []
    cases = list(itertools.product(NETWORKS, (True, False), TASKS, range(SEEDS)))
    for network, biases, task, seed in tqdm(cases):
        model = train(NETWORKS[network], biases, task, seed)
        x = torch.randn(SAMPLES, STEPS, FEATURES, dtype=torch.float64)
        exact = shapley_values(model, x)
        for name, method in MAPS.items():
            rho, error = compare(method(model, x), exact)
            lines.append(
                {
                    "network": network,
                    "biases": biases,
                    "task": task,
                    "seed": seed,
                    "map": name,
                    "rho": rho,
                    "error": error,
                }
            )
    table = pd.DataFrame(lines)
    by_case = table.groupby(["network", "biases", "task", "map"], sort=False)[["rho", "error"]].mean().unstack("map")
    print(by_case.round(3).to_string())
    total = table.groupby("map", sort=False).agg(
        rho=("rho", "mean"), lowest_rho=("rho", "min"), error=("error", "mean"), largest_error=("error", "max")
    )
    print(total.assign(cost=pd.Series(costs())).round(3).to_string())


if __name__ == "__main__":
    main()
