"""Relevance against what else one could run on the same batch: ratios within one run, single thread.

python benchmarks/lrp.py [cpu|cuda]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drf.lrp import attribute
from drf.lrp.faithfulness import gradient_x_input
from drf.models.architecture import FinalState
from tests.lrp import reference

SHAPES = [(16, 16, 5), (16, 16, 12), (94, 64, 12)]  # inputs, hidden, steps
BATCHES = [4_000, 20_000]
REPEATS = 9
SLOW_SAMPLES = 10  # for the loop over samples


def seconds(*functions: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Median time of each function; they take turns, so that a slow moment of the machine hits all."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(repeats + 1):
        for function, taken in zip(functions, times, strict=True):
            _wait()
            started = time.perf_counter()
            function()
            _wait()
            if turn:  # the first turn warms up
                taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in times]


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # what runs there is only asked for when a call returns


def numpy_loop(model: nn.Sequential, x: np.ndarray) -> None:
    """One sample at a time in NumPy, vectorised over units, as the method's authors published it."""
    lstm, head = model[0], model[2]
    w, u, b, b2 = (p.detach().numpy() for p in (lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0))
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    for sample in x:
        relevance_by_messages(sample, w, u, b + b2, weight, bias)


def messages(x: np.ndarray, w: np.ndarray, z: np.ndarray, relevance: np.ndarray, eps: float = 1e-3) -> np.ndarray:
    """The epsilon rule through the whole message matrix (in, out)."""
    return (w.T * x[:, None] / (z + eps * np.where(z >= 0, 1, -1)) * relevance).sum(1)


def relevance_by_messages(
    x: np.ndarray, w: np.ndarray, u: np.ndarray, b: np.ndarray, weight: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    steps, hidden = len(x), u.shape[1]
    h, c, z = np.zeros((steps + 1, hidden)), np.zeros((steps + 1, hidden)), np.zeros((steps, 4 * hidden))
    sigmoid = lambda value: 1 / (1 + np.exp(-value))  # noqa: E731
    for t in range(steps):
        z[t] = w @ x[t] + u @ h[t] + b
        i, f, g, o = np.split(z[t], 4)
        c[t + 1] = sigmoid(f) * c[t] + sigmoid(i) * np.tanh(g)
        h[t + 1] = sigmoid(o) * np.tanh(c[t + 1])
    y = weight @ h[-1] + bias
    r_h, r_c, r_x = messages(h[-1], weight, y, y), np.zeros(hidden), np.zeros_like(x)
    candidate = slice(2 * hidden, 3 * hidden)
    identity = np.eye(hidden)
    for t in reversed(range(steps)):
        i, f, g, _ = np.split(z[t], 4)
        r_c = r_c + r_h
        r_g = messages(sigmoid(i) * np.tanh(g), identity, c[t + 1], r_c)
        r_c = messages(sigmoid(f) * c[t], identity, c[t + 1], r_c)
        r_x[t] = messages(x[t], w[candidate], g, r_g)
        r_h = messages(h[t], u[candidate], g, r_g)
    return r_x


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    print(torch.cuda.get_device_name() if device == "cuda" else "one thread")
    print("inputs hidden steps  batch  LRP samples/s  LRP/(gradient x input)  LRP/forward  NumPy loop/LRP")
    for inputs, hidden, steps in SHAPES:
        model = nn.Sequential(nn.LSTM(inputs, hidden, batch_first=True), FinalState(), nn.Linear(hidden, 1)).eval()
        few = torch.randn(SLOW_SAMPLES, steps, inputs)
        check(model, few[:1])
        (loop,) = seconds(lambda model=model, few=few: numpy_loop(model, few.numpy()), repeats=3)
        model = model.to(device)
        for batch in BATCHES:
            x = torch.randn(batch, steps, inputs, device=device)
            lrp, gradient, forward = seconds(
                lambda model=model, x=x: attribute(model, x),
                lambda model=model, x=x: gradient_x_input(model, x),
                lambda model=model, x=x: inference(model, x),
            )
            print(
                f"{inputs:6} {hidden:6} {steps:5} {batch:6}  {batch / lrp:13,.0f}  {lrp / gradient:22.2f}  "
                f"{lrp / forward:11.2f}  {loop / SLOW_SAMPLES * batch / lrp:14.0f}"
            )


@torch.no_grad()
def inference(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return model(x)


def check(model: nn.Sequential, x: torch.Tensor) -> None:
    """The loop computes the same relevance as the formulas written out, so the race is over the same course."""
    lstm, head = model[0], model[2]
    w, u, b, b2 = (
        p.detach().double().numpy() for p in (lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0)
    )
    weight, bias, sample = (
        head.weight.detach().double().numpy(),
        head.bias.detach().double().numpy(),
        x[0].double().numpy(),
    )
    zeros = np.zeros((len(sample), u.shape[1]))
    final = reference.lstm(sample, w, u, b + b2, zeros, 1e-3)[1][-1]
    zeros[-1] = reference.dense(final, weight, bias, weight @ final + bias, 1e-3)
    slow = reference.lstm(sample, w, u, b + b2, zeros, 1e-3)[0]
    assert np.allclose(relevance_by_messages(sample, w, u, b + b2, weight, bias), slow, atol=1e-10)


if __name__ == "__main__":
    main()
