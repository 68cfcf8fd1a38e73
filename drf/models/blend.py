"""A blend of rows: the mean of their standardised forecasts and of the matching contributions."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Blend:
    """Rows that are blended: the ``model.blend`` config. There is nothing to train.

    Attributes:
        rows: Names of rows that have contributions.

    Raises ValueError if there are fewer than two rows, or two are the same.
    """

    rows: Sequence[str] = ("lstm_lrp", "boosting")

    def __post_init__(self) -> None:
        if len(set(self.rows)) < 2 or len(set(self.rows)) < len(self.rows):
            raise ValueError(f"rows={list(self.rows)}: must be different rows, at least two")

    def of_rows(self) -> Sequence[str]:
        """Return the rows that are blended."""
        return self.rows
