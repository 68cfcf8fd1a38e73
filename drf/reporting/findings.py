"""Findings: sentences drawn from a comparison's tables. Numbers decide the words; nothing is chosen by hand."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..comparison.evidence import BENCHMARK
from ..data.calendar import in_force, named
from ..models.catalogue import linearised, row_named

RIVALS = (BENCHMARK, "boosting")
"""The rows that a committee asks about first."""

_MUCH_LESS = 0.5
"""Share of the reported Sharpe ratio below which another Sharpe ratio contradicts it."""


def best_row(comparison: pd.DataFrame) -> str | None:
    """Return the row with the best Sharpe ratio after costs; None if none could be estimated."""
    known = comparison.dropna(subset=["sharpe_net"])
    return None if known.empty else str(known["row"].iloc[int(known["sharpe_net"].argmax())])


def headline_row(comparison: pd.DataFrame, registered: str) -> str | None:
    """Return the headline row: the one that can be promoted or, without it, the best."""
    return registered if registered in set(comparison["row"]) else best_row(comparison)


def which_model(comparison: pd.DataFrame, headline: str | None) -> str:
    """Summarise the headline row against the best other family."""
    if headline is None:
        return "No row's Sharpe ratio can be estimated: there are too few months."
    lines = comparison.set_index("row")
    line, others = lines.loc[headline], lines[[not _of_one_family(headline, str(name)) for name in lines.index]]
    if np.isnan(line["sharpe_net"]):
        return f"{headline}, the row that can be promoted, has too few months for a Sharpe ratio."
    text = (
        f"{headline}, the row that can be promoted: Sharpe ratio after costs {line['sharpe_net']:.2f} a year, rank IC "
        f"{line['rank_ic']:.3f}."
    )
    best = []
    for name, what, digits in (("sharpe_net", "Sharpe ratio", 2), ("rank_ic", "rank IC", 3)):
        if others[name].notna().any():
            value = float(others[name].max())
            where = "above it" if value > line[name] else "not above it"
            best.append(f"by {what} {others[name].idxmax()} {value:.{digits}f}, {where}")
    return f"{text} Best of the others: {'; '.join(best)}." if best else text


def _of_one_family(row: str, other: str) -> bool:
    row_model, two = row_named(row), row_named(other)
    return row == other or (row_model is not None and two is not None and row_model.family == two.family)


def how_right(comparison: pd.DataFrame, headline: str | None) -> str:
    """Summarise errors against those of a zero forecast, and promised against earned returns."""
    if headline is None:
        return "Nothing can be said."
    line = comparison.set_index("row").loc[headline]
    text = f"R² {100 * line['r2']:.2f} % against a forecast of nothing"
    text += ", which has the smaller error." if line["r2"] < 0 else "."
    if np.isnan(line["promised_return"]):
        return text
    return (
        f"{text} A year, long less short: {line['promised_return']:.1%} promised, {line['annual_return']:.1%} earned. "
        f"Before shrinking the models promised {line['promised_return_raw']:.1%} (R² {100 * line['r2_raw']:.2f} %)."
    )


def against(pairs: pd.DataFrame, row: str, other: str) -> str:
    """Compare a row's Sharpe ratio after costs with another's on the same months, in words."""
    line = _pair(pairs, row, other)
    if np.isnan(line["sharpe"]):
        return f"Against {other}: too few months."
    told = "better beyond chance" if line["sharpe_low"] > 0 else "they cannot be told apart"
    if line["sharpe_high"] < 0:
        told = "worse beyond chance"
    return f"Against {other}: {line['sharpe']:+.2f} ({line['sharpe_low']:.2f} to {line['sharpe_high']:.2f}), {told}."


def errors_against(pairs: pd.DataFrame, row: str, other: str) -> str:
    """Compare a row's squared errors with another's, in words."""
    line = _pair(pairs, row, other)
    if np.isnan(line["squared_error_p"]):
        return f"The errors of {row} and {other}: {line['note']}."
    less = "smaller" if line["squared_error"] < 0 else "larger"
    sure = "beyond chance" if line["squared_error_p"] < 0.05 else "not beyond chance"
    p = p_value(line["squared_error_p"])
    return f"The squared errors of {row} are {less} than those of {other}, {sure} (Diebold and Mariano, {p})."


def p_value(p: float) -> str:
    """Return a p-value as text; values below a thousandth are not shown as 0."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def rivals_of(pairs: pd.DataFrame, row: str | None) -> list[str]:
    """Return the usual rival rows that are present."""
    return [name for name in RIVALS if name != row and name in set(pairs["other"])]


