"""Orders: target weights under the portfolio rule, the trades that lead to them, and reasons."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..data.calendar import in_force
from ..data.panel import KEYS, RETURN
from ..evaluation.portfolio import PortfolioRule, Quantiles, drifted, make_weights

_REASONS = 3


def make_orders(
    forecasts: pd.DataFrame, contributions: pd.DataFrame, panel: pd.DataFrame, rule: PortfolioRule, held: pd.Series
) -> pd.DataFrame:
    """Return the portfolio of a month's forecasts, and the trades that lead to it.

    Args:
        forecasts: Forecasts of one month: ``date``, ``asset``, ``prediction``; other columns are kept.
        contributions: One column for each descriptor, aligned with the forecasts.
        panel: Panel in contract form; it supplies what the rule needs besides the forecasts.
        held: Asset -> weight that is held before trading; see :func:`held_now`.

    Returns:
        The forecasts with ``rank`` (1 is the highest), ``quantile`` (1 is the lowest), ``weight``, ``held``, ``trade``
        (their difference) and ``reasons`` (the largest contributions). Held stocks that no longer have a forecast
        follow with a weight of 0.
    """
    by_name = forecasts.rename(columns={"prediction": "y_pred"})[[*KEYS, "y_pred"]]
    sorted_by = rule.equip(by_name, panel)
    quantiles = Quantiles.of(sorted_by, rule)
    shares = np.stack([quantiles.share(number) for number in range(1, rule.quantiles + 1)], axis=1)
    quantile = pd.Series(shares.argmax(axis=1) + 1, index=forecasts.index, dtype="Int64")
    quantile[shares.sum(axis=1) == 0] = pd.NA
    orders = forecasts.assign(
        rank=forecasts["prediction"].rank(method="min", ascending=False).astype("Int64"),
        quantile=quantile,
        weight=make_weights(sorted_by, rule).table["weight"].to_numpy(),
        held=forecasts["asset"].map(held).fillna(0.0).astype(float),
        reasons=_in_words(contributions),
    )
    gone = held[(held != 0) & ~held.index.isin(forecasts["asset"])]
    if len(gone):
        sold = pd.DataFrame({"date": forecasts["date"].iloc[0], "asset": gone.index, "held": gone.to_numpy()})
        sold = sold.assign(weight=0.0, reasons="has no forecast any more")
        orders = pd.concat([orders, sold.astype({"asset": orders["asset"].dtype})], ignore_index=True)
    return orders.assign(trade=orders["weight"] - orders["held"])


def held_now(orders: pd.DataFrame, panel: pd.DataFrame, month: pd.Timestamp) -> tuple[pd.Series, int]:
    """Return the weights of earlier orders after drifting with returns, each side divided by its own total.

    Args:
        orders: Orders of a month before ``month``, see :func:`make_orders`.
        panel: In contract form; without ``ret_next`` nothing drifts.

    Returns:
        Asset -> weight of the held stocks; and the number of their unknown returns, which count as 0.
    """
    weights = orders.set_index("asset")["weight"]
    weights, unknown = weights[weights != 0], 0
    for end in in_force().between(orders["date"].iloc[0], in_force().shift(month, -1)):
        returns = _returns(panel, end).reindex(weights.index)
        unknown += int(returns.isna().sum())
        weights = drifted(weights.to_frame().T, returns.fillna(0.0).to_frame().set_axis(["weight"], axis=1).T).iloc[0]
    return weights.rename("held"), unknown


def _returns(panel: pd.DataFrame, end: pd.Timestamp) -> pd.Series:
    if RETURN not in panel:
        return pd.Series(dtype=float)
    return panel.loc[panel["date"] == end].set_index("asset")[RETURN]


def turnover(orders: pd.DataFrame) -> float:
    """Return the share of the tradable value that is traded: 1 for a full exchange or a first purchase."""
    traded = orders["trade"].abs().sum()
    return float(traded / (4 if (orders["held"] != 0).any() else 2))


def inputs_known(panel: pd.DataFrame, assets: pd.Series, descriptors: Sequence[str], lags: Sequence[int]) -> np.ndarray:
    """Return each stock's share of known inputs in the newest month, over descriptors and lags, shape (n,)."""
    newest, shares = panel["date"].max(), []
    for lag in lags:
        month = panel[panel["date"] == in_force().shift(newest, -lag)].set_index("asset")
        known = month[list(descriptors)].notna().mean(axis=1)
        shares.append(known.reindex(assets).fillna(0.0).to_numpy())
    return np.asarray(np.mean(shares, axis=0))


def _in_words(contributions: pd.DataFrame) -> list[str]:
    """Return the largest contributions of each row as text, in per cent a month."""
    values, names = contributions.to_numpy(), list(contributions)
    largest = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :_REASONS]
    return [
        ", ".join(f"{names[k]} {100 * row[k]:+.2f} %" for k in order)
        for row, order in zip(values, largest, strict=True)
    ]
