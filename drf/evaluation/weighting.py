"""Weighting: how the stocks on one side of a portfolio share its value. Each rule is a class that also provides its
name in reports.

A new rule is a class here and an entry of :data:`WEIGHTINGS`; configuration, tables and reports follow.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import pandas as pd

from .attributes import VALUE, Attribute, market_value


class Weighting(ABC):
    """A rule that gives every stock a relative size.

    ``words`` is its description in reports; ``attribute`` is the column that it needs in addition to the forecasts, if
    any.
    """

    words: ClassVar[str]
    attribute: ClassVar[Attribute | None] = None

    @abstractmethod
    def sizes(self, forecasts: pd.DataFrame) -> pd.Series:
        """Return the size of each stock relative to others of its side, at least 0; 0 keeps it out.

        ``forecasts``: ``date``, ``asset``, ``y_pred`` and the column of ``attribute``.
        """


class EqualWeights(Weighting):
    """The same weight for every stock."""

    words = "equal weights"

    def sizes(self, forecasts: pd.DataFrame) -> pd.Series:
        return pd.Series(1.0, forecasts.index)


class ValueWeights(Weighting):
    """Weights in proportion to market value; a stock of unknown value is not held."""

    words = "weighted by market value"
    attribute = market_value(None)  # the portfolio rule knows the unit of CAP

    def sizes(self, forecasts: pd.DataFrame) -> pd.Series:
        value = forecasts[VALUE]
        return value.where(value > 0, 0.0)


WEIGHTINGS: dict[str, Weighting] = {"equal": EqualWeights(), "value": ValueWeights()}
"""Rules by the name that ``portfolio.weighting`` gives them."""
