"""Standing: one sentence on what became of a version and why, for every page, card and printed line."""

from dataclasses import dataclass

from ..registry.decision import Decision, Evaluation

HEADS = ("**Champion**", "**Previous**", "**Not promoted**", "**Not in production**")
"""Words with which every card begins."""


@dataclass(frozen=True)
class Standing:
    """Standing of a version after a decision.

    Attributes:
        head: First words of its card, in bold.
        predicate: The same, worded for a sentence that begins with "Version 3".
        reason: Continuation of head or predicate, up to the full stop.
    """

    head: str
    predicate: str
    reason: str

    @property
    def card(self) -> str:
        """Return the sentence that opens the version's card."""
        return f"{self.head}{self.reason}."

    def sentence(self, number: str) -> str:
        """Return the sentence of the version's report."""
        return f"Version {number} {self.predicate}{self.reason}."


def standing_of(number: str, decision: Decision, evaluation: Evaluation | None, gates: str | None) -> Standing:
    """Return the standing of a version after a decision.

    Args:
        number, decision, evaluation: Version, decision, and the version's evaluation; None if it was not judged.
        gates: Gates under which it became champion; None or empty if it did not.
    """
    by = "Last decision" if decision.asked else "A person decided"
    last = f". {by}: {decision.reason}"
    if number == decision.after.champion:
        if not decision.asked:
            return Standing(
                "**Champion**", "is champion", f", by a person's decision and not by gates: {decision.reason}"
            )
        return Standing("**Champion**", "is champion", f", promoted under {_gates(gates, decision)}{last}")
    if number == decision.after.previous:
        return Standing("**Previous** champion", "is the previous champion", f": a rollback returns to it{last}")
    if evaluation is None or number == decision.before.champion:
        return Standing("**Not in production** any more", "is not in production any more", last)
    return Standing("**Not promoted**", "was not promoted", f": {_why_not(number, decision, evaluation)}")


def _gates(gates: str | None, decision: Decision) -> str:
    if not gates or gates == decision.asked:
        return _short(decision.asked)
    return f"{_short(gates)}; judged now under {_short(decision.asked)}"


def _short(gates: str) -> str:
    """Return the name of the gates, without the list of differences from the strict ones."""
    return gates if gates.startswith("no gates") else gates.partition(":")[0] + " gates"


def _why_not(number: str, decision: Decision, evaluation: Evaluation) -> str:
    if evaluation.reason:
        return evaluation.reason
    if number == decision.chosen:
        return decision.reason
    return "it passed every gate, and another version is better"


def alarm_in_words(decision: Decision) -> str:
    """Return "ALARM: why" for a champion's fault, plain words if there is no champion yet, or empty text."""
    if decision.alarm and not (decision.before.line or decision.after.champion):
        return "There is no champion yet"
    return f"ALARM: {decision.alarm}" if decision.alarm else ""


def at_alarm(name: str) -> list[str]:
    """Return the steps open to people at an alarm on a registered model, in the order to take them."""
    model = f"registry.name={name}"
    return [
        "Look: open the page and the evaluation's report; is it the data, the market, or the model?",
        "Hold: no orders are issued while an alarm stands with drf month-end portfolio.at_alarm=hold; "
        f"drf evaluate {model} hold=true reason=... freezes the aliases.",
        f"Roll back: drf evaluate {model} rollback=true reason=... returns to the version before, if it was better.",
        "Retire: train another recipe (drf train) on the same data, and let drf evaluate replace the champion.",
    ]


def promotion_in_words(decision: Decision) -> str:
    """Return "promoted version 3: why" or "nothing was promoted: why"; for a person's decision, only its reason."""
    if not decision.asked:
        return decision.reason
    verb = f"promoted version {decision.promoted}" if decision.promoted else "nothing was promoted"
    return f"{verb}: {decision.reason}"
