"""How surely a panel is told to be of a version's market or of another.

``python benchmarks/market_identity.py [PANEL ...]``: simulated markets, and panels of your own.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from drf.data.panel import RETURN
from drf.data.simulate import SimulatedMarket
from drf.registry.market import MarketComparison, compare_markets

MONTHS, RESTATED, RENAMED = 24, 0.01, 0.05


def lived(history: pd.DataFrame, whole: pd.DataFrame, rng: np.random.Generator) -> list[MarketComparison]:
    """Compare a training's panel with the panel of each of the months after it, restated and renamed ever more."""
    columns = [name for name in whole if name not in ("date", "asset")]
    dates, now, found = sorted(whole["date"].unique()), whole.copy(), []
    for month in dates[-MONTHS:]:
        for name in columns:
            hit = rng.random(len(now)) < RESTATED
            now.loc[hit, name] = rng.permutation(now[name].to_numpy())[hit]
        names = now["asset"].unique()
        chosen = rng.choice(names, int(RENAMED * len(names)), replace=False)
        now["asset"] = now["asset"].replace({name: f"{name}~" for name in chosen})
        found.append(compare_markets(history, now[now["date"] <= month]))
    return found


def summary(title: str, found: list[MarketComparison]) -> dict[str, object]:
    return {
        "pairs": title,
        "compared": len(found),
        "accepted": sum(not one.difference for one in found),
        "stocks, least": min(one.stocks for one in found),
        "returns, least": np.nanmin([one.returns for one in found]),
        "returns, most": np.nanmax([one.returns for one in found]),
    }


def simulated(seed: int, **changes: float) -> pd.DataFrame:
    return SimulatedMarket(stocks=100, months=72, seed=seed, **changes).panel()  # type: ignore[arg-type]


def main(paths: list[str]) -> None:
    rng, lines = np.random.default_rng(0), []
    panels = {"simulated": simulated(0), **{path: pd.read_parquet(path) for path in paths}}
    for title, panel in panels.items():
        panel["asset"] = panel["asset"].astype(str)
        kept = [name for name in panel if name in ("date", "asset", RETURN) or panel[name].dtype.kind == "f"]
        panel = panel[kept]
        last = sorted(panel["date"].unique())[-MONTHS - 1]
        lines.append(summary(f"same, {title}", lived(panel[panel["date"] <= last], panel, rng)))
    others = [compare_markets(simulated(2 * k), simulated(2 * k + 1)) for k in range(50)]
    lines.append(summary("other, simulated by two seeds", others))
    own = list(panels.values())
    across = [compare_markets(a, b) for a in own for b in own if a is not b]
    halves = [compare_markets(*half(panel, rng)) for panel in own]
    if across:
        lines.append(summary("other, one panel and another", across))
    lines.append(summary("other, two halves of one panel", halves))
    names = [compare_markets(panel, shuffled(panel, rng)) for panel in own]
    lines.append(summary("other, names shuffled", names))
    print(pd.DataFrame(lines).round(3).to_string(index=False))


def half(panel: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a market of half the stocks, and one of the other half."""
    names = rng.permutation(panel["asset"].unique())
    first = panel["asset"].isin(names[: len(names) // 2])
    return panel[first], panel[~first]


def shuffled(panel: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    names = panel["asset"].unique()
    return panel.assign(asset=panel["asset"].map(dict(zip(names, rng.permutation(names), strict=True))))


if __name__ == "__main__":
    main(sys.argv[1:])
