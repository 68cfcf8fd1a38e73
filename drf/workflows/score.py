"""Score: forecast a panel's newest month and issue it, with orders, once a month."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..data.calendar import named
from ..data.files import PLAIN, Reading, read_file, whole_or_not, write_csv
from ..data.panel import RETURN, check_panel
from ..errors import InputError, first_line
from ..live.as_of import day_of, up_to
from ..live.input_watch import Watch, watch_month
from ..live.issuance import Issuance, issue_month
from ..live.scorer import Scorer, load_scorer, recent, require_market_of, require_promoted
from ..registry.aliases import CHAMPION
from ..registry.loading import forecast
from ..registry.versions import model_of_panel
from ..tracking.store import connect, without_secrets


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """Settings of a scoring.

    Attributes:
        panel: File with ``date``, ``asset`` and the model's descriptors.
        output: File to write, ``.parquet`` or ``.csv``; None: nothing is written.
        model: Address of a registered model; None: the champion of the panel's market, else of the built-in market.
        detail: Columns of contributions: ``factors``, ``descriptors`` or ``account``.
        as_of: As-of date, YYYY-MM-DD; None: today.
        reading: Properties of a CSV file that it does not state itself.
        force: True to issue even if the newest month's inputs are unusual.
        replace: True to issue a month again if it was already issued and the new issue would differ.
    """

    panel: str
    output: str | None = None
    model: str | None = None
    detail: str = "factors"
    as_of: str | None = None
    reading: Reading = PLAIN
    force: bool = False
    replace: bool = False


@dataclass(frozen=True)
class ScoreResult:
    """A scoring that has ended.

    Attributes:
        month: Month end at which the forecasts are made.
        watched: Unusual inputs of the month.
        issuance: The issue; None if the month was held back because its inputs are unusual.
        orders: Forecasts with their contributions, ranks, target weights, trades and reasons; None if held back.
        store: Address of MLflow's store, without secrets.
    """

    month: pd.Timestamp
    watched: Watch
    issuance: Issuance | None
    orders: pd.DataFrame | None
    store: str


def score(config: ScoreConfig) -> ScoreResult:
    """Forecast a panel's newest month, and record the issue in MLflow's experiment ``drf-live``.

    Raises InputError if the panel, the model or a file is refused, or the month was already issued and the new issue
    would differ.
    """
    output = None if config.output is None else _writable(Path(config.output), config.panel)
    frame = read_file("--panel", config.panel, reading=config.reading)
    store = without_secrets(connect())
    try:
        scorer = load_scorer(config.model or f"models:/{model_of_panel(config.panel)}@{CHAMPION}")
    except InputError as error:
        raise InputError(f"--model {error}") from error
    knows_returns = RETURN in frame and bool(frame[RETURN].notna().any())
    panel = check_panel(frame, scorer.descriptors, least_stocks=1, with_returns=knows_returns)
    market = require_market_of(scorer, panel)
    require_promoted(scorer)
    panel, afterwards = up_to(panel, config.as_of)
    month = panel["date"].max()
    watched = watch_month(scorer, panel, day_of(config.as_of), market)
    if watched.unusual and not config.force:
        return ScoreResult(month, watched, None, None, store)
    issuance = issue_month(scorer, panel, watched, afterwards, config.replace)
    issue = issuance.issued.issue
    if issuance.other and not issuance.is_new:
        raise InputError(
            f"{named(issue.month)} was issued already, by version {issue.version} at {issue.issued}, and would now "
            f"differ: {'; '.join(issuance.other)}: give --replace to issue it again"
        )
    orders = _in_detail(scorer, panel, issuance.issued.orders, config.detail)
    if output is not None:
        _write(output, orders)
    return ScoreResult(month, watched, issuance, orders, store)


def _writable(output: Path, panel: str) -> Path:
    if output.suffix not in (".parquet", ".csv"):
        raise InputError(f"--output {output}: must end in .parquet or .csv")
    if not output.parent.is_dir():
        raise InputError(f"--output {output}: the folder {output.parent} does not exist")
    if output.exists() and Path(panel).exists() and output.samefile(panel):
        raise InputError(f"--output {output}: is the panel itself: name another file")
    return output


def _in_detail(scorer: Scorer, panel: pd.DataFrame, orders: pd.DataFrame, detail: str) -> pd.DataFrame:
    """Return the orders with contributions in the chosen detail instead of by factor."""
    if detail == "factors":
        return orders
    parts = forecast(scorer.model, recent(scorer, panel), detail).drop(columns=["date", "prediction"])
    names = list(orders)
    factors = names[names.index("prediction") + 1 : names.index("rank")]
    merged = orders.drop(columns=factors).merge(parts, on="asset", how="left")
    more = [name for name in parts if name != "asset"]
    return merged[[*names[: names.index("prediction") + 1], *more, *names[names.index("rank") :]]]


def _write(output: Path, table: pd.DataFrame) -> None:
    try:
        whole_or_not(
            output,
            lambda file: table.to_parquet(file, index=False) if output.suffix == ".parquet" else write_csv(table, file),
        )
    except OSError as error:
        raise InputError(f"--output {output}: cannot be written ({first_line(error)})") from error
