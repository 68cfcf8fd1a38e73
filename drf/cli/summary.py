"""What train.py prints at its end."""

from __future__ import annotations

import pandas as pd

from ..evaluation.metrics import METRICS, MORE_METRICS
from ..experiment.experiment import Experiment


def printed(table: pd.DataFrame) -> str:
    """The main metrics of a comparison as text, errors with five decimals, other numbers with three; then its notes."""
    shown = table[[name for name in table if name not in (*MORE_METRICS, "note")]]
    formats = {name: ("{:.5f}" if name in ("mae", "rmse") else "{:.3f}").format for name in METRICS if name in shown}
    text = shown.to_string(index=False, formatters=formats, na_rep="unknown")
    notes = [f"{row}: {note}" for row, note in zip(table["row"], table["note"], strict=True) if note]
    return "\n".join([text, *notes])


def training_summary(experiment: Experiment, table: pd.DataFrame, store: str, run_id: str, version: str | None) -> str:
    """The rows, what was filled, where the runs are, and how to go on; ``version``: the registered one, if any was."""
    samples, months, absent = experiment.samples, experiment.schedule.test_months, experiment.left_out
    first, last = samples.dates[months.start], samples.dates[months.stop - 1]
    one_per_cent, absent_rows = samples.x.size / 100, samples.missing_months * len(samples.descriptors)
    lines = [
        "",
        printed(table),
        "",
        f"Forecasts made {first.date()} to {last.date()}; returns are decimals a year, of top less bottom quantile.",
        f"Inputs set to the neutral rank: {samples.missing_values / one_per_cent:.2f} % because the descriptor was "
        f"missing, {absent_rows / one_per_cent:.2f} % because the stock had no row that month.",
        *([f"The panel has been used without {', '.join(absent)} (data.descriptors)."] if absent else []),
        f"Runs: parent {run_id} in {store}",
        f"Look: mlflow ui --backend-store-uri {store}" if store.startswith("sqlite") else f"Look: {store}",
    ]
    registry = experiment.config.registry
    if version is None:
        lines.append(
            f"Nothing registered: registry.row={registry.row} is of the family {experiment.registered_row.family}, "
            "which was not trained."
        )
    else:
        lines += [
            f"Registered: {registry.name} version {version}. Next: python evaluate.py",
            f'Load the champion: mlflow.pyfunc.load_model("models:/{registry.name}@champion")',
        ]
    return "\n".join(lines)
