"""Month end: watch, score, monitor, train if it is time, evaluate, and show all on one page.

A second call for the same month, data and champion finds the finished work and returns the same result. A call that was
killed is resumed by the next, since each step finds its own work done.
"""

from __future__ import annotations

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

from ..data.files import whole_or_not
from ..data.panel import fingerprint
from ..data.paper_descriptors import DESCRIPTORS
from ..errors import InputError, first_few, first_line
from ..experiment.composing import Settings
from ..experiment.config import Record as ConfigRecord
from ..experiment.identity import digest, identity_of_program, recipe_of
from ..experiment.market import load_market
from ..experiment.schema import TrainConfig
from ..live.as_of import day_of, up_to
from ..live.input_watch import Watch, watch_month
from ..live.issuance import Issuance, issue_month
from ..live.issues import read_issues
from ..live.month_end_config import MonthEndConfig, Step
from ..live.month_end_log import PAGE, find_end, write_end
from ..live.outcome import Live
from ..live.refit import is_due, newest_of_recipe, training_config
from ..live.scorer import Scorer, load_scorer, require_market_of, require_promoted
from ..live.track_record import Record, read_record
from ..registry.aliases import CHAMPION, read_standing
from ..registry.market import compare_markets
from ..registry.versions import HEALTH, HEALTHY, Version, read_versions
from ..reporting.html import render
from ..reporting.month_report import Month, month_document
from ..reporting.standing import at_alarm
from ..tracking.locks import store_lock
from ..tracking.runs import git_commit, leave_what_is_taken
from ..tracking.store import connect
from .evaluate import EvaluationResult, evaluate
from .track_record_log import log_record
from .train import TrainingResult, train


@dataclass(frozen=True)
class Notice:
    """A sentence that a step has for the user."""

    text: str


@dataclass(frozen=True)
class WatchedMonth:
    """The result of the watch over a month's inputs."""

    month: pd.Timestamp
    watch: Watch


StepResult = Notice | WatchedMonth | Issuance | Record | TrainingResult | EvaluationResult
"""Message that a step of a month end sends to the listener when the step has ended."""

Listener = Callable[[StepResult], None]


@dataclass(frozen=True)
class MonthEndResult:
    """A month end that has ended.

    Attributes
    ----------
    status
        ``done``, ``alarm`` or ``held back``.
    summary
        The month end as numbers and texts, ready for JSON.
    done_before
        True if an earlier call had done the work.
    """

    status: str
    summary: Mapping[str, Any]
    done_before: bool = False

    @property
    def page(self) -> str | None:
        """File of the page; None if the month was held back."""
        page = self.summary.get("page")
        return None if page is None else str(page)


def month_end(settings: Settings[MonthEndConfig], listener: Listener = lambda result: None) -> MonthEndResult:
    """Do a month end.

    Parameters
    ----------
    listener
        Function called with the result of each step as it ends.

    Raises
    ------
    InputError
        If the settings, the data or the registry are refused.
    TryAgainError
        If another month end of the same model is at work, or a store cannot be reached.
    """
    began, config = time.perf_counter(), settings.config
    connect()
    client, name = mlflow.MlflowClient(), config.registry.name
    leave_what_is_taken(client)
    _require_folder(Path(config.output))
    with store_lock(name, "month-end", wait=0):
        scorer = load_scorer(f"models:/{name}@{CHAMPION}")
        version = _champion(client, name)
        market = load_market(config.data, scorer.descriptors, config.portfolio.quantiles, DESCRIPTORS)
        require_market_of(scorer, market)
        require_promoted(scorer)
        _require_used(config, scorer)
        panel, afterwards = up_to(market, config.as_of)
        shadow = _shadow(config, scorer, market)
        steps = _Steps(client, settings, listener, scorer, shadow, version, panel, afterwards)
        key = _key(settings, panel)
        watched = steps.watch()
        earlier = find_end(client, name, f"{key}; champion {scorer.number}")
        if earlier is not None and steps.still_holds(earlier) and not config.replace:
            return MonthEndResult(str(earlier["status"]), earlier, done_before=True)
        if watched.unusual and not config.force:
            return MonthEndResult(
                "held back", {"status": "held back", "month": steps.month, "unusual": watched.unusual}
            )
        steps.hold_at_alarm()
        steps.score()
        steps.monitor()
        steps.train()
        steps.evaluate()
        return steps.finish(key, began)


