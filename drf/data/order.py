"""Order of a panel's rows: by date and, within a date, by asset."""

import pandas as pd


def in_order(panel: pd.DataFrame) -> pd.DataFrame:
    """Return the panel with its rows in order, numbered from 0; one that is in order is not copied."""
    panel = panel.reset_index(drop=True)
    order = panel[["date", "asset"]].sort_values(["date", "asset"], kind="stable").index
    return panel if order.is_monotonic_increasing else panel.take(order.to_numpy()).reset_index(drop=True)
