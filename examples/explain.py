"""Explain one stock and one portfolio with a registered model, and draw both.

python examples/explain.py panel.parquet S0042 explained/

Needs the champion in the registry (README: the main command); a panel of at least 13 months with the model's
descriptors.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from drf.tracking.store import connect

QUANTILES = 5


def draw_contributions(contributions: pd.Series, title: str) -> Figure:
    """Horizontal bars, largest contribution on top, in basis points a month."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    points = (1e4 * contributions).sort_values(key=abs)
    bars = axes.barh(points.index, points, color=np.where(points >= 0, "#08519c", "#d94801"))
    axes.bar_label(bars, fmt="%.0f", fontsize=8, padding=2)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("basis points a month")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def main(panel_file: str, asset: str, folder: str, name: str = "drf-lstm-lrp") -> None:
    connect()
    model = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    panel = pd.read_parquet(panel_file)
    descriptors = model.predict(panel, params={"detail": "descriptors"})
    newest = descriptors[descriptors["date"] == descriptors["date"].max()].set_index("asset")
    date = newest["date"].iloc[0].date()
    names = [name for name in newest if name not in ("date", "prediction", "bias")]

    stock = newest.loc[asset]
    top = newest[newest["prediction"] >= newest["prediction"].quantile(1 - 1 / QUANTILES)]
    bottom = newest[newest["prediction"] <= newest["prediction"].quantile(1 / QUANTILES)]
    spread = top[names].mean() - bottom[names].mean()

    Path(folder).mkdir(parents=True, exist_ok=True)
    title = f"{asset}, {date}: forecast {1e4 * stock['prediction']:.0f} bp, the sum of these"
    draw_contributions(stock[names].astype(float), title).savefig(Path(folder) / "stock.png", dpi=120)
    title = f"Top less bottom quintile, {date}: forecast {1e4 * spread.sum():.0f} bp, the sum of these"
    draw_contributions(spread, title).savefig(Path(folder) / "portfolio.png", dpi=120)
    print(f"{folder}: stock.png, portfolio.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
