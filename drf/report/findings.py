"""What a comparison's tables say, in sentences. Numbers decide the words; nothing here is chosen by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..comparison.evidence import BENCHMARK
from ..evaluation.annual import MONTHS_A_YEAR
from ..models.rows import linearised


def best_row(comparison: pd.DataFrame) -> str | None:
    """The row with the best Sharpe ratio after costs; None if none could be estimated."""
    known = comparison.dropna(subset=["sharpe_net"])
    return None if known.empty else str(known["row"].iloc[int(known["sharpe_net"].argmax())])


def which_model(comparison: pd.DataFrame) -> str:
    """The best row, and the row with the least error where that is another."""
    best = best_row(comparison)
    if best is None:
        return "No row's Sharpe ratio can be estimated: there are too few months."
    line = comparison.set_index("row").loc[best]
    text = (
        f"{best} has the best Sharpe ratio after costs of {len(comparison)} rows: {line['sharpe_net']:.2f} a year, "
        f"with a mean rank IC of {line['rank_ic']:.3f}."
    )
    least = str(comparison["row"].iloc[int(comparison["rmse"].argmin())])
    return text if least == best else f"{text} {least} has the smallest RMSE."


def how_sure(evidence: Mapping[str, pd.DataFrame], best: str | None) -> str:
    """The interval of the best row, its distance to linear, and what the number of trials leaves of it."""
    if best is None:
        return "Nothing can be said."
    net = evidence["sharpe"].query("returns == 'net'").set_index("row").loc[best]
    if net["note"]:
        return f"The interval {net['note']}."
    text = [f"Its 95 % interval over {net['periods']} months is {net['low']:.2f} to {net['high']:.2f}"]
    beside = "lies below 0" if net["high"] < 0 else "does not exclude 0" if net["low"] <= 0 else "excludes 0"
    text[0] += f": it {beside}."
    if "difference" in net and not np.isnan(net["difference"]):
        span = f"{net['difference']:+.2f} ({net['difference_low']:.2f} to {net['difference_high']:.2f})"
        told = f"cannot be told from {BENCHMARK}"
        if net["difference_low"] > 0:
            told = f"is better than {BENCHMARK} beyond chance"
        text.append(f"Against {BENCHMARK} on the same months: {span}; it {told}.")
    deflated = evidence["deflated"].set_index("row").loc[best]
    if not np.isnan(deflated["deflated"]):
        text.append(
            "Deflated Sharpe ratio: the probability that its true Sharpe ratio exceeds the best that chance would show "
            f"in {deflated['trials']} trials is {100 * deflated['deflated']:.1f} %."
        )
    return " ".join(text)


def what_drives(contributions: pd.Series, row: str) -> str:
    """Each factor's share of the forecast spread.

    Parameters
    ----------
    contributions
        Mean contribution to the forecast of the long side less that of the short side: factor -> decimals a month.
    """
    total, size = contributions.sum(), contributions.abs().sum()
    if not size > 0:
        return f"Nothing: {row} forecasts the same for all stocks."
    shares = (100 * contributions / size).sort_values(key=np.abs, ascending=False)
    words = ", ".join(f"{factor} {share:.0f} %" for factor, share in shares.items())
    return (
        f"{words}. These are signed shares of the absolute contributions to {row}'s forecast of the long side less the "
        f"short side, which is {1e4 * total:.0f} basis points a month."
    )


def caveats(
    evidence: Mapping[str, pd.DataFrame], comparison: pd.DataFrame, simulated: bool, neutral: float
) -> list[str]:
    """What a reader must know before using a number, as far as the tables tell."""
    sure = evidence["sharpe"].query("returns == 'net'")
    months = int(sure["periods"].max())
    lines = [
        f"{months} months give an annualised Sharpe ratio a standard error of about "
        f"{np.sqrt(MONTHS_A_YEAR / max(months, 1)):.2f}: differences below that are not to be relied on."
    ]
    if "difference_low" in sure:
        apart = sure.loc[sure["difference_low"] > 0, "row"].tolist()
        lines.append(
            f"Beyond chance better than {BENCHMARK} after costs: {', '.join(apart) if apart else 'no row'}. Each "
            "interval is for one row alone and does not allow for the number of rows compared."
        )
    kept = evidence["confidence_set"].query("by == 'return after costs'")
    lines.append(
        f"In returns after costs {int(kept['included'].sum())} of {len(kept)} rows cannot be told from the best (model "
        "confidence set, 90 %)."
    )
    spread = evidence["seeds"].query("seed == 'sd'")
    for line in spread[linearised(spread["row"].tolist())].to_dict("records"):
        seeds = (evidence["seeds"]["row"] == line["row"]).sum() - 2
        lines.append(
            f"{line['row']}: the Sharpe ratio after costs of a single seed varies by {line['sharpe_net']:.2f} "
            f"(standard deviation over {seeds} seeds); the row is their mean forecast."
        )
    for line in evidence["overfitting"].dropna(subset=["pbo"]).to_dict("records"):
        if line["pbo"] > 0.5:
            lines.append(
                f"{line['study']}: the setting with the best returns on some validation months is below the median on "
                f"the others in {100 * line['pbo']:.0f} % of the splits: those months say little about settings."
            )
    lines += [f"{line['row']}: {line['note']}." for line in comparison.to_dict("records") if line["note"]]
    if neutral > 0:
        lines.append(f"{neutral:.2f} % of the inputs are neutral ranks, because the descriptor was missing.")
    if simulated:
        lines.append("The market is simulated: this shows that the program finds what is there, not what markets hold.")
    else:
        lines.append("Costs are a flat rate; capacity, market impact, borrowing and taxes are not in any number.")
    return lines
