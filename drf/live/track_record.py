"""Track record of a registered model: issues, outcomes, and whether the promise is kept."""

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass

import mlflow
import pandas as pd
from tqdm import tqdm

from ..data.calendar import named
from ..errors import InputError, first_few
from .alarm import ALPHA
from .issue_log import deleted_issues, issues_left_aside, live_experiment, read_issues, whole_issues
from .issues import CHAMPION, SHADOW, Issued, issues_of_role
from .outcome import (
    Live,
    came_true,
    contributions_of,
    drift,
    exposures_of,
    live_record,
    not_come_true,
    not_issued,
    restated_outcomes,
)

MONITOR, OUTCOMES = "monitor", "outcomes.csv"
"""Kind of the runs that log a record, and their table of outcomes."""


_LOOKED_AT = 10
"""Largest number of logged records that are tried until one can be read."""


@dataclass(frozen=True)
class Record:
    """Live months of a registered model.

    Attributes:
        name: Name of the registered model.
        issued: Issues of all roles, by month.
        outcomes: See :func:`~.outcome.came_true`.
        champion: Live months of the champion's recipe with its promise; None if nothing was issued.
        shadows: Live months of every shadow version with its promise.
        contributions, exposures: Contributions and exposures of the champion's issued portfolios, see
            :func:`~.outcome.drift`.
        notes: Sentences on gaps in the record.
        broken: Sentences on issues that are ignored because they are incomplete, were changed, or were never issued.
        restated: Sentences on months whose outcome has changed since the record was last logged.
    """

    name: str
    issued: list[Issued]
    outcomes: pd.DataFrame
    champion: Live | None
    shadows: Mapping[str, Live]
    contributions: pd.DataFrame
    exposures: pd.DataFrame
    notes: list[str]
    broken: list[str]
    restated: list[str]

    @property
    def alarm(self) -> str:
        """Shortfall of the champion's live months, and issues left aside, as sentences; empty if there are none."""
        look = "look at these runs, then delete them or put them right"
        aside = f"left aside from the record: {first_few(self.broken)}: {look}" if self.broken else ""
        return "; ".join(text for text in (self.shortfall, aside) if text)

    @property
    def shortfall(self) -> str:
        """Shortfall of the champion's live months as a sentence; empty if there is none."""
        live = self.champion
        if live is None or not live.alarm:
            return ""
        last = live.months.iloc[-1]
        return (
            f"what came true since {named(live.since)} falls short of what the backtest promised: evidence "
            f"{live.evidence:.3g} (rank IC {last['evidence_rank_ic']:.3g}, net return {last['evidence_net']:.3g}), an "
            f"alarm from {1 / ALPHA:.0f} on"
        )

    @property
    def by_version(self) -> pd.DataFrame:
        """Outcomes by role and version: ``months``, means of ``rank_ic``, ``turnover`` and ``hit``, and sums of
        returns.

        Months that were issued afterwards are left out.
        """
        groups = self.outcomes[~self.outcomes["afterwards"]].groupby(["role", "version"], sort=False)
        return groups.agg(
            first=("month", "min"), last=("month", "max"), months=("month", "size"), rank_ic=("rank_ic", "mean"),
            gross=("gross", "sum"), net=("net", "sum"), promised=("promised", "sum"), hit_rate=("hit", "mean"),
            turnover=("turnover", "mean"),
        ).reset_index()  # fmt: skip

    @property
    def digest(self) -> str:
        """Digest that changes with any issue or outcome."""
        runs = " ".join(issue.issue.run_id for issue in self.issued)
        tables = [
            self.outcomes,
            *(issue.months for issue in (self.champion, *self.shadows.values()) if issue is not None),
        ]
        text = "".join([runs, *(table.to_csv() for table in tables), *self.notes, *self.broken])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_record(client: mlflow.MlflowClient, name: str, panel: pd.DataFrame) -> Record:
    """Compare everything that was issued with the returns of a panel.

    ``panel``: in contract form, with ``ret_next``. Raises InputError if nothing was issued.
    """
    issues, broken = read_issues(client, name), issues_left_aside(client, name)
    notes = [f"deleted in MLflow, and so not in the record: {what}" for what in deleted_issues(client, name)]
    issued = []
    for whole in whole_issues(client, tqdm(issues, desc="issues", disable=len(issues) < 24)):
        issued.append(whole) if isinstance(whole, Issued) else broken.append(str(whole))
    if not issued:
        why = first_few([*notes, *broken]) or "no issue"
        raise InputError(f"nothing was issued by {name}: run drf score first ({why})")
    outcomes, mine = came_true(issued, panel), issues_of_role(issued, CHAMPION)
    gaps = not_issued([issue.issue for issue in mine], panel)
    if gaps:
        notes.append(f"nothing was issued for {len(gaps)} month(s): {', '.join(gaps)}")
    if after := outcomes.loc[outcomes["afterwards"], "month"].unique().size:
        notes.append(f"{after} month(s) were issued when most of their returns could be known, and do not count")
    if waiting := not_come_true([whole.issue for whole in issued], outcomes, panel):
        notes.append(f"the panel lacks the returns of {len(waiting)} issued month(s): {', '.join(waiting)}")
    if lost := int(outcomes["unknown"].sum()):
        notes.append(f"{lost} return(s) of held stocks are unknown and count as 0")
    shadows = dict.fromkeys(issue.issue.version for issue in issues_of_role(issued, SHADOW))
    records = {version: live_record(issues_of_role(issued, SHADOW, version), outcomes) for version in shadows}
    exposed = exposures_of(mine, panel)
    return Record(
        name=name,
        issued=issued,
        outcomes=outcomes,
        champion=live_record(mine, outcomes),
        shadows={version: live for version, live in records.items() if live is not None},
        contributions=drift(contributions_of(mine)) if mine else pd.DataFrame(),
        exposures=drift(exposed) if len(exposed) else pd.DataFrame(),
        notes=notes,
        broken=broken,
        restated=restated_outcomes(logged, outcomes) if (logged := _last_logged(client, name)) is not None else [],
    )


def _last_logged(client: mlflow.MlflowClient, name: str) -> pd.DataFrame | None:
    """Return the outcomes that were logged last; None if there are none, or they cannot be read."""
    which = f"tags.kind = '{MONITOR}' and tags.registered_model = '{name}' and attributes.status = 'FINISHED'"
    which += f" and attributes.start_time <= {round(time.time() * 1000)}"
    latest = ["attributes.start_time DESC"]
    for run in client.search_runs([live_experiment(client)], which, max_results=_LOOKED_AT, order_by=latest):
        try:
            with tempfile.TemporaryDirectory() as folder:
                file = client.download_artifacts(run.info.run_id, OUTCOMES, folder)
                table = pd.read_csv(file)[["month", "role", "version", "net"]]
                table = table.astype({"month": "datetime64[ns]", "role": str, "version": str, "net": float})
        except Exception:  # each kind of store has exceptions of its own, and anybody may have written the table
            continue
        if len(table):
            return table
    return None


def totals(live: Live) -> dict[str, float]:
    """Return one number per measure for the live months and the backtest; returns are monthly means."""
    months, promise = live.months, live.promise
    names = ("rank_ic", "gross", "net", "turnover")
    return {
        "months": float(len(months)),
        **{name: float(months[name].mean()) for name in names},
        "hit_rate": float(months["hit"].mean()),
        **{f"backtest/{name}": float(promise[name].mean()) for name in names},
        "evidence": live.evidence,
    }
