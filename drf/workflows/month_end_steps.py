"""Steps of a month end (watch, score, monitor, train, evaluate) with their results and a common page."""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from ..data.calendar import named
from ..data.files import whole_or_not
from ..data.panel import fingerprint
from ..errors import InputError, first_few, first_line
from ..experiment.composing import Settings
from ..experiment.config import Record as ConfigRecord
from ..experiment.identity import recipe_of
from ..experiment.schema import TrainConfig
from ..live.as_of import day_of
from ..live.input_watch import Watch, watch_month
from ..live.issuance import Issuance, issue_month
from ..live.issue_log import first_whole, issues_left_aside, read_issues
from ..live.month_end_config import MonthEndConfig, Step
from ..live.month_end_log import PAGE, write_end
from ..live.refit import is_due, newest_of_recipe, training_config
from ..live.scorer import Scorer
from ..live.track_record import Record, read_record
from ..registry.aliases import read_standing
from ..registry.market import MarketComparison
from ..registry.versions import HEALTH, HEALTHY, Version, read_versions
from ..reporting.html import render
from ..reporting.month_report import Month, month_document
from ..reporting.standing import at_alarm
from ..tracking.runs import git_commit
from .evaluate import EvaluationResult, evaluate
from .track_record_log import log_record
from .train import TrainingResult, train

FORECASTS = "forecasts.parquet"


@dataclass(frozen=True)
class Notice:
    """A sentence from a step to the user."""

    text: str


@dataclass(frozen=True)
class WatchedMonth:
    """The result of the watch over a month's inputs."""

    month: pd.Timestamp
    watch: Watch


StepResult = Notice | WatchedMonth | Issuance | Record | TrainingResult | EvaluationResult
"""Message that a step of a month end sends to the listener when the step has ended."""

Listener = Callable[[StepResult], None]


