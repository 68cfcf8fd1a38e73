"""Input watch before a forecast: a version's inputs, the calendar, and the last issued portfolio."""

from dataclasses import dataclass

import mlflow
import pandas as pd

from ..data.universe import largest
from ..registry.market import SAME_INPUT, MarketComparison
from ..samples.transforms import STATE
from .as_of import is_half_over, out_of_date
from .input_statistics import Finding, watch
from .issue_log import last_before
from .issues import USUAL
from .scorer import Scorer, own_issues

_LEAST_HELD = 0.5
"""Least share of the last issued portfolio that a panel must still have."""


@dataclass(frozen=True)
class Watch:
    """Result of the watch over a month's inputs.

    Attributes:
        unusual: In words.
        not_watched: Reason why inputs were not watched; empty if they were.
        late: True if a later month has ended, or half of the forecast period has passed by the clock.
    """

    unusual: list[str]
    not_watched: str = ""
    late: bool = False

    @property
    def state(self) -> str:
        """State of the watch, see :class:`~.issues.Issue`."""
        if self.unusual:
            return f"unusual, forced: {'; '.join(self.unusual)}"[:4000]
        return f"not watched: {self.not_watched}" if self.not_watched else USUAL


def watch_month(scorer: Scorer, panel: pd.DataFrame, day: pd.Timestamp, market: MarketComparison) -> Watch:
    """Return unusual inputs of a version's newest month, and whether that month is the last that has ended.

    Args:
        panel: In contract form, of months that have ended.
        day: Day of the check.
        market: Comparison of the panel with the panel of the version's training.
    """
    month = panel["date"].max()
    late = out_of_date(month, day)
    is_late = bool(late) or is_half_over(month)
    switched = [Finding(name, "training", value, SAME_INPUT, 1.0) for name, value in market.other_inputs.items()]
    found = [*late, *_lost(scorer, panel[panel["date"] == month], month), *switched]
    try:
        ranked = [name for name in scorer.descriptors if not name.startswith(STATE)]
        found += watch(largest(panel, scorer.universe), ranked, scorer.lags)
    except ValueError as error:
        return Watch([str(finding) for finding in found], str(error), is_late)
    return Watch([str(finding) for finding in found], late=is_late)


def _lost(scorer: Scorer, newest: pd.DataFrame, month: pd.Timestamp) -> list[Finding]:
    """Return a finding if most of the last issued portfolio is missing from the newest month, as after a renaming."""
    earlier = last_before(mlflow.MlflowClient(), own_issues(scorer), month)
    if earlier is None:
        return []
    weights = earlier.orders.set_index("asset")["weight"].abs()
    there = float(weights[weights.index.isin(newest["asset"])].sum() / weights.sum()) if weights.any() else 1.0
    return [Finding("stocks", "held", there, _LEAST_HELD, 1.0)] if there < _LEAST_HELD else []
