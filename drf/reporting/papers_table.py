"""Papers' table: published results next to those of a training under the papers' protocol.

Numbers are those of table 4 of Nakagawa, Uchida and Aoshima 2018 (arXiv 1810.01278). For Nakagawa, Ito, Abe and Izumi
2019 (arXiv 1901.11493), only orderings are known.
"""

from collections.abc import Callable, Mapping

import pandas as pd

_ROWS = ("dnn", "dnn_deep", "linear", "svr", "forest")

PUBLISHED = pd.DataFrame(
    {
        "annual_return": [0.1081, 0.1031, 0.0817, 0.0146, 0.0012],
        "annual_volatility": [0.0765, 0.0686, 0.0820, 0.0966, 0.0543],
        "sharpe": [1.41, 1.50, 1.00, 0.15, 0.02],
        "mae": [0.0663, 0.0669, 0.0679, 0.1713, 0.0728],
        "rmse": [0.0951, 0.0953, 0.0965, 0.1962, 0.1024],
    },
    index=list(_ROWS),
)
"""TOPIX, 120 months: returns and volatilities as decimals a year."""

CAVEAT = (
    "Published: Nakagawa et al. 2018, table 4, TOPIX, 120 months. The data here are others, so only the order of the "
    "rows can be compared. What the paper does not say (scaling, epochs, batches, learning rates, seeds) is this "
    "project's choice."
)

ORDERINGS: Mapping[str, Callable[[pd.DataFrame], bool]] = {
    "the LSTM has the smallest MAE and RMSE": lambda rows: all(
        _number(rows, "lstm", error) <= rows.loc[_networks_themselves(rows), error].min() for error in ("mae", "rmse")
    ),
    "LSTM+LRP has the largest Sharpe ratio": lambda rows: _number(rows, "lstm_lrp", "sharpe") >= rows["sharpe"].max(),
    "LSTM and DNN beat linear in errors and Sharpe ratio": lambda rows: (
        _beats(rows, "lstm", "linear") and _beats(rows, "dnn", "linear")
    ),
    "the LSTM beats the DNN in errors and Sharpe ratio": lambda rows: _beats(rows, "lstm", "dnn"),
    "LSTM+LRP has a larger Sharpe ratio than DNN+LRP": lambda rows: (
        _number(rows, "lstm_lrp", "sharpe") > _number(rows, "dnn_lrp", "sharpe")
    ),
    "LRP costs accuracy: larger errors than the network's own": lambda rows: all(
        _number(rows, f"{name}_lrp", error) > _number(rows, name, error)
        for name in ("dnn", "lstm")
        for error in ("mae", "rmse")
    ),
}
"""Orderings of Nakagawa et al. 2019, as statements about a training's table, indexed by row."""


def _number(rows: pd.DataFrame, name: str, metric: str) -> float:
    return float(rows[metric].loc[name])


def _networks_themselves(rows: pd.DataFrame) -> list[str]:
    """Return the rows that are not linearised."""
    return [str(name) for name in rows.index if not str(name).endswith("_lrp")]


def _beats(rows: pd.DataFrame, name: str, other: str) -> bool:
    errors = all(_number(rows, name, error) < _number(rows, other, error) for error in ("mae", "rmse"))
    return errors and _number(rows, name, "sharpe") > _number(rows, other, "sharpe")


def papers_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return every published number next to the training's own number.

    ``table``: one line per row, with its metrics, see :func:`drf.comparison.rows.comparison_table`.
    """
    own = table.set_index("row")[list(PUBLISHED)]
    published = PUBLISHED.add_suffix(" published").reindex(own.index)
    columns = [name for metric in PUBLISHED for name in (metric, f"{metric} published")]
    return own.join(published)[columns]


def orderings(table: pd.DataFrame) -> dict[str, bool]:
    """Return whether each ordering of the 2019 paper holds, leaving out those whose rows were not trained."""
    rows, checked = table.set_index("row"), {}
    for words, holds in ORDERINGS.items():
        try:
            checked[words] = bool(holds(rows))
        except KeyError:  # a row was not trained
            continue
    return checked


def papers_text(table: pd.DataFrame) -> str:
    """Return the comparison with the papers as text."""
    shown = papers_table(table)
    formats = {str(name): ("{:.4f}" if str(name).startswith(("mae", "rmse")) else "{:.3f}").format for name in shown}
    text = shown.to_string(formatters=formats, na_rep="-")
    checked = [f"  {'holds' if holds else 'does not hold'}: {words}" for words, holds in orderings(table).items()]
    return "\n".join(
        ["", "Beside the papers:", text, CAVEAT, "Orderings of Nakagawa et al. 2019, on this data:", *checked]
    )
