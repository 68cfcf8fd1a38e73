"""Monitor: compare the issued forecasts with the realised returns, and with the backtest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mlflow

from ..data.files import Reading, read_file
from ..data.panel import check_panel
from ..data.paper_descriptors import DESCRIPTORS
from ..experiment.schema import RegistryConfig
from ..experiment.validation import make
from ..live.track_record import Record, read_record
from ..registry.versions import model_of_panel
from ..tracking.store import connect, without_secrets
from .track_record_log import log_record


@dataclass(frozen=True, kw_only=True)
class MonitorConfig:
    """Settings of a monitoring.

    Attributes
    ----------
    panel
        File with ``date``, ``asset`` and ``ret_next``.
    name
        Registered model; None: the model of the panel's market, else the built-in market's model.
    encoding, unknown
        Encoding of a CSV file, and texts that stand for an unknown number.
    """

    panel: str
    name: str | None = None
    encoding: str | None = None
    unknown: Sequence[str] = ()


@dataclass(frozen=True)
class MonitorResult:
    """A monitoring that has ended.

    Attributes
    ----------
    record
        Issued months beside their outcomes and the backtest.
    run_id, store
        Run that holds the record, and address of MLflow's store without secrets.
    """

    record: Record
    run_id: str
    store: str

    @property
    def alarm(self) -> str:
        """Shortfall of the live record; empty if there is none."""
        return self.record.alarm


def monitor(config: MonitorConfig) -> MonitorResult:
    """Compare all issued forecasts with the returns of a panel.

    Raises
    ------
    InputError
        If the panel is refused, nothing was issued, or an issue was changed.
    """
    if config.name is not None:
        make(RegistryConfig, {"name": config.name}, "registry")
    frame = read_file("--panel", config.panel, reading=Reading(config.encoding, tuple(config.unknown)))
    panel = check_panel(frame, [name for name in DESCRIPTORS if name in frame], least_stocks=1)
    store = without_secrets(connect())
    client = mlflow.MlflowClient()
    record = read_record(client, config.name or model_of_panel(config.panel), panel)
    return MonitorResult(record, log_record(client, record), store)
