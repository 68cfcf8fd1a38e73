"""drf month-end: watch, score, what came true, train if it is time, evaluate, and a page that shows all.

The last line that it prints is one JSON object. A second call for the same month, data and champion finds what was
done and says the same; one that was killed is resumed by the next, since each step finds its own work done.
"""

from __future__ import annotations

import dataclasses
import json
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
from ..data.panel import RETURN, fingerprint
from ..data.sources import NamedElsewhere
from ..errors import InputError, TryAgainError, first_line
from ..experiment.config import Record as ConfigRecord
from ..experiment.config import read
from ..experiment.market import load_market
from ..experiment.recipe import recipe_of
from ..experiment.schema import DataConfig, TrainConfig
from ..live.calendar import day_of, out_of_date, up_to
from ..live.ends import PAGE, find_end, write_end
from ..live.page import Month, month_report
from ..live.record import Record, log_record, read_record
from ..live.scoring import Issuance, Scorer, issue_month, load_scorer, watch_inputs
from ..live.settings import MonthEndConfig, Step
from ..registry.decision import Decision
from ..registry.standing import CHAMPION, read_standing
from ..registry.versions import RegisteredVersions, Version, read_versions
from ..report.html import render
from ..tracking.locks import store_lock
from ..tracking.runs import git_commit
from ..tracking.store import connect, without_secrets
from . import program
from .evaluate import decide_and_record
from .score import HELD_BACK
from .summary import issue_summary, record_summary
from .train import train

ALARM, TRY_AGAIN, NOTHING_TO_DO = 4, 75, 99
"""Exit codes, beside 0, 2 for refused input and 3 where the inputs are unusual and nothing was issued."""

_CODES = {"done": 0, "held back": HELD_BACK, "alarm": ALARM}


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
        away = _is_away(error)
        if not away and not isinstance(error, InputError):
            raise
        text = without_secrets(" ".join((str(error) if isinstance(error, InputError) else first_line(error)).split()))
        print(json.dumps({"status": "try again" if away else "refused", "reason": text}))
        program.refuse(text, TRY_AGAIN if away else program.REFUSED)
    print(json.dumps(result))
    if code:
        raise SystemExit(code)


def _is_away(error: BaseException | None) -> bool:
    """Whether an error comes from a store that is away, or from another command, through however many libraries."""
    if error is None:
        return False
    here = isinstance(error, TryAgainError | requests.RequestException | sqlalchemy.exc.OperationalError)
    return here or _is_away(error.__cause__ or error.__context__)


def _alone(config: MonthEndConfig, record: ConfigRecord, gate: str, began: float) -> tuple[dict[str, Any], int]:
    """A month end under its lock: the result and the exit code."""
    connect(config.tracking.experiment)
    client, name = mlflow.MlflowClient(), config.registry.name
    with store_lock(name, "month-end", wait=0):
        scorer = load_scorer(f"models:/{name}@{CHAMPION}")
        version = _version(client, name)
        market = load_market(
            config.data or version.config.data, scorer.descriptors, config.portfolio.quantiles, DESCRIPTORS
        )
        panel, afterwards = up_to(market, config.as_of)
        key = _Key.of(config, panel, gate)
        end = _End(client, config, record, gate, scorer, version, panel, afterwards)
        end.look_at_the_calendar()
        told = find_end(client, name, key.of_champion(scorer.number))
        if told is not None and not end.unusual and not config.replace:
            print(f"{key.month} was done before: {told['page']}")
            return told, _CODES[told["status"]] or NOTHING_TO_DO
        unusual = end.watch()
        if unusual and not config.force:
            print(f"{len(unusual)} number(s) of {key.month} are unusual, and nothing was issued: correct the data, or "
                  "give force=true")  # fmt: skip
            return {"status": "held back", "month": key.month, "unusual": unusual}, HELD_BACK
        end.score(unusual)
        end.monitor()
        end.train()
        end.evaluate()
        return end.finish(key, began)


