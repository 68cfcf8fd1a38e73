"""Scores of a version's forecasts on months out of sample, and comparisons of two versions."""

import pandas as pd
from mlflow.pyfunc import PyFuncModel

from ..data.panel import KEYS, RETURN
from ..evaluation.hac import hac_mean
from ..evaluation.intervals import sharpe_intervals
from ..evaluation.metrics import monthly_series, summarise
from ..evaluation.portfolio import PortfolioRule, make_weights
from ..evaluation.sharpe import sharpe_evidence
from ..evaluation.trials import Trials
from .history import Restatement
from .loading import forecast
from .training_evidence import Evidence

SCORES = ("sharpe", "sharpe_net", "annual_return", "rank_ic", "rank_ic_t", "max_drawdown", "turnover")

# A month counts only if the version forecast at least this share of the panel's stocks.
_COVERAGE = 0.5


def unseen_forecasts(
    model: PyFuncModel, evidence: Evidence, restated: Restatement, panel: pd.DataFrame
) -> pd.DataFrame:
    """Return a version's out-of-sample forecasts with the panel's current returns.

    Up to the last month of its training these are the recorded walk-forward forecasts, each made by a model that had
    not seen the month. They remain evidence, despite restatements, where the panel is still of the same market. Later
    forecasts are the version's own. Months in which less than half of the panel's stocks were forecast do not count.

    Args:
        restated: The panel compared with the evidence's history.
        panel: In contract form.

    Returns:
        ``date``, ``asset``, ``y_true``, ``y_pred``, ``benchmark``; empty if there is no such month.
    """
    returns = panel[[*KEYS, RETURN]].rename(columns={RETURN: "y_true"})
    returns = returns[returns.groupby("date")["y_true"].transform("count") > 0]
    recorded = evidence.predictions[evidence.predictions["date"].isin(restated.standing)]
    recorded = recorded.assign(asset=recorded["asset"].replace(dict(restated.renamed)))
    parts = [recorded[[*KEYS, "y_pred", "benchmark"]]]
    # If tests were set to end at a date, the training has still seen the months after it.
    last = max(evidence.predictions["date"].max(), pd.Timestamp(evidence.tags["train_last"]))
    if (returns["date"] > last).any():
        own = forecast(model, panel).rename(columns={"prediction": "y_pred"})
        parts.append(own.loc[own["date"] > last, [*KEYS, "y_pred"]].astype({"date": "datetime64[ns]"}))
    forecasts = returns.merge(pd.concat(parts), on=list(KEYS))
    covered = forecasts.groupby("date").size() / returns.groupby("date").size()
    return forecasts[forecasts["date"].map(covered) >= _COVERAGE].reset_index(drop=True)


def score(forecasts: pd.DataFrame, panel: pd.DataFrame, rule: PortfolioRule, trials: Trials) -> pd.Series:
    """Return the scores of a version on its own months; nothing here depends on another version.

    Args:
        forecasts: See :func:`unseen_forecasts`.

    Returns:
        ``months``, the metrics :data:`SCORES`; the interval of the Sharpe ratio after costs (``sharpe_low``,
        ``sharpe_high``); the ``deflated`` ratio; the number of ``trials``, and the number of ``independent`` trials
        that they are equivalent to; ``rank_ic_df``, the degrees of freedom of the rank IC's t-statistic;
        ``better_than_linear``, the probability of a better Sharpe ratio than linear's, NaN without the linear row.
    """
    judged = rule.equip(forecasts, panel)
    series, metrics = monthly_series(judged, rule), summarise(judged, rule)
    net = pd.DataFrame({"version": series["long_short_net"], "linear": _of_benchmark(judged, rule)})
    interval = sharpe_intervals(net[["version"]]).iloc[0]
    deflated = sharpe_evidence(net[["version"]], trials).iloc[0]
    better = _better(net, "version", "linear")
    return pd.Series(
        {
            "months": float(len(series)),
            **{name: metrics[name] for name in SCORES},
            "sharpe_low": interval["low"],
            "sharpe_high": interval["high"],
            "deflated": deflated["deflated"],
            "trials": float(len(trials)),
            "independent": trials.independent,
            "rank_ic_df": hac_mean(series[["rank_ic"]]).loc["rank_ic", "df"],
            "better_than_linear": better,
        },
        dtype=float,
    )


def _of_benchmark(judged: pd.DataFrame, rule: PortfolioRule) -> pd.Series:
    known = judged.dropna(subset=["benchmark"])
    if known.empty:
        return pd.Series(dtype=float)
    return monthly_series(known.assign(y_pred=known["benchmark"]), rule)["long_short_net"]


def better_than(challenger: pd.DataFrame, champion: pd.DataFrame, panel: pd.DataFrame, rule: PortfolioRule) -> float:
    """Return the probability that a challenger's Sharpe ratio after costs exceeds the champion's in their common
    months.

    The challenger's last month is charged for the trades from the champion's portfolio to its own. NaN if there are too
    few months.
    """
    months = set(challenger["date"]) & set(champion["date"])
    if not months:
        return float("nan")
    tables = {
        name: rule.equip(forecasts[forecasts["date"].isin(months)].reset_index(drop=True), panel)
        for name, forecasts in (("challenger", challenger), ("champion", champion))
    }
    net = pd.DataFrame({name: monthly_series(forecasts, rule)["long_short_net"] for name, forecasts in tables.items()})
    weights = {name: make_weights(forecasts, rule).by_month().iloc[-1] for name, forecasts in tables.items()}
    traded = weights["challenger"].sub(weights["champion"], fill_value=0.0).abs().sum()
    net.loc[net.index[-1], "challenger"] -= traded * rule.cost_bps / 1e4
    return _better(net, "challenger", "champion")


def _better(returns: pd.DataFrame, name: str, benchmark: str) -> float:
    table = sharpe_intervals(returns, benchmark)
    return float(table["better"].to_numpy()[list(table["row"]).index(name)])
