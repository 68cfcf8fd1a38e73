"""Which linearisation keeps the forecast? Measured on validation months, before any test month.

    python benchmarks/linearisation.py                                  simulated market, five data seeds
    python benchmarks/linearisation.py panel.parquet 500                a panel, its 500 largest stocks

Per family and form: how well the sum of contributions ranks the stocks as the network itself does (mean monthly rank
correlation), the share of |f(x)| that the inputs explain, rank IC, MAE and Sharpe of the sum beside the network's own,
and how far the maps of two networks agree, mean rank correlation over the inputs of a sample: of two seeds, and of a
network and the one refitted a quarter later on the same months.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import fields

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed

from drf.data.panel import check_panel
from drf.data.paper_descriptors import DESCRIPTORS
from drf.data.simulate import SimulatedMarket
from drf.data.sources import PanelFile
from drf.data.universe import largest
from drf.evaluation.metrics import rank_ic, summarise
from drf.evaluation.portfolio import PortfolioRule
from drf.lrp import LINEARISATIONS
from drf.lrp.faithfulness import agreement
from drf.models.base import Explanation
from drf.models.dnn import DNN
from drf.models.lstm import LSTM
from drf.samples.lagged import Samples, make_samples
from drf.samples.windows import Window, WindowRule, validation_windows

FAMILIES = {
    "dnn": (DNN, {"weight_decay": 0.001, "epochs": 60, "patience": 6}),
    "lstm": (LSTM, {"learning_rate": 0.003, "weight_decay": 0.0001, "epochs": 60, "patience": 6, "label": "return"}),
}
FORMS = list(itertools.product((True, False), LINEARISATIONS))
DATA_SEEDS, SEEDS, MONTHS, REFIT = 5, 3, 24, 3
RULE = PortfolioRule(quantiles=5, cost_bps=10)


def explain(
    family: str, signal_bias: bool, window: Window, following: Window, samples: Samples, seed: int
) -> dict[str, tuple]:
    """Fit once; forecast and explain the window in every form of the network, and explain the window that follows."""
    torch.set_num_threads(1)
    kind, settings = FAMILIES[family]
    train, test = samples.sample_slice(window.train), samples.sample_slice(window.test)
    later = samples.x[samples.sample_slice(following.test)]
    x, y, month = samples.x[train], samples.y[train], samples.month[train]
    known = ~np.isnan(y)
    model = kind(**settings, signal_bias=signal_bias, random_state=seed).fit(x[known], y[known], month[known])
    result = {}
    for bias, method in FORMS:
        if bias == signal_bias:
            model.linearisation = method
            own, explanation = model.predict(samples.x[test]), model.explain(samples.x[test])
            result[method] = (own, explanation, model.explain(later).relevance)
    return result


def measure(samples: Samples, first_test: int, train_months: int) -> pd.DataFrame:
    """One line a family and form, over the validation months before ``first_test``."""
    rule = WindowRule(lags=samples.lags, target="raw", train_months=train_months, test_months=None, refit_every=REFIT)
    windows = validation_windows(samples, rule, first_test, MONTHS, MONTHS // REFIT)
    after = {window: windows[min(k + 1, len(windows) - 1)] for k, window in enumerate(windows)}
    tasks = [(f, b, w, s) for f in FAMILIES for b in (True, False) for w in windows for s in range(SEEDS)]
    done = Parallel(n_jobs=-1)(delayed(explain)(f, b, w, after[w], samples, s) for f, b, w, s in tasks)
    results = dict(zip(tasks, done, strict=True))
    rows = samples.sample_slice(range(windows[0].test.start, windows[-1].test.stop))
    lines = []
    for family in FAMILIES:
        for bias, method in FORMS:
            parts = [[results[family, bias, w, s][method] for s in range(SEEDS)] for w in windows]
            own = np.concatenate([np.mean([forecast for forecast, *_ in seeds], axis=0) for seeds in parts])
            explanation = together([[e for _, e, _ in seeds] for seeds in parts])
            lines.append(
                {
                    "family": family,
                    "form": form(bias, method),
                    **score(samples, rows, own, explanation),
                    **stable(parts),
                }
            )
    return pd.DataFrame(lines)


def together(parts: list[list[Explanation]]) -> Explanation:
    """The explanation of the seeds' mean forecasts, window after window."""
    names = [entry.name for entry in fields(Explanation)]
    means = {name: [np.mean([getattr(one, name) for one in seeds], axis=0) for seeds in parts] for name in names}
    return Explanation(**{name: np.concatenate(values) for name, values in means.items()})


def stable(parts: list[list[tuple]]) -> dict[str, float]:
    """How far maps agree: of two seeds' networks, and of a window's network with that of the window before."""
    pairs = [(a[1].relevance, b[1].relevance) for seeds in parts for a, b in itertools.combinations(seeds, 2)]
    refits = [
        (before[2], now[1].relevance)
        for earlier, later in itertools.pairwise(parts)
        for before, now in zip(earlier, later, strict=True)
    ]
    mean = lambda maps: np.mean([agreement(*map(torch.from_numpy, pair)) for pair in maps])
    return {"seeds agree": mean(pairs), "refits agree": mean(refits)}


def form(bias: bool, method: str) -> str:
    return f"{'biases' if bias else 'no signal bias'}, {method}"


def score(samples: Samples, rows: slice, own: np.ndarray, explanation: Explanation) -> dict[str, float]:
    keys = {"date": samples.dates[samples.month[rows]], "asset": samples.asset[rows], "y_true": samples.y[rows]}
    network = pd.DataFrame({**keys, "y_pred": own})
    linear = pd.DataFrame({**keys, "y_pred": explanation.linearised})
    agreement = rank_ic(pd.DataFrame({"date": keys["date"], "y_true": own, "y_pred": explanation.linearised}))
    signal = own - explanation.intercept
    explained = explanation.relevance.sum((1, 2))
    net, lin = summarise(network, RULE), summarise(linear, RULE)
    return {
        "rank correlation": agreement.mean(),
        "lowest month": agreement.min(),
        "unexplained share": np.abs(signal - explained).mean() / np.abs(signal).mean(),
        "rank IC": lin["rank_ic"],
        "own": net["rank_ic"],
        "MAE": lin["mae"],
        "own ": net["mae"],
        "Sharpe": lin["sharpe"],
        "own  ": net["sharpe"],
    }


def main() -> None:
    if len(sys.argv) > 1:
        universe = int(sys.argv[2]) if len(sys.argv) > 2 else None
        panel = largest(check_panel(PanelFile(sys.argv[1]).panel(), DESCRIPTORS, 5), universe)
        samples = make_samples(panel, DESCRIPTORS, (0, 3, 6, 9, 12), "raw")
        table = measure(samples, first_test=72, train_months=36)
    else:
        tables = []
        for seed in range(DATA_SEEDS):
            panel = SimulatedMarket(stocks=500, months=72, seed=seed).panel()
            samples = make_samples(panel, DESCRIPTORS, (0, 3, 6, 9, 12), "excess")
            tables.append(measure(samples, first_test=59, train_months=36).set_index(["family", "form"]))
        table = (sum(tables[1:], tables[0]) / len(tables)).reset_index()
    print(table.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
