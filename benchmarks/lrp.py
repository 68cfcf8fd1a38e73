"""Relevance against what else one could run on the same batch: ratios within one run, single thread.

python benchmarks/lrp.py [cpu|cuda]

The model is a class with a ``forward()`` of its own. The closed form is the same relevance without any model around
it: trace, slopes and the way back of the layer, called by hand on chunks of the same size. The NumPy loop is one sample
at a time, as the method's authors published it. Integrated gradients are captum's with 50 steps, GradientExplainer is
shap's with its own default of 200 samples (left out where shap is not installed).
"""

from __future__ import annotations

import importlib.util
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drf.lrp import Composite, Epsilon, attribute
from drf.lrp.faithfulness import gradient_x_input
from drf.lrp.passes import VALUES_AT_ONCE
from drf.lrp.recurrent import Trace, _propagate, relevance_rule
from tests.lrp import reference

SHAPES = [(16, 16, 5), (16, 16, 12), (94, 64, 12)]  # inputs, hidden, steps
BATCHES = [4_000, 20_000]
REPEATS = 9
SLOW_SAMPLES = 10  # for the loop over samples
SLOW_BATCH = 4_000  # for what takes seconds
SHAPLEY = Composite(gate="shapley")


class Forecaster(nn.Module):
    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(inputs, hidden, batch_first=True), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.lstm(x)
        return self.head(output[:, -1])


def seconds(*functions: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Median processor time of each function; they take turns, so that a slow moment of the machine hits all."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(repeats + 1):
        for function, taken in zip(functions, times, strict=True):
            _wait()
            started = clock()
            function()
            _wait()
            if turn:  # the first turn warms up
                taken.append(clock() - started)
    return [statistics.median(taken) for taken in times]


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # what runs there is only asked for when a call returns


@torch.no_grad()
def closed_form(model: Forecaster, x: Tensor, eps: float = 1e-3) -> Tensor:
    """LRP of this one model, with nothing around it."""
    lstm, head = model.lstm, model.head
    weights = lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0 + lstm.bias_hh_l0
    rule, result = relevance_rule(Epsilon(eps), None, eps), torch.empty_like(x)
    for part, into in zip(*(values.split(VALUES_AT_ONCE // x[0].numel()) for values in (x, result)), strict=True):
        start = x.new_zeros(len(part), lstm.hidden_size)
        trace = Trace.run(part.transpose(0, 1).contiguous(), start, start, weights, gates=False)
        z = head(trace.h[-1])
        above = torch.zeros_like(trace.h[1:])
        above[-1] = z / (z + eps * torch.where(z >= 0, 1, -1)) * head.weight
        per_unit, _, _ = _propagate(rule.slopes(trace), above, None, lambda kind, amount: None)
        torch.mul(per_unit.transpose(0, 1), part, out=into)
    return result


def numpy_loop(model: Forecaster, x: np.ndarray) -> None:
    """One sample at a time in NumPy, vectorised over units, as the method's authors published it."""
    lstm, head = model.lstm, model.head
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
    sigmoid = lambda value: 1 / (1 + np.exp(-value))
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


def fast(device: str) -> None:
    print(
        "inputs hidden steps  batch  LRP samples/s  LRP/closed form  Shapley/LRP  LRP/(g x i)  LRP/forward  "
        "NumPy loop/LRP"
    )
    for inputs, hidden, steps in SHAPES:
        model = Forecaster(inputs, hidden).eval()
        few = torch.randn(SLOW_SAMPLES, steps, inputs)
        check(model, few[:1])
        (loop,) = seconds(lambda model=model, few=few: numpy_loop(model, few.numpy()), repeats=3)
        model = model.to(device)
        for batch in BATCHES:
            x = torch.randn(batch, steps, inputs, device=device)
            lrp, closed, shapley, gradient, forward = seconds(
                lambda model=model, x=x: attribute(model, x),
                lambda model=model, x=x: closed_form(model, x),
                lambda model=model, x=x: attribute(model, x, composite=SHAPLEY),
                lambda model=model, x=x: gradient_x_input(model, x),
                lambda model=model, x=x: inference(model, x),
            )
            print(
                f"{inputs:6} {hidden:6} {steps:5} {batch:6}  {batch / lrp:13,.0f}  {lrp / closed:15.2f}  "
                f"{shapley / lrp:11.2f}  {lrp / gradient:11.2f}  {lrp / forward:11.2f}  "
                f"{loop / SLOW_SAMPLES * batch / lrp:14.0f}",
                flush=True,
            )


def slow(device: str) -> None:
    """What others do in many passes, at 16 inputs, 16 units, 12 steps."""
    model = Forecaster(16, 16).eval().to(device)
    x = torch.randn(SLOW_BATCH, 12, 16, device=device)
    integrated = IntegratedGradients(model)
    functions: dict[str, Callable[[], object]] = {
        "LRP": lambda: attribute(model, x),
        "Shapley rule": lambda: attribute(model, x, composite=SHAPLEY),
        "captum, 50-step integrated gradients": lambda: integrated.attribute(x, torch.zeros_like(x), target=0),
    }
    if importlib.util.find_spec("shap"):
        import shap

        explainer = shap.GradientExplainer(model, torch.zeros_like(x[:1]))
        functions["shap, GradientExplainer"] = lambda: explainer.shap_values(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = dict(zip(functions, seconds(*functions.values(), repeats=3), strict=True))
    print(f"\n{SLOW_BATCH} samples of 12 x 16        times LRP  times the Shapley rule")
    for name, taken in times.items():
        print(f"{name:38} {taken / times['LRP']:9.1f}  {taken / times['Shapley rule']:14.1f}")


def memory(samples: int = 200_000) -> None:
    """Peak of the process above what stood before, less the result, by sample."""
    model, x = Forecaster(16, 16).eval(), torch.randn(samples, 12, 16)
    attribute(model, x[:10])
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    attribute(model, x, composite=SHAPLEY)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    beside = max(0, peak - before - x.nbytes)
    print(f"\n{samples} samples: {beside / samples:.0f} bytes a sample beside the result of {x.nbytes // samples}")


@torch.no_grad()
def inference(model: nn.Module, x: Tensor) -> Tensor:
    return model(x)


def check(model: Forecaster, x: Tensor) -> None:
    """All compute the relevance of the formulas, so the race is over the same course."""
    lstm, head = model.lstm, model.head
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
    truth = reference.lstm(sample, w, u, b + b2, zeros, 1e-3)[0]
    assert np.allclose(relevance_by_messages(sample, w, u, b + b2, weight, bias), truth, atol=1e-10)
    assert np.allclose(closed_form(model, x)[0], truth, atol=1e-5)
    assert np.allclose(attribute(model, x).relevance[0], truth, atol=1e-5)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    print(torch.cuda.get_device_name() if device == "cuda" else "one thread")
    memory()
    fast(device)
    slow(device)


if __name__ == "__main__":
    main()
