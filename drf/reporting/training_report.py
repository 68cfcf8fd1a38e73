"""Training report: the pictures and the document of one training, from its rows and tables."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ..comparison.headline import portray
from ..comparison.rows import Row, comparison_table, drivers
from ..experiment.experiment import Experiment
from ..tracking.runs import git_commit
from .comparison_report import Material, comparison_report
from .document import Document, Picture
from .drawing import comparison_figures, row_figures
from .findings import headline_row
from .paper import picture
from .protocol import protocol


def training_pictures(
    rows: Sequence[Row], evidence: Mapping[str, pd.DataFrame], experiment: Experiment
) -> dict[str, Picture]:
    """Draw the comparison and every row; pictures of one row are named ``<row>/<name>``."""
    net = evidence["sharpe"].query("returns == 'net'")
    drawn = comparison_figures(rows, comparison_table(rows), net, experiment.factors, experiment.config.portfolio)
    of_rows = {
        f"{row.name}/{name}": figure for row in rows for name, figure in row_figures(row, experiment.factors).items()
    }
    return {name: picture(figure) for name, figure in {**drawn, **of_rows}.items()}


def training_document(
    rows: Sequence[Row],
    evidence: Mapping[str, pd.DataFrame],
    experiment: Experiment,
    pictures: Mapping[str, Picture],
    name: str,
) -> Document:
    """Return the report of a training.

    Args:
        evidence: See :func:`drf.comparison.evidence.gather`.
        pictures: See :func:`training_pictures`.
        name: Name of the training.
    """
    table, samples, headline = comparison_table(rows), experiment.samples, experiment.registered_row.name
    drives = drivers(rows, headline)
    near = drives[0] if drives else headline_row(table, headline) or rows[0].name
    shown = {
        key: picture
        for key, picture in pictures.items()
        if "/" not in key or (drives and key.startswith(f"{drives[0]}/"))
    }
    material = Material(
        comparison=table,
        evidence=evidence,
        headline=headline,
        drivers=drives,
        figures=shown,
        series={row.name: row.series for row in rows},
        portrait=portray(next(row for row in rows if row.name == near), experiment.judging),
        factors=experiment.factors,
        protocol=protocol(experiment),
        name=name,
        simulated=experiment.truth is not None,
        neutral=100 * samples.missing_values / samples.x.size,
        config=experiment.record.yaml,
        commit=git_commit(),
    )
    return comparison_report(material)