@dataclass(frozen=True)
class _Key:
    """What a month end depends on; the champion that it leaves is the rest of it."""

    month: str
    data: str
    choices: str

    @classmethod
    def of(cls, config: MonthEndConfig, panel: pd.DataFrame, gate: str) -> _Key:
        choices = [gate, *sorted(config.skip), *([f"shadow {config.shadow}"] if config.shadow else [])]
        return cls(f"{panel['date'].max():%Y-%m}", fingerprint(panel), ", ".join(choices))

    def of_champion(self, number: str | None) -> str:
        return f"{self.month}; data {self.data}; champion {number}; {self.choices}"


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
    version: Version
    panel: pd.DataFrame
    afterwards: bool
    unusual: list[str] = field(default_factory=list)
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
    def folder(self) -> Path:
        return Path(self.config.output).absolute() / f"{self.panel['date'].max():%Y-%m}"

    def _skips(self, step: Step) -> bool:
        return step in self.config.skip

    def _note(self, text: str) -> None:
        print(f"note: {text}")
        self.notes.append(text)

    def look_at_the_calendar(self) -> None:
        """Whether the newest month is the last that has ended: an old file was done before, and is no news."""
        if not self._skips("watch"):
            found = out_of_date(self.panel["date"].max(), day_of(self.config.as_of))
            self.unusual = [str(finding) for finding in found]

    def watch(self) -> list[str]:
        """What is unusual about the newest month's inputs, in words."""
        if self._skips("watch"):
            self._note("the inputs were not watched (skip)")
            return []
        try:
            self.unusual += [str(finding) for finding in watch_inputs(self.scorer, self.panel)]
        except ValueError as error:
            self._note(f"the inputs are not watched: {error}")
        for text in self.unusual:
            print(f"unusual in {self.panel['date'].max():%Y-%m}: {text}")
        return self.unusual

    def score(self, unusual: list[str]) -> None:
        """Issue the champion's forecasts and orders, and a shadow's forecasts beside them."""
        if self._skips("score"):
            return
        self.made = issue_month(self.scorer, self.panel, unusual, self.afterwards, self.config.replace)
        print(issue_summary(self.made, self.scorer.title))
        if self.made.other and not self.made.is_new:
            by = self.made.issued.issue.version
            self._note(
                f"the month stays as it was issued by version {by}; issued now it would differ: "
                f"{'; '.join(self.made.other)} (replace=true issues it anew)"
            )
        if self.config.shadow is not None:
            other = load_scorer(f"models:/{self.name}/{self.config.shadow}")
            if other.number == self.scorer.number:
                raise InputError(f"shadow={self.config.shadow}: is the champion: name another version")
            self.shadow = issue_month(other, self.panel, unusual, self.afterwards, self.config.replace)
            print(f"In shadow: version {other.number}")
        self._write("forecasts.parquet", self.made.issued.orders)

    def monitor(self) -> None:
        """What came true of what was issued."""
        if self._skips("monitor"):
            return
        self.live = read_record(self.client, self.name, self.panel)
        log_record(self.client, self.live)
        print(record_summary(self.live))

    def train(self) -> None:
        """Train the champion's recipe on the newest window, if as many months have passed as between its refits."""
        if self._skips("train"):
            return
        newest = self._newest_of_recipe()
        last = self.panel.loc[self.panel[RETURN].notna(), "date"].max()
        passed = 12 * (last.year - newest.train_last.year) + last.month - newest.train_last.month
        every = newest.config.window.refit_every
        if self.afterwards:
            self.trained = "not from data that go on after the month"
        elif passed < every:
            self.trained = (
                f"not due: version {newest.number} has seen {newest.train_last:%Y-%m}; refitted every {every} month(s)"
            )
        else:
            self.trained = f"version {train(self._recipe(newest), [])}"
            connect(self.config.tracking.experiment)
        print(f"Training: {self.trained}")

    def _newest_of_recipe(self) -> Version:
        known: RegisteredVersions = read_versions(self.client, self.name, (self.version.number,))
        return max((one for one in known.versions if one.is_like(self.version)), key=lambda one: one.age)

    def _recipe(self, version: Version) -> DictConfig:
        """The config of a training of the champion's recipe up to now, on the data that were given."""
        recorded = json.loads(version.tags["config"])
        # the keys that every data config has; the others are references to which the recorded source does not refer
        data = {entry.name: recorded["data"].get(entry.name) for entry in dataclasses.fields(DataConfig)}
        if self.config.data is not None:
            given = json.loads(self.record.line)["data"]
            data |= {"source": given["source"], "macro": given.get("macro") or data["macro"]}
        elif isinstance(version.config.data.source, NamedElsewhere):
            raise InputError("the champion's data come from a source that is not this project's: give data=...")
        recorded["data"] = data
        recorded["window"]["test_to"] = None
        composed = OmegaConf.create(recorded)
        if recipe_of(read(composed, TrainConfig)) != version.recipe:
            self._note(
                "the recipe changes with the data that were given: what is trained is no refresh of the champion"
            )
        return composed

    def evaluate(self) -> None:
        """Judge the champion and what waits, and move the champion."""
        if self._skips("evaluate"):
            return
        if self.afterwards:
            self._note("the data go on after the month: nothing was trained or evaluated")
            return
        self.decision = decide_and_record(self.config.evaluation, self.record.flat, self.gate)

    def finish(self, key: _Key, began: float) -> tuple[dict[str, Any], int]:
        """Write the page and the record of the month end."""
        page = render(month_report(self._month()))
        file = self._write(PAGE, page)
        standing = read_standing(self.client, self.name)
        alarms = [text for text in (self.live.alarm if self.live else "", self._health) if text]
        issue = self.made.issued.issue if self.made else None
        live = self.live.champion if self.live else None
        result: dict[str, Any] = {
            "status": "alarm" if alarms else "done",
            "month": key.month,
            "as_of": self.config.as_of or f"{pd.Timestamp.now():%Y-%m-%d}",
            "data": key.data,
            "champion": {"version": standing.champion, "issued_by": issue.version if issue else None},
            "issued": self._issued(),
            "unusual": self.unusual,
            "live": None if live is None else {"months": len(live.months), "evidence": _number(live.evidence)},
            "trained": self.trained,
            "decision": self.decision.reason if self.decision else "left out",
            "alarms": alarms,
            "notes": self.notes,
            "page": str(file),
            "seconds": round(time.perf_counter() - began, 1),
        }
        told = write_end(self.client, self.name, key.month, key.of_champion(standing.champion), result, page)
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
            champion=self.scorer.title,
            month=self.panel["date"].max(),
            orders=self.made.issued.orders if self.made else None,
            record=self.live,
            unusual=self.unusual,
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


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return round(value, 4) if value == value else None
