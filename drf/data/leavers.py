"""Leavers: stocks whose last row has no return, and the rules for filling it in."""

import re

import pandas as pd

from ..errors import InputError, first_few
from .panel import RETURN

_RULE = re.compile(r"drop|zero|delist=(-?\d*\.?\d+)")

SHUMWAY = -0.3
"""Mean return of NYSE stocks delisted for performance (Shumway 1997, Journal of Finance 52)."""


def check_rule(rule: str) -> None:
    """Refuse an unknown rule for missing last returns; raises InputError."""
    found = _RULE.fullmatch(rule)
    if found is None or (found[1] and not -1 <= float(found[1]) <= 1):
        raise InputError(
            f"data.missing_return={rule}: must be drop (unknown), zero, or delist=NUMBER, a decimal return such as "
            f"{SHUMWAY}"
        )


def without_last_return(panel: pd.DataFrame) -> pd.Series:
    """Return True for the last row of each stock that leaves a panel in contract form without a return."""
    known = panel.loc[panel[RETURN].notna(), "date"]
    is_last = panel.groupby("asset")["date"].transform("max") == panel["date"]
    return is_last & (panel["date"] <= known.max()) & panel[RETURN].isna()


def treat_leavers(panel: pd.DataFrame, rule: str) -> tuple[pd.DataFrame, list[str]]:
    """Put a return into the last row of stocks that leave without one.

    Args:
        rule: ``drop``: the return stays unknown, and portfolios do not hold the stock in that month; ``zero``; or
            ``delist=-0.3``, the return on leaving.

    Returns:
        The panel, and a sentence if there are such stocks.
    """
    check_rule(rule)
    lost = without_last_return(panel)
    if not lost.any():
        return panel, []
    number, stocks = int(lost.sum()), panel["asset"].nunique()
    words = f"{number:,} of {stocks:,} stocks leave without a last return ({first_few(panel.loc[lost, 'asset'])})"
    if rule == "drop":
        return panel, [
            f"{words}: no portfolio holds them in that month, which only the future could tell: give the return on "
            f"leaving, or set data.missing_return=delist={SHUMWAY} or zero"
        ]
    value = 0.0 if rule == "zero" else float(rule.partition("=")[2])
    return panel.assign(**{RETURN: panel[RETURN].mask(lost, value)}), [f"{words}: it is set to {value:+.0%}"]
