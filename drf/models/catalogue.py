"""Catalogue of the rows of the comparison, each one way of reading a family's models.

A new family needs one :class:`ModelRow` here, a settings file in ``conf/model``, and its own file in this folder.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .base import Combines, Loadable
from .blend import Blend
from .boosting import Boosting
from .dnn import DNN, DeepDNN
from .forest import Forest
from .linear import ElasticNetRegression, Linear, RidgeRegression
from .lstm import LSTM
from .svr import SVR

OTHER_COLOUR = "#4d4d4d"


@dataclass(frozen=True)
class ModelRow:
    """A row of the comparison.

    Attributes:
        name: Name of the row in tables, figures and runs.
        family: Family whose models make the row; all rows of a family share its models.
        model: The family's class, see :class:`~.base.Model`.
        colour: Colour of the family in every figure: Okabe and Ito's palette. A linearised row is drawn dashed, over
            the plain row of its family.
        explained: True if the row has contributions.
        linearised: True if its forecasts are the sums of its contributions instead of the models' own forecasts.
    """

    name: str
    family: str
    model: type[Any]
    colour: str
    explained: bool = False
    linearised: bool = False

    @property
    def carried(self) -> bool:
        """Tell whether the row's models can be loaded where this project is not installed."""
        return issubclass(self.model, (Loadable, Combines))

    @property
    def registrable(self) -> bool:
        """Tell whether the newest models of the row can be registered."""
        return self.explained and self.carried


ROWS: tuple[ModelRow, ...] = (
    ModelRow("linear", "linear", Linear, "#999999", explained=True),
    ModelRow("ridge", "ridge", RidgeRegression, "#56B4E9", explained=True),
    ModelRow("elasticnet", "elasticnet", ElasticNetRegression, "#882255", explained=True),
    ModelRow("svr", "svr", SVR, "#CC79A7"),
    ModelRow("forest", "forest", Forest, "#009E73"),
    ModelRow("boosting", "boosting", Boosting, "#E69F00", explained=True),
    ModelRow("dnn", "dnn", DNN, "#0072B2"),
    ModelRow("dnn_lrp", "dnn", DNN, "#0072B2", explained=True, linearised=True),
    ModelRow("dnn_deep", "dnn_deep", DeepDNN, "#004466"),
    ModelRow("dnn_deep_lrp", "dnn_deep", DeepDNN, "#004466", explained=True, linearised=True),
    ModelRow("lstm", "lstm", LSTM, "#D55E00"),
    ModelRow("lstm_lrp", "lstm", LSTM, "#D55E00", explained=True, linearised=True),
    ModelRow("blend", "blend", Blend, "#000000", explained=True),
)
"""Rows in the order of the comparison."""

FAMILIES: dict[str, type[Any]] = {row.family: row.model for row in ROWS}
"""Families by name, in the order of their rows."""


def rows_of(families: Iterable[str]) -> list[ModelRow]:
    """Return the rows that some families yield, in the order of the comparison."""
    wanted = set(families)
    return [row for row in ROWS if row.family in wanted]


def plain_row(family: str) -> ModelRow:
    """Return the first row of a family."""
    return next(row for row in ROWS if row.family == family)


def rows_with_models(rows: Iterable[ModelRow]) -> list[ModelRow]:
    """Return, for each family with portable models, the row whose run stores them: the explained row if there are
    two."""
    return list({row.family: row for row in rows if row.carried}.values())


def row_named(name: str) -> ModelRow | None:
    """Return the row with a given name, or None if there is none."""
    return next((row for row in ROWS if row.name == name), None)


def linearised(names: Sequence[str]) -> list[bool]:
    """Return, for each name, whether its row is linearised."""
    return [bool((row := row_named(name)) and row.linearised) for name in names]
