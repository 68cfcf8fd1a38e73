"""drf month-end: watch, score, what came true, train if it is time, evaluate, and a page that shows all.

The last line that it prints is one JSON object. A second call for the same month, data and champion finds what was
done and says the same; one that was killed is resumed by the next, since each step finds its own work done.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import requests
import sqlalchemy
from omegaconf import DictConfig, OmegaConf

from ..data.factors import DESCRIPTORS
from ..data.files import whole_or_not
from ..data.panel import fingerprint
from ..errors import InputError, TryAgainError, first_few, first_line
from ..experiment.config import Record as ConfigRecord
from ..experiment.config import read
from ..experiment.identity import digest, identity_of_program, recipe_of
from ..experiment.market import load_market
from ..experiment.schema import TrainConfig
from ..live.calendar import day_of, up_to
from ..live.ends import PAGE, find_end, write_end
from ..live.issues import read_issues
from ..live.outcome import Live
from ..live.page import Month, month_report
from ..live.record import Record, log_record, read_record
from ..live.refit import is_due, newest_of_recipe, training_config
from ..live.scorer import Scorer, load_scorer
from ..live.scoring import Issuance, issue_month
from ..live.settings import MonthEndConfig, Step
from ..live.watching import Watch, watch_month
from ..registry.decision import Decision
from ..registry.standing import CHAMPION, read_standing
from ..registry.versions import Version, read_versions
from ..report.html import render
from ..tracking.locks import store_lock
from ..tracking.runs import git_commit, leave_what_is_taken
from ..tracking.store import connect, without_secrets
from . import program
from .evaluate import decide_and_record
from .score import print_watch
from .summary import issue_summary, record_summary
from .train import train

_CODES = {"done": 0, "held back": program.HELD_BACK, "alarm": program.ALARM}


def month_end(composed: DictConfig, choices: Mapping[str, str]) -> None:
    """Do a month end; ``choices``: config group -> the file that was chosen.

    Raises
    ------
    SystemExit
        With the exit code, where that is not 0, after the JSON object was printed.
    """
    began = time.perf_counter()
    try:
        config = read(composed, MonthEndConfig)
        result, code = _alone(config, ConfigRecord.of(composed), choices["gate"], began)
    except Exception as error:
        full, away = program.is_full_disk(error), _is_away(error)
        if not (full or away or isinstance(error, InputError)):
            print(json.dumps({"status": "fault", "reason": without_secrets(first_line(error))}))
            raise
        text = program.FULL_DISK if full else str(error) if isinstance(error, InputError) else first_line(error)
        text = without_secrets(" ".join(text.split()))
        print(json.dumps({"status": "try again" if away and not full else "refused", "reason": text}))
        program.refuse(text, program.TRY_AGAIN if away and not full else program.REFUSED)
    print(json.dumps(result))
    if code:
        raise SystemExit(code)


def _is_away(error: BaseException | None) -> bool:
    """Whether an error comes from a store that is away, or from another command, through however many libraries."""
    if error is None:
        return False
    here = isinstance(error, TryAgainError | requests.ConnectionError | requests.Timeout)
    if isinstance(error, sqlalchemy.exc.OperationalError):  # a database's: some are for good
        here = error.connection_invalidated or any(word in str(error) for word in ("locked", "connect"))
    return here or _is_away(program.cause_of(error))


def _alone(config: MonthEndConfig, record: ConfigRecord, gate: str, began: float) -> tuple[dict[str, Any], int]:
    """A month end under its lock: the result and the exit code."""
    connect(config.tracking.experiment)
    client, name = mlflow.MlflowClient(), config.registry.name
    leave_what_is_taken(client)
    _require_folder(Path(config.output))
    with store_lock(name, "month-end", wait=0):
        scorer = load_scorer(f"models:/{name}@{CHAMPION}")
        version = _version(client, name)
        market = load_market(
            config.data or version.config.data, scorer.descriptors, config.portfolio.quantiles, DESCRIPTORS
        )
        panel, afterwards = up_to(market, config.as_of)
        end = _End(client, config, record, gate, scorer, _shadow(config, scorer, market), version, panel, afterwards)
        key = _key(config, panel, gate)
        watched = end.watch()
        told = find_end(client, name, f"{key}; champion {scorer.number}")
        if told is not None and end.stands(told) and not config.replace:
            print(f"{told['month']} was done before: {told['page']}")
            return told, _CODES[told["status"]] or program.NOTHING_TO_DO
        if watched.unusual and not config.force:
            print("Nothing was issued: correct the data, or give force=true")
            return {"status": "held back", "month": end.month, "unusual": watched.unusual}, program.HELD_BACK
        end.score()
        end.monitor()
        end.train()
        end.evaluate()
        return end.finish(key, began)


def _require_folder(output: Path) -> None:
    """Refuse a folder that cannot be written before anything is done."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        whole_or_not(output / "probe", lambda file: file.touch())
        (output / "probe").unlink()
    except OSError as error:
        raise InputError(f"output={output}: cannot be written ({first_line(error)})") from error


