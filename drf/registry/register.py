"""Register the newest window's models as a new version, with all that a downstream job needs to load it."""

import contextlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import mlflow
import numpy as np
import pandas as pd

from ..comparison.evidence import BENCHMARK
from ..comparison.rows import Row
from ..data.calendar import in_force
from ..data.panel import KEYS
from ..errors import InputError
from ..experiment.config import located
from ..experiment.experiment import Experiment
from ..experiment.identity import recipe_of
from ..models.base import Loadable
from ..models.base import Model as FittedModel
from ..tracking.naming import short_source
from ..tracking.runs import git_commit
from ..tracking.searches import MARKET, RECIPE, as_tag, market_returns
from .forecaster import Forecaster, Spec
from .loading import MANIFEST
from .packing import log_model, make_forecaster
from .statements import state_registration
from .training_evidence import LONG, Evidence, remember
from .versions import DRIVERS, MARKET_NAME, WORDS

ROUNDING = 1e-4
"""Largest rounding difference between training and registered forecasts, relative to the largest forecast."""


@dataclass(frozen=True)
class Origin:
    """Runs that a version comes from.

    Attributes:
        row_run, parent_run: Run of the registered row, and run of its training.
    """

    row_run: str
    parent_run: str


def register_newest(
    groups: Sequence[Sequence[FittedModel]], experiment: Experiment, rows: Sequence[Row], origin: Origin, drivers: str
) -> str:
    """Register the newest window's models with the evidence of their training; return the new version.

    Args:
        groups: Fitted models of the registered row's family; for a blend, one group for each of its rows.
        rows: Rows of the comparison, including the registered one.
        drivers: Sentence on what drives the row's forecasts; empty if it has no contributions.

    Raises InputError if the model to be registered does not reproduce the training's forecasts.
    """
    config, dates = experiment.config, experiment.samples.dates
    trained = experiment.schedule.newest.train
    registered = next(row for row in rows if row.name == config.registry.row)
    forecaster = make_forecaster(_loadable(groups), _spec(experiment, registered))
    tags = {
        "config": located(experiment.record.line, config.data.source),
        RECIPE: recipe_of(config),
        MARKET: as_tag(market_returns(experiment.panel)),
        MARKET_NAME: _in_words(experiment),
        WORDS: shlex.join(experiment.data_words),
        "data_fingerprint": experiment.data,
        "parent_run": origin.parent_run,
        "train_first": str(dates[trained.start].date()),
        "train_last": str(dates[trained.stop + config.window.horizon - 2].date()),
        "row": config.registry.row,
        "row_run": origin.row_run,
        "git_commit": git_commit(),
        **({DRIVERS: drivers} if drivers else {}),
    }
    evidence = gather_evidence(forecaster, experiment.panel, {row.name: row for row in rows}, config.registry.row)
    return register(forecaster, evidence, config.registry.name, origin.row_run, tags)


def _in_words(experiment: Experiment) -> str:
    data, stocks = experiment.config.data, experiment.panel.groupby("date").size()
    largest = f"the {data.universe:,} largest stocks" if data.universe else "all stocks"
    return f"{short_source(data.source.name)}: {largest}, {stocks.median():,.0f} a {in_force().unit}, {data.frequency}"


def _loadable(groups: Sequence[Sequence[FittedModel]]) -> list[list[Loadable]]:
    return [[member for member in members if isinstance(member, Loadable)] for members in groups]


def _spec(experiment: Experiment, row: Row) -> Spec:
    stocks = int(experiment.panel.groupby("date").size().median())
    return Spec(
        lags=list(experiment.samples.lags),
        factors={name: list(names) for name, names in experiment.factors.items()},
        universe=experiment.config.data.universe,
        scale=row.newest_scale,
        stocks=stocks,
        least=stocks // experiment.config.portfolio.quantiles,
        transforms=dict(experiment.transforms),
        frequency=experiment.config.data.frequency,
    )


class Said(Protocol):
    """Forecasts of a training's row for the test months and for the newest month."""

    @property
    def predictions(self) -> pd.DataFrame: ...

    @property
    def forecast(self) -> pd.DataFrame: ...


def gather_evidence(forecaster: Forecaster, panel: pd.DataFrame, rows: Mapping[str, Said], name: str) -> Evidence:
    """Return the training evidence that is stored with a version.

    Args:
        panel: Panel of the training, in contract form.
        rows: Name -> row of the comparison; ``name`` is the registered one.

    Raises InputError if the forecaster's forecasts of the newest month differ from the row's.
    """
    row, spec = rows[name], forecaster.spec
    first = in_force().shift(panel["date"].max(), -max(spec.lags))
    newest = forecaster.predict(panel[panel["date"] >= first])[[*KEYS, "prediction"]]
    both = row.forecast.merge(newest, on=list(KEYS))
    apart = (both["y_pred"] - both["prediction"]).abs().max()
    if len(row.forecast) and not apart <= ROUNDING * newest["prediction"].abs().max():
        raise InputError(
            f"the row {name} cannot be registered: on this panel the packaged model's forecasts differ from the "
            f"trained model's by {apart:.2g}"
        )
    predictions = row.predictions.assign(benchmark=np.nan)
    if BENCHMARK in rows:
        benchmark = rows[BENCHMARK].predictions[[*KEYS, "y_pred"]].rename(columns={"y_pred": "benchmark"})
        predictions = row.predictions.merge(benchmark, on=list(KEYS), how="left")
    return Evidence(predictions, newest, remember(panel, spec.columns, first))


def register(forecaster: Forecaster, evidence: Evidence, name: str, run_id: str, tags: Mapping[str, str]) -> str:
    """Log the forecaster with its evidence to a run and register it; return the new version.

    The version appears last, in one step and with all its tags, so an interrupted registration leaves no version.

    Args:
        name, run_id: Registered model, and the run that trained it.
        tags: Tags of the version; the long ones are only in its files, see :data:`~.training_evidence.LONG`.
    """
    client = mlflow.MlflowClient()
    own = replace(evidence, tags=dict(tags))
    logged = log_model(forecaster, run_id, tags.get("row", ""), evidence.history, own)
    with contextlib.suppress(mlflow.MlflowException):  # the model exists already
        client.create_registered_model(name)
    shown = {key: value for key, value in tags.items() if key not in LONG} | {MANIFEST: logged.digest}
    source = f"models:/{logged.model_id}"
    number = str(client.create_model_version(name, source, run_id, tags=shown, model_id=logged.model_id).version)
    state_registration(client, name, number, logged.digest)
    return number


def log_newest(groups: Sequence[Sequence[FittedModel]], experiment: Experiment, row: Row, run_id: str) -> str:
    """Log an unregistered row's models of the newest window to the row's run; return the logged model's id."""
    forecaster = make_forecaster(_loadable(groups), _spec(experiment, row))
    panel = experiment.panel
    return log_model(forecaster, run_id, row.name, panel[[*KEYS, *forecaster.spec.columns]]).model_id