def _pair(pairs: pd.DataFrame, row: str, other: str) -> pd.Series:
    return pairs[(pairs["row"] == row) & (pairs["other"] == other)].iloc[0]


def how_sure(evidence: Mapping[str, pd.DataFrame], headline: str | None) -> str:
    """Summarise a row's interval, its differences from the rivals, and the effect of the number of trials."""
    if headline is None:
        return "Nothing can be said."
    net = evidence["sharpe"].query("returns == 'net'").set_index("row").loc[headline]
    if net["note"]:
        return f"The interval {net['note']}."
    text = [f"95 % interval over {net['periods']} months: {net['low']:.2f} to {net['high']:.2f}"]
    beside = "lies below 0" if net["high"] < 0 else "does not exclude 0" if net["low"] <= 0 else "excludes 0"
    text[0] += f", {beside}."
    pairs = evidence["pairs"]
    text += [against(pairs, headline, name) for name in rivals_of(pairs, headline)]
    deflated = evidence["deflated"].set_index("row").loc[headline]
    if not np.isnan(deflated["deflated"]):
        sure = f"{100 * deflated['deflated']:.1f} %" if deflated["deflated"] < 0.9995 else "more than 99.9 %"
        text.append(f"Probability of beating the best of {deflated['trials']} chance trials: {sure}.")
    return " ".join(text)


def what_drives(contributions: pd.Series, row: str) -> str:
    """Return each factor's share of the forecast spread, in words.

    ``contributions``: factor -> mean contribution to the forecast, long side less short side, in decimals a month.
    """
    total, size = contributions.sum(), contributions.abs().sum()
    if not size > 0:
        return f"Nothing: {row} forecasts the same for all stocks."
    shares = (100 * contributions / size).sort_values(key=np.abs, ascending=False)
    words = ", ".join(f"{factor} {share:.0f} %" for factor, share in shares.items())
    return (
        f"{words}: shares of the sizes of its contributions, with their signs, to {row}'s forecast of the long less "
        f"the short side, {1e4 * total:.0f} basis points a month."
    )


def _contradictions(evidence: Mapping[str, pd.DataFrame], comparison: pd.DataFrame, headline: str) -> list[str]:
    """Return facts that contradict a row's Sharpe ratio."""
    line = comparison.set_index("row").loc[headline]
    lines, reported = [], line["sharpe_net"]
    if line["max_drawdown"] > line["annual_return"]:
        lines.append(
            f"{headline} lost {line['max_drawdown']:.1%} from a peak before costs: more than its mean return of a "
            f"year, {line['annual_return']:.1%}."
        )
    if line["r2"] < 0:
        lines.append(f"{headline}: forecasting nothing has the smaller error (R² {100 * line['r2']:.2f} %).")
    variants = evidence["variants"].query("row == @headline").set_index("variant")["sharpe_net"]
    for variant in ("value-weighted", "sector-neutral", "winsorised"):
        found = variants.get(variant, np.nan)
        if reported > 0 and found < _MUCH_LESS * reported:
            lines.append(
                f"{headline}, {variant}: the Sharpe ratio after costs is {found:.2f}, not {reported:.2f} as reported."
            )
    parts = evidence["periods"].query("row == @headline").dropna(subset=["sharpe_net"])
    if reported > 0 and (parts["sharpe_net"] < 0).any():
        lost = parts[parts["sharpe_net"] < 0]
        spans = ", ".join(f"{named(part['first'])} to {named(part['last'])}" for part in lost.to_dict("records"))
        lines.append(f"{headline} lost after costs in {len(lost)} of {len(parts)} parts of the test months: {spans}.")
    return lines


def caveats(
    evidence: Mapping[str, pd.DataFrame],
    comparison: pd.DataFrame,
    headline: str | None,
    simulated: bool,
    neutral: float,
) -> list[str]:
    """Return the caveats that the tables support."""
    sure = evidence["sharpe"].query("returns == 'net'")
    months = int(sure["periods"].max())
    lines = [
        f"{months} months give an annualised Sharpe ratio a standard error of about "
        f"{np.sqrt(in_force().periods_a_year / max(months, 1)):.2f}: differences below that are not to be relied on."
    ]
    if headline:
        lines = [*_contradictions(evidence, comparison, headline), *lines]
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
