"""Inspection of a panel: coverage, outliers, stale values, survivorship, and refusals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..errors import InputError, first_few
from .calendar import in_force, named
from .leavers import treat_leavers
from .panel import KEYS, RETURN, check_panel
from .relations import doubts, relations_of

# A month in which a stock loses more than this is rarer than a change of unit.
LEAST_RETURN = -0.98

# A market recorded point in time loses at least this share of its stocks a year. A stock has left if it is absent from
# the last months.
LEAST_LEAVERS, ABSENT_MONTHS = 0.002, 3

# Ages of a value, in months, at which its relation to the next return is looked at.
_LAGS = 13

# A value of a bell-shaped descriptor this many median absolute deviations from the month's median is an outlier.
FAR = 15.0


def coverage(panel: pd.DataFrame, descriptors: Sequence[str]) -> pd.DataFrame:
    """Return each month's share of stocks for which a descriptor is known: one row a month, one column a descriptor."""
    return panel[list(descriptors)].notna().groupby(panel["date"]).mean()


def by_descriptor(panel: pd.DataFrame, descriptors: Sequence[str]) -> pd.DataFrame:
    """Return coverage and distribution of each descriptor over all months.

    Returns one row for each descriptor: ``known`` (share of rows), ``least`` (share in its worst month), ``outliers``
    (share of known values further than 15 median absolute deviations from the month's median), ``unchanged`` (share
    equal to the stock's value of the month before), ``ic`` (mean rank IC with the next return).
    """
    known = coverage(panel, descriptors)
    ordered = panel.sort_values(list(KEYS)[::-1])
    before = ordered.groupby("asset")[list(descriptors)].shift()
    lines = []
    for name in descriptors:
        values, months = panel[name], panel.groupby("date")[name]
        distance = (values - months.transform("median")).abs()
        spread = distance.groupby(panel["date"]).transform("median")
        both = ordered[name].notna() & before[name].notna()
        judged = values.notna() & (spread > 0)
        lines.append(
            {
                "descriptor": name,
                "known": values.notna().mean(),
                "least": known[name].min(),
                "outliers": float((distance > FAR * spread)[judged].mean()),
                "unchanged": float((ordered[name] == before[name])[both].mean()),
                "ic": mean_rank_ic(panel, name),
            }
        )
    return pd.DataFrame(lines)


def by_month(panel: pd.DataFrame, descriptors: Sequence[str]) -> pd.DataFrame:
    """Return one row a month with counts of stocks, the share of known descriptors, and the next month's returns.

    ``entries`` are stocks that are new, ``leavers`` those that are gone since the month before.
    """
    months = panel.groupby("date")
    first, last = (panel.groupby("asset")["date"].agg(end).value_counts() for end in ("min", "max"))
    table = pd.DataFrame({"stocks": months.size()})
    table["entries"] = first.reindex(table.index, fill_value=0)
    table["leavers"] = last.reindex(table.index, fill_value=0).shift(fill_value=0)
    table["known"] = coverage(panel, descriptors).mean(axis=1)
    if RETURN in panel:
        table = table.join(months[RETURN].agg(["mean", "std", "min", "max"]).add_prefix("return_"))
    return table.rename_axis("month").reset_index()


def mean_rank_ic(panel: pd.DataFrame, name: str) -> float:
    """Return a descriptor's mean monthly rank correlation with the next return; NaN where there is none."""
    if RETURN not in panel:
        return float("nan")
    known = panel[["date", name, RETURN]].dropna()
    ranks = known.groupby("date")[[name, RETURN]].rank()
    months = [month[name].corr(month[RETURN]) for _, month in ranks.groupby(known["date"])]
    known_months = [ic for ic in months if not np.isnan(ic)]
    return float(np.mean(known_months)) if known_months else float("nan")


def refusal(frame: pd.DataFrame, descriptors: Sequence[str], least_stocks: int) -> str:
    """Return the message with which validation refuses the table as read, or an empty text if it accepts it."""
    try:
        check_panel(frame, descriptors, least_stocks, with_returns=RETURN in frame)
    except InputError as error:
        return str(error)
    return ""


def findings(panel: pd.DataFrame, descriptors: Sequence[str]) -> list[str]:
    """Return sentences on conspicuous values, each with a remedy where there is one. Dates and numbers are typed
    already."""
    lines = []
    table = by_descriptor(panel, descriptors).set_index("descriptor")
    for name, line in table.to_dict("index").items():
        if line["least"] < 0.5:
            worst = coverage(panel, [str(name)])[name].idxmin()
            lines.append(
                f"{name} is known for {line['least']:.0%} of the stocks in {named(worst)}: missing values count as "
                "neutral; start later, or leave it out with data.descriptors"
            )
        if line["unchanged"] > 0.97:
            lines.append(f"{name} hardly ever changes from month to month ({line['unchanged']:.0%}): is it stale?")
    if wild := table.index[table["outliers"] > 0.01].tolist():
        words = f"more than 1 % far outliers: {', '.join(wild)}"
        lines.append(f"{words}: only ranks are used, so they do no harm, but look for wrong units")
    if panel["date"].nunique() >= 24 and (leaving := leavers_a_year(panel)) < LEAST_LEAVERS:
        words = f"{leaving:.2%} of the stocks leave a year"
        lines.append(f"{words}: add those that were delisted, or only survivors are compared")
    if RETURN in panel:
        lines += doubts(relations_of(panel.drop_duplicates(list(KEYS)), descriptors, range(_LAGS)))
        odd = panel[(panel[RETURN] > 2) | (panel[RETURN] < LEAST_RETURN)]
        if len(odd):
            such = first_few(f"{row.asset} {named(row.date)} {getattr(row, RETURN):+.0%}" for row in odd.itertuples())
            lines.append(
                f"{RETURN} is above 200 % or below {LEAST_RETURN:.0%} in {len(odd)} row(s) ({such}): splits that were "
                "not adjusted, a change of unit, or per cent instead of decimals?"
            )
        lines += treat_leavers(panel, "drop")[1]
    return lines


def leavers_a_year(panel: pd.DataFrame) -> float:
    """Return the share of all stocks that leave the panel in a year."""
    months = panel["date"].drop_duplicates().sort_values()
    last = panel.groupby("asset")["date"].max()
    left = float((last < months.iloc[-ABSENT_MONTHS:].iloc[0]).mean())
    return in_force().periods_a_year * left / max(len(months) - ABSENT_MONTHS, 1)


def coverage_figure(known: pd.DataFrame) -> Figure:
    """Draw the coverage: months across, descriptors down."""
    figure = Figure(figsize=(9, 0.6 + 0.32 * known.shape[1]), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(100 * known.T, aspect="auto", cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
    ticks = np.unique(np.linspace(0, len(known) - 1, min(8, len(known))).round().astype(int))
    axes.set_xticks(ticks, [named(known.index[k]) for k in ticks])
    axes.set_yticks(np.arange(known.shape[1]), list(known.columns))
    axes.set_title("Share of the month's stocks for which the descriptor is known, %", loc="left", fontsize=11)
    figure.colorbar(image, ax=axes, shrink=0.8)
    return figure
