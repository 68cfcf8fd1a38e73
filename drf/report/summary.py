"""What the programs print at their end."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ..evaluation.metrics import METRICS, MORE_METRICS
from ..samples.lagged import Samples
from ..samples.windows import Window


def printed(table: pd.DataFrame) -> str:
    """The main metrics of a comparison as text, errors with five decimals, other numbers with three; then its notes."""
    shown = table[[name for name in table if name not in (*MORE_METRICS, "note")]]
    formats = {name: ("{:.5f}" if name in ("mae", "rmse") else "{:.3f}").format for name in METRICS if name in shown}
    text = shown.to_string(index=False, formatters=formats, na_rep="unknown")
    notes = [f"{row}: {note}" for row, note in zip(table["row"], table["note"], strict=True) if note]
    return "\n".join([text, *notes])


def training_summary(
    table: pd.DataFrame,
    samples: Samples,
    windows: Sequence[Window],
    store: str,
    run_id: str,
    model: str,
    version: str | None,
    absent: Sequence[str],
) -> str:
    """The rows, what was filled, where the runs are, and how to go on."""
    first, last = samples.dates[windows[0].test.start], samples.dates[windows[-1].test.stop - 1]
    cells = samples.x.size / 100
    lines = [
        "",
        printed(table),
        "",
        f"Forecasts made {first.date()} to {last.date()}; returns are decimals a year, of top less bottom quantile.",
        f"Neutral ranks stand for missing values in {samples.missing_values / cells:.2f} % of the inputs, for months "
        f"in which a stock was missing in {samples.missing_months * len(samples.descriptors) / cells:.2f} %.",
        *([f"The panel has been used without {', '.join(absent)} (data.descriptors)."] if absent else []),
        f"Runs: parent {run_id} in {store}",
        f"Look: mlflow ui --backend-store-uri {store}" if store.startswith("sqlite") else f"Look: {store}",
    ]
    if version is not None:
        lines += [
            f"Registered: {model} version {version}. Next: python evaluate.py",
            f'Load the champion: mlflow.pyfunc.load_model("models:/{model}@champion")',
        ]
    return "\n".join(lines)
