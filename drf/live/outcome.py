"""Outcomes of issued portfolios, compared with the backtest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..data.calendar import named
from ..data.panel import KEYS, RETURN, SECTOR
from ..errors import InputError
from ..evaluation.bootstrap import cumulated_band
from ..evaluation.metrics import monthly_series, rank_ic
from ..evaluation.portfolio import PortfolioRule
from ..samples.transforms import ranks_of_date
from .alarm import ALPHA, LEAST_MONTHS, evidence_against, promised_mean, shortfalls
from .issues import Issue, Issued
from .orders import turnover

WATCHED = ("rank_ic", "net")

_COVERAGE = 0.5
"""Share of the forecast stocks whose returns must be known before a month counts as realised."""


def promise_of(
    predictions: pd.DataFrame, panel: pd.DataFrame, rule: PortfolioRule, trials: float = 1.0
) -> pd.DataFrame:
    """Return the monthly backtest of a version, from its recorded forecasts.

    Args:
        predictions: See :class:`drf.registry.training_evidence.Evidence`.
        panel: Panel in contract form; it supplies what the rule needs besides the forecasts.
        trials: Number of independent trials examined before the version was chosen.

    Returns:
        One row a month: ``rank_ic``, ``gross``, ``net``, ``turnover``, and ``trials``; no rows if the panel lacks what
        the rule needs.
    """
    try:
        judged = rule.equip(predictions, panel)
    except InputError:
        judged = predictions.iloc[:0]
    if judged.empty:
        return pd.DataFrame(columns=["rank_ic", "gross", "net", "turnover", "trials"], dtype=float)
    series = monthly_series(judged, rule)
    names = {"rank_ic": "rank_ic", "long_short": "gross", "long_short_net": "net", "turnover": "turnover"}
    return series[list(names)].rename(columns=names).dropna().assign(trials=trials)


def came_true(issued: Sequence[Issued], panel: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each issue whose returns the panel knows.

    Args:
        panel: In contract form, with ``ret_next``.

    Returns:
        ``month``, ``version``, ``recipe``, ``role``, ``afterwards``; ``rank_ic``; ``gross``, ``net`` and ``turnover``
        of the issued weights, decimals a month; ``promised``, the forecast of ``gross``; ``hit``, 1 where gross is
        above 0; ``unknown``, the number of held stocks whose return is unknown and counts as 0.
    """
    months = {pd.Timestamp(str(date)): part.set_index("asset")[RETURN] for date, part in panel.groupby("date")}
    lines = [
        _outcome(issued_month, months[issued_month.issue.month])
        for issued_month in issued
        if issued_month.issue.month in months
    ]
    known = [line for line in lines if line is not None]
    return pd.DataFrame(known, columns=list(_COLUMNS)).astype(_COLUMNS)


_NOTICEABLE = 1e-4
"""Smallest change of a month's net return that is reported, in decimals a month."""


