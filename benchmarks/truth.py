"""Do contributions tell what truly drove the simulated returns? On the default market, five data seeds.

For every test month the LSTM's map is summed by factor and compared, over the stocks, with the simulator's true
contributions (exact Shapley values): mean correlation by factor, and the factors' mean sizes; for networks without
biases on the signal path and with all biases.

python benchmarks/truth.py
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from drf.data.paper_descriptors import DESCRIPTORS, FACTORS
from drf.data.simulate import Market, SimulatedMarket, simulate
from drf.lrp import linearise
from drf.lrp.faithfulness import gradient_x_input, integrated_gradients
from drf.models.lstm import LSTM
from drf.samples.lagged import Samples, make_samples
from drf.samples.windows import WindowRule, test_windows

SEEDS, MEMBERS = 5, 3
SETTINGS = {"learning_rate": 0.003, "weight_decay": 0.0001, "epochs": 60, "patience": 6, "label": "return"}
TRUE = "true size"


def plain(network: nn.Module, x: Tensor) -> Tensor:
    return linearise(network, x, "plain").relevance


def shapley(network: nn.Module, x: Tensor) -> Tensor:
    return linearise(network, x, "shapley").relevance


MAPS = {
    "LRP": plain,
    "Shapley rule": shapley,
    "gradient x input": gradient_x_input,
    "integrated gradients": integrated_gradients,
}


def maps(samples: Samples, signal_bias: bool) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Keys of all test samples, and each method's map in return units, mean over the members, by factor."""
    rule = WindowRule(lags=samples.lags, target="excess", train_months=36, test_months=36, refit_every=3)
    windows = test_windows(samples, rule)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in MAPS}
    for window in windows:
        train, test = samples.sample_slice(window.train), samples.sample_slice(window.test)
        members = [
            LSTM(**SETTINGS, signal_bias=signal_bias, random_state=k).fit(
                samples.x[train], samples.y[train], samples.month[train]
            )
            for k in range(MEMBERS)
        ]
        x = torch.tensor(samples.x[test])
        for name, method in MAPS.items():
            total = sum(m.scale_ * method(m.network_, x).detach().numpy() for m in members) / MEMBERS
            parts[name].append(total.sum(1))
    rows = samples.sample_slice(range(windows[0].test.start, windows[-1].test.stop))
    keys = pd.DataFrame({"date": samples.dates[samples.month[rows]], "asset": samples.asset[rows]})
    return keys, {name: by_factor(np.concatenate(values)) for name, values in parts.items()}


def by_factor(descriptors: np.ndarray) -> np.ndarray:
    return np.stack([descriptors[:, [DESCRIPTORS.index(d) for d in FACTORS[f]]].sum(1) for f in FACTORS], axis=1)


def compare(market: Market, signal_bias: bool) -> pd.DataFrame:
    """One row a factor: correlation of each map with the truth, and mean sizes in basis points a month."""
    keys, by_method = maps(make_samples(market.panel, DESCRIPTORS, (0, 3, 6, 9, 12), "excess"), signal_bias)
    truth = keys.merge(market.contributions, on=["date", "asset"], how="left")
    lines = {}
    for k, factor in enumerate(FACTORS):
        line = {}
        for name, values in by_method.items():
            pair = pd.DataFrame({"date": keys["date"], "map": values[:, k], "true": truth[factor]})
            monthly = pair.groupby("date")[["map", "true"]].apply(
                lambda m: m["map"].corr(m["true"]) if m["true"].any() else np.nan
            )
            line[name] = monthly.mean()
        line[TRUE] = 1e4 * truth[factor].abs().mean()
        for name, values in by_method.items():
            line[f"{name} size"] = 1e4 * np.abs(values[:, k]).mean()
        lines[factor] = line
    return pd.DataFrame(lines).T


def main() -> None:
    torch.set_num_threads(1)
    for signal_bias in (False, True):
        tables = [compare(simulate(SimulatedMarket(500, 96, seed)), signal_bias) for seed in range(SEEDS)]
        print("biases everywhere" if signal_bias else "no bias on the signal path")
        print((sum(tables[1:], tables[0]) / SEEDS).round(2).to_string(na_rep="no effect"))
        print("mean over the factors that have an effect, by data seed")
        print(pd.DataFrame([table[list(MAPS)].mean() for table in tables]).round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