def _key(config: MonthEndConfig, panel: pd.DataFrame, gate: str) -> str:
    """What a month end depends on, but for the champion: month, data, every setting of it, code and libraries."""
    left_out = ("data", "as_of", "force", "replace")  # the panel says what is in the data
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in left_out}
    known = digest([gate, settings, identity_of_program()])
    return f"{panel['date'].max():%Y-%m}; data {fingerprint(panel)}; settings {known}"


def _shadow(config: MonthEndConfig, champion: Scorer, market: pd.DataFrame) -> Scorer | None:
    """The version that runs in shadow; None if there is none, or it has become champion.

    Raises
    ------
    InputError
        If it is not there, or the data lack a descriptor of it.
    """
    if config.shadow is None:
        return None
    scorer = load_scorer(f"models:/{champion.name}/{config.shadow}")
    if missing := [name for name in scorer.descriptors if name not in market]:
        raise InputError(f"shadow={config.shadow}: the data lack {first_few(missing)}, which it was trained on")
    return None if scorer.number == champion.number else scorer


def _version(client: mlflow.MlflowClient, name: str) -> Version:
    standing = read_standing(client, name)
    known = read_versions(client, name, (standing.champion, standing.previous))
    version = known.get(standing.champion)
    if version is None:
        why = known.left_aside.get(str(standing.champion), "it was not found")
        raise InputError(f"the champion of {name}, version {standing.champion}, cannot be used: {why}")
    return version


