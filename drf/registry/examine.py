"""Examination of a version on one market: load it, check it, and let it forecast."""

import tempfile
from dataclasses import dataclass, field

import mlflow
import numpy as np
import pandas as pd

from ..data.calendar import in_force
from ..data.panel import KEYS
from ..errors import InputError, first_line
from .checkup import Checkup, check_up
from .history import Restatement, compare, share_kept
from .loading import forecast, load_with_evidence
from .market import require_same_market
from .register import ROUNDING
from .scores import unseen_forecasts
from .training_evidence import Evidence
from .versions import Version


@dataclass(frozen=True)
class Examination:
    """Examination of a version on a panel.

    Attributes:
        forecasts: Its forecasts of months that it had not seen, see :func:`~.scores.unseen_forecasts`.
        newest: Its forecasts of the panel's newest month: ``date``, ``asset``, ``prediction``.
        checkup: Checks of the version's files and accounts.
        restated: Differences between the panel and its training's panel.
        kept: Share of its test months' absolute returns that the panel has, see :func:`.history.share_kept`.
        history: Its training's panel, see :attr:`~.training_evidence.Evidence.history`.
    """

    forecasts: pd.DataFrame
    newest: pd.DataFrame
    checkup: Checkup
    restated: Restatement
    kept: float
    history: pd.DataFrame = field(default_factory=pd.DataFrame)


def examine(
    client: mlflow.MlflowClient, version: Version, panel: pd.DataFrame, market: pd.DataFrame | None = None
) -> Examination:
    """Load a version, check its evidence against its training's runs, and let it forecast.

    ``market``: the panel with all stocks; None: the panel has them.

    Raises InputError if the version is not as registered, its evidence is not that of its training, the panel is of
    another market, or the version cannot forecast it.
    """
    model, evidence = load_with_evidence(version.uri)
    lags = max(version.config.window.lags)
    newest = panel["date"].max()
    try:
        _require_its_own(client, version, evidence)
        require_same_market(version.title, version.words, evidence.history, panel)
        restated = compare(evidence.history, panel)
        return Examination(
            forecasts=unseen_forecasts(model, evidence, restated, panel),
            newest=forecast(model, panel[panel["date"] >= in_force().shift(newest, -lags)]),
            checkup=check_up(model, evidence, lags),
            restated=restated,
            kept=share_kept(
                evidence.history, panel if market is None else market, evidence.predictions["date"], restated
            ),
            history=evidence.history,
        )
    except InputError:
        raise
    except Exception as error:  # a faulty model or table of one version must not stop the evaluation of others
        raise InputError(f"{version.uri} cannot forecast this panel: {first_line(error)}") from error


def _require_its_own(client: mlflow.MlflowClient, version: Version, evidence: Evidence) -> None:
    """Refuse a version whose evidence differs from what its row's run logged, if that run still exists.

    Raises InputError, naming the run.
    """
    logged = {
        "predictions.parquet": evidence.predictions,
        "forecast.parquet": evidence.newest.rename(columns={"prediction": "y_pred"}),
    }
    for name, own in logged.items():
        table = _artifact(client, version, name)
        if table is None or table.empty:
            continue
        if own is logged["forecast.parquet"]:  # a run may log several newest months, a version keeps only the last
            table = table[table["date"] == own["date"].max()]
        both = own[[*KEYS, "y_pred"]].merge(table[[*KEYS, "y_pred"]], on=list(KEYS), how="outer", suffixes=("", "_run"))
        apart = (both["y_pred"] - both["y_pred_run"]).abs().max(skipna=False)
        if not apart <= ROUNDING * np.nanmax(both["y_pred"].abs()):
            raise InputError(f"{version.uri}: its evidence is not the {name} of its training's run {version.row_run}")


def _artifact(client: mlflow.MlflowClient, version: Version, name: str) -> pd.DataFrame | None:
    """Return a table that the run of the version's row logged; None if the run or the table is gone."""
    try:
        if name not in {entry.path for entry in client.list_artifacts(version.row_run)}:
            return None
    except Exception:  # each kind of store has exceptions of its own
        return None
    try:
        with tempfile.TemporaryDirectory() as folder:
            table = pd.read_parquet(client.download_artifacts(version.row_run, name, folder))
        return table[[*KEYS, "y_pred"]].astype({"date": "datetime64[ns]"})
    except Exception as error:
        raise InputError(
            f"{version.uri}: {name} of its training's run {version.row_run} cannot be read ({first_line(error)})"
        ) from error
