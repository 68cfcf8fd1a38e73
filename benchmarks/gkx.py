"""Gu, Kelly and Xiu's simulation (2020, appendix): forecasts beside the published table, contributions beside truth.

python benchmarks/gkx.py [DRAWS] [CHARACTERISTICS] [FILE]      100 draws, 100 characteristics, results in gkx.jsonl

200 stocks; 60 months to train, 60 to stop and to choose settings, 60 to test; inputs c, x, and c times x. R² is out of
sample, pooled, against the mean return of the training months, in per cent. Each draw is a line of FILE, so that the
command can be stopped and given again. Printed: the mean over the draws with its standard error, beside the published
numbers; then, on one dense network of each draw, the correlation of the contributions with the true ones over stocks
and months, by characteristic, and the share of all absolute contributions that goes to the other characteristics,
which are noise.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed

from drf.data.gkx import STATE, THIRD, GKXMarket, names_of
from drf.lrp import linearise
from drf.lrp.faithfulness import gradient_x_input, integrated_gradients
from drf.models.boosting import Boosting
from drf.models.dnn import DNN
from drf.models.forest import Forest
from drf.models.linear import ElasticNetRegression, Linear, RidgeRegression
from drf.models.lstm import LSTM
from drf.samples.lagged import Samples, make_samples

FIRST, SECOND = 60, 120  # months at which validation and test begin

PUBLISHED = {  # P_c = 100, per cent, models (a) and (b)
    "linear": (-1.35, -7.75), "ridge": (3.39, 0.23), "elasticnet": (4.25, 0.61), "forest": (3.30, 3.02),
    "boosting": (3.37, 3.22), "dnn 1 layer": (4.28, 2.59), "dnn 2 layers": (4.26, 2.91), "dnn 3 layers": (4.27, 2.68),
    "oracle": (5.52, 5.40),
}  # fmt: skip

COMMON = {"label": "return"}
NETWORK = {
    "validation_months": SECOND - FIRST, "epochs": 60, "patience": 15, "learning_rate": 0.003, "weight_decay": 0.0,
    "sparsity": 0.8, "signal_bias": True,
}  # fmt: skip
"""Settings of all networks, chosen on draws 1000 to 1002, which are not among those reported."""

SEEDS = 3

CHOICES: Mapping[str, tuple[type[Any], list[dict[str, Any]]]] = {
    "linear": (Linear, [{}]),
    "ridge": (RidgeRegression, [{"shrinkage": size} for size in (0.03, 0.3, 1, 3, 10, 30, 100)]),
    "elasticnet": (
        ElasticNetRegression,
        [{"threshold": t, "shrinkage": s} for t, s in itertools.product((0.005, 0.01, 0.02, 0.04, 0.08), (0.01, 1.0))],
    ),
    "forest": (
        Forest,
        [{"n_estimators": 60, "min_samples_leaf": k, "max_features": 0.3, "max_samples": 0.5} for k in (50, 200)],
    ),
    "boosting": (
        Boosting,
        [{"n_estimators": n, "learning_rate": 0.05, "num_leaves": k} for n, k in itertools.product((50, 150), (4, 8))],
    ),
}
"""Rows whose settings are chosen by the error in the validation months."""

NETWORKS: Mapping[str, tuple[type[Any], dict[str, Any]]] = {
    "dnn 1 layer": (DNN, {"hidden": "32"}),
    "dnn 2 layers": (DNN, {"hidden": "32-16"}),
    "dnn 3 layers": (DNN, {"hidden": "32-16-8"}),
    "lstm": (LSTM, {"hidden": 16}),
}
"""Rows that stop by the validation months, as the mean of several seeds. The LSTM looks at three months."""

EXPLAINED = "dnn 2 layers"


def draw(model: str, seed: int, characteristics: int) -> dict[str, Any]:
    """Every row's R², and how its contributions agree with the true ones, for one draw."""
    torch.set_num_threads(1)
    market = GKXMarket(model=model, characteristics=characteristics, seed=seed)  # type: ignore[arg-type]
    panel, truth = market.panel(), market.truth()
    names = names_of(characteristics)
    inputs = [*names, STATE, *(f"{name}*{STATE}" for name in names)]
    samples, lagged = (
        make_samples(panel, inputs, lags, transforms=dict.fromkeys(names, "none")) for lags in ([0], [0, 1, 2])
    )
    first, second, third = (_span(samples, months) for months in ((0, FIRST), (FIRST, SECOND), (SECOND, 180)))
    mean = samples.y[first].mean()
    truths = truth.set_index(["date", "asset"]).reindex(_keys(samples, third))
    result: dict[str, Any] = {"model": model, "seed": seed, "r2": {}, "truth": {}}
    result["r2"]["oracle"] = _r2(samples.y[third], truths["expected"].to_numpy(), mean)
    for row, (kind, choices) in CHOICES.items():
        fitted = [kind(**COMMON, **chosen).fit(*_of(samples, first)) for chosen in choices]
        errors = [((samples.y[second] - one.predict(samples.x[second])) ** 2).mean() for one in fitted]
        best = fitted[int(np.argmin(errors))]
        result["r2"][row] = _r2(samples.y[third], best.predict(samples.x[third]), mean)
        if row in ("linear", "boosting"):
            found = best.explain(samples.x[third]).relevance[:, 0]
            result["truth"][{"boosting": "TreeSHAP, boosting"}.get(row, row)] = _agreement(found, truths, names)
    for row, (kind, settings) in NETWORKS.items():
        data = lagged if kind is LSTM else samples
        train, test = _span(data, (0, SECOND)), _span(data, (SECOND, 180))
        fitted = [kind(**COMMON, **NETWORK, **settings, random_state=k).fit(*_of(data, train)) for k in range(SEEDS)]
        forecast = np.mean([one.predict(data.x[test]) for one in fitted], axis=0)
        result["r2"][row] = _r2(data.y[test], forecast, mean)
        if row == EXPLAINED:
            x = torch.tensor(data.x[test])
            for name, method in MAPS.items():
                maps = [one.scale_ * method(one.network_, x).detach().numpy()[:, 0] for one in fitted]
                result["truth"][name] = _agreement(np.mean(maps, axis=0), truths, names)
    return result


