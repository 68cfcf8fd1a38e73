"""The schema of an evaluation's configuration."""

from __future__ import annotations

from dataclasses import dataclass

from ..evaluation.portfolio import PortfolioRule
from ..experiment.schema import DataConfig, RegistryConfig, TrackingConfig, store_schema
from .gates import Thresholds


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What evaluate.py composes.

    Attributes
    ----------
    data
        The market to judge on; None: that of the newest version.
    audit
        Run the leak suite on the newest version's settings, and ask it of every version, whatever the gate asks.
    rollback
        Give champion back to the version that it was taken from.
    """

    data: DataConfig | None = None
    portfolio: PortfolioRule
    gate: Thresholds
    tracking: TrackingConfig
    registry: RegistryConfig
    audit: bool = False
    rollback: bool = False


store_schema("evaluate_schema", EvaluateConfig)