def _require_folder(output: Path) -> None:
    """Refuse an unwritable folder before anything is done."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        whole_or_not(output / "probe", lambda file: file.touch())
        (output / "probe").unlink()
    except OSError as error:
        raise InputError(f"output={output}: cannot be written ({first_line(error)})") from error


def _key(settings: Settings[MonthEndConfig], panel: pd.DataFrame) -> str:
    """Return all that a month end depends on except the champion: month, data, every setting, code and libraries."""
    left_out = ("data", "as_of", "force", "replace")  # the panel's fingerprint covers the data
    kept = {name: value for name, value in dataclasses.asdict(settings.config).items() if name not in left_out}
    known = digest([settings.choices["gate"], kept, identity_of_program()])
    return f"{panel['date'].max():%Y-%m}; data {fingerprint(panel)}; settings {known}"


def _require_used(config: MonthEndConfig, scorer: Scorer) -> None:
    """Refuse settings of the data that the champion's own take the place of; raises InputError."""
    universe, descriptors = config.data.universe, config.data.descriptors
    if universe is not None and universe != scorer.universe:
        own = f"the {scorer.universe:,} largest stocks" if scorer.universe else "all stocks"
        raise InputError(f"data.universe={universe}: {scorer.title} was trained on {own}: leave data.universe out")
    if descriptors is not None and set(descriptors) != set(scorer.descriptors):
        raise InputError(
            f"data.descriptors: {scorer.title} was trained on {', '.join(scorer.descriptors)}: leave it out"
        )


def _shadow(config: MonthEndConfig, champion: Scorer, market: pd.DataFrame) -> Scorer | None:
    """Load the version that runs in shadow; None if there is none, or it has become champion.

    Raises
    ------
    InputError
        If the version is absent, the data lack one of its descriptors, or are of another market.
    """
    if config.shadow is None:
        return None
    scorer = load_scorer(f"models:/{champion.name}/{config.shadow}")
    require_market_of(scorer, market)
    if missing := [name for name in scorer.descriptors if name not in market]:
        raise InputError(f"shadow={config.shadow}: the data lack {first_few(missing)}, which it was trained on")
    return None if scorer.number == champion.number else scorer


def _champion(client: mlflow.MlflowClient, name: str) -> Version:
    standing = read_standing(client, name)
    versions = read_versions(client, name, (standing.champion, standing.previous))
    version = versions.get(standing.champion)
    if version is None:
        why = versions.left_aside.get(str(standing.champion), "it was not found")
        raise InputError(f"the champion of {name}, version {standing.champion}, cannot be used: {why}")
    return version


