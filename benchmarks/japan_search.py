"""The search of docs/research/protocol.md: one change at a time, on the development months of a panel.

python benchmarks/japan_search.py PANEL [candidate ...]
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drf.data.factors import DESCRIPTORS
from drf.data.panel import check_panel
from drf.evaluation.metrics import monthly_series, summarise
from drf.evaluation.portfolio import PortfolioRule
from drf.models.family import Family
from drf.models.linear import Linear
from drf.models.lstm import LSTM
from drf.parallel import Compute
from drf.tracking.runs import RunTree
from drf.tracking.store import connect
from drf.walkforward import forecast_table, walk_forward
from drf.windows.samples import make_samples
from drf.windows.split import newest_window, test_windows
from drf.windows.universe import largest

LAST = pd.Timestamp("2017-11-30")  # forecasts made then are for 2017-12
TRAIN, TEST, REFIT = 36, 42, 3
BASE = {
    "hidden": 16, "layers": 1, "bidirectional": False, "learning_rate": 0.003, "batch_size": 1024,
    "weight_decay": 0.0001, "epochs": 60, "patience": 6, "validation_months": 6,
}  # fmt: skip
CANDIDATES: dict[str, dict[str, object]] = {
    "base": {},
    "label=excess": {"label": "excess"},
    "label=rank": {"label": "rank"},
    "loss=huber": {"loss": "huber"},
    "loss=ic": {"loss": "ic"},
    "stop=rank_ic": {"stop": "rank_ic"},
    "seeds=10": {"seeds": 10},
    "weight_decay=0.001": {"weight_decay": 0.001},
    "weight_decay=0.01": {"weight_decay": 0.01},
    "dropout=0.3": {"dropout": 0.3},
    "hidden=8": {"hidden": 8},
    "hidden=32": {"hidden": 32},
    "hidden=64": {"hidden": 64},
    "layers=2": {"layers": 2},
    "bidirectional": {"bidirectional": True},
    "signal_bias": {"signal_bias": True},
    "lags=0-4": {"lags": (0, 1, 2, 3, 4)},
    "lags=0-12": {"lags": tuple(range(13))},
    "expanding": {"longest": 1000},
    "half_life=12": {"half_life": 12.0},
    "half_life=24": {"half_life": 24.0},
    "warm_start": {"warm_start": True},
    "skip": {"skip": True},
    "learning_rate=0.001": {"learning_rate": 0.001},
    "learning_rate=0.0003": {"learning_rate": 0.0003},
}


def forecasts(panel: pd.DataFrame, changes: dict[str, object]) -> tuple[pd.DataFrame, list[np.ndarray], pd.DataFrame]:
    """The candidate's forecasts, each seed's own, and linear's on the same windows."""
    settings = {**BASE, **changes}
    lags, longest, seeds = (
        settings.pop("lags", (0, 3, 6, 9, 12)),
        settings.pop("longest", None),
        settings.pop("seeds", 5),
    )
    samples = make_samples(panel, DESCRIPTORS, lags)
    samples = replace(samples)
    windows = [window for window in test_windows(samples, TRAIN, TEST, REFIT, longest)]
    newest = newest_window(samples, TRAIN)
    families = [Family("lstm", LSTM, settings, seeds), Family("linear", Linear, {})]
    made = walk_forward(families, samples, windows, newest, 0, Compute())
    lstm, linear = made["lstm"][0], made["linear"][0]
    table = forecast_table(samples, lstm.rows, lstm.prediction)
    return table, list(lstm.by_seed), forecast_table(samples, linear.rows, linear.prediction)


def log(
    tree: RunTree,
    name: str,
    table: pd.DataFrame,
    seeds: list[np.ndarray],
    changes: dict[str, object],
    size: int,
    rule: PortfolioRule,
) -> dict[str, float]:
    run = tree.row(f"{name}@{size}", "lstm" if name != "linear" else "linear")
    metrics, series = summarise(table, rule), monthly_series(table, rule)
    run.params({"candidate": name, "universe": size, **changes})
    run.metrics({**metrics, "periods": len(series)})
    each = pd.DataFrame([summarise(table.assign(y_pred=forecast), rule) for forecast in seeds])
    if len(each):
        run.metrics(
            {
                f"seeds/{k}_{stat}": float(getattr(each[k], stat)())
                for k in ("rank_ic", "sharpe", "sharpe_net", "rmse")
                for stat in ("mean", "std")
            }
        )
    run.monthly(series)
    run.table(table, "predictions.parquet")
    run.table(series.rename_axis("date").reset_index(), "monthly.csv")
    tree.close(run)
    return metrics


def main() -> None:
    path, chosen = sys.argv[1], sys.argv[2:] or list(CANDIDATES)
    market = check_panel(pd.read_parquet(path), DESCRIPTORS, 5)
    assert market["date"].max() <= LAST, "the panel holds months that are not for development"
    rule = PortfolioRule(quantiles=5, cost_bps=10)
    connect("japan-search")
    for name in chosen:
        changes: dict[str, object] = {}
        for part in name.split("+"):
            changes |= CANDIDATES[part]
        with RunTree(name) as tree:
            tree.parent.tags({"kind": "comparison", "candidate": name})
            for size in (500, 1000):
                table, seeds, linear = forecasts(largest(market, size), changes)
                m = log(tree, name, table, seeds, changes, size, rule)
                if not changes or "lags" in changes or "longest" in changes:
                    b = log(tree, f"linear of {name}", linear, [], {}, size, rule)
                    print(
                        f"{'linear of ' + name:28} {size:5} ic {b['rank_ic']:.4f} t {b['rank_ic_t']:.2f} sharpe {b['sharpe']:.2f} net {b['sharpe_net']:.2f} rmse {b['rmse']:.5f} mae {b['mae']:.5f}",
                        flush=True,
                    )
                print(
                    f"{name:28} {size:5} ic {m['rank_ic']:.4f} t {m['rank_ic_t']:.2f} sharpe {m['sharpe']:.2f} net {m['sharpe_net']:.2f} rmse {m['rmse']:.5f} mae {m['mae']:.5f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
