"""Tasks whose true attribution is known: two marked numbers in a sequence are to be added, subtracted or multiplied.

After Arras et al. 2019 (arXiv 1909.12114). Every date shows one number of size 0.5 to 1 and either sign, in the first
channel; the first and the second marked number stand in channels of their own.

python benchmarks/toy_tasks.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from drf.lrp import GATE_RULES, Composite, attribute
from drf.lrp.faithfulness import gradient_x_input, integrated_gradients
from drf.models.architecture import FinalState

TASKS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], int, int]] = {
    # what is computed, sign of the second number's part, hidden units
    "addition": (torch.add, +1, 1),
    "subtraction": (torch.sub, -1, 1),
    "multiplication": (torch.mul, +1, 4),
}
ITERATIONS, LENGTH = 1500, 8


class Batch(NamedTuple):
    x: Tensor  # (n, steps, 3)
    first: Tensor  # positions of the marked numbers, (n,)
    second: Tensor
    a: Tensor  # the marked numbers, (n,)
    b: Tensor


def draw(n: int, steps: int, generator: torch.Generator) -> Batch:
    """Draw sequences."""
    size = 0.5 + 0.5 * torch.rand(n, steps, generator=generator)
    numbers = size * torch.where(torch.rand(n, steps, generator=generator) < 0.5, -1.0, 1.0)
    first, second = torch.rand(n, steps, generator=generator).argsort(1)[:, :2].sort(1).values.T
    rows = torch.arange(n)
    x = torch.zeros(n, steps, 3)
    x[..., 0] = numbers
    for channel, position in ((1, first), (2, second)):
        x[rows, position, 0] = 0
        x[rows, position, channel] = numbers[rows, position]
    return Batch(x, first, second, numbers[rows, first], numbers[rows, second])


def train(task: str, seed: int) -> nn.Sequential:
    """Train an LSTM on sequences of 4 to 10 dates."""
    compute, _, hidden = TASKS[task]
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.LSTM(3, hidden, batch_first=True), FinalState(), nn.Linear(hidden, 1, bias=False))
    optimiser = torch.optim.Adam(model.parameters(), 0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, ITERATIONS)
    for _ in range(ITERATIONS):
        batch = draw(128, int(torch.randint(4, 11, (1,), generator=generator)), generator)
        loss = (model(batch.x)[:, 0] - compute(batch.a, batch.b)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def judge(task: str, model: nn.Module, batch: Batch, relevance: Tensor) -> tuple[float, float, float]:
    """Correlation of the marked dates' relevance with their true parts, and mean squared error of its sum."""
    by_date, rows = relevance.sum(2), torch.arange(len(batch.x))
    r_a, r_b = by_date[rows, batch.first], by_date[rows, batch.second]
    rho_a, rho_b = (
        torch.corrcoef(torch.stack(pair))[0, 1].item() for pair in ((r_a, batch.a), (r_b, TASKS[task][1] * batch.b))
    )
    return rho_a, rho_b, (r_a + r_b - model(batch.x)[:, 0]).square().mean().item()


def error(task: str, model: nn.Module, batch: Batch) -> float:
    """Mean squared error of the model."""
    with torch.no_grad():
        return (model(batch.x)[:, 0] - TASKS[task][0](batch.a, batch.b)).square().mean().item()


def main() -> None:
    torch.set_num_threads(1)
    print("task            seed  model's MSE  method                 rho(R_a, a)  rho(R_b, b)  MSE of R_a + R_b")
    for task in TASKS:
        for seed in range(2):
            model = train(task, seed)
            batch = draw(2000, LENGTH, torch.Generator().manual_seed(1000 + seed))
            maps = {
                f"LRP {gate}": attribute(model, batch.x, composite=Composite(gate=gate)).relevance
                for gate in GATE_RULES
            }
            maps["gradient x input"] = gradient_x_input(model, batch.x)
            maps["integrated gradients"] = integrated_gradients(model, batch.x)
            for name, relevance in maps.items():
                with torch.no_grad():
                    rho_a, rho_b, of_sum = judge(task, model, batch, relevance)
                print(
                    f"{task:15} {seed:4}  {error(task, model, batch):11.4f}  {name:21}  {rho_a:11.3f}  {rho_b:11.3f}  "
                    f"{of_sum:16.2g}"
                )


if __name__ == "__main__":
    main()
