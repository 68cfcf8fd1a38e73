"""A blend of rows: the mean of their standardised forecasts and of the matching contributions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .base import Explanation
from .combine import blended


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


def blend(parts: Sequence[Explanation], month: np.ndarray) -> Explanation:
    """Return the explanation of the blend of the linearised forecasts; ``month``: shape (n,). See
    :func:`~.combine.blended`.
    """
    multiples, offset = blended(np.array([part.linearised for part in parts]), month)
    shares = [part.times(multiple, np.zeros_like(offset)) for part, multiple in zip(parts, multiples, strict=True)]
    together = Explanation.sum(shares)
    return together.times(np.ones_like(offset), offset)
