"""Schema of a training's configuration: every key with its kind and range, in Hydra's ConfigStore.

Every key has its default in a file of ``conf/``; where the class has one too, a test compares both. Settings that
belong to another package are defined there (:class:`~drf.samples.windows.WindowRule` and so on); the others are defined
here.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal, get_type_hints

from annotated_types import Ge, Interval
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from ..data.calendar import Frequency
from ..data.leavers import check_rule
from ..data.sources import Source
from ..data.trading_days import WEEKDAYS, check_weekmask
from ..errors import InputError, nearest
from ..evaluation.attributes import Cap
from ..evaluation.portfolio import PortfolioRule
from ..models.catalogue import ROWS, row_named
from ..samples.transforms import STATE, TIMES, Transform, columns_of
from ..samples.windows import WindowRule
from ..training.parallel import Compute
from ..tuning.rule import TuningRule

# Seeds are multiplied by 1,000 and must stay below what scikit-learn takes.
Seed = Annotated[int, Interval(ge=0, le=4_000_000)]


@dataclass(frozen=True, kw_only=True)
class MacroConfig:
    """Table of macro series: the ``macro`` config.

    Attributes:
        path, lag_months, changes: See :func:`drf.data.macro.add_sensitivities`.
        states: Series that are inputs themselves, see :func:`drf.data.states.add_states`.
        interactions: True adds the products of all descriptors with all states as inputs.

    Raises ValueError if ``interactions`` is asked for without states, or a state is named twice.
    """

    path: str | None
    lag_months: Annotated[int, Ge(0)]
    changes: Mapping[str, Literal["log", "difference", "none"]]
    states: Sequence[str] = ()
    interactions: bool = False

    def __post_init__(self) -> None:
        if len(set(self.states)) < len(self.states) or any(TIMES in name for name in self.states):
            raise ValueError(f"states={list(self.states)}: must be different names of series without {TIMES}")
        if self.interactions and not self.states:
            raise ValueError("interactions=true: needs macro.states, the series that descriptors are multiplied with")


@dataclass(frozen=True, kw_only=True)
class SamplesConfig:
    """Transforms of descriptors into inputs: the ``samples`` config, see :mod:`drf.samples.transforms`.

    Attributes:
        transform: Transform of all descriptors.
        by_descriptor: Descriptor -> its own transform.
    """

    transform: Transform = "rank"
    by_descriptor: Mapping[str, Transform] = field(default_factory=dict)

    def transforms_of(self, inputs: Sequence[str]) -> dict[str, Transform]:
        """Return the transform of each descriptor that does not become ranks.

        Raises InputError if a transform is set for a descriptor that is not used.
        """
        descriptors = [name for name in columns_of(inputs) if not name.startswith(STATE)]
        for name in self.by_descriptor:
            if name not in descriptors:
                raise InputError(f"samples.by_descriptor.{name}: is not a descriptor{nearest(name, descriptors)}")
        chosen = {name: self.by_descriptor.get(name, self.transform) for name in descriptors}
        return {name: transform for name, transform in chosen.items() if transform != "rank"}


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Keys that every ``data`` config has; its other keys are fields of its source.

    Attributes:
        source: Origin of the panel; in a file of ``conf/data``: ``_target_``, a :class:`drf.data.sources.Source`, and
            its fields.
        universe: Number of largest stocks by CAP to use each month; None: all.
        descriptors: Subset of the factors' descriptors to use; None: all.
        missing_return: Return of a stock that leaves without a known return, see
            :func:`drf.data.leavers.treat_leavers`.
        cap: Unit of CAP, from which market values are taken; None: unknown.
        frequency: Frequency of the panel's dates.
        weekmask, holidays: Days of the week on which the market trades, and a file with a column ``date`` of further
            days without trading.
    """

    source: Source
    universe: Annotated[int, Ge(2)] | None
    descriptors: Sequence[str] | None
    macro: MacroConfig | None = None
    missing_return: str = "drop"
    cap: Cap | None = None
    frequency: Frequency = "monthly"
    weekmask: str = WEEKDAYS
    holidays: str | None = None

    def __post_init__(self) -> None:
        check_rule(self.missing_return)
        check_weekmask(self.weekmask)


@dataclass(frozen=True, kw_only=True)
class ComputeConfig(Compute):
    """The ``compute`` config: where fits run, and the folder that keeps finished ones until the training has ended.

    ``scheduler`` has no default here, so that with ``compute=dask`` it cannot be forgotten silently.
    """

    scheduler: str | None = field()
    checkpoints: str


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """MLflow's experiment, and the name of the run; None: a name made from the training."""

    experiment: str
    name: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None and not 0 < len(self.name.strip()) <= 250:
            raise ValueError(f"name={self.name}: must be a name of 1 to 250 characters")
        if not 0 < len(self.experiment.strip()) <= 500:
            raise ValueError(f"experiment={self.experiment}: must be a name of 1 to 500 characters")


@dataclass(frozen=True, kw_only=True)
class RegistryConfig:
    """Registered model, and the row from which versions are made."""

    name: str
    row: str = "lstm_lrp"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^/:'\"\\]+", self.name) or self.name.strip() in ("", ".", ".."):
            raise ValueError(f"name={self.name}: must be a name without quotes, slashes or colons")
        row, names = row_named(self.row), [row.name for row in ROWS if row.registrable]
        if row is None or not row.registrable:
            raise ValueError(f"row={self.row}: must be one of {', '.join(names)}{nearest(self.row, names)}")


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Contributions by descriptor and lag that a training keeps in ``relevance.parquet``.

    ``summed``: the newest test month. ``full``: all test months.
    """

    relevance: Literal["summed", "full"] = "summed"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of a training."""

    seed: Seed
    data: DataConfig
    factors: Mapping[str, Any]
    model: Mapping[str, Any]
    window: WindowRule
    tuning: TuningRule
    portfolio: PortfolioRule
    compute: ComputeConfig
    tracking: TrackingConfig
    registry: RegistryConfig
    samples: SamplesConfig = SamplesConfig()
    report: ReportConfig = ReportConfig()
    plan: bool = False


_OPEN = (DataConfig, MacroConfig)
"""Groups whose keys depend on the chosen option; they are checked when they are read."""


def node_of(schema: type) -> Any:
    """Return a dataclass for OmegaConf with the keys and the defaults of ``schema``.

    It refuses unknown keys as soon as a config is composed. Kinds and ranges are left to :mod:`~.settings`: OmegaConf
    has neither ranges nor literals, and accepts 3 as true.
    """
    entries: list[Any] = []
    hints = get_type_hints(schema)
    for entry in dataclasses.fields(schema):
        kind = hints[entry.name]
        if dataclasses.is_dataclass(kind) and kind not in _OPEN:
            nested = node_of(kind)  # type: ignore[arg-type]
            entries.append((entry.name, nested, field(default_factory=nested)))
        else:
            default = MISSING if entry.default is dataclasses.MISSING else entry.default
            entries.append((entry.name, Any, field(default=default)))
    return make_dataclass(schema.__name__, entries)


def store_schema(name: str, schema: type) -> None:
    """Register a schema with Hydra; a primary config names it first among its defaults."""
    ConfigStore.instance().store(name=name, node=node_of(schema), provider="drf")


store_schema("train_schema", TrainConfig)
