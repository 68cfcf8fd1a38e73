"""Relevance of whole models against one forward and backward pass to the input: ratios within one run, single thread.

python benchmarks/lrp_models.py [part of a name ...]

Parameters are frozen, and the check of every account against the model's own output is included. ``prepared`` is a call
of an ``Attributor`` that knows the model's layout.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drf.lrp import Attributor

REPEATS = 7


class Recurrent(nn.Module):
    def __init__(self, cell: type[nn.RNNBase], inputs: int, hidden: int) -> None:
        super().__init__()
        self.cell, self.head = cell(inputs, hidden, batch_first=True), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(128, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x).mean(1))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.one = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.two = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.short = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm2(self.two(torch.relu(self.norm1(self.one(x))))) + self.short(x))


class ResNet18(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        sizes = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
        self.blocks, self.head = nn.Sequential(*(Block(*size) for size in [*sizes, (512, 512, 1)])), nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


MODELS: dict[str, tuple[nn.Module, Tensor]] = {
    "LSTM 16, 12 steps, batch 4,096": (Recurrent(nn.LSTM, 16, 16), torch.randn(4096, 12, 16)),
    "LSTM 16, 12 steps, batch 256": (Recurrent(nn.LSTM, 16, 16), torch.randn(256, 12, 16)),
    "LSTM 64, 60 steps, batch 1,024": (Recurrent(nn.LSTM, 16, 64), torch.randn(1024, 60, 16)),
    "LSTM 12, 12 steps, batch 8": (Recurrent(nn.LSTM, 3, 12), torch.randn(8, 12, 3)),
    "GRU 64, 60 steps, batch 512": (Recurrent(nn.GRU, 16, 64), torch.randn(512, 60, 16)),
    "Transformer 2 x 128, 128 tokens, batch 32": (Transformer(), torch.randn(32, 128, 128)),
    "ResNet18, 112 x 112, batch 8": (ResNet18(), torch.randn(8, 3, 112, 112)),
}


def median_seconds(functions: list[Callable[[], object]]) -> list[float]:
    """Return the median processor time of each function; they take turns, so a slow moment of the machine hits all."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(REPEATS + 1):
        for function, taken in zip(functions, times, strict=True):
            started = time.process_time()
            function()
            if turn:  # the first turn warms up, and finds the layout
                taken.append(time.process_time() - started)
    return [statistics.median(taken) for taken in times]


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("| model | LRP | Shapley rule | forward + backward, ms |\n|---|---|---|---|")
    for name, (model, x) in MODELS.items():
        if sys.argv[1:] and not any(part in name for part in sys.argv[1:]):
            continue
        model.eval().requires_grad_(False)

        def both_ways(model: nn.Module = model, x: Tensor = x) -> None:
            leaf = x.clone().requires_grad_()
            torch.autograd.grad(model(leaf)[:, 0].sum(), leaf)

        prepared = [Attributor(model, rule) for rule in ("epsilon", "shapley")]
        calls = [lambda explain=explain, x=x: explain(x, target=0) for explain in prepared]
        plain, relevance, shapley = median_seconds([both_ways, *calls])
        print(f"| {name} | {relevance / plain:.2f} | {shapley / plain:.2f} | {1e3 * plain:.1f} |", flush=True)


if __name__ == "__main__":
    main()
