"""The gates of promotion: each asks one question of a version and gives a value, a threshold and a verdict.

Some ask whether the version is what its training recorded (replay, direction, books, linearisation); later months
cannot change the answer. Others ask what its forecasts of unseen months show, and how it compares with the champion.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from .checkup import Checkup
from .thresholds import Thresholds

MONTHS = "months out of sample"
"""Gate that time alone may turn from failed to passed."""

REPLACEMENT = "better than the champion"
"""Gate that a new recipe must pass to replace the champion's."""


@dataclass(frozen=True)
class Verdict:
    """Answer of one gate. ``lasting``: more months or another champion cannot change a failure."""

    gate: str
    value: float
    threshold: float
    passed: bool
    lasting: bool
    reason: str


def judge_artifact(checkup: Checkup, limits: Thresholds) -> list[Verdict]:
    """Judge whether the version is what its training recorded."""
    return [
        _at_most("replay of recorded forecasts", checkup.replay_error, limits.max_replay_error, lasting=True),
        _at_least(
            "direction",
            checkup.direction,
            limits.min_direction,
            " with its walk-forward",
            lasting=True,
            lacking="its record has no forecasts of recent months: train it again",
        ),
        _at_most("conservation of relevance", checkup.conservation_error, limits.max_conservation_error, lasting=True),
        _at_least(
            "fidelity of linearisation",
            checkup.fidelity,
            limits.min_fidelity,
            lasting=True,
            lacking="its forecasts of the newest month do not differ between stocks: train it again",
        ),
    ]


def judge_history(kept: float, limits: Thresholds) -> Verdict:
    """Judge whether the panel still has the months on which the version was tested, bad ones included.

    ``kept``: see :func:`.history.share_kept`.
    """
    what = " of its test months' absolute returns are in the panel"
    lacking = "its record has no returns: train it again"
    return _at_least("history kept", kept, limits.min_history, what, lacking=lacking)


def judge_skill(scores: pd.Series, limits: Thresholds) -> list[Verdict]:
    """Judge whether the forecasts have shown skill.

    ``scores``: see :func:`~.scores.score`.
    """
    over = f" over {scores['trials']:.0f} trials, worth {scores['independent']:.1f} independent ones"
    verdicts = [
        _at_least(MONTHS, scores["months"], limits.min_months),
        _at_least(
            "Sharpe after costs, low end of interval", scores["sharpe_low"], limits.min_sharpe_low, lacking=_TOO_FEW
        ),
        _at_least("deflated Sharpe", scores["deflated"], limits.min_deflated, over, lacking=_TOO_FEW),
        _at_least(
            "rank IC t-statistic",
            scores["rank_ic_t"],
            float(stats.t.isf(limits.max_rank_ic_p, scores["rank_ic_df"])),
            lacking=_TOO_FEW,
        ),
        _at_most("rank IC not too good to be true", scores["rank_ic"], limits.max_rank_ic),
        _at_most("Sharpe after costs not too good to be true", scores["sharpe_low"], limits.max_sharpe),
    ]
    if (least := limits.min_better_than_linear) is not None:
        lacking = f"{_TOO_FEW}, or it has no forecasts of the row linear: train it again"
        verdicts.append(
            _better("not clearly worse than linear", scores["better_than_linear"], least, "linear", lacking)
        )
    return verdicts


def judge_refresh(agreement: float, champion: str, limits: Thresholds) -> Verdict:
    """Judge whether a refresh agrees with the champion on the newest month."""
    return _at_least(
        "agreement with the champion",
        agreement,
        limits.min_agreement,
        f", version {champion}",
        lacking=_NO_CHAMPION.format(champion=champion),
    )


def judge_replacement(better: float, champion: str, limits: Thresholds) -> Verdict:
    """Judge whether a new recipe is better than the champion's."""
    lacking = f"{_TOO_FEW} in common, or {_NO_CHAMPION.format(champion=champion)}"
    return _better(REPLACEMENT, better, limits.min_better, f"the champion, version {champion}", lacking)


def judge_audit(audit: pd.DataFrame) -> Verdict:
    """Return the gate of the leak suite, from the table of :func:`drf.registry.audit.audit`."""
    failed = audit[~audit["passed"]]
    reason = "; ".join(f"{check}: {why}" for check, why in zip(failed["check"], failed["reason"], strict=True))
    passed = len(audit) - len(failed)
    return Verdict(
        "audit", float(passed), float(len(audit)), failed.empty, False, reason or f"all {passed} checks passed"
    )


def failures(verdicts: Iterable[Verdict]) -> str:
    """Return the failed gates with their reasons; empty if all passed."""
    return "; ".join(f"{verdict.gate}: {verdict.reason}" for verdict in verdicts if not verdict.passed)


_TOO_FEW = "too few months"

_NO_CHAMPION = "the champion, version {champion}, cannot be examined: see what is said of it, or roll back"


def _better(gate: str, value: float, threshold: float, whom: str, lacking: str) -> Verdict:
    return _at_least(
        gate, value, threshold, f" probability of a better Sharpe after costs than {whom}", lacking=lacking
    )


def _at_least(
    gate: str, value: float, threshold: float, what: str = "", lasting: bool = False, lacking: str = ""
) -> Verdict:
    """Return the verdict on a value with a lower limit; ``lacking`` names what is missing for an estimate."""
    passed = bool(value >= threshold)  # False for NaN: what cannot be estimated does not pass
    words = _words(value, what, f"needed at least {threshold:.3g}", lacking)
    return Verdict(gate, float(value), threshold, passed, lasting and not np.isnan(value), words)


def _at_most(gate: str, value: float, threshold: float, lasting: bool = False) -> Verdict:
    passed = bool(value <= threshold)
    words = _words(value, "", f"allowed at most {threshold:g}", "")
    return Verdict(gate, float(value), threshold, passed, lasting and not np.isnan(value), words)


def _words(value: float, what: str, needed: str, lacking: str) -> str:
    unknown = f"cannot be estimated ({lacking})" if lacking else "cannot be estimated"
    return f"{unknown if np.isnan(value) else f'{value:.3g}{what}'}, {needed}"
