"""Decisions: the evaluation of each version, and the choice among them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from .aliases import Hold, Standing
from .gates import Verdict, failures
from .versions import RegisteredVersions


@dataclass(frozen=True)
class Evaluation:
    """Evaluation of one version.

    Attributes:
        role: ``champion``, ``previous``, ``refresh`` or ``new recipe``.
        passed, reason: True if it passed all gates of its role, and the failed gates in words if it did not.
        scores, verdicts, months: See :mod:`.scores` and :mod:`.gates`; empty where nothing was scored or judged. First
            and last month scored.
        skill: Verdicts on a refresh's months, which are reported but not required.
        settled: Gates of the version's final judgement, as on its tag; empty if it is to be judged again.
        restated: Sentence on changes of the market's history since its training; empty if there are none.
    """

    number: str
    role: str
    passed: bool
    reason: str
    scores: pd.Series
    verdicts: tuple[Verdict, ...]
    skill: tuple[Verdict, ...]
    settled: str
    restated: str
    months: tuple[pd.Timestamp, pd.Timestamp] | None

    def table(self) -> pd.DataFrame:
        """Return one row per gate."""
        return pd.DataFrame([{"version": self.number, **vars(verdict)} for verdict in self.verdicts])


@dataclass(frozen=True)
class Decision:
    """Decision about the aliases, with its reasons.

    Attributes:
        before, after: Holders of the aliases.
        chosen: Version that passed, and is or would be the new champion; None if there is none.
        hold: Hold on the aliases, if any; it explains why nothing was moved.
        evaluations: Evaluations, the champion's first.
        superseded, left_aside: Versions that were not judged, each with the newer version that supersedes it or the
            reason for leaving it out.
        reason: In words.
        asked: Gates and portfolios, in words.
        audited: True if a version had to pass the leak suite.
        promoted_under: Version -> the gates under which it became champion, where it did.
        overdue: Sentence if the champion is older than its recipe's refit interval.
    """

    before: Standing
    after: Standing
    reason: str
    chosen: str | None = None
    hold: Hold | None = None
    evaluations: tuple[Evaluation, ...] = ()
    superseded: Mapping[str, str] = field(default_factory=dict)
    left_aside: Mapping[str, str] = field(default_factory=dict)
    asked: str = ""
    audited: bool = True
    promoted_under: Mapping[str, str] = field(default_factory=dict)
    overdue: str = ""

    @property
    def promoted(self) -> str | None:
        """The version that became champion now, if one did."""
        return self.after.champion if self.after.champion != self.before.champion else None

    @property
    def alarm(self) -> str:
        """Fault of the champion after the decision; empty if there is none, or a person decided."""
        champion = self.after.champion
        if not self.asked:
            return ""
        if champion is None:
            return "there is no champion"
        evaluation = next((evaluation for evaluation in self.evaluations if evaluation.number == champion), None)
        if evaluation is None:
            why = self.left_aside.get(champion, "it was not found")
            return f"the champion, version {champion}, cannot be judged: {why}"
        if not evaluation.verdicts:
            return f"the champion, version {champion}, cannot be judged: {evaluation.reason}"
        failed = failures((*evaluation.verdicts, *evaluation.skill))
        return f"the champion, version {champion}, fails its gates: {failed}" if failed else self.overdue

    def to_archive(self, known: RegisteredVersions, keep: int) -> list[str]:
        """Return the evaluated or superseded versions without an alias that are older than the ``keep`` newest."""
        held = {self.after.champion, self.after.previous, self.chosen}
        done = {evaluation.number for evaluation in self.evaluations if evaluation.settled} | set(self.superseded)
        old = [version for version in known.versions if version.judged is not None or version.number in done]
        old = [version for version in old if version.number not in held]
        return [version.number for version in old[: max(0, len(old) - keep)]]
