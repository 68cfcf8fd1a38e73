"""Rows on the Japanese panel beside a benchmark row of the same months, with intervals, as Markdown tables.

python train.py experiment=japan data.path=PANEL.parquet
python benchmarks/japan.py japan                   # against linear, development and opened months apart
python benchmarks/japan.py japan lstm_lrp          # against the deep recurrent factor model
python benchmarks/japan.py japan-search base search.png         # the search's candidates, and a picture of them

Trials are those of all experiments of the store whose name begins with japan.
"""

from __future__ import annotations

import argparse

import mlflow
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Run
from scipy import stats

from drf.evaluation.hac import hac_mean
from drf.evaluation.intervals import sharpe_intervals
from drf.evaluation.metrics import monthly_series
from drf.evaluation.portfolio import PortfolioRule
from drf.evaluation.sharpe import sharpe_evidence
from drf.evaluation.trials import Trials
from drf.models.catalogue import ROWS
from drf.tracking.searches import trials_on
from drf.tracking.store import connect

RULE = PortfolioRule(quantiles=5, cost_bps=10)
OPENED = pd.Timestamp("2017-12-31")  # forecasts made from here on are for the opened months


def series_of(experiment: str) -> dict[int, dict[str, pd.DataFrame]]:
    """The newest finished rows of an experiment: universe -> name -> monthly series, with sums of squares beside."""
    client = mlflow.MlflowClient()
    identity = client.get_experiment_by_name(experiment).experiment_id
    found: dict[int, dict[str, pd.DataFrame]] = {}
    for run in reversed(client.search_runs([identity], "tags.kind = 'row'", max_results=5000)):  # oldest first
        parent = client.get_run(run.data.tags["mlflow.parentRunId"])
        if parent.info.status != "FINISHED":
            continue
        name, universe = run.data.tags["mlflow.runName"].partition("@")[0], universe_of(run, parent)
        forecasts = pd.read_parquet(client.download_artifacts(run.info.run_id, "predictions.parquet"))
        found.setdefault(universe, {})[name] = monthly_series(forecasts, RULE).join(_squares(forecasts))
    return dict(sorted(found.items()))


def _squares(forecasts: pd.DataFrame) -> pd.DataFrame:
    """By month: squared errors of forecasts as they are spread, and as said (where that is known), and of nothing."""
    said = forecasts.get("y_pred_raw", forecasts["y_pred"])
    parts = {
        "error": (forecasts["y_pred"] - forecasts["y_true"]) ** 2,
        "error_raw": (said - forecasts["y_true"]) ** 2,
        "nothing": forecasts["y_true"] ** 2,
    }
    sums = pd.DataFrame(parts).groupby(forecasts["date"]).sum()
    spread = (said - said.groupby(forecasts["date"]).transform("mean")).abs().groupby(forecasts["date"]).sum()
    kept = forecasts["y_pred"] - forecasts["y_pred"].groupby(forecasts["date"]).transform("mean")
    return sums.assign(scale=kept.abs().groupby(forecasts["date"]).sum() / spread)


def universe_of(run: Run, parent: Run) -> int:
    """The search keeps both universes below one parent."""
    return int(run.data.params.get("universe") or parent.data.params["data.universe"])


def measured(rows: dict[str, pd.DataFrame], benchmark: str, trials: Trials) -> pd.DataFrame:
    """One line a row; Sharpe ratios a year, differences to the benchmark on the same months."""
    gross, net, ranks, error = (
        pd.DataFrame({name: series[column] for name, series in rows.items()})
        for column in ("long_short", "long_short_net", "rank_ic", "rmse")
    )
    ahead = hac_mean(ranks.sub(ranks[benchmark], axis=0))
    reach = stats.t.ppf(0.975, ahead["df"].astype(float)) * ahead["se"].astype(float)
    return (
        sharpe_intervals(net, benchmark)
        .reindex(columns=["row", "sharpe", "low", "high", "difference", "difference_low", "difference_high"])
        .set_index("row")
        .rename(columns={"sharpe": "net"})
        .assign(
            sharpe=gross.mean() / gross.std() * np.sqrt(12),
            rank_ic=ranks.mean(),
            rank_ic_ahead=ahead["mean"],
            rank_ic_reach=reach,
            deflated=sharpe_evidence(net, trials).set_index("row")["deflated"],
            mae=pd.Series({name: series["mae"].mean() for name, series in rows.items()}),
            rmse=np.sqrt((error**2).mean()),
            r2=pd.Series({name: 1 - of["error"].sum() / of["nothing"].sum() for name, of in rows.items()}),
            r2_raw=pd.Series({name: 1 - of["error_raw"].sum() / of["nothing"].sum() for name, of in rows.items()}),
            earned=gross.mean() * 12,
            promised=pd.Series({name: of["promised"].mean() * 12 for name, of in rows.items()}),
            promised_raw=pd.Series({name: (of["promised"] / of["scale"]).mean() * 12 for name, of in rows.items()}),
        )
    )


