"""What came true of what was issued, beside what the backtest promised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..data.panel import KEYS, RETURN, SECTOR
from ..errors import InputError
from ..evaluation.attributes import equipped
from ..evaluation.bootstrap import cumulated_band
from ..evaluation.metrics import monthly_series, rank_ic
from ..evaluation.portfolio import PortfolioRule
from ..samples.ranks import cross_sectional_ranks
from .alarm import ALPHA, LEAST_MONTHS, evidence_against, shortfalls
from .issues import Issue, Issued
from .orders import turnover

WATCHED = ("rank_ic", "net")

_COVERAGE = 0.5
"""A month has come true once the returns of at least this share of the stocks that were forecast are known."""


def promise_of(predictions: pd.DataFrame, panel: pd.DataFrame, rule: PortfolioRule) -> pd.DataFrame:
    """What a version's backtest showed month by month, of the forecasts that it takes along.

    Parameters
    ----------
    predictions
        See :class:`drf.registry.evidence.Evidence`.
    panel
        In contract form; it gives what the rule needs beside the forecasts.

    Returns
    -------
    One row a month: ``rank_ic``, ``gross``, ``net``, ``turnover``; none if the panel cannot give what the rule needs.
    """
    try:
        judged = equipped(predictions, panel, rule)
    except InputError:
        judged = predictions.iloc[:0]
    if judged.empty:
        return pd.DataFrame(columns=["rank_ic", "gross", "net", "turnover"], dtype=float)
    series = monthly_series(judged, rule)
    names = {"rank_ic": "rank_ic", "long_short": "gross", "long_short_net": "net", "turnover": "turnover"}
    return series[list(names)].rename(columns=names).dropna()


def came_true(issued: Sequence[Issued], panel: pd.DataFrame) -> pd.DataFrame:
    """One row an issue whose returns the panel knows by now.

    Parameters
    ----------
    panel
        In contract form, with ``ret_next``.

    Returns
    -------
    ``month``, ``version``, ``recipe``, ``role``, ``afterwards``; ``rank_ic``; ``gross``, ``net`` and ``turnover`` of
    the issued weights, decimals a month; ``promised``, the forecast of ``gross``; ``hit``, 1 where gross is above 0;
    ``unknown``, stocks that were held and whose return is not known: it counts as 0.
    """
    months = {pd.Timestamp(str(date)): part.set_index("asset")[RETURN] for date, part in panel.groupby("date")}
    lines = [_outcome(one, months[one.issue.month]) for one in issued if one.issue.month in months]
    known = [line for line in lines if line is not None]
    return pd.DataFrame(known, columns=list(_COLUMNS)).astype(_COLUMNS)


_COLUMNS: dict[str, Any] = {
    "month": "datetime64[ns]", "version": object, "recipe": object, "role": object, "afterwards": bool,
    "rank_ic": float, "gross": float, "net": float, "turnover": float, "promised": float, "hit": float, "unknown": int,
}  # fmt: skip


def _outcome(one: Issued, returns: pd.Series) -> dict[str, object] | None:
    orders, issue = one.orders, one.issue
    y = returns.reindex(orders["asset"]).to_numpy()
    forecast = orders["prediction"].notna().to_numpy()
    known = forecast & ~np.isnan(y)
    if known.sum() < _COVERAGE * forecast.sum():
        return None
    made = orders.loc[known, ["date", "prediction"]].rename(columns={"prediction": "y_pred"}).assign(y_true=y[known])
    weight, traded = orders["weight"].to_numpy(), orders["trade"].abs().sum()
    gross = float(np.nansum(weight * y))
    return {
        "month": issue.month,
        "version": issue.version,
        "recipe": issue.recipe,
        "role": issue.role,
        "afterwards": issue.afterwards,
        "rank_ic": float(rank_ic(made).iloc[0]),
        "gross": gross,
        "net": gross - float(traded) * issue.cost_bps / 1e4,
        "turnover": turnover(orders),
        "promised": float(np.nansum(weight * orders["prediction"].to_numpy(dtype=float))),
        "hit": float(gross > 0),
        "unknown": int((np.isnan(y) & (weight != 0)).sum()),
    }


@dataclass(frozen=True)
class Live:
    """A recipe's months in charge beside its promise.

    Attributes
    ----------
    months
        One row a month that came true, as :func:`came_true`, with ``cumulated`` (of ``net``), what the promise would
        have it be (``cumulated_promised``, ``cumulated_low``, ``cumulated_high``: the middle 90 % of paths drawn from
        the backtest's months), and ``evidence`` that the promise is not kept.
    promise
        What the backtest showed, month by month.
    since
        The first month issued under the recipe.
    """

    months: pd.DataFrame
    promise: pd.DataFrame
    since: pd.Timestamp

    @property
    def is_watched(self) -> bool:
        """Whether the backtest has enough months to promise anything."""
        return len(self.promise) >= LEAST_MONTHS

    @property
    def evidence(self) -> float:
        """Against the promise, now."""
        known = self.months["evidence"].dropna()
        return float(known.iloc[-1]) if len(known) else float("nan")

    @property
    def alarm(self) -> bool:
        return bool(self.evidence >= 1 / ALPHA)

    @property
    def raised(self) -> list[str]:
        """The months in which the alarm stood."""
        return [f"{month:%Y-%m}" for month in self.months.loc[self.months["evidence"] >= 1 / ALPHA, "month"]]


def live_record(issued: Sequence[Issued], outcomes: pd.DataFrame) -> Live | None:
    """The newest recipe's months beside what it promised when it was first issued; None if nothing was issued.

    Refreshes of a recipe do not renew its promise, or it would fade away with the signal.

    Parameters
    ----------
    issued
        Of one role, by month.
    outcomes
        As :func:`came_true` returned them, of any.
    """
    if not issued:
        return None
    recipe, first = issued[-1].issue.recipe, len(issued) - 1
    while first and issued[first - 1].issue.recipe == recipe:
        first -= 1
    since, promise = issued[first].issue.month, issued[first].promise
    mine = outcomes["role"].eq(issued[-1].issue.role) & outcomes["recipe"].eq(recipe) & outcomes["month"].ge(since)
    months = outcomes[mine & ~outcomes["afterwards"]].reset_index(drop=True)
    return Live(_beside(months, promise), promise, since)


def _beside(months: pd.DataFrame, promise: pd.DataFrame) -> pd.DataFrame:
    months = months.assign(cumulated=months["net"].cumsum(), evidence=_evidence(months, promise))
    ends = {"mean": "cumulated_promised", "low": "cumulated_low", "high": "cumulated_high"}
    if months.empty or len(promise) < LEAST_MONTHS:
        return months.assign(**dict.fromkeys(ends.values(), np.nan))
    band = cumulated_band(promise[["net"]], len(months))
    return months.assign(**{name: band["net", end].to_numpy() for end, name in ends.items()})


def _evidence(months: pd.DataFrame, promise: pd.DataFrame) -> np.ndarray:
    """The mean evidence against the mean rank IC and the mean net return; NaN where nothing was promised."""
    short = [shortfalls(months[name], promise[name]) for name in WATCHED]
    watched = [evidence_against(values) for values in short if values is not None]
    return np.mean(watched, axis=0) if watched else np.full(len(months), np.nan)


def contributions_of(issued: Sequence[Issued]) -> pd.DataFrame:
    """What each factor adds to the forecast of the issued portfolios: one row a month, decimals a month."""
    rows = {}
    for one in issued:
        table = one.orders.loc[:, "prediction":"bias"].drop(columns=["prediction", "bias"])
        rows[one.issue.month] = table.mul(one.orders["weight"], axis=0).sum()
    return pd.DataFrame.from_dict(rows, orient="index")


def exposures_of(issued: Sequence[Issued], panel: pd.DataFrame) -> pd.DataFrame:
    """Mean rank of the long less that of the short side of the issued portfolios: one row a month, in [-2, 2].

    ``panel``: in contract form; ranks are taken over the stocks that were forecast.
    """
    names = [str(name) for name in panel if name not in (*KEYS, RETURN, SECTOR)]
    rows = {}
    for one in issued:
        here = one.orders[["date", "asset", "weight"]].merge(panel[[*KEYS, *names]], on=list(KEYS))
        if len(here):
            rows[one.issue.month] = cross_sectional_ranks(here, names).mul(here["weight"], axis=0).sum()
    return pd.DataFrame.from_dict(rows, orient="index")


def drift(by_month: pd.DataFrame, months: int = 12) -> pd.DataFrame:
    """The newest month's numbers beside those of up to ``months`` before it.

    Returns
    -------
    One row a column: ``now``, ``before`` (mean), ``low``, ``high``; the last three are NaN in the first month.
    """
    earlier = by_month.iloc[:-1].tail(months)
    return pd.DataFrame(
        {"now": by_month.iloc[-1], "before": earlier.mean(), "low": earlier.min(), "high": earlier.max()}
    )


def issues_of_role(issued: Sequence[Issued], role: str, version: str | None = None) -> list[Issued]:
    """Those of one role; of a shadow, those of one version."""
    return [one for one in issued if one.issue.role == role and version in (None, one.issue.version)]


def not_issued(issues: Sequence[Issue], panel: pd.DataFrame) -> list[str]:
    """The panel's months since the first issue for which nothing was issued, without the newest."""
    if not issues:
        return []
    dates = panel["date"].drop_duplicates()
    between = dates[(dates > issues[0].month) & (dates < dates.max())]
    there = {issue.month for issue in issues}
    return [f"{date:%Y-%m}" for date in between.sort_values() if date not in there]
