"""Check-up of a version: whether it repeats its recorded forecasts, agrees with its walk-forward, and adds up.

All results come from the version and the evidence stored with it, so they depend on nothing else.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from mlflow.pyfunc import PyFuncModel

from ..data.calendar import in_force
from ..data.panel import KEYS
from ..evaluation.metrics import rank_ic
from .loading import forecast
from .training_evidence import Evidence

RECENT_MONTHS = 12


@dataclass(frozen=True)
class Checkup:
    """Results of a version's check-up.

    Attributes:
        replay_error: Largest difference between the version's and the recorded forecasts of its training's newest
            month, decimals a month; infinite if it forecasts other stocks.
        direction: Mean rank correlation of the version's forecasts of the last test months with its training's
            walk-forward forecasts; NaN if there is no such month.
        conservation_error: Largest accounting error, decimals a month. The prediction is compared with contributions +
            bias. The models' own forecast is compared with inputs + intercept + amounts absorbed by biases, stabiliser
            and initial state.
        fidelity: Mean rank correlation of the sum of its contributions with the forecast of its models.
    """

    replay_error: float
    direction: float
    conservation_error: float
    fidelity: float


def check_up(model: PyFuncModel, evidence: Evidence, lags: int) -> Checkup:
    """Let a loaded version forecast its training's last months.

    ``lags``: months that a forecast looks back.
    """
    recent = evidence.predictions["date"].drop_duplicates().sort_values().iloc[-RECENT_MONTHS:]
    history = evidence.history
    forecasts = forecast(model, _from(history, min(recent.min(), history["date"].max()), lags))
    newest = _from(history, history["date"].max(), lags)
    factors, account = forecast(model, newest), forecast(model, newest, "account")
    contributions = factors.drop(columns=[*KEYS, "prediction"]).sum(axis=1)
    absorbed = account[["inputs", "intercept", "network_bias", "stabiliser", "initial_state"]].sum(axis=1)
    errors = [contributions - factors["prediction"], absorbed - account["network"]]
    linearised = account.assign(y_true=account["network"], y_pred=account["inputs"] + account["intercept"])
    return Checkup(
        replay_error=_apart(factors, evidence.newest),
        direction=rank_agreement(forecasts, evidence.predictions.rename(columns={"y_pred": "prediction"})),
        conservation_error=float(np.abs(np.concatenate(errors)).max()),
        fidelity=float(rank_ic(linearised).mean()),
    )


def rank_agreement(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Return the mean rank correlation of two tables of ``date``, ``asset``, ``prediction``, over common months."""
    both = one[[*KEYS, "prediction"]].merge(other[[*KEYS, "prediction"]], on=list(KEYS), suffixes=("_one", "_other"))
    if both.empty:
        return float("nan")
    return float(rank_ic(both.rename(columns={"prediction_one": "y_pred", "prediction_other": "y_true"})).mean())


def _from(history: pd.DataFrame, month: pd.Timestamp, lags: int) -> pd.DataFrame:
    return history[history["date"] >= in_force().shift(month, -lags)]


def _apart(forecasts: pd.DataFrame, recorded: pd.DataFrame) -> float:
    both = forecasts[[*KEYS, "prediction"]].merge(recorded, on=list(KEYS), suffixes=("", "_recorded"), how="outer")
    apart = (both["prediction"] - both["prediction_recorded"]).abs()
    return float("inf") if apart.isna().any() or both.empty else float(apart.max())