def markdown(table: pd.DataFrame, benchmark: str) -> str:
    head = ["row", "rank IC", "difference", "Sharpe", "net of costs", "difference", "deflated", "MAE", "R²", "as said"]
    head += ["earned", "promised", "as said"]
    lines = [head, ["---"] * len(head)]
    for name, of in table.iterrows():
        other = name != benchmark
        ends = of["rank_ic_ahead"] - of["rank_ic_reach"], of["rank_ic_ahead"] + of["rank_ic_reach"]
        lines.append(
            [
                str(name),
                f"{of['rank_ic']:.4f}",
                f"{of['rank_ic_ahead']:+.4f}{_span(*ends)}" if other else "",
                f"{of['sharpe']:.2f}",
                f"{of['net']:.2f} [{of['low']:.2f}, {of['high']:.2f}]",
                f"{of['difference']:+.2f} [{of['difference_low']:+.2f}, {of['difference_high']:+.2f}]" if other else "",
                f"{of['deflated']:.2f}",
                f"{of['mae']:.5f}",
                f"{of['r2']:.2%}",
                f"{of['r2_raw']:.2%}",
                f"{of['earned']:.1%}",
                f"{of['promised']:.1%}",
                f"{of['promised_raw']:.1%}",
            ]
        )
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _span(low: float, high: float) -> str:
    return "" if np.isnan(low) else f" [{low:+.4f}, {high:+.4f}]"


def draw(tables: dict[int, pd.DataFrame], benchmark: str, file: str) -> None:
    """Differences in the Sharpe ratio after costs with their intervals, a panel for each universe."""
    rows = [name for name in next(iter(tables.values())).index if name != benchmark]
    figure = Figure(figsize=(10, 1 + 0.26 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for axes, (universe, table) in zip(panels, tables.items(), strict=True):
        of = table.loc[rows]
        axes.axvline(0, color="black", linewidth=0.8)
        axes.hlines(rows, of["difference_low"], of["difference_high"], color="#08519c")
        axes.plot(of["difference"], rows, "o", color="#08519c", markersize=4)
        axes.set_title(f"{universe} largest", fontsize=10)
        axes.set_xlabel(f"Sharpe ratio after costs, less that of {benchmark}; 95 %", fontsize=8)
        axes.tick_params(labelsize=8)
    panels[0].invert_yaxis()
    figure.savefig(file, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment")
    parser.add_argument("benchmark", nargs="?", default="linear")
    parser.add_argument("picture", nargs="?")
    arguments = parser.parse_args()
    experiment, benchmark = arguments.experiment, arguments.benchmark
    connect()
    trials = trials_on(None)
    order = [row.name for row in ROWS]
    tables = {}
    for universe, rows in series_of(experiment).items():
        different = pd.DataFrame({name: series["rmse"] for name, series in rows.items()}).T.drop_duplicates().index
        known = {name: rows[name] for name in sorted(different, key=lambda n: order.index(n) if n in order else -1)}
        for title, opened in (("development", False), ("opened", True)):
            part = {name: series[(series.index >= OPENED) == opened] for name, series in known.items()}
            months = part[benchmark].index
            if not len(months):
                continue
            print(f"\n**{universe} largest, {title} months**: {len(months)} forecasts, made at the ends of", end=" ")
            print(f"{months[0]:%Y-%m} to {months[-1]:%Y-%m}; {len(trials)} trials in the store\n")
            table = measured(part, benchmark, trials)
            print(markdown(table, benchmark))
            tables.setdefault(universe, table)
    if arguments.picture:
        draw(tables, benchmark, arguments.picture)


if __name__ == "__main__":
    main()
