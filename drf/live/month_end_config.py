"""Configuration of a month end."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from ..evaluation.portfolio import PortfolioRule
from ..experiment.schema import DataConfig, TrackingConfig, store_schema
from ..registry.evaluation_config import EvaluateConfig, KeepingConfig, Number
from ..registry.thresholds import Thresholds
from .as_of import day_of

Step = Literal["watch", "score", "monitor", "train", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class IssuingRule(PortfolioRule):
    """Portfolio rule of the evaluation, and the treatment of orders during an alarm.

    Attributes:
        at_alarm: ``issue``: the month is issued all the same, and the exit code says that there is an alarm. ``hold``:
            nothing is issued while an alarm on the champion or on the live record is active.
    """

    at_alarm: Literal["issue", "hold"] = "issue"


@dataclass(frozen=True, kw_only=True)
class MonthEndConfig:
    """Settings of a month end.

    Attributes:
        data: Market data; None: the market data of the champion's training.
        portfolio, gate, tracking, registry: Settings of the evaluation, see
            :class:`~drf.registry.evaluation_config.EvaluateConfig`.
        as_of: As-of date, YYYY-MM-DD; None: today.
        skip: Steps that are left out.
        shadow: Version that is scored and watched alongside the champion, but never used for orders.
        force: True if the month is issued even though its inputs are unusual.
        replace: True if an existing issue is replaced when a new one would differ.
        output: Folder that holds one folder for each month.
    """

    data: DataConfig
    portfolio: IssuingRule
    gate: Thresholds
    tracking: TrackingConfig
    registry: KeepingConfig
    as_of: str | None = None
    skip: Sequence[Step] = ()
    shadow: Number | None = None
    force: bool = False
    replace: bool = False
    output: str = "month-end"

    def __post_init__(self) -> None:
        day_of(self.as_of)

    @property
    def evaluation(self) -> EvaluateConfig:
        """Settings of the evaluation within the month end."""
        return EvaluateConfig(
            data=self.data,
            portfolio=PortfolioRule(**{own.name: getattr(self.portfolio, own.name) for own in fields(PortfolioRule)}),
            gate=self.gate,
            tracking=self.tracking,
            registry=self.registry,
        )


store_schema("month_end_schema", MonthEndConfig)