@dataclass
class _End:
    """A month end as it goes on: what it works on, and what has been found so far."""

    client: mlflow.MlflowClient
    config: MonthEndConfig
    record: ConfigRecord
    gate: str
    scorer: Scorer
    other: Scorer | None
    version: Version
    panel: pd.DataFrame
    afterwards: bool
    watched: Watch = field(default_factory=lambda: Watch([]))
    made: Issuance | None = None
    shadow: Issuance | None = None
    live: Record | None = None
    trained: str = "left out"
    decision: Decision | None = None
    notes: list[str] = field(default_factory=list)

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
        print(f"note: {text}")
        self.notes.append(text)

    def stands(self, told: Mapping[str, Any]) -> bool:
        """Whether what an earlier month end said still does: its files and its issue are there, and no news is."""
        issued = told["issued"] or {}
        files = [told["page"], *([issued["file"]] if issued else [])]
        there = {one.run_id for one in read_issues(self.client, self.name)}
        known = told["status"] in _CODES and all(Path(str(file)).is_file() for file in files)
        return known and self.watched.unusual == told["unusual"] and (not issued or issued["run"] in there)

    def watch(self) -> Watch:
        """What is unusual about the newest month's inputs."""
        if self._skips("watch"):
            self.watched = Watch([], "skip=[watch]")
        else:
            self.watched = watch_month(self.scorer, self.panel, day_of(self.config.as_of))
        print_watch(self.watched, self.panel["date"].max())
        if self.watched.not_watched:
            self.notes.append(f"the inputs were not watched: {self.watched.not_watched}")
        return self.watched

    def score(self) -> None:
        """Issue the champion's forecasts and orders, and a shadow's forecasts beside them."""
        if self._skips("score"):
            return
        self.made = issue_month(self.scorer, self.panel, self.watched, self.afterwards, self.config.replace)
        self._write("forecasts.parquet", self.made.issued.orders)
        print(issue_summary(self.made))
        if self.made.other and not self.made.is_new:
            by = self.made.issued.issue.version
            self._note(
                f"the month stays as it was issued by version {by}; issued now it would differ: "
                f"{'; '.join(self.made.other)} (replace=true issues it anew)"
            )
        if self.other is not None:
            self.shadow = issue_month(self.other, self.panel, self.watched, self.afterwards, self.config.replace)
            print(f"In shadow: version {self.other.number}")
        elif self.config.shadow is not None:
            self._note(f"version {self.config.shadow} is champion now, and runs in shadow no more")

    def monitor(self) -> None:
        """What came true of what was issued."""
        if self._skips("monitor"):
            return
        if not read_issues(self.client, self.name):
            self._note("nothing was issued yet, so nothing came true")
            return
        self.live = read_record(self.client, self.name, self.panel)
        log_record(self.client, self.live)
        print(record_summary(self.live))

    def train(self) -> None:
        """Train the champion's recipe on the newest window, if as many months have passed as between its refits."""
        if self._skips("train"):
            return
        newest = newest_of_recipe(read_versions(self.client, self.name, (self.version.number,)), self.version)
        if self.afterwards:
            self.trained = "not from data that know what came after the month"
        elif not is_due(newest, self.panel):
            every = newest.config.window.refit_every
            self.trained = (
                f"not due: version {newest.number} has seen {newest.train_last:%Y-%m}; refitted every {every} month(s)"
            )
        else:
            given = None if self.config.data is None else json.loads(self.record.line)["data"]
            composed = OmegaConf.create(training_config(newest, given))
            if recipe_of(read(composed, TrainConfig)) != newest.recipe:
                self._note("the recipe changes with the data that were given: what is trained is no refresh")
            self.trained = f"version {train(composed, [])}"
        print(f"Training: {self.trained}")

    def evaluate(self) -> None:
        """Judge the champion and what waits, and move the champion."""
        if self._skips("evaluate"):
            return
        if self.afterwards:
            self._note("the data know what came after the month: nothing was trained or evaluated")
            return
        self.decision = decide_and_record(self.config.evaluation, self.record.flat, self.gate)

    def finish(self, key: str, began: float) -> tuple[dict[str, Any], int]:
        """Write the page and the record of the month end."""
        page = render(month_report(self._month()))
        file = self._write(PAGE, page)
        standing = read_standing(self.client, self.name)
        alarms = [text for text in (self.live.alarm if self.live else "", self._health) if text]
        issue = self.made.issued.issue if self.made else None
        live = self.live.champion if self.live else None
        result: dict[str, Any] = {
            "status": "alarm" if alarms else "done",
            "month": self.month,
            "as_of": self.config.as_of or f"{pd.Timestamp.now():%Y-%m-%d}",
            "data": fingerprint(self.panel),
            "champion": {"version": standing.champion, "issued_by": issue.version if issue else None},
            "issued": self._issued(),
            "unusual": self.watched.unusual,
            "live": None if live is None else _live_in_numbers(live),
            "trained": self.trained,
            "decision": self.decision.reason if self.decision else "left out",
            "alarms": alarms,
            "notes": self.notes,
            "page": str(file),
            "seconds": round(time.perf_counter() - began, 1),
        }
        told = write_end(self.client, self.name, self.month, f"{key}; champion {standing.champion}", result, page)
        print(f"Page: {file}")
        return told, _CODES[told["status"]]

    @property
    def _health(self) -> str:
        return self.decision.alarm if self.decision else ""

    def _issued(self) -> dict[str, Any] | None:
        if self.made is None:
            return None
        orders = self.made.issued.orders
        return {
            "run": self.made.run_id,
            "forecasts": int(orders["prediction"].notna().sum()),
            "trades": int((orders["trade"].abs() > 0).sum()),
            "file": str(self.folder / "forecasts.parquet"),
            "shadow": self.shadow.run_id if self.shadow else None,
        }

    def _month(self) -> Month:
        return Month(
            champion=self.scorer.title if self.made is None else f"version {self.made.issued.issue.version} (champion)",
            month=self.panel["date"].max(),
            orders=self.made.issued.orders if self.made else None,
            record=self.live,
            unusual=self.watched.unusual,
            trained=self.trained,
            decision=self.decision,
            notes=self.notes,
            config=self.record.yaml,
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
    """JSON has no NaN."""
    return round(value, 4) if math.isfinite(value) else None
