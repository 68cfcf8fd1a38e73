"""Configuration of an evaluation."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from annotated_types import Ge

from ..errors import InputError
from ..evaluation.portfolio import PortfolioRule
from ..experiment.schema import DataConfig, RegistryConfig, TrackingConfig, store_schema
from .thresholds import Thresholds

Refresh = Literal["auto", "gated", "never"]
Number = Annotated[int, Ge(1)]

LONGEST_REASON = 1000


@dataclass(frozen=True, kw_only=True)
class KeepingConfig(RegistryConfig):
    """Registered model, and how its versions are kept.

    Attributes:
        refresh: Rule for a newer version of the champion's recipe: it becomes champion if it is sound (``auto``), if it
            also passes the gates of skill (``gated``), or not at all (``never``).
        keep: Number of judged versions to keep; older ones are archived, unless they hold an alias.
    """

    refresh: Refresh = "auto"
    keep: Number = 12


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Settings of an evaluation.

    Attributes:
        data: Market to judge on; it must be the versions' market.
        audit: True if the leak suite is to run on the newest version's settings, and every version must pass it,
            whatever the gate config says.
        dry_run: True if it judges and prints, but moves and writes nothing.
        promote, rollback, hold, archive: People's decisions instead of an evaluation: make a version champion, roll
            back to the version before (true) or another, hold or release the aliases, or stop judging a version.
        reason: Reason for such a decision; it is recorded with the user's name.

    Raises InputError if more than one decision is asked for, or one without its reason.
    """

    data: DataConfig
    portfolio: PortfolioRule
    gate: Thresholds
    tracking: TrackingConfig
    registry: KeepingConfig
    audit: bool = False
    dry_run: bool = False
    promote: Number | None = None
    rollback: bool | Number = False
    hold: bool | None = None
    archive: Number | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        asked = self.asked
        if self.reason is not None and not 0 < len(self.reason.strip()) <= LONGEST_REASON:
            raise InputError(f"reason: must have at least one and at most {LONGEST_REASON:,} characters")
        if len(asked) > 1:
            raise InputError(f"{' '.join(asked)}: give only one of promote, rollback, hold and archive")
        if asked and self.dry_run:
            raise InputError(f"{asked[0]}: dry_run=true cannot be combined with it")
        if asked and self.reason is None and self.rollback is not True:
            raise InputError(f"{asked[0]}: give the reason for the record: reason='...'")
        if not asked and self.reason is not None:
            raise InputError("reason: is only for promote=, rollback=, hold= and archive=")

    @property
    def asked(self) -> Sequence[str]:
        """Requested decisions of people, as written on the command line."""
        given = {"promote": self.promote, "rollback": self.rollback or None, "hold": self.hold, "archive": self.archive}
        return [f"{name}={str(value).lower()}" for name, value in given.items() if value is not None]


def gates_in_words(choice: str, config: EvaluateConfig, strict: Thresholds, costs: PortfolioRule) -> str:
    """Return the gates and portfolios of an evaluation in words: ``strict``, or how they differ from it.

    Args:
        choice: The file of ``conf/gate`` that was chosen.
        strict, costs: Settings of ``conf/gate/strict.yaml`` and ``conf/portfolio/quintile.yaml``.
    """
    usual = {"gate": asdict(strict), "portfolio": asdict(costs)}
    given = {"gate": asdict(config.gate), "portfolio": asdict(config.portfolio)}
    other = [
        f"{group}.{name}={value} (strict: {usual[group][name]})"
        for group, values in given.items()
        for name, value in values.items()
        if name != "cap" and value != usual[group][name]
    ]
    return f"{choice}: {', '.join(other)}" if other else "strict"


store_schema("evaluate_schema", EvaluateConfig)
