"""What a training writes to its runs."""

from __future__ import annotations

import resource
import sys
import time
import warnings
from collections.abc import Mapping, Sequence

import mlflow
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial

from ..comparison.rows import Row, comparison_figures, comparison_table, drivers, row_figures
from ..experiment.config import flatten, left_out
from ..evaluation.contributions import agreement_with_truth, by_factor
from ..evaluation.metrics import annualised_ratio, summarise
from ..evaluation.portfolio import PortfolioRule
from ..comparison.evidence import on_rows
from ..models.family import Family
from ..report.faithfulness import faithfulness_report
from ..report.figures import png
from ..report.html import render
from ..report.page import comparison_report
from ..report.protocol import protocol
from ..tuning.search import MACHINE, returns_of
from ..training.walkforward import Forecasts
from ..samples.lagged import Samples
from ..samples.windows import Window
from .runs import RunLog, RunTree, git_commit

REPORT = "report.html"


def inputs(
    run: RunLog, config: DictConfig, panel: pd.DataFrame, samples: Samples, windows: Sequence[Window], digest: str
) -> None:
    """Log what the run starts from: configuration, data, code, and how much had to be filled."""
    run.params(flatten(config))
    run.text(OmegaConf.to_yaml(config, resolve=True), "config.yaml")
    run.tags({"kind": "comparison", "data_fingerprint": digest, "git_commit": git_commit()})
    if absent := left_out(config, samples.descriptors):
        run.tags({"descriptors_left_out": ",".join(absent)})
    source = str(config.data.get("path") or config.data.source["_target_"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a file may be read in more ways than one
        dataset = mlflow.data.from_pandas(panel, source=source, name="panel", digest=digest)  # type: ignore[attr-defined]
    mlflow.log_input(dataset, context="training")  # to the active run, the parent
    tested = samples.rows(range(windows[0].train.start, windows[-1].test.stop))
    run.metrics(
        {
            "panel_rows": len(panel),
            "panel_months": panel["date"].nunique(),
            "samples": len(samples),
            "test_months": windows[-1].test.stop - windows[0].test.start,
            "neutral_values": samples.missing_values,
            "neutral_lags": samples.missing_months,
            "samples_without_return": int(pd.isna(samples.y[tested]).sum()),
        }
    )


def trial(tree: RunTree, runs: Mapping[str, RunLog], family: Family, done: FrozenTrial, from_earlier_run: bool) -> None:
    """Log a finished trial below its family's plain row."""
    tags = {
        "kind": "trial",
        "family": family.name,
        "state": done.state.name,
        "machine": done.user_attrs.get(MACHINE, "unknown"),
        "from_earlier_run": str(from_earlier_run).lower(),
    }
    run = tree.child(f"{family.name}-trial-{done.number}", tags, below=runs[family.name])
    run.params({f"model.{family.name}.{key}": value for key, value in done.params.items()})
    returns = returns_of(done)
    run.metrics(
        {
            "cv_rmse": done.intermediate_values[max(done.intermediate_values)],
            "sharpe_net": annualised_ratio(returns),
            "periods": len(returns),
        }
    )
    tree.close(run)


def truth(
    runs: Mapping[str, RunLog],
    rows: Sequence[Row],
    known: pd.DataFrame | None,
    factors: Mapping[str, Sequence[str]],
) -> None:
    """Log how well contributions agree with what truly drove the returns, where that is known: if simulated."""
    for row in rows:
        if known is not None and row.relevance is not None:
            agreement = agreement_with_truth(by_factor(row.relevance, factors), known)
            runs[row.name].metrics({f"truth/{factor}": value for factor, value in agreement.items()})


def comparison(
    tree: RunTree,
    runs: Mapping[str, RunLog],
    rows: Sequence[Row],
    families: Sequence[Family],
    forecasts: Mapping[str, tuple[Forecasts, Forecasts]],
    factors: Mapping[str, Sequence[str]],
    rule: PortfolioRule,
) -> tuple[pd.DataFrame, dict[str, bytes]]:
    """Log every row and the comparison of all; return its table, and the rows' figures as ``<row>/<name>``."""
    used = {family.name: family for family in families}
    drawn: dict[str, bytes] = {}
    for row in rows:
        made = {name: png(figure) for name, figure in row_figures(row, factors, rule).items()}
        _row(runs[row.name], row, used[row.family], forecasts[row.family], made, rule)
        drawn |= {f"{row.name}/{name}": figure for name, figure in made.items()}
    table = comparison_table(rows)
    tree.parent.table(table, "comparison.csv")
    return table, drawn


def _row(
    run: RunLog,
    row: Row,
    family: Family,
    forecasts: tuple[Forecasts, Forecasts],
    figures: Mapping[str, bytes],
    rule: PortfolioRule,
) -> None:
    settings = {**family.settings, "seeds": family.seeds}
    run.params({f"model.{family.name}.{key}": value for key, value in settings.items()})
    run.metrics({**row.metrics, "fit_seconds": sum(part.seconds for part in forecasts), "periods": len(row.series)})
    if row.note:
        run.tags({"note": row.note})
    run.monthly(row.series)
    run.table(row.predictions, "predictions.parquet")
    run.table(row.forecast, "forecast.parquet")
    if row.relevance is not None and row.risk is not None:
        run.table(row.relevance, "relevance.parquet")
        run.table(row.risk, "contributions.parquet")
        run.figures(figures)
    if row.carried is not None:
        run.table(row.carried, "carried_forward.parquet")
        run.metrics({f"carried/{name}": value for name, value in summarise(row.carried, rule).items()})
    if row.relevance is not None and len(forecasts[0].audit):
        audit = forecasts[0].audit
        run.table(audit, "faithfulness.parquet")
        run.text(faithfulness_report(row.name, audit), "faithfulness.txt")
        run.metrics({f"faithfulness/{name}": audit[name].mean() for name in audit if name not in ("date", "member")})
    if row.relevance is not None and forecasts[0].explanation is not None:
        run.metrics({f"account/{name}": share for name, share in forecasts[0].explanation.shares().items()})


def evidence(tree: RunTree, runs: Mapping[str, RunLog], tables: Mapping[str, pd.DataFrame]) -> None:
    """Log the tables of :func:`drf.evidence.gather`, and on every row what of them is a number of its own."""
    for name, table in tables.items():
        tree.parent.table(table, f"evidence/{name}.csv")
    for row, values in on_rows(tables).items():
        runs[row].metrics(values)
    tree.parent.metrics({"trials_counted": float(tables["deflated"]["trials"].max())})


def report(
    run: RunLog,
    config: DictConfig,
    samples: Samples,
    windows: Sequence[Window],
    rows: Sequence[Row],
    table: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    of_rows: Mapping[str, bytes],
    factors: Mapping[str, Sequence[str]],
    rule: PortfolioRule,
    simulated: bool,
) -> None:
    """Draw the comparison, and log its figures and the page that shows everything."""
    net = tables["sharpe"].query("returns == 'net'")
    figures = {name: png(figure) for name, figure in comparison_figures(rows, table, net, factors, rule).items()}
    run.figures(figures)
    drives = drivers(rows)
    shown = {name: figure for name, figure in of_rows.items() if drives and name.startswith(f"{drives[0]}/")}
    page = comparison_report(
        table,
        tables,
        drives,
        {**figures, **shown},
        protocol(config, samples, windows, left_out(config, samples.descriptors)),
        simulated,
        100 * samples.missing_values / samples.x.size,
        OmegaConf.to_yaml(config, resolve=True),
        git_commit(),
    )
    run.text(render(page), REPORT)


def resources(tree: RunTree) -> None:
    """Log the seconds since the parent run was opened, and the largest memory of any one of the processes."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    tree.parent.metrics({"seconds": time.perf_counter() - tree.opened, "peak_memory_mb": peak * unit / 2**20})
