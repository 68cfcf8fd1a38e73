"""Monitor: compare the issued forecasts with the realised returns, and with the backtest."""

from dataclasses import dataclass

import mlflow
import pandas as pd

from ..data.calendar import MONTHLY, use
from ..data.files import PLAIN, Reading, read_file
from ..data.panel import check_panel
from ..data.paper_descriptors import DESCRIPTORS
from ..experiment.schema import RegistryConfig
from ..experiment.validation import make
from ..live.track_record import Record, read_record
from ..registry.aliases import read_standing
from ..registry.market import require_same_market
from ..registry.versions import Version, model_of_panel, read_history, read_versions
from ..tracking.store import connect, without_secrets
from .track_record_log import log_record


@dataclass(frozen=True, kw_only=True)
class MonitorConfig:
    """Settings of a monitoring.

    Attributes:
        panel: File with ``date``, ``asset`` and ``ret_next``.
        name: Registered model; None: the model of the panel's market, else the built-in market's model.
        reading: Properties of a CSV file that it does not state itself.
    """

    panel: str
    name: str | None = None
    reading: Reading = PLAIN


@dataclass(frozen=True)
class MonitorResult:
    """A monitoring that has ended.

    Attributes:
        record: Issued months with their outcomes and the backtest.
        run_id, store: Run that holds the record, and address of MLflow's store without secrets.
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

    Raises InputError if the panel is refused or belongs to another market, or nothing was issued.
    """
    if config.name is not None:
        make(RegistryConfig, {"name": config.name}, "registry")
    frame = read_file("--panel", config.panel, reading=config.reading)
    store = without_secrets(connect())
    client = mlflow.MlflowClient()
    name = config.name or model_of_panel(config.panel)
    number = read_standing(client, name).champion
    champion = read_versions(client, name, (number,)).get(number)
    use(champion.config.data.frequency if champion else MONTHLY.name)
    panel = check_panel(frame, [name for name in DESCRIPTORS if name in frame], least_stocks=1)
    if champion is not None:
        _require_market(champion, panel)
    record = read_record(client, name, panel)
    return MonitorResult(record, log_record(client, record), store)


def _require_market(champion: Version, panel: pd.DataFrame) -> None:
    """Refuse a panel of another market than the champion's; a panel that starts after the champion's training cannot be
    compared."""
    history = read_history(champion)
    if history["date"].isin(panel["date"]).any():
        require_same_market(champion.title, champion.words, history, panel)