@dataclass
class MonthEndSteps:
    """The steps of one month end, with the findings of each."""

    client: mlflow.MlflowClient
    settings: Settings[MonthEndConfig]
    listener: Listener
    scorer: Scorer
    shadow: Scorer | None
    version: Version
    panel: pd.DataFrame
    afterwards: bool
    comparison: MarketComparison
    watched: Watch = field(default_factory=lambda: Watch([]))
    issuance: Issuance | None = None
    shadow_issuance: Issuance | None = None
    record: Record | None = None
    training: str = "left out"
    evaluation: EvaluationResult | None = None
    notes: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    @property
    def config(self) -> MonthEndConfig:
        return self.settings.config

    @property
    def name(self) -> str:
        return self.config.registry.name

    @property
    def month(self) -> str:
        return named(self.panel["date"].max())

    @property
    def folder(self) -> Path:
        return Path(self.config.output).absolute() / self.month

    def _skips(self, step: Step) -> bool:
        return step in self.config.skip

    def _note(self, text: str) -> None:
        self.listener(Notice(f"note: {text}"))
        self.notes.append(text)

    def still_holds(self, earlier: Mapping[str, Any]) -> bool:
        """Tell whether an earlier result still holds: files and issue exist, and the watch's findings agree."""
        issued = earlier["issued"]
        if not isinstance(issued, dict) and not (issued is None and self._skips("score")):
            return False  # a result that this program did not write
        files = [(earlier["page"], PAGE), *([(issued.get("file"), FORECASTS)] if issued else [])]
        runs = {issue.run_id for issue in read_issues(self.client, self.name)}
        readable = earlier["status"] in ("done", "alarm") and all(
            place == str(self.folder / name) and (self.folder / name).is_file() for place, name in files
        )
        return readable and self.watched.unusual == earlier["unusual"] and (not issued or issued.get("run") in runs)

    def watch(self) -> Watch:
        """Look for unusual numbers among the newest month's inputs."""
        if self._skips("watch"):
            self.watched = Watch([], "skip=[watch]")
        else:
            self.watched = watch_month(self.scorer, self.panel, day_of(self.config.as_of), self.comparison)
        self.listener(WatchedMonth(self.panel["date"].max(), self.watched))
        if self.watched.not_watched:
            self.notes.append(f"the inputs were not watched: {self.watched.not_watched}")
        return self.watched

    def hold_at_alarm(self) -> None:
        """Hold back the orders if the rule demands it and there is an alarm on the record or the champion."""
        if self.config.portfolio.at_alarm == "issue" or self._skips("score"):
            return
        newest = first_whole(self.client, reversed(read_issues(self.client, self.name, "champion")))
        own = newest is not None and newest.issue.recipe == self.scorer.recipe  # another recipe's record is irrelevant
        record = read_record(self.client, self.name, self.panel).shortfall if own else ""
        health = self.version.tags.get(HEALTH, HEALTHY)
        overdue = self.version.overdue(self.panel) if self._skips("train") or self._skips("evaluate") else ""
        self.held = [text for text in (record, "" if health == HEALTHY else health, overdue) if text]
        for text in self.held:
            self._note(f"nothing is issued (portfolio.at_alarm=hold): {text}")

    def score(self) -> None:
        """Issue the champion's forecasts and orders, and a shadow's forecasts with them."""
        if self._skips("score") or self.held:
            return
        self.issuance = self._issue(self.scorer)
        self._write(FORECASTS, self.issuance.issued.orders)
        self.listener(self.issuance)
        if self.issuance.other and not self.issuance.is_new:
            by = self.issuance.issued.issue.version
            self._note(
                f"the month stays as it was issued by version {by}; if issued now, it would differ: "
                f"{'; '.join(self.issuance.other)} (replace=true issues it anew)"
            )
        if self.shadow is not None:
            self.shadow_issuance = self._issue(self.shadow)
            self.listener(Notice(f"In shadow: version {self.shadow.number}"))
        elif self.config.shadow is not None:
            self._note(f"version {self.config.shadow} is champion now, and no longer runs in shadow")

    def _issue(self, scorer: Scorer) -> Issuance:
        return issue_month(scorer, self.panel, self.watched, self.afterwards, self.config.replace)

    def monitor(self) -> None:
        """Compare the issued forecasts with the realised returns."""
        if self._skips("monitor"):
            return
        if first_whole(self.client, read_issues(self.client, self.name)) is None:
            aside = first_few(issues_left_aside(self.client, self.name))
            self._note(f"nothing was issued yet, so there are no outcomes{f'; left aside: {aside}' if aside else ''}")
            return
        self.record = read_record(self.client, self.name, self.panel)
        log_record(self.client, self.record)
        self.notes += self.record.restated
        self.listener(self.record)

    def train(self) -> None:
        """Train the champion's recipe on the newest window once the months between its refits have passed."""
        if self._skips("train"):
            return
        newest = newest_of_recipe(read_versions(self.client, self.name, (self.version.number,)), self.version)
        if self.afterwards:
            self.training = "none, because the data contain returns from after the month"
        elif other := self.comparison.other_inputs:
            self.training = (
                f"held: {first_few(other, 5)} differ from those in the training of {self.scorer.title}: a training on "
                "them is a new recipe: run drf train yourself"
            )
            self._note(self.training)
        elif not is_due(newest, self.panel):
            every = newest.config.window.refit_every
            self.training = (
                f"not due: version {newest.number} has seen {named(newest.train_last)}; refitted every {every} month(s)"
            )
        else:
            self.training = f"version {self._train(newest)}"
        self.listener(Notice(f"Training: {self.training}"))

    def _train(self, newest: Version) -> str | None:
        given = json.loads(self.settings.record.line)["data"]
        settings = Settings.recorded(training_config(newest, given), TrainConfig, self.settings.data_words)
        if recipe_of(settings.config) != newest.recipe:
            self._note("the given data change the recipe, so the training is not a refresh")
        result = train(settings)
        self.listener(result)
        return result.version

    def evaluate(self) -> None:
        """Evaluate the champion and the versions that wait, and move the champion."""
        if self._skips("evaluate"):
            return
        if self.afterwards:
            self._note("the data contain returns from after the month: nothing was trained or evaluated")
            return
        self.evaluation = evaluate(dataclasses.replace(self.settings, config=self.config.evaluation))  # type: ignore[arg-type]
        self.listener(self.evaluation)

    def finish(self, key: str, began: float) -> Mapping[str, Any]:
        """Write the page and the record of the month end; return its summary."""
        page = render(month_document(self._month()))
        file = self._write(PAGE, page)
        standing = read_standing(self.client, self.name)
        alarms = [text for text in (self.record.alarm if self.record else "", self._health) if text] or self.held
        issue = self.issuance.issued.issue if self.issuance else None
        live = self.record.champion if self.record else None
        evidence = round(live.evidence, 4) if live and math.isfinite(live.evidence) else None  # JSON has no NaN
        summary: dict[str, Any] = {
            "status": "held back" if self.held else "alarm" if alarms else "done",
            "month": self.month,
            "as_of": self.config.as_of or f"{pd.Timestamp.now():%Y-%m-%d}",
            "data": fingerprint(self.panel),
            "champion": {"version": standing.champion, "issued_by": issue.version if issue else None},
            "issued": self._issued(),
            "unusual": self.watched.unusual,
            "live": {"months": len(live.months), "evidence": evidence, "alarms": live.raised} if live else None,
            "trained": self.training,
            "decision": self.evaluation.decision.reason if self.evaluation else "left out",
            "alarms": alarms,
            "what to do": at_alarm(self.name) if alarms else [],
            "notes": self.notes,
            "page": str(file),
            "seconds": round(time.perf_counter() - began, 1),
        }
        return write_end(self.client, self.name, self.month, f"{key}; champion {standing.champion}", summary, page)

    @property
    def _health(self) -> str:
        if self.evaluation is not None:
            return self.evaluation.alarm
        overdue = self.version.overdue(self.panel)
        return f"the champion, {overdue}" if overdue else ""

    def _issued(self) -> dict[str, Any] | None:
        if self.issuance is None:
            return None
        orders = self.issuance.issued.orders
        return {
            "run": self.issuance.run_id,
            "forecasts": int(orders["prediction"].notna().sum()),
            "trades": int((orders["trade"].abs() > 0).sum()),
            "file": str(self.folder / FORECASTS),
            "shadow": self.shadow_issuance.run_id if self.shadow_issuance else None,
        }

    def _month(self) -> Month:
        issuer = self.issuance.issued.issue.version if self.issuance else None
        record: ConfigRecord = self.settings.record
        return Month(
            name=self.name,
            champion=self.scorer.title if issuer is None else f"version {issuer} (champion)",
            month=self.panel["date"].max(),
            orders=self.issuance.issued.orders if self.issuance else None,
            record=self.record,
            unusual=self.watched.unusual,
            trained=self.training,
            decision=self.evaluation.decision if self.evaluation else None,
            notes=self.notes,
            config=record.yaml,
            commit=git_commit(),
        )

    def _write(self, name: str, content: pd.DataFrame | str) -> Path:
        file = self.folder / name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                whole_or_not(file, lambda aside: aside.write_text(content, encoding="utf-8"))
            else:
                whole_or_not(file, lambda aside: content.to_parquet(aside, index=False))
        except OSError as error:
            raise InputError(f"output={self.config.output}: cannot be written ({first_line(error)})") from error
        return file
