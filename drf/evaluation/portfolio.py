"""Portfolios: the weights that a rule makes of forecasts, and their returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
from annotated_types import Ge

from ..errors import InputError, nearest
from .attributes import SECTOR, VALUE, Attribute, Cap, market_value, with_attributes
from .weighting import WEIGHTINGS, Weighting


@dataclass(frozen=True, kw_only=True)
class PortfolioRule:
    """Rule by which forecasts become portfolios: the ``portfolio`` config.

    Attributes:
        quantiles: Number of groups of stocks each month; long the top one, short the bottom one.
        cost_bps: Cost of trading, in basis points of the traded value, each side.
        weighting: Weighting of the stocks on each side: a name of :data:`~.weighting.WEIGHTINGS`.
        sector_neutral: Sort within each ``sector``, a column of names, instead of over all stocks.
        cap: Unit of CAP, from which market values are taken; None: unknown.

    Raises ValueError if there is no weighting of that name.
    """

    quantiles: Annotated[int, Ge(2)]
    cost_bps: Annotated[float, Ge(0)]
    weighting: str = "equal"
    sector_neutral: bool = False
    cap: Cap | None = None

    def __post_init__(self) -> None:
        if self.weighting not in WEIGHTINGS:
            guess = nearest(self.weighting, WEIGHTINGS)
            raise ValueError(f"weighting={self.weighting}: must be one of {', '.join(WEIGHTINGS)}{guess}")

    @property
    def shares(self) -> Weighting:
        """The rule by which the stocks on a side share its weight."""
        return WEIGHTINGS[self.weighting]

    @property
    def groups(self) -> list[str]:
        """Columns that define groups; stocks are sorted within each group."""
        return ["date", "sector"] if self.sector_neutral else ["date"]

    @property
    def attributes(self) -> dict[str, Attribute]:
        """The attributes that the rule needs in addition to the forecasts, by the setting that requires each."""
        own = self.shares.attribute
        own = market_value(self.cap) if own is not None and own.name == VALUE else own
        asked = {f"weighting={self.weighting}": own, "sector_neutral=true": SECTOR if self.sector_neutral else None}
        return {setting: attribute for setting, attribute in asked.items() if attribute is not None}

    @property
    def words(self) -> str:
        """The rule as a sentence."""
        within = " within each sector" if self.sector_neutral else ""
        return (
            f"Portfolio: long the top and short the bottom of {self.quantiles} quantiles{within}, {self.shares.words}, "
            f"{self.cost_bps:g} basis points a side."
        )

    def equip(self, forecasts: pd.DataFrame, panel: pd.DataFrame) -> pd.DataFrame:
        """Return the forecasts with the columns of ``attributes`` added.

        Raises InputError if the panel lacks an attribute.
        """
        if not self.attributes:
            return forecasts
        joined = with_attributes(forecasts, panel, self.attributes.values())
        for setting, attribute in self.attributes.items():
            if attribute.name not in joined:
                raise InputError(f"portfolio.{setting}: {attribute.absence}; or choose another rule")
        names = [attribute.name for attribute in self.attributes.values()]
        return joined[[*forecasts.columns, *names]].set_axis(forecasts.index)


@dataclass(frozen=True)
class Weights:
    """A long-short portfolio of each month.

    Attributes:
        table: ``date``, ``asset``, ``weight``, one row a forecast and aligned with the forecasts: above 0 on the long
            side, below 0 on the short side, 0 where nothing is held. The sides of a month sum to 1 and -1, or to 0 if
            empty.
    """

    table: pd.DataFrame

    def of_side(self, sign: int) -> pd.Series:
        """Return the sizes of one side's weights (+1 long, -1 short), 0 elsewhere; aligned with the forecasts."""
        return (sign * self.table["weight"]).clip(lower=0.0)

    def mean(self, values: pd.DataFrame, sign: int) -> pd.DataFrame:
        """Return one side's weighted mean of each column: one row for each month in which the side holds stocks.

        Args:
            values: Columns of numbers, aligned with the forecasts.
            sign: +1: the long side, -1: the short side.
        """
        weight, date = self.of_side(sign), self.table["date"]
        held = weight > 0
        # Divided by the month's largest weight, equal weights become ones, which gives the plain mean without extra
        # rounding.
        relative = (weight / weight.groupby(date).transform("max"))[held]
        sums = values[held].mul(relative, axis=0).groupby(date[held]).sum()
        return sums.div(relative.groupby(date[held]).sum(), axis=0)

    def by_month(self) -> pd.DataFrame:
        """Return the weights with one row a month and one column an asset that is ever held."""
        held = self.table[self.table["weight"] != 0]
        wide = held.pivot_table(index="date", columns="asset", values="weight", fill_value=0.0)
        months = pd.Index(np.sort(self.table["date"].unique()), name="date")
        return wide.reindex(months, fill_value=0.0)  # months in which nothing is held keep their place


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of forecasts within their month (and sector), from 1 (lowest) to ``rule.quantiles``.

    The sizes of the groups differ by at most one stock. Stocks with equal forecasts on both sides of a cut belong
    partly to each group, in proportion to the places that they take up in it. So the order of rows or names has no
    influence. Stocks lie in no group if their sector is unknown or has fewer stocks than quantiles.

    Attributes:
        first, last: First and last place of each forecast and its ties, in ascending order within the group: 1 is the
            lowest.
        size: Number of stocks in the group; 0 where it has no quantiles. All aligned with the forecasts.
        count: Number of quantiles.
    """

    first: np.ndarray
    last: np.ndarray
    size: np.ndarray
    count: int

    @classmethod
    def of(cls, forecasts: pd.DataFrame, rule: PortfolioRule) -> Quantiles:
        """Sort ``forecasts``: ``date``, ``y_pred``, and ``sector`` if the rule asks for it."""
        by_group = forecasts.groupby(rule.groups)["y_pred"]
        first, last = (by_group.rank(method=end).to_numpy() for end in ("min", "max"))
        size = by_group.transform("size").to_numpy(dtype=float)
        if rule.sector_neutral:
            size = np.where(size >= rule.quantiles, size, 0.0)  # NaN, of no known sector, is not
        return cls(first, last, size, rule.quantiles)

    def share(self, quantile: int) -> np.ndarray:
        """Return the share of each stock that lies in a quantile, shape (n,)."""
        # The place r lies in quantile ceil(r * count / size).
        below, upto = (np.floor(self.size * edge / self.count) for edge in (quantile - 1, quantile))
        inside = np.minimum(self.last, upto) - np.maximum(self.first, below + 1) + 1
        share = inside.clip(min=0) / (self.last - self.first + 1)
        return np.where(self.size > 0, share, 0.0)

    @property
    def undecided(self) -> np.ndarray:
        """Flags of stocks that are tied from the lowest to the highest quantile."""
        return (self.share(1) > 0) & (self.share(self.count) > 0)

    @property
    def cut(self) -> np.ndarray:
        """Flags of stocks that lie in an outer quantile only in part, because a tie spans its edge."""
        outer = np.maximum(self.share(1), self.share(self.count))
        return (outer > 0) & (outer < 1)


def make_weights(forecasts: pd.DataFrame, rule: PortfolioRule, tradable: pd.Series | None = None) -> Weights:
    """Return the rule's portfolio of each month.

    Stocks with the same forecast on both sides of a cut share the remaining places: see :class:`Quantiles`. If so many
    stocks are tied that they lie in both the lowest and the highest quantile, nothing is held in that month (and
    sector). There is no order to trade on.

    Args:
        forecasts: ``date``, ``asset``, ``y_pred``, and the columns of ``rule.attributes``.
        tradable: Boolean, aligned with ``forecasts``: stocks that can be held. All stocks are sorted by their
            forecasts. The weight of those that cannot be held goes to the other stocks on the same side.
    """
    quantiles = Quantiles.of(forecasts, rule)
    part = pd.Series(quantiles.share(rule.quantiles) - quantiles.share(1), index=forecasts.index)
    keys = [forecasts[name] for name in rule.groups]
    part[pd.Series(quantiles.undecided, index=forecasts.index).groupby(keys).transform("any").eq(True)] = 0.0
    if tradable is not None:
        part = part.where(tradable, 0.0)
    part *= rule.shares.sizes(forecasts)
    held = part[part != 0]
    keys = [forecasts.loc[held.index, "date"], pd.Series(np.sign(held), held.index)]
    if rule.sector_neutral:
        held = _as_much_of_either_side(held, forecasts.loc[held.index])
    weight = held / held.abs().groupby(keys).transform("sum").where(lambda total: total > 0, 1.0)
    table = forecasts[["date", "asset"]].assign(weight=weight.reindex(forecasts.index, fill_value=0.0))
    return Weights(table)


def _as_much_of_either_side(held: pd.Series, stocks: pd.DataFrame) -> pd.Series:
    """Weight each sector's long and short side equally, in proportion to its number of stocks on both sides.

    A sector with one side alone is not held.
    """
    sector = [stocks["date"], stocks["sector"]]
    sides = held.abs().groupby([*sector, np.sign(held)]).transform("sum")
    both = np.sign(held).groupby(sector).transform("nunique") == 2
    return (held / sides * held.groupby(sector).transform("size")).where(both, 0.0)


def quantile_returns(forecasts: pd.DataFrame, rule: PortfolioRule) -> pd.DataFrame:
    """Return the mean return of each quantile: one row a month, columns 1 to ``rule.quantiles``, decimals a month.

    ``forecasts``: ``date``, ``asset``, ``y_true``, ``y_pred``. Stocks are sorted by their forecasts alone; a stock
    without a return is left out of its quantile's mean afterwards.
    """
    quantiles, y = Quantiles.of(forecasts, rule), forecasts["y_true"]
    means = {}
    for quantile in range(1, rule.quantiles + 1):
        share = pd.Series(quantiles.share(quantile), index=forecasts.index).where(y.notna(), 0.0)
        sums = pd.DataFrame({"returns": share * y.fillna(0.0), "share": share}).groupby(forecasts["date"]).sum()
        means[quantile] = sums["returns"] / sums["share"].where(sums["share"] > 0)
    return pd.DataFrame(means)


def long_short(forecasts: pd.DataFrame, rule: PortfolioRule) -> pd.DataFrame:
    """Return the long-short portfolio of forecasts month by month, over the stocks whose return is known.

    Args:
        forecasts: ``date``, ``asset``, ``y_true``, ``y_pred``, and the columns of ``rule.attributes``.

    Returns:
        See :func:`earned`.
    """
    weights = make_weights(forecasts, rule, tradable=forecasts["y_true"].notna())
    return earned(weights, forecasts["y_true"], rule.cost_bps)


def earned(weights: Weights, returns: pd.Series, cost_bps: float) -> pd.DataFrame:
    """Return the returns and trades of a portfolio, month by month.

    Args:
        returns: Decimal returns of the month after, aligned with the weights; known wherever a weight is not 0.
        cost_bps: In basis points of the traded value, each side.

    Returns:
        One row a month, decimals a month:

        ``gross``: return of the long less that of the short side. ``traded``: buys plus sells of both sides, as a share
        of the value of one side. ``turnover``: the trades as a share of all that can be traded: 0 for no trade, 1 if
        everything is sold and bought anew. Weights drift with returns within the month and are reset at its end. The
        first month bears the cost of building the portfolio. ``net``: gross less ``cost_bps`` for all that was traded.
        A month in which one side holds nothing is NaN.
    """
    held = weights.by_month()
    grown = weights.table.assign(y=returns)[weights.table["weight"] != 0]
    grown = grown.pivot_table(index="date", columns="asset", values="y", fill_value=0.0)
    grown = grown.reindex(held.index, fill_value=0.0)
    gross = (held * grown).sum(axis=1)
    one_sided = ~((held > 0).any(axis=1) & (held < 0).any(axis=1))
    gross[one_sided] = np.nan  # not a long-short portfolio: no stock of one side has a return
    before = drifted(held, grown).shift(1, fill_value=0.0)
    traded = (held - before).abs().sum(axis=1)
    turnover = traded / 4  # both sides are worth 2; a complete exchange trades each twice
    turnover.iloc[0] = traded.iloc[0] / 2  # setting up only buys
    net = gross - traded * cost_bps / 1e4
    return pd.DataFrame({"gross": gross, "net": net, "turnover": turnover, "traded": traded})


def drifted(weights: pd.DataFrame, returns: pd.DataFrame) -> pd.DataFrame:
    """Return the weights at the end of the month, each side divided by its own total.

    ``weights``, ``returns``: one row a month, one column an asset; returns in decimals over the month.
    """
    grown = weights * (1 + returns)
    drifted = pd.DataFrame(0.0, index=weights.index, columns=weights.columns)
    for side in (grown.clip(lower=0), grown.clip(upper=0)):
        value = side.abs().sum(axis=1)
        drifted += side.div(value.where(value > 0, 1.0), axis=0)
    return drifted


def exposures(weights: Weights, ranks: pd.DataFrame) -> pd.DataFrame:
    """Return the exposures of a portfolio: mean rank of its long side less that of its short side.

    Args:
        ranks: Ranks in [-1, 1] at the date of the forecast, one column a descriptor, aligned with the weights.

    Returns:
        One row a month, one column a descriptor, in [-2, 2].
    """
    return weights.mean(ranks, +1) - weights.mean(ranks, -1)
