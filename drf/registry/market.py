"""Market of a version, and the check that a panel belongs to it.

A version carries the panel of its training. Markets are distinguished by their stocks, dates and order of returns
within a month, whatever the currency, the vendor's restatements or a renaming. File names do not distinguish them.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..data.calendar import named
from ..data.panel import KEYS, RETURN
from ..errors import InputError
from ..samples.transforms import STATE
from .history import renamings

_SAME = 0.5
"""Smallest share of common stocks, and smallest agreement, for two panels to be of the same market. Across restated,
renamed and converted panels of one market both stay above 0.9; across markets the agreement is near 0."""

SAME_INPUT = 0.75
"""Least agreement that a descriptor must have with its values in the training. With 1 % of the values restated each
month, agreement is 0.76 after two years. Another vendor's definitions of an accounting ratio agree less."""

_LATEST = 36
"""Months compared, the newest that both panels have."""

_FEWEST = 30
"""Fewest pairs of values from which agreement is computed."""


@dataclass(frozen=True)
class MarketComparison:
    """A panel compared with the panel of a training.

    Attributes:
        last: Newest month of the training's panel.
        months: Number of months compared.
        stocks: Share of the training's stock-months that the panel has, renamed stocks included.
        returns: Rank correlation of the stocks' returns within months; NaN if too few are known.
        descriptors: Rank correlation of each descriptor; for a macro state, 1 less its relative difference.
    """

    last: pd.Timestamp
    months: int
    stocks: float
    returns: float
    descriptors: pd.Series

    @property
    def other_inputs(self) -> dict[str, float]:
        """Descriptors that differ from the training's, as after a change of vendor, with their agreement."""
        return {str(name): float(value) for name, value in self.descriptors.items() if value < SAME_INPUT}

    @property
    def difference(self) -> str:
        """Reason why the panel is of another market; empty if the market is the same."""
        if not self.months:
            return f"no month is common to the panel and its training, which ended in {named(self.last)}"
        if self.stocks < _SAME:
            return f"{self.stocks:.0%} of the stocks of its training are in the panel"
        known = self.descriptors.dropna()
        agreement = self.returns if not np.isnan(self.returns) else float(known.median()) if len(known) else np.nan
        if np.isnan(agreement):
            return "too few values are common to the panel and its training"
        what = "returns" if not np.isnan(self.returns) else "descriptors"
        differ = f"the stocks' {what} differ: their rank correlation is {agreement:.2f}"
        return "" if agreement >= _SAME else differ


def compare_markets(history: pd.DataFrame, panel: pd.DataFrame) -> MarketComparison:
    """Compare a panel with the panel of a training, on the newest months that both have.

    Args:
        history: ``date``, ``asset``, descriptors, ``ret_next``: :attr:`~.training_evidence.Evidence.history`.
        panel: In contract form; columns that it lacks are not compared.
    """
    last = history["date"].max()
    common = sorted(set(history["date"].unique()) & set(panel["date"].unique()))[-_LATEST:]
    every = [str(name) for name in history if name not in KEYS and name in panel]
    columns = [name for name in every if not name.startswith(STATE)]
    then, now = (
        table.loc[table["date"].isin(common), [*KEYS, *columns]].reset_index(drop=True) for table in (history, panel)
    )
    if then.empty:
        return MarketComparison(last, 0, 0.0, np.nan, pd.Series(dtype=float))
    names = renamings(then, now, columns)
    both = then.assign(asset=then["asset"].replace(names)).merge(now, on=list(KEYS), suffixes=("_then", "_now"))
    agreement = {name: _agreement(both[f"{name}_then"], both[f"{name}_now"], both["date"]) for name in columns}
    returns = agreement.pop(RETURN, np.nan)
    agreement |= {name: _same_state(history, panel, name, common) for name in every if name not in columns}
    return MarketComparison(last, len(common), len(both) / len(then), returns, pd.Series(agreement, dtype=float))


def _agreement(then: pd.Series, now: pd.Series, months: pd.Series) -> float:
    """Return the rank correlation within months, over all months together; NaN if it cannot be computed."""
    known = then.notna() & now.notna()
    ranks = [values[known].groupby(months[known]).rank() for values in (then, now)]
    a, b = (values - values.groupby(months[known]).transform("mean") for values in ranks)
    spread = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / spread if known.sum() >= _FEWEST and spread > 0 else np.nan


def _same_state(history: pd.DataFrame, panel: pd.DataFrame, name: str, common: list[pd.Timestamp]) -> float:
    """Return 1 less the relative difference of a state, which is the same for all stocks of a date, at common dates."""
    then, now = (table.groupby("date")[name].first().reindex(pd.Index(common)) for table in (history, panel))
    size = float(np.sqrt((then**2).mean()))
    return 1 - float(np.sqrt(((now - then) ** 2).mean())) / size if size > 0 else np.nan


def require_same_market(title: str, words: str, history: pd.DataFrame, panel: pd.DataFrame) -> MarketComparison:
    """Refuse a panel of another market than that of a version's training; return how the two compare.

    Args:
        title: Version, worded to begin the message.
        words: Words that choose its data, see :func:`drf.experiment.market_name.data_words`.
        history, panel: See :func:`compare_markets`.

    Raises InputError if the markets differ, saying how.
    """
    comparison = compare_markets(history, panel)
    if why := comparison.difference:
        raise InputError(
            f"{title} was trained on another market than that of the data given ({why}): give its data "
            f"({words or 'data=simulated'}), or train on these data (drf train; registry.name=... if the name is taken)"
        )
    return comparison
