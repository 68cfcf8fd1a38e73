"""Cards of an experiment, a training and its rows, as Markdown for MLflow's pages."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from ..comparison.rows import Row
from .document import Column, Table, as_sentence
from .markdown import markdown_table

EXPERIMENT_CARD = """Return models of stocks, side by side.

* **A training** (`tags.kind = 'comparison'`) is a parent run, named by its data, universe, newest month, families and \
window; below it is a run for each **row** (`tags.kind = 'row'`), below the plain rows their **trials** \
(`tags.kind = 'trial'`). `report.html` of the training answers for a committee.
* **An evaluation** (`tags.kind = 'evaluation'`) says which version is champion and why; below it is a run for each \
version that was judged (`tags.kind = 'judged'`).
* What was forecast after promotion, and what came true, is in the experiment `drf-live`.

To see rows side by side: filter `tags.kind = 'row'` and order by `sharpe_net`.
"""


def training_card(
    comparison: pd.DataFrame,
    net: pd.DataFrame,
    answers: Mapping[str, str],
    protocol: Sequence[str],
    links: Mapping[str, str],
) -> str:
    """Return the description of a training.

    Args:
        comparison: One line per row, with its metrics.
        net: Row -> interval of its Sharpe ratio after costs: ``low``, ``high``.
        answers, protocol: Answers of the report's first screen, and the protocol, in sentences.
        links: Words -> address.
    """
    lines = comparison.join(net[["low", "high"]], on="row").sort_values("sharpe_net", ascending=False)
    columns = [
        Column("row", "row", text=True), Column("sharpe_net", "Sharpe after costs", "{:.2f}"),
        Column("low", "95 % from", "{:.2f}"), Column("high", "to", "{:.2f}"), Column("rank_ic", "rank IC", "{:.3f}"),
        Column("turnover", "turnover", "{:.0%}"), Column("max_drawdown", "drawdown", "{:.0%}"),
    ]  # fmt: skip
    return "\n\n".join(
        [
            " · ".join(f"[{words}]({address})" for words, address in links.items()),
            *[f"**{question}** {answer}" for question, answer in answers.items()],
            markdown_table(Table(lines, columns)),
            "\n".join(f"* {sentence}" for sentence in protocol),
        ]
    )


def row_card(row: Row, net: Mapping[Hashable, Any], model: str) -> str:
    """Return the description of a row.

    ``net``: the interval of its Sharpe ratio after costs. ``model``: where its newest model is, if it is kept.
    """
    metrics = row.metrics
    words = [
        f"Sharpe ratio after costs {metrics['sharpe_net']:.2f} a year (95 %: {net['low']:.2f} to {net['high']:.2f}), "
        f"rank IC {metrics['rank_ic']:.3f}, turnover {metrics['turnover']:.0%}, on {len(row.series)} test months."
    ]
    if row.risk is not None:
        words.append("Its forecasts are sums of contributions: see `figures/` and `contributions.parquet`.")
    words += [as_sentence(row.note)] if row.note else []
    words += [f'Its newest model: `mlflow.pyfunc.load_model("{model}").predict(panel)`.'] if model else []
    return " ".join(words)
