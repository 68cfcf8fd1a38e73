"""Variants: the same forecasts with value weights, winsorised returns, and within sectors."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from .attributes import SECTOR, market_value, with_attributes
from .metrics import summarise, why_not
from .portfolio import PortfolioRule

METRICS = ("annual_return", "sharpe", "sharpe_net", "rank_ic", "rank_ic_t")

# Share of a month's returns that is winsorised in each tail.
WINSORISED = 0.01


def winsorised(forecasts: pd.DataFrame, share: float = WINSORISED) -> pd.DataFrame:
    """Winsorise each month's returns at the quantiles ``share`` and 1 - ``share``."""
    by_month = forecasts.groupby("date")["y_true"]
    low, high = by_month.transform("quantile", share), by_month.transform("quantile", 1 - share)
    return forecasts.assign(y_true=forecasts["y_true"].clip(low, high))


def variants(forecasts: Mapping[str, pd.DataFrame], panel: pd.DataFrame, rule: PortfolioRule) -> pd.DataFrame:
    """Judge every row in every variant.

    Args:
        forecasts: Row -> ``date``, ``asset``, ``y_true``, ``y_pred``.
        panel: In contract form.

    Returns:
        One row a row and variant: ``row``, ``variant`` (``as reported``, ``value-weighted``, ``winsorised``,
        ``sector-neutral``), the metrics :data:`METRICS`, and ``note`` on what cannot be estimated and why. The rank IC
        of the sector-neutral variant is that of ranks within sectors.
    """
    lines, value = [], market_value(rule.cap)
    for row, table in forecasts.items():
        joined = with_attributes(table, panel, dict.fromkeys([value, SECTOR, *rule.attributes.values()]))
        ways: dict[str, tuple[pd.DataFrame, PortfolioRule] | str] = {
            "as reported": (joined, rule),
            "value-weighted": (joined, replace(rule, weighting="value")) if value.name in joined else value.absence,
            "winsorised": (winsorised(joined), rule),
            "sector-neutral": (_within_sectors(joined), replace(rule, sector_neutral=True))
            if SECTOR.name in joined
            else SECTOR.absence,
        }
        for variant, way in ways.items():
            line: dict[str, object] = {"row": row, "variant": variant, "note": ""}
            if isinstance(way, str):
                lines.append({**line, "note": f"cannot be estimated, because {way}"})
            else:
                metrics = summarise(*way)
                found = {name: metrics[name] for name in METRICS}
                lines.append({**line, **found, "note": why_not(found, joined["date"].nunique())})
    return pd.DataFrame(lines).reindex(columns=["row", "variant", *METRICS, "note"])


def _within_sectors(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Return forecasts less their sector's mean in the month, so that the IC counts selection within sectors alone."""
    by_sector = forecasts.groupby(["date", "sector"])
    centred = forecasts["y_pred"] - by_sector["y_pred"].transform("mean")
    # A value that is the same throughout a sector becomes exactly 0, without a remainder from rounding.
    centred = centred.where(centred.abs() > 1e-12 * forecasts["y_pred"].abs().max(), 0.0)
    return forecasts.assign(y_pred=centred, y_true=forecasts["y_true"].where(forecasts["sector"].notna()))
