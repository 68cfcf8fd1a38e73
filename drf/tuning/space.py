"""Search spaces: entries of ``space`` in ``conf/model`` as Optuna's distributions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from optuna.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Search range of a setting.

    Attributes:
        type: ``float`` or ``int``: a number between ``low`` and ``high``, uniform or, with ``log``, uniform in its
            logarithm. ``choice``: one of ``choices``.

    Raises ValueError if a key that the type needs is missing.
    """

    type: Literal["float", "int", "choice"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: list[Any] | None = None

    def __post_init__(self) -> None:
        if self.type == "choice" and not self.choices:
            raise ValueError("choices: a search range of type choice needs a list of values")
        if self.type != "choice" and (self.low is None or self.high is None or self.low > self.high):
            raise ValueError(
                f"low={self.low}, high={self.high}: a search range needs both, and low must not exceed high"
            )

    def holds(self, value: Any) -> bool:
        """Tell whether a value can be proposed."""
        if self.choices is not None:
            return value in self.choices
        assert self.low is not None and self.high is not None
        return isinstance(value, (int, float)) and self.low <= value <= self.high

    def suggest(self, trial: Trial, name: str) -> Any:
        """Let a trial choose a value."""
        if self.choices is not None:
            return trial.suggest_categorical(name, self.choices)
        assert self.low is not None and self.high is not None
        if self.type == "int":
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


def entries(space: Mapping[str, Mapping[str, Any]]) -> dict[str, Entry]:
    """Return the entries of a family's space."""
    return {name: Entry(**entry) for name, entry in space.items()}
