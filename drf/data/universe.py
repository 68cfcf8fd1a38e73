"""Universe: the stocks that are used in each month."""

import pandas as pd


def largest(panel: pd.DataFrame, universe: int | None) -> pd.DataFrame:
    """Keep each month's ``universe`` stocks with the largest CAP, dropping any without CAP; None: keep all."""
    if universe is None:
        return panel
    rank = panel.groupby("date")["CAP"].rank(method="first", ascending=False)
    return panel[rank <= universe].reset_index(drop=True)