MAPS: Mapping[str, Callable[..., torch.Tensor]] = {
    "Shapley rule": lambda network, x: linearise(network, x, "shapley").relevance,
    "epsilon-LRP": lambda network, x: linearise(network, x, "plain").relevance,
    "gradient x input": gradient_x_input,
    "integrated gradients": integrated_gradients,
}


def _span(samples: Samples, months: tuple[int, int]) -> slice:
    return samples.sample_slice(range(*months))


def _of(samples: Samples, chosen: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return samples.x[chosen], samples.y[chosen], samples.month[chosen]


def _keys(samples: Samples, chosen: slice) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([samples.dates[samples.month[chosen]], samples.asset[chosen]])


def _r2(y: np.ndarray, forecast: np.ndarray, mean: float) -> float:
    return float(100 * (1 - ((y - forecast) ** 2).sum() / ((y - mean) ** 2).sum()))


def _agreement(found: np.ndarray, truths: pd.DataFrame, names: list[str]) -> dict[str, float]:
    """Correlation with the true contributions, and the share of the absolute contributions that goes to noise."""
    count = len(names)
    of_each = found[:, :count] + found[:, count + 1 :]  # a characteristic alone, and with the state
    told = {"C1": of_each[:, 0], "C2": of_each[:, 1], THIRD: of_each[:, 2]}
    together = {name: float(np.corrcoef(values, truths[name])[0, 1]) for name, values in told.items()}
    size = np.abs(of_each).mean(axis=0)
    return {**together, "mean": float(np.mean(list(together.values()))), "noise": float(size[3:].sum() / size.sum())}


def main() -> None:
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    characteristics = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    file = Path(sys.argv[3] if len(sys.argv) > 3 else "gkx.jsonl")
    done = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    there = {(one["model"], one["seed"]) for one in done}
    tasks = [(m, s) for s in range(draws) for m in ("a", "b") if (m, s) not in there]
    runner = Parallel(n_jobs=-1, return_as="generator_unordered", batch_size=1)
    for result in runner(delayed(draw)(model, seed, characteristics) for model, seed in tasks):
        done.append(result)
        with file.open("a") as lines:
            lines.write(json.dumps(result) + "\n")
        print(f"model ({result['model']}), draw {result['seed']}: {len(done)} done", file=sys.stderr, flush=True)
    report([one for one in done if one["seed"] < draws], characteristics)


def report(done: list[dict[str, Any]], characteristics: int) -> None:
    for k, model in enumerate("ab"):
        own = [one for one in done if one["model"] == model]
        found = pd.DataFrame([one["r2"] for one in own])
        table = pd.DataFrame({"R2 %": found.mean(), "se": found.sem()})
        if characteristics == 100:
            table["published"] = [PUBLISHED.get(str(row), (np.nan, np.nan))[k] for row in table.index]
        print(f"\nModel ({model}), {len(own)} draws, {characteristics} characteristics\n{table.round(2).to_string()}")
        lines = {}
        for name in own[0]["truth"]:
            each = pd.DataFrame([one["truth"][name] for one in own])
            lines[name] = each.mean().to_dict() | {"se of mean": each["mean"].sem(), "se of noise": each["noise"].sem()}
        print(f"\nContributions beside the true ones\n{pd.DataFrame(lines).T.round(3).to_string()}")


if __name__ == "__main__":
    main()
