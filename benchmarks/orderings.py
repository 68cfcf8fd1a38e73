"""The rows averaged over all finished comparisons of an experiment, as a Markdown table.

python train.py -m data.seed=0,1,2,3,4 tracking.experiment=five registry.name=five
python benchmarks/orderings.py five
"""

from __future__ import annotations

import sys

import mlflow
import pandas as pd

from drf.models.catalogue import ROWS
from drf.tracking.store import connect

SHOWN = {
    "rmse": "{:.5f}",
    "r2": "{:.2%}",
    "r2_raw": "{:.2%}",
    "annual_return": "{:.3f}",
    "promised_return": "{:.3f}",
    "promised_return_raw": "{:.3f}",
    "sharpe": "{:.2f}",
    "sharpe_net": "{:.2f}",
    "rank_ic": "{:.3f}",
}


def finished_rows(experiment: str) -> pd.DataFrame:
    """One line a row run whose parent finished: ``row``, ``parent``, and the metrics shown."""
    parents = mlflow.search_runs(
        experiment_names=[experiment], filter_string="tags.kind = 'comparison' and attributes.status = 'FINISHED'"
    )
    rows = mlflow.search_runs(experiment_names=[experiment], filter_string="tags.kind = 'row'", max_results=10_000)
    rows = rows[rows["tags.mlflow.parentRunId"].isin(parents["run_id"])]
    named = {"tags.mlflow.runName": "row", "tags.mlflow.parentRunId": "parent"}
    return rows.rename(columns={**named, **{f"metrics.{name}": name for name in SHOWN}})


def markdown(rows: pd.DataFrame) -> str:
    """Mean of every metric by row, and how often each row's Sharpe was above linear's."""
    means = rows.groupby("row")[list(SHOWN)].mean()
    sharpe = rows.pivot(index="parent", columns="row", values="sharpe")
    order = [row.name for row in ROWS if row.name in means.index]
    lines = ["| row | " + " | ".join(SHOWN) + " | Sharpe above linear's |", "|---" * (len(SHOWN) + 2) + "|"]
    for name in order:
        cells = [text.format(means.loc[name, metric]) for metric, text in SHOWN.items()]
        above = f"{int((sharpe[name] > sharpe['linear']).sum())} of {len(sharpe)}" if name != "linear" else ""
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {above} |")
    return "\n".join(lines)


if __name__ == "__main__":
    connect()
    print(markdown(finished_rows(sys.argv[1])))
