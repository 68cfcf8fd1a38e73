"""Pairs of rows, compared on the months that both have."""

import itertools
from collections.abc import Mapping

import pandas as pd

from .hac import hac_mean
from .intervals import sharpe_intervals


def pairs(series: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the differences between rows.

    Args:
        series: Row -> its monthly series, see :func:`~.metrics.monthly_series`.

    Returns:
        One row an ordered pair: ``row``, ``other``, ``periods``. ``sharpe``: the difference of their Sharpe ratios
        after costs, with ``sharpe_low``, ``sharpe_high`` and ``better``, the probability that the row's true ratio is
        the larger. ``rank_ic``: the mean difference of their monthly rank ICs, with ``rank_ic_t`` and ``rank_ic_p``.
        ``squared_error``: the mean difference of their monthly mean squared errors. ``squared_error_t`` and
        ``squared_error_p`` are from the test of Diebold and Mariano (1995) with the standard errors of :mod:`~.hac`.
        ``note``: what cannot be estimated, and why.
    """
    lines = []
    for row, other in itertools.permutations(series, 2):
        ours, theirs = series[row], series[other]
        net = pd.DataFrame({row: ours["long_short_net"], other: theirs["long_short_net"]})
        sharpe = sharpe_intervals(net, other).iloc[0]
        apart = hac_mean(
            pd.DataFrame(
                {
                    "rank_ic": ours["rank_ic"] - theirs["rank_ic"],
                    "squared_error": ours["rmse"] ** 2 - theirs["rmse"] ** 2,
                }
            )
        )
        lines.append(
            {
                "row": row,
                "other": other,
                "periods": len(net.dropna()),
                "sharpe": sharpe["difference"],
                "sharpe_low": sharpe["difference_low"],
                "sharpe_high": sharpe["difference_high"],
                "better": sharpe["better"],
                **{
                    name if part == "mean" else f"{name}_{part}": apart.loc[name, part]
                    for name in apart.index
                    for part in ("mean", "t", "p")
                },
                "note": _note(apart["note"].tolist(), sharpe),
            }
        )
    return pd.DataFrame(lines, columns=_COLUMNS)


_COLUMNS = [
    "row", "other", "periods", "sharpe", "sharpe_low", "sharpe_high", "better", "rank_ic", "rank_ic_t", "rank_ic_p",
    "squared_error", "squared_error_t", "squared_error_p", "note",
]  # fmt: skip


def _note(of_means: list[str], sharpe: pd.Series) -> str:
    """Return why an entry of a pair is empty."""
    if notes := [note for note in of_means if note]:
        return notes[0]
    if pd.isna(sharpe["difference"]):
        return sharpe["note"] or "cannot be estimated, because there are too few periods, or returns that do not vary"
    return ""
