"""Evidence behind a comparison: the uncertainty of every number, for all rows on the same months. Tables only."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ..data.calendar import in_force
from ..evaluation.bootstrap import confidence_set, monotonicity, superior_ability
from ..evaluation.hac import hac_mean
from ..evaluation.intervals import sharpe_intervals
from ..evaluation.metrics import summarise, why_not
from ..evaluation.overfitting import overfitting
from ..evaluation.pairs import pairs
from ..evaluation.periods import by_period
from ..evaluation.portfolio import PortfolioRule, exposures, quantile_returns
from ..evaluation.sharpe import sharpe_evidence
from ..evaluation.trials import Trials
from ..evaluation.variants import variants
from ..samples.lagged import Samples, newest_ranks
from .rows import Judging, Row

BENCHMARK = "linear"
TESTED = ("rank_ic", "ic", "long_short", "long_short_net")
NET_INTERVALS = ["low", "high", "difference", "difference_low", "difference_high", "better"]
BY_SEED = ("mae", "rmse", "rank_ic", "sharpe", "sharpe_net")


def gather(
    rows: Sequence[Row],
    judging: Judging,
    trials: Trials,
    studies: Mapping[str, pd.DataFrame],
    periods: Sequence[str] | None,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Return all tables of inference, by the name under which they are logged.

    Args:
        trials: Everything that was tried on the market.
        studies: Family -> its trials' monthly returns on the validation months, one column a trial.
        periods: Dates at which sub-periods of the months begin; None: calendar years.
        seed: Seed of the resampling.

    Returns:
        ``tests``: t-tests of the mean monthly rank IC, IC and long-short return. ``sharpe``: Sharpe ratios before
        (gross) and after (net) costs, with intervals and a comparison with ``linear`` on the same months. ``deflated``:
        probabilistic and deflated ratios after costs. ``confidence_set`` and ``superior_ability``: over squared errors
        and over returns after costs. ``pairs``: every row against every other. ``periods``: results by sub-period.
        ``scales``: promised and earned returns. ``quantiles``: mean returns by quantile and whether they rise.
        ``variants``, ``exposures``, ``seeds``, ``overfitting``.
    """
    rule = judging.rule
    returns = {
        "gross": pd.DataFrame({row.name: row.series["long_short"] for row in rows}),
        "net": pd.DataFrame({row.name: row.series["long_short_net"] for row in rows}),
    }
    losses = {
        "squared error": pd.DataFrame({row.name: row.series["rmse"] ** 2 for row in rows}),
        "return after costs": -returns["net"],
    }
    benchmark = BENCHMARK if BENCHMARK in returns["net"] else None
    return {
        "tests": _tests(rows),
        "sharpe": pd.concat(
            [sharpe_intervals(table, benchmark).assign(returns=kind) for kind, table in returns.items()],
            ignore_index=True,
        ),
        "deflated": sharpe_evidence(returns["net"], trials),
        "confidence_set": pd.concat(
            [confidence_set(table, seed=seed).assign(by=kind) for kind, table in losses.items()], ignore_index=True
        ),
        "superior_ability": pd.concat(
            [superior_ability(table, benchmark, seed=seed).assign(by=kind) for kind, table in losses.items()]
            if benchmark
            else [pd.DataFrame([{"note": f"cannot be estimated, because there is no row {BENCHMARK}"}])],
            ignore_index=True,
        ),
        "pairs": pairs({row.name: row.series for row in rows}),
        "periods": by_period({row.name: row.judged for row in rows}, rule, periods),
        "scales": _scales(rows),
        "quantiles": pd.concat([_quantiles(row, rule, seed) for row in rows], ignore_index=True),
        "variants": variants({row.name: row.predictions for row in rows}, judging.panel, rule),
        "exposures": _exposures(rows, judging.samples),
        "seeds": by_seed(rows, rule),
        "overfitting": overfitting(dict(studies)),
    }


def _tests(rows: Sequence[Row]) -> pd.DataFrame:
    parts = [
        hac_mean(row.series[list(TESTED)]).rename_axis("series").reset_index().assign(row=row.name) for row in rows
    ]
    return pd.concat(parts, ignore_index=True).pipe(lambda table: table[["row", *table.columns.drop("row")]])


def _scales(rows: Sequence[Row]) -> pd.DataFrame:
    """Return every row's R² and its promised and earned annual long-short return, raw and shrunk."""
    return pd.DataFrame(
        [
            {
                "row": row.name,
                "scale_mean": row.scale.mean(),
                "scale_newest": row.newest_scale,
                **{name: row.metrics[name] for name in ("r2_raw", "r2", "promised_return_raw", "promised_return")},
                "earned_return": row.metrics["annual_return"],
            }
            for row in rows
        ]
    )


def _quantiles(row: Row, rule: PortfolioRule, seed: int) -> pd.DataFrame:
    monthly = quantile_returns(row.judged, rule)
    tested = hac_mean(monthly)
    rise = monotonicity(monthly, seed=seed).iloc[0]
    return pd.DataFrame(
        {
            "row": row.name,
            "quantile": monthly.columns,
            "annual_return": tested["mean"].to_numpy(dtype=float) * in_force().periods_a_year,
            "t": tested["t"].to_numpy(),
            "smallest_step": rise["smallest_step"] * in_force().periods_a_year,
            "p_not_rising": rise["p"],
            "note": [rise["note"] or note for note in tested["note"]],
        }
    )


def _exposures(rows: Sequence[Row], samples: Samples) -> pd.DataFrame:
    """Return the mean exposures over the months: one line per descriptor, one column per model row."""
    found = {row.name: exposures(row.weights, newest_ranks(samples, row.predictions)).mean() for row in rows}
    return pd.DataFrame(found).rename_axis("descriptor").reset_index()


def by_seed(rows: Sequence[Row], rule: PortfolioRule) -> pd.DataFrame:
    """Return the metrics of each seed: one line per row and seed, then ``mean`` and ``sd`` over the seeds."""
    parts = []
    for row in rows:
        if len(row.by_seed) < 2:
            continue
        each = [summarise(row.judged.assign(y_pred=forecast), rule) for forecast in row.by_seed]
        table = pd.DataFrame(each)[list(BY_SEED)]
        table = pd.concat([table, table.agg(["mean", "std"]).rename(index={"std": "sd"})])
        table["note"] = [why_not(dict(zip(BY_SEED, line, strict=True)), len(row.series)) for line in table.to_numpy()]
        parts.append(table.rename_axis("seed").reset_index().assign(row=row.name))
    if not parts:
        return pd.DataFrame(columns=["row", "seed", *BY_SEED, "note"])
    return pd.concat(parts, ignore_index=True)[["row", "seed", *BY_SEED, "note"]].astype({"seed": str})


def on_rows(evidence: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, float]]:
    """Return every row's own metrics from the evidence: row -> ``evidence/<name>`` -> number."""
    net = evidence["sharpe"].query("returns == 'net'").set_index("row").reindex(columns=NET_INTERVALS)
    deflated = evidence["deflated"].set_index("row")[["probabilistic", "deflated", "min_track_record"]]
    spread = evidence["seeds"].query("seed == 'sd'").set_index("row")[list(BY_SEED)].add_suffix("_sd_of_seeds")
    table = net.add_prefix("sharpe_net_").join([deflated, spread]).add_prefix("evidence/").astype(float)
    return {str(row): {str(k): float(v) for k, v in values.dropna().items()} for row, values in table.iterrows()}
