"""Catalogue of the rows of the comparison: the forecasts of a family, plain or linearised.

A new family needs one :class:`ModelRow` here, a settings file in ``conf/model``, and its own file in this folder.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

OTHER_COLOUR = "#4d4d4d"


@dataclass(frozen=True)
class ModelRow:
    """A row of the comparison.

    Attributes:
        name: Name of the row in tables, figures and runs.
        family: Family whose models make the row; all rows of a family share its models.
        place: Module in this folder, and name in it, of the family's class. The class is read only where it is needed,
            so that a mistake in the settings is told without PyTorch.
        colour: Colour of the family in every figure: Okabe and Ito's palette. A linearised row is drawn dashed, over
            the plain row of its family.
        explained: True if the row has contributions.
        linearised: True if its forecasts are the sums of its contributions instead of the models' own forecasts.
    """

    name: str
    family: str
    place: str
    colour: str
    explained: bool = False
    linearised: bool = False

    @property
    def model(self) -> type[Any]:
        """The family's class, see :class:`~.base.Model`."""
        model: type[Any] = resolve_name(f"drf.models.{self.place}")
        return model

    @property
    def carried(self) -> bool:
        """Tell whether the row's models can be loaded where this project is not installed."""
        from .base import Combines, Loadable

        return issubclass(self.model, (Loadable, Combines))

    @property
    def registrable(self) -> bool:
        """Tell whether the newest models of the row can be registered."""
        return self.explained


ROWS: tuple[ModelRow, ...] = (
    ModelRow("linear", "linear", "linear:Linear", "#999999", explained=True),
    ModelRow("ridge", "ridge", "linear:RidgeRegression", "#56B4E9", explained=True),
    ModelRow("elasticnet", "elasticnet", "linear:ElasticNetRegression", "#882255", explained=True),
    ModelRow("svr", "svr", "svr:SVR", "#CC79A7"),
    ModelRow("forest", "forest", "forest:Forest", "#009E73"),
    ModelRow("boosting", "boosting", "boosting:Boosting", "#E69F00", explained=True),
    ModelRow("dnn", "dnn", "dnn:DNN", "#0072B2"),
    ModelRow("dnn_lrp", "dnn", "dnn:DNN", "#0072B2", explained=True, linearised=True),
    ModelRow("dnn_deep", "dnn_deep", "dnn:DeepDNN", "#004466"),
    ModelRow("dnn_deep_lrp", "dnn_deep", "dnn:DeepDNN", "#004466", explained=True, linearised=True),
    ModelRow("lstm", "lstm", "lstm:LSTM", "#D55E00"),
    ModelRow("lstm_lrp", "lstm", "lstm:LSTM", "#D55E00", explained=True, linearised=True),
    ModelRow("blend", "blend", "blend:Blend", "#000000", explained=True),
)
"""Rows in the order of the comparison."""


class _Families(Mapping[str, type[Any]]):
    """Classes of the families by name, in the order of their rows."""

    def __getitem__(self, family: str) -> type[Any]:
        return plain_row(family).model

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(row.family for row in ROWS))

    def __len__(self) -> int:
        return len({row.family for row in ROWS})


FAMILIES = _Families()


def rows_of(families: Iterable[str]) -> list[ModelRow]:
    """Return the rows that some families yield, in the order of the comparison."""
    wanted = set(families)
    return [row for row in ROWS if row.family in wanted]


def plain_row(family: str) -> ModelRow:
    """Return the first row of a family; raises KeyError if there is none."""
    for row in ROWS:
        if row.family == family:
            return row
    raise KeyError(family)


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