@dataclass
class _Steps:
    """The steps of one month end, with what each has found."""

    client: mlflow.MlflowClient
    settings: Settings[MonthEndConfig]
    listener: Listener
    scorer: Scorer
    shadow: Scorer | None
    version: Version
    panel: pd.DataFrame
    afterwards: bool
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
        return f"{self.panel['date'].max():%Y-%m}"

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
        issued = earlier.get("issued") or {}
        if {"status", "page", "unusual"} - set(earlier) or (issued and {"file", "run"} - set(issued)):
            return False  # somebody else's
        files = [earlier["page"], *([issued["file"]] if issued else [])]
        runs = {issue.run_id for issue in read_issues(self.client, self.name)}
        readable = earlier["status"] in ("done", "alarm") and all(Path(str(file)).is_file() for file in files)
        return readable and self.watched.unusual == earlier["unusual"] and (not issued or issued["run"] in runs)

    def watch(self) -> Watch:
        """Look for unusual numbers among the newest month's inputs."""
        if self._skips("watch"):
            self.watched = Watch([], "skip=[watch]")
        else:
            self.watched = watch_month(self.scorer, self.panel, day_of(self.config.as_of))
        self.listener(WatchedMonth(self.panel["date"].max(), self.watched))
        if self.watched.not_watched:
            self.notes.append(f"the inputs were not watched: {self.watched.not_watched}")
        return self.watched

    def hold_at_alarm(self) -> None:
        """Hold the orders back if the rule asks for it and an alarm on the record or the champion stands."""
        if self.config.portfolio.at_alarm == "issue" or self._skips("score"):
            return
        issued = read_issues(self.client, self.name, "champion")
        own = bool(issued) and issued[-1].recipe == self.scorer.recipe  # another recipe's record is not this one's
        record = read_record(self.client, self.name, self.panel).alarm if own else ""
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
        self._write("forecasts.parquet", self.issuance.issued.orders)
        self.listener(self.issuance)
        if self.issuance.other and not self.issuance.is_new:
            by = self.issuance.issued.issue.version
            self._note(
                f"the month stays as it was issued by version {by}; issued now it would differ: "
                f"{'; '.join(self.issuance.other)} (replace=true issues it anew)"
            )
        if self.shadow is not None:
            self.shadow_issuance = self._issue(self.shadow)
            self.listener(Notice(f"In shadow: version {self.shadow.number}"))
        elif self.config.shadow is not None:
            self._note(f"version {self.config.shadow} is champion now, and runs in shadow no more")

    def _issue(self, scorer: Scorer) -> Issuance:
        return issue_month(scorer, self.panel, self.watched, self.afterwards, self.config.replace)

    def monitor(self) -> None:
        """Compare the issued forecasts with the realised returns."""
        if self._skips("monitor"):
            return
        if not read_issues(self.client, self.name):
            self._note("nothing was issued yet, so nothing came true")
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
            self.training = "not from data that know what came after the month"
        elif other := compare_markets(self.scorer.evidence.history, self.panel).other_inputs:
            self.training = (
                f"held: {first_few(other, 5)} are others than in the training of {self.scorer.title}: a training on "
                "them is a new recipe: give drf train yourself"
            )
            self._note(self.training)
        elif not is_due(newest, self.panel):
            every = newest.config.window.refit_every
            self.training = (
                f"not due: version {newest.number} has seen {newest.train_last:%Y-%m}; refitted every {every} month(s)"
            )
        else:
            self.training = f"version {self._train(newest)}"
        self.listener(Notice(f"Training: {self.training}"))

    def _train(self, newest: Version) -> str | None:
        given = json.loads(self.settings.record.line)["data"]
        settings = Settings.recorded(training_config(newest, given), TrainConfig, self.settings.data_words)
        if recipe_of(settings.config) != newest.recipe:
            self._note("the recipe changes with the data that were given: what is trained is no refresh")
        result = train(settings)
        self.listener(result)
        return result.version

    def evaluate(self) -> None:
        """Evaluate the champion and the versions that wait, and move the champion."""
        if self._skips("evaluate"):
            return
        if self.afterwards:
            self._note("the data know what came after the month: nothing was trained or evaluated")
            return
        self.evaluation = evaluate(dataclasses.replace(self.settings, config=self.config.evaluation))  # type: ignore[arg-type]
        self.listener(self.evaluation)

    def finish(self, key: str, began: float) -> MonthEndResult:
        """Write the page and the record of the month end."""
        page = render(month_document(self._month()))
        file = self._write(PAGE, page)
        standing = read_standing(self.client, self.name)
        alarms = [text for text in (self.record.alarm if self.record else "", self._health) if text] or self.held
        issue = self.issuance.issued.issue if self.issuance else None
        live = self.record.champion if self.record else None
        summary: dict[str, Any] = {
            "status": "held back" if self.held else "alarm" if alarms else "done",
            "month": self.month,
            "as_of": self.config.as_of or f"{pd.Timestamp.now():%Y-%m-%d}",
            "data": fingerprint(self.panel),
            "champion": {"version": standing.champion, "issued_by": issue.version if issue else None},
            "issued": self._issued(),
            "unusual": self.watched.unusual,
            "live": None if live is None else _live_in_numbers(live),
            "trained": self.training,
            "decision": self.evaluation.decision.reason if self.evaluation else "left out",
            "alarms": alarms,
            "what to do": at_alarm(self.name) if alarms else [],
            "notes": self.notes,
            "page": str(file),
            "seconds": round(time.perf_counter() - began, 1),
        }
        written = write_end(self.client, self.name, self.month, f"{key}; champion {standing.champion}", summary, page)
        return MonthEndResult(str(written["status"]), written)

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
            "file": str(self.folder / "forecasts.parquet"),
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


def _live_in_numbers(live: Live) -> dict[str, Any]:
    return {"months": len(live.months), "evidence": _number(live.evidence), "alarms": live.raised}


def _number(value: float) -> float | None:
    """Return a number for JSON, which has no NaN."""
    return round(value, 4) if math.isfinite(value) else None
