"""Register a version of an earlier release again, from its own weights: nothing is trained."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd

from ..comparison.evidence import BENCHMARK
from ..data.universe import largest
from ..errors import InputError, first_line
from ..experiment.config import located, read_recorded
from ..experiment.factors import descriptors_of, make_factors
from ..experiment.identity import recipe_of
from ..experiment.market import load_market
from ..tracking.trials import MARKET, RECIPE, as_tag, market_returns
from .evidence import Evidence
from .forecaster import Forecaster
from .loading import MANIFEST
from .register import gather_evidence, register

_KEPT = ("data_fingerprint", "parent_run", "row_run", "train_first", "train_last", "git_commit")


@dataclass(frozen=True)
class _Said:
    """What the run of a row logged."""

    predictions: pd.DataFrame
    forecast: pd.DataFrame


def register_again(client: mlflow.MlflowClient, name: str, number: str) -> str:
    """Register a version's weights once more, with a manifest and with the evidence that its training's runs hold.

    Raises
    ------
    InputError
        If the version has a manifest, its runs or its data are gone, or it forecasts of these data something else than
        its training did.
    """
    try:
        tags = client.get_model_version(name, number).tags
        if MANIFEST in tags:
            raise InputError(f"version {number} of {name} has a manifest: there is nothing to register again")
        config = read_recorded(tags["config"])
        row = tags.get("row", config.registry.row)
        said = {row: _said(client, tags["row_run"])}
        said |= _benchmark(client, tags["parent_run"])
        with tempfile.TemporaryDirectory() as folder:
            files = mlflow.artifacts.download_artifacts(f"models:/{name}/{number}", dst_path=folder)
            forecaster = Forecaster.load(Path(files) / "artifacts" / "bundle")
    except InputError:
        raise
    except Exception as error:  # each kind of store, and each damaged file, has exceptions of its own
        raise InputError(f"version {number} of {name} cannot be registered again: {first_line(error)}") from error
    factors = make_factors(config.factors, config.data.descriptors)
    market = load_market(config.data, descriptors_of(factors), config.portfolio.quantiles)
    last = max(table["date"].max() for table in (said[row].forecast, said[row].predictions) if len(table))
    panel = largest(market[market["date"] <= last], config.data.universe)
    evidence: Evidence = gather_evidence(forecaster, panel.reset_index(drop=True), said, row)
    kept = {key: tags[key] for key in _KEPT if key in tags}
    own = {"config": located(tags["config"], config.data.source), RECIPE: recipe_of(config), "row": row}
    own[MARKET] = as_tag(market_returns(panel))
    return register(forecaster, evidence, name, tags["row_run"], {**kept, **own, "registered_again": number})


def _said(client: mlflow.MlflowClient, run_id: str) -> _Said:
    with tempfile.TemporaryDirectory() as folder:
        tables = [
            pd.read_parquet(client.download_artifacts(run_id, file, folder)).astype({"date": "datetime64[ns]"})
            for file in ("predictions.parquet", "forecast.parquet")
        ]
    return _Said(*tables)


def _benchmark(client: mlflow.MlflowClient, parent_run: str) -> dict[str, _Said]:
    """What the row linear of the same training said, if there was one."""
    experiment = client.get_run(parent_run).info.experiment_id
    query = f"tags.`mlflow.parentRunId` = '{parent_run}' and attributes.run_name = '{BENCHMARK}'"
    found = client.search_runs([experiment], query, max_results=1)
    return {BENCHMARK: _said(client, found[0].info.run_id)} if found else {}