def restated_outcomes(before: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """Return a sentence for each month whose outcome has changed since it was last checked.

    ``before``: ``month``, ``role``, ``version`` and ``net`` of an earlier table of :func:`came_true`.
    """
    keys = ["month", "role", "version"]
    kinds: dict[str, Any] = {"month": "datetime64[ns]", "role": str, "version": str}
    both = now.astype(kinds).merge(before[[*keys, "net"]], on=keys, suffixes=("", "_before"))
    moved = both[(both["net"] - both["net_before"]).abs() > _NOTICEABLE]
    return [
        f"what came true of {named(line['month'])} has changed: net {line['net']:+.2%}, and was "
        f"{line['net_before']:+.2%}: the panel's returns were restated"
        for _, line in moved.iterrows()
    ]


_COLUMNS: dict[str, Any] = {
    "month": "datetime64[ns]", "version": object, "recipe": object, "role": object, "afterwards": bool,
    "rank_ic": float, "gross": float, "net": float, "turnover": float, "promised": float, "hit": float, "unknown": int,
}  # fmt: skip


def _outcome(issued: Issued, returns: pd.Series) -> dict[str, object] | None:
    orders, issue = issued.orders, issued.issue
    y = returns.reindex(orders["asset"]).to_numpy()
    forecast = orders["prediction"].notna().to_numpy()
    known = forecast & ~np.isnan(y)
    if known.sum() < _COVERAGE * forecast.sum():
        return None
    forecasts = (
        orders.loc[known, ["date", "prediction"]].rename(columns={"prediction": "y_pred"}).assign(y_true=y[known])
    )
    weight, traded = orders["weight"].to_numpy(), orders["trade"].abs().sum()
    gross = float(np.nansum(weight * y))
    return {
        "month": issue.month,
        "version": issue.version,
        "recipe": issue.recipe,
        "role": issue.role,
        "afterwards": issue.afterwards,
        "rank_ic": float(rank_ic(forecasts).iloc[0]),
        "gross": gross,
        "net": gross - float(traded) * issue.cost_bps / 1e4,
        "turnover": turnover(orders),
        "promised": float(np.nansum(weight * orders["prediction"].to_numpy(dtype=float))),
        "hit": float(gross > 0),
        "unknown": int((np.isnan(y) & (weight != 0)).sum()),
    }


@dataclass(frozen=True)
class Live:
    """Live months of a recipe with its promise.

    Attributes:
        months: One row for each month whose returns are known, as :func:`came_true`, with ``cumulated`` (the cumulative
            ``net``), its expected value (``cumulated_promised``, see :func:`~.alarm.promised_mean`) and its 90 % range
            under the backtest (``cumulated_low``, ``cumulated_high``). Further columns hold the evidence that neither
            promise is kept (``evidence``) and the evidence against each (``evidence_rank_ic``, ``evidence_net``).
        promise: Backtest results, month by month.
        since: The first month issued under the recipe.
    """

    months: pd.DataFrame
    promise: pd.DataFrame
    since: pd.Timestamp

    @property
    def is_watched(self) -> bool:
        """Tell whether the backtest has enough months to promise anything."""
        return not np.isnan(promised_mean(self.promise["net"], 1.0))

    @property
    def evidence(self) -> float:
        """Current evidence against the promise."""
        known = self.months["evidence"].dropna()
        return float(known.iloc[-1]) if len(known) else float("nan")

    @property
    def alarm(self) -> bool:
        """Tell whether the evidence calls for an alarm now; :attr:`raised` tells whether it ever did."""
        return bool(self.evidence >= 1 / ALPHA)

    @property
    def raised(self) -> list[str]:
        """Months in which the alarm was on."""
        return [named(month) for month in self.months.loc[self.months["evidence"] >= 1 / ALPHA, "month"]]


def live_record(issued: Sequence[Issued], outcomes: pd.DataFrame) -> Live | None:
    """Return the newest recipe's months with the promise of its first issue; None if nothing was issued.

    Other recipes may have been issued in between: they neither end nor renew its promise.

    Args:
        issued: Issues of one role, or of one shadow version, by month.
        outcomes: Outcomes from :func:`came_true`; months issued after their returns were known do not count.
    """
    if not issued:
        return None
    mine = [issue for issue in issued if issue.issue.recipe == issued[-1].issue.recipe]
    slots = [(issue.issue.month, issue.issue.role, issue.issue.version) for issue in mine]
    keys = pd.MultiIndex.from_frame(outcomes[["month", "role", "version"]])
    months = outcomes[keys.isin(slots) & ~outcomes["afterwards"].to_numpy()].reset_index(drop=True)
    promise = mine[0].promise
    return Live(_beside(months, promise), promise, mine[0].issue.month)


def _beside(months: pd.DataFrame, promise: pd.DataFrame) -> pd.DataFrame:
    trials = float(promise["trials"].max()) if len(promise) else 1.0
    evidence = {
        f"evidence_{name}": evidence_against(shortfalls(months[name], promise[name], trials)) for name in WATCHED
    }
    months = months.assign(cumulated=months["net"].cumsum(), **evidence)
    months["evidence"] = months[list(evidence)].mean(axis=1)
    if months.empty or len(promise) < LEAST_MONTHS:
        return months.assign(cumulated_promised=np.nan, cumulated_low=np.nan, cumulated_high=np.nan)
    band = cumulated_band(promise["net"], len(months))
    return months.assign(
        cumulated_promised=promised_mean(promise["net"], trials) * np.arange(1, len(months) + 1),
        cumulated_low=band["low"].to_numpy(),
        cumulated_high=band["high"].to_numpy(),
    )


def factors_of(orders: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the factors: contributions to the forecasts, decimals a month."""
    return orders.loc[:, "prediction":"bias"].drop(columns=["prediction", "bias"])


def contributions_of(issued: Sequence[Issued]) -> pd.DataFrame:
    """Return each factor's contribution to the forecast of the issued portfolios: one row a month, decimals."""
    rows = {}
    for month in issued:
        rows[month.issue.month] = factors_of(month.orders).mul(month.orders["weight"], axis=0).sum()
    return pd.DataFrame.from_dict(rows, orient="index")


def exposures_of(issued: Sequence[Issued], panel: pd.DataFrame) -> pd.DataFrame:
    """Return the mean rank of longs minus shorts in issued portfolios: one row a month, in [-2, 2].

    ``panel``: in contract form; ranks are taken over the stocks that were forecast.
    """
    names = [str(name) for name in panel if name not in (*KEYS, RETURN, SECTOR)]
    rows = {}
    for month in issued:
        here = month.orders[["date", "asset", "weight"]].merge(panel[[*KEYS, *names]], on=list(KEYS))
        if len(here):
            rows[month.issue.month] = ranks_of_date(here[names]).mul(here["weight"], axis=0).sum()
    return pd.DataFrame.from_dict(rows, orient="index")


def drift(by_month: pd.DataFrame, months: int = 12) -> pd.DataFrame:
    """Return the newest month's numbers, with mean and range over up to ``months`` earlier months.

    Returns one row for each column: ``now``, ``before`` (mean), ``low``, ``high``; the last three are NaN in the first
    month.
    """
    earlier = by_month.iloc[:-1].tail(months)
    return pd.DataFrame(
        {"now": by_month.iloc[-1], "before": earlier.mean(), "low": earlier.min(), "high": earlier.max()}
    )


def not_come_true(issues: Sequence[Issue], outcomes: pd.DataFrame, panel: pd.DataFrame) -> list[str]:
    """Return the issued months that lack enough realised returns to be evaluated."""
    last, known = panel.loc[panel[RETURN].notna(), "date"].max(), set(outcomes["month"])
    waiting = {issue.month for issue in issues if issue.month <= last and issue.month not in known}
    return [named(month) for month in sorted(waiting)]


def not_issued(issues: Sequence[Issue], panel: pd.DataFrame) -> list[str]:
    """Return the panel's months after the first issue, except the newest, that have no issue."""
    if not issues:
        return []
    dates = panel["date"].drop_duplicates()
    between = dates[(dates > issues[0].month) & (dates < dates.max())]
    there = {issue.month for issue in issues}
    return [named(date) for date in between.sort_values() if date not in there]
