"""Rows on the Japanese panel beside a benchmark row of the same months, with intervals, as Markdown tables.

python train.py experiment=japan data.path=PANEL.parquet
python benchmarks/japan.py japan                   # against linear, development and opened months apart
python benchmarks/japan.py japan lstm_lrp          # against the deep recurrent factor model
python benchmarks/japan.py japan-search base       # the search's candidates

Trials are those of all experiments of the store whose name begins with japan.
"""

from __future__ import annotations

import sys

import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Run
from scipy import stats

from drf.evaluation.bootstrap import sharpe_intervals
from drf.evaluation.hac import hac_mean
from drf.evaluation.metrics import monthly_series
from drf.evaluation.portfolio import PortfolioRule
from drf.evaluation.sharpe import sharpe_evidence
from drf.models.family import ROWS
from drf.tracking.store import connect
from drf.tracking.trials import trials_of

RULE = PortfolioRule(quantiles=5, cost_bps=10)
OPENED = pd.Timestamp("2017-12-31")  # forecasts made from here on are for the opened months


def series_of(experiment: str) -> dict[int, dict[str, pd.DataFrame]]:
    """The newest finished rows of an experiment: universe -> name -> monthly series."""
    client = mlflow.MlflowClient()
    identity = client.get_experiment_by_name(experiment).experiment_id
    found: dict[int, dict[str, pd.DataFrame]] = {}
    for run in reversed(client.search_runs([identity], "tags.kind = 'row'", max_results=5000)):  # oldest first
        parent = client.get_run(run.data.tags["mlflow.parentRunId"])
        if parent.info.status != "FINISHED":
            continue
        name, universe = run.data.tags["mlflow.runName"].partition("@")[0], universe_of(run, parent)
        forecasts = pd.read_parquet(client.download_artifacts(run.info.run_id, "predictions.parquet"))
        found.setdefault(universe, {})[name] = monthly_series(forecasts, RULE)
    return dict(sorted(found.items()))


def universe_of(run: Run, parent: Run) -> int:
    """The search keeps both universes below one parent."""
    return int(run.data.params.get("universe") or parent.data.params["data.universe"])


def table(rows: dict[str, pd.DataFrame], benchmark: str, trials: pd.DataFrame) -> pd.DataFrame:
    """One line a row; Sharpe ratios a year, differences to the benchmark on the same months."""
    net = pd.DataFrame({name: series["long_short_net"] for name, series in rows.items()})
    gross = pd.DataFrame({name: series["long_short"] for name, series in rows.items()})
    ranks = pd.DataFrame({name: series["rank_ic"] for name, series in rows.items()})
    errors = pd.DataFrame({name: series["rmse"] ** 2 for name, series in rows.items()})
    ahead = hac_mean(ranks.sub(ranks[benchmark], axis=0))
    reach = stats.t.ppf(0.975, ahead["df"].astype(float)) * ahead["se"].astype(float)
    intervals = sharpe_intervals(net, benchmark).set_index("row")
    deflated = sharpe_evidence(net, trials).set_index("row")
    lines = []
    for name in rows:
        line = intervals.loc[name]
        gap = [line[part] for part in ("difference", "difference_low", "difference_high")]
        other = name != benchmark
        lines.append(
            {
                "row": name,
                "rank IC": f"{ranks[name].mean():.4f}",
                "difference": spread(ahead.loc[name, "mean"], reach[name], 4) if other else "",
                "Sharpe": f"{ratio(gross[name]):.2f}",
                "net": f"{line['sharpe']:.2f} [{line['low']:.2f}, {line['high']:.2f}]",
                "difference ": "{:+.2f} [{:+.2f}, {:+.2f}]".format(*gap) if other else "",
                "deflated": f"{deflated.loc[name, 'deflated']:.2f}",
                "MAE": f"{rows[name]['mae'].mean():.5f}",
                "RMSE": f"{np.sqrt(errors[name].mean()):.5f}",
            }
        )
    return pd.DataFrame(lines)


def spread(middle: float, reach: float, digits: int) -> str:
    return f"{middle:+.{digits}f} [{middle - reach:+.{digits}f}, {middle + reach:+.{digits}f}]"


def ratio(returns: pd.Series) -> float:
    return float(returns.mean() / returns.std() * np.sqrt(12))


def markdown(lines: pd.DataFrame) -> str:
    head = [list(lines.columns), ["---"] * lines.shape[1]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [*head, *lines.to_numpy().tolist()])


def main() -> None:
    experiment, benchmark = sys.argv[1], (sys.argv[2:] or ["linear"])[0]
    connect(experiment)
    trials = trials_of([one.experiment_id for one in mlflow.search_experiments() if one.name.startswith("japan")])
    order = [name for names in ROWS.values() for name in names]
    for universe, rows in series_of(experiment).items():
        known = {name: rows[name] for name in sorted(rows, key=lambda n: order.index(n) if n in order else -1)}
        for title, opened in (("development", False), ("opened", True)):
            part = {name: series[(series.index >= OPENED) == opened] for name, series in known.items()}
            months = part[benchmark].index
            if not len(months):
                continue
            print(f"\n**{universe} largest, {title} months**: {len(months)} forecasts, made at the ends of", end=" ")
            print(f"{months[0]:%Y-%m} to {months[-1]:%Y-%m}; {len(trials)} trials in the store\n")
            print(markdown(table(part, benchmark, trials)))


if __name__ == "__main__":
    main()
